"""Windows over a volume, one after the other, watched: progress after each, and a way out between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.data.utils import dense_patch_slices
from monai.inferers import Inferer, SlidingWindowInferer
from monai.utils import ensure_tuple_rep, fall_back_tuple

from medview.core.progress import Progress
from medview.core.text import Text


def infer(
    inferer: Inferer, image: torch.Tensor, network: Callable[..., torch.Tensor], progress: Progress
) -> torch.Tensor:
    """Run a network over an image as an inferer prescribes.

    Args:
        inferer: A MONAI inferer; its roi_size, overlap, mode and sw_batch_size are honoured.
        image: (1, channel, x, y, z) float32.
        network: Takes and returns (window, channel, x, y, z).
        progress: Is told of every batch of windows; may end the run between two.

    Returns:
        (1, channel, x, y, z), the network's values.
    """
    watched = _Watched(network, _batch_count(inferer, image), progress)
    with torch.no_grad():
        result = inferer(image, watched)
    if not isinstance(result, torch.Tensor):
        raise TypeError("The network returns more than one value.")
    return result


class _Watched:
    """A network that reports and can be stopped."""

    def __init__(self, network: Callable[..., torch.Tensor], batches: int, progress: Progress) -> None:
        self._network = network
        self._batches = batches
        self._progress = progress
        self._done = 0

    def __call__(self, windows: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        self._progress.raise_if_cancelled()
        self._progress.report(min(1.0, self._done / self._batches), Text("Running the network"))
        values = self._network(windows, *args, **kwargs)
        self._done += 1
        self._progress.raise_if_cancelled()
        return values


def _batch_count(inferer: Inferer, image: torch.Tensor) -> int:
    """How many times the inferer will call its network."""
    if not isinstance(inferer, SlidingWindowInferer):
        return 1
    size = tuple(int(n) for n in image.shape[2:])
    roi = fall_back_tuple(inferer.roi_size, size)
    padded = tuple(max(a, b) for a, b in zip(size, roi, strict=True))
    overlap = ensure_tuple_rep(inferer.overlap, len(size))
    steps = [max(1, int(r * (1 - o))) if r < n else r for r, n, o in zip(roi, padded, overlap, strict=True)]
    windows = len(dense_patch_slices(padded, roi, steps))
    return max(1, -(-windows // int(inferer.sw_batch_size)))
