"""Where the windows of a sliding-window inference lie, and how much each of their voxels counts.

The lattice and the weights are those of MONAI's `sliding_window_inference` (monai/inferers/utils.py) or of nnU-Net's
predictor (nnunetv2/inference/sliding_window_prediction.py), so that a network sees the same windows; only their order
is another: along one axis, so that what lies behind them is finished early.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import torch
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.utils import ensure_tuple_rep, fall_back_tuple

from medview.inference.grid_map import GridMap
from medview.inference.occupancy import Occupancy

Size = tuple[int, int, int]
"""Of a grid or a window along (x, y, z), voxels."""


@dataclass(frozen=True, slots=True)
class WindowRules:
    """How a model wants its windows.

    Attributes:
        roi_size: Of a window along (x, y, z), voxels; 0 or less: as large as the image.
        overlap: The share of a window that it has in common with the next one, along each axis.
        step: In place of an overlap, as nnU-Net has it: by how much of a window the next one lies further at most;
            windows are spread evenly, and the last one ends where the image does.
        blend: "gaussian" or "constant", as MONAI weights windows; "nnunet", as nnU-Net does.
        sigma_scale: The deviation of the Gaussian, in window sizes.
        batch: Windows in one call of the network.
        padding: How an image smaller than a window is filled up: "constant", "reflect", "replicate" or "circular".
        padding_value: With what, when "constant".
    """

    roi_size: tuple[int, int, int]
    overlap: tuple[float, float, float] = (0.25, 0.25, 0.25)
    blend: str = "constant"
    sigma_scale: tuple[float, float, float] = (0.125, 0.125, 0.125)
    batch: int = 1
    padding: str = "constant"
    padding_value: float = 0.0
    step: float | None = None


@dataclass(frozen=True, slots=True)
class Lattice:
    """The windows over one image.

    Attributes:
        image: The image's size.
        padded: Its size with what is filled up around it; at least a window along every axis.
        before: How many of the filled-up voxels lie before the image's first one, along each axis.
        roi: A window's size.
        starts: Where windows start along each axis, in the padded image, rising.
        skipped: Windows, by their starts, that are not run: there is nothing in them.
    """

    image: Size
    padded: Size
    before: Size
    roi: Size
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    skipped: frozenset[Size] = frozenset()

    @classmethod
    def over(cls, image: Size, rules: WindowRules) -> Lattice:
        """The lattice of an image of a size."""
        roi = _size(fall_back_tuple(rules.roi_size, image))
        padded = _size(max(n, r) for n, r in zip(image, roi, strict=True))
        before = _size((p - n) // 2 for p, n in zip(padded, image, strict=True))
        if rules.step is not None:
            x, y, z = (_spread(n, r, rules.step) for n, r in zip(padded, roi, strict=True))
            return cls(image, padded, before, roi, (x, y, z))
        overlap = ensure_tuple_rep(rules.overlap, 3)
        steps = [r if r == n else max(1, int(r * (1 - o))) for r, n, o in zip(roi, padded, overlap, strict=True)]
        slices = dense_patch_slices(padded, roi, steps)
        x, y, z = (tuple(sorted({window[axis].start for window in slices})) for axis in range(3))
        return cls(image, padded, before, roi, (x, y, z))

    @property
    def count(self) -> int:
        """How many windows are run."""
        return self.all_count - len(self.skipped)

    @property
    def all_count(self) -> int:
        """How many windows there are."""
        x, y, z = self.starts
        return len(x) * len(y) * len(z)

    def sparing(self, occupancy: Occupancy | None, grid: GridMap, before: Sequence[int]) -> Lattice:
        """The lattice without windows in which there is nothing; at least one is left.

        Args:
            occupancy: Where there is something; None: everywhere.
            grid: The way from the image of the windows to the one that `occupancy` tells of.
            before: How many filled-up voxels lie before that grid in the padded image, along each axis.
        """
        if occupancy is None:
            return self
        runs = occupancy.windows(grid, before, self.roi, self.starts)
        if not runs.any():
            runs[tuple(size // 2 for size in runs.shape)] = True
        left_out = np.argwhere(~runs)
        return replace(
            self, skipped=frozenset(_size(self.starts[n][at] for n, at in enumerate(one)) for one in left_out)
        )

    @property
    def front_axis(self) -> int:
        """The axis along which the smallest cross-section moves: the cheapest to keep open."""
        return max(range(3), key=lambda axis: (self.padded[axis] / self.roi[axis], axis))

    def along(self, axis: int) -> Iterator[tuple[int, tuple[Size, ...]]]:
        """The windows in order along an axis: a start along it, and the starts of all windows that have it and run."""
        for start in self.starts[axis]:
            others = [(start,) if one == axis else self.starts[one] for one in range(3)]
            places = (_size(place) for place in product(*others))
            yield start, tuple(place for place in places if place not in self.skipped)


def importance(roi: Size, rules: WindowRules) -> torch.Tensor:
    """How much each voxel of a window counts where windows overlap: (x, y, z) float32, above 0."""
    if rules.blend == "nnunet":
        return _rounded_gaussian(roi, rules.sigma_scale)
    weights = compute_importance_map(roi, mode=rules.blend, sigma_scale=rules.sigma_scale, dtype=torch.float32)
    found: torch.Tensor = weights.to(torch.float32).expand(roi).contiguous()
    return found


def fill_up(image: torch.Tensor, lattice: Lattice, rules: WindowRules) -> torch.Tensor:
    """An image, (channel, x, y, z), filled up to the lattice's padded size; itself when it is large enough."""
    if lattice.padded == lattice.image:
        return image
    sides: list[int] = []
    for axis in (2, 1, 0):
        rest = lattice.padded[axis] - lattice.image[axis] - lattice.before[axis]
        sides += [lattice.before[axis], rest]
    value = rules.padding_value if rules.padding == "constant" else None
    return torch.nn.functional.pad(image[None], sides, mode=rules.padding, value=value)[0]


def central_window(image: torch.Tensor, rules: WindowRules) -> torch.Tensor:
    """The window in the middle of an image, (channel, x, y, z): (1, channel, x, y, z)."""
    x, y, z = image.shape[1:]
    lattice = Lattice.over((x, y, z), rules)
    padded = fill_up(image, lattice, rules)
    cut = (slice((n - r) // 2, (n - r) // 2 + r) for n, r in zip(lattice.padded, lattice.roi, strict=True))
    return padded[(slice(None), *cut)][None]


def _spread(length: int, roi: int, step: float) -> tuple[int, ...]:
    """Where nnU-Net starts windows along an axis."""
    count = math.ceil((length - roi) / (roi * step)) + 1
    if count == 1:
        return (0,)
    return tuple(round((length - roi) / (count - 1) * number) for number in range(count))


def _rounded_gaussian(roi: Size, sigma_scale: Sequence[float]) -> torch.Tensor:
    """nnU-Net's weights: 10 in the middle, in half precision, and where that leaves 0 the smallest that it does not."""
    weights = torch.full((1, 1, 1), 10.0, dtype=torch.float64)
    for axis, (size, scale) in enumerate(zip(roi, sigma_scale, strict=True)):
        distance = torch.arange(size, dtype=torch.float64) - size // 2
        line = torch.exp(-0.5 * (distance / (size * scale)) ** 2)
        weights = weights * line.reshape([-1 if one == axis else 1 for one in range(3)])
    rounded = weights.to(torch.float16)
    return torch.where(rounded == 0, rounded[rounded > 0].min(), rounded).to(torch.float32).contiguous()


def _size(values: Iterable[int]) -> Size:
    x, y, z = (int(value) for value in values)
    return x, y, z
