"""What asking a classifier where it looked costs beyond the network's own work, and whether that is what was said.

Grad-CAM is compared with two bare passes and a gradient of the same network on the same image; occlusion with its own
calls of the network, timed while it runs. The time that it took is compared with the one that is stated before.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from monai.networks.nets import DenseNet121
from torch import nn

from medview.core.evidence import EvidenceMethod, PassTime, cost_of
from medview.core.progress import NoProgress
from medview.inference.explain import explain
from tests.benchmarks.bench import Row, interleave, medians, options, report

_HONEST = 2.0
"""What is stated may be off by so much: small passes vary."""


class _Timed(nn.Module):
    """A network, and how long its calls took in all."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.seconds = 0.0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        started = time.perf_counter()
        values: torch.Tensor = self.network(images)
        self.seconds += time.perf_counter() - started
        return values


def _asked(network: nn.Module, image: torch.Tensor, method: EvidenceMethod) -> None:
    explain(network, image, 1, method, activate=lambda values: values.softmax(1), progress=NoProgress())


def _passes_and_gradient(network: nn.Module, image: torch.Tensor) -> None:
    with torch.no_grad():
        network(image)
    network(image.detach().clone().requires_grad_(True))[0, 1].backward()


def main() -> int:
    """Measure, print, and return the exit status."""
    opts = options(__doc__ or "")
    side = 32 if opts.quick else 128
    torch.manual_seed(1)
    network, image = DenseNet121(spatial_dims=2, in_channels=1, out_channels=2).eval(), torch.rand(1, 1, side, side)
    network.requires_grad_(False)
    timed, inside = _Timed(network).eval(), list[float]()

    def one_pass() -> None:
        with torch.inference_mode():
            network(image)

    def covered() -> None:
        timed.seconds = 0.0
        _asked(timed, image, EvidenceMethod.OCCLUSION)
        inside.append(timed.seconds)

    found = medians(
        interleave(
            {
                "one pass": one_pass,
                "grad-cam": lambda: _asked(network, image, EvidenceMethod.GRAD_CAM),
                "bare": lambda: _passes_and_gradient(network, image),
                "occlusion": covered,
            },
            opts.rounds,
        )
    )
    rows = [
        Row("Grad-CAM", found["grad-cam"], found["bare"], "two passes and a gradient", 1.5),
        Row("occlusion", found["occlusion"], median(inside[1:]), "its calls of the network", 1.15),
    ]
    measured = PassTime((side, side), found["one pass"])
    for method in (EvidenceMethod.GRAD_CAM, EvidenceMethod.OCCLUSION):
        stated = cost_of(method, 2, measured).seconds or 0.0
        rows.append(Row(f"time taken, {method.value}", found[method.value], stated, "time stated", _HONEST))
    return report("Evidence", rows, opts)


if __name__ == "__main__":
    sys.exit(main())
