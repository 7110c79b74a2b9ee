"""What asking a classifier where it looked costs beyond the network's own work, and whether that is what was said.

Grad-CAM is compared with two bare passes and a gradient, occlusion with as many bare passes, as many at once, of the
same network on the same image. The time that is stated before is compared with the one that it took.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from monai.networks.nets import DenseNet121

from medview.core.evidence import EvidenceMethod, PassTime, cost_of, placements
from medview.core.progress import NoProgress
from medview.inference.explain import explain
from tests.benchmarks.bench import Row, interleave, medians, options, report

_AT_ONCE = 16
_HONEST = 2.0
"""What is stated may be off by so much: small passes vary."""


def _asked(network: Any, image: torch.Tensor, method: EvidenceMethod) -> None:
    explain(network, image, 1, method, activate=lambda values: values.softmax(1), progress=NoProgress())


def _forward_and_gradient(network: Any, image: torch.Tensor) -> None:
    with torch.no_grad():
        network(image)
    network(image.detach().clone().requires_grad_(True))[0, 1].backward()


def _passes(network: Any, image: torch.Tensor, count: int) -> None:
    with torch.inference_mode():
        for start in range(0, count, _AT_ONCE):
            network(image.repeat(min(_AT_ONCE, count - start), 1, 1, 1))


def main() -> int:
    """Measure, print, and return the exit status."""
    opts = options(__doc__ or "")
    side = 32 if opts.quick else 128
    torch.manual_seed(1)
    network, image = DenseNet121(spatial_dims=2, in_channels=1, out_channels=2).eval(), torch.rand(1, 1, side, side)
    network.requires_grad_(False)
    count = placements((side, side)) + 1

    def one_pass() -> float:
        started = time.perf_counter()
        with torch.inference_mode():
            network(image)
        return time.perf_counter() - started

    found = medians(
        interleave(
            {
                "one pass": one_pass,
                "grad-cam": lambda: _asked(network, image, EvidenceMethod.GRAD_CAM),
                "gradient": lambda: _forward_and_gradient(network, image),
                "occlusion": lambda: _asked(network, image, EvidenceMethod.OCCLUSION),
                "passes": lambda: _passes(network, image, count),
            },
            opts.rounds,
        )
    )
    measured = PassTime((side, side), found["one pass"])
    rows = [
        Row("Grad-CAM", found["grad-cam"], found["gradient"], "two passes and a gradient", 1.5),
        Row("occlusion", found["occlusion"], found["passes"], f"{count} bare passes", 1.3),
    ]
    for method, name in ((EvidenceMethod.GRAD_CAM, "grad-cam"), (EvidenceMethod.OCCLUSION, "occlusion")):
        stated = cost_of(method, 2, measured).seconds or 0.0
        rows.append(Row(f"time beside the stated one, {name}", found[name], stated, "as stated", _HONEST))
    return report("Evidence", rows, opts)


if __name__ == "__main__":
    sys.exit(main())
