"""Between original slices and the corrected grid that they are shown on.

Every slice is parallel to the planes of the grid and has its pixels' size and direction, so a slice lies on the grid by
a shift in its plane, and a plane of the grid lies between two slices. Voxels are interpolated linearly: within the
plane first, then between the two slices. Labels are never interpolated: a plane belongs to the slice next to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Floats, Geometry, Index

_TIE = 1e-6
_ON_A_SLICE = 1e-3
"""A plane that is nearer to a slice than this, as a share of their distance, is that slice."""


@dataclass(frozen=True, slots=True)
class SliceMap:
    """Where the original slices of a corrected grid lie on it.

    Attributes:
        depth: (n,) position of each slice along k, in planes of the grid, rising.
        shift: (n, 2) row and column of the grid at which the first pixel of each slice lies.
        shape: Rows and columns of a slice.
        planes: How many planes the grid has.
    """

    depth: Floats
    shift: Floats
    shape: tuple[int, int]
    planes: int

    @classmethod
    def of(cls, geometry: Geometry) -> SliceMap | None:
        """The map of a grid; None when its planes are the slices themselves."""
        if geometry.slices is None:
            return None
        index = geometry.to_index(geometry.slices.positions)
        return cls(index[:, 0], index[:, 1:], geometry.slices.shape, geometry.shape[0])

    def neighbours(self, plane: int) -> tuple[int, int, float]:
        """The slices below and above a plane, and the share of the upper one; the same slice twice on a slice."""
        upper = int(np.searchsorted(self.depth, plane))
        if upper == 0:
            return 0, 0, 0.0
        if upper == len(self.depth):
            return upper - 1, upper - 1, 0.0
        low, high = self.depth[upper - 1], self.depth[upper]
        share = float((plane - low) / (high - low))
        if share <= _ON_A_SLICE:
            return upper - 1, upper - 1, 0.0
        if share >= 1 - _ON_A_SLICE:
            return upper, upper, 0.0
        return upper - 1, upper, share

    def origin_of(self, slice_index: int) -> Index:
        """The voxel next to the first pixel of a slice: its pixels' labels are those of the voxels from there on."""
        plane = min(max(_nearest(self.depth[slice_index]), 0), self.planes - 1)
        return plane, _nearest(self.shift[slice_index, 0]), _nearest(self.shift[slice_index, 1])

    def planes_of(self, slice_index: int) -> tuple[int, int]:
        """The planes [start, stop) that are nearer to a slice than to any other: its labels are theirs."""
        halfway = (self.depth[1:] + self.depth[:-1]) / 2
        start = 0 if slice_index == 0 else int(np.ceil(halfway[slice_index - 1]))
        last = slice_index == len(self.depth) - 1
        stop = self.planes if last else int(np.ceil(halfway[slice_index]))
        own, _, _ = self.origin_of(slice_index)
        return min(start, own), max(stop, own + 1)


def _nearest(value: float) -> int:
    """Halves go up, also those that come out a little less."""
    return int(np.floor(value + 0.5 + _TIE))


def laid(pixels: NDArray[np.float32], shift: Floats, shape: tuple[int, int], outside: float) -> NDArray[np.float32]:
    """A slice laid onto a plane of the grid, linearly interpolated.

    Args:
        pixels: (row, column) float32.
        shift: (2,) row and column of the plane at which the first pixel lies; need not be whole.
        shape: Rows and columns of the plane.
        outside: The value where the slice does not reach.

    Returns:
        (row, column) float32 of the plane.
    """
    laid_down = _laid_along(pixels, float(shift[0]), shape[0], outside, axis=0)
    return _laid_along(laid_down, float(shift[1]), shape[1], outside, axis=1)


def _laid_along(
    pixels: NDArray[np.float32], shift: float, size: int, outside: float, *, axis: int
) -> NDArray[np.float32]:
    whole = int(np.floor(shift + _ON_A_SLICE))
    share = max(shift - whole, 0.0)
    moved: NDArray[np.float32] = np.moveaxis(pixels, axis, 0)
    count = moved.shape[0]
    if share > _ON_A_SLICE:
        # A pixel reaches half its size beyond its centre; up to there its value goes on.
        padded = np.concatenate([moved[:1], moved, moved[-1:]])
        between = np.float32(1 - share) * padded[1:] + np.float32(share) * padded[:-1]
        past_half = int(share > 0.5)
        moved, whole = between[past_half : past_half + count].astype(np.float32), whole + past_half
    plane = np.full((size, *moved.shape[1:]), outside, dtype=np.float32)
    start, stop = max(whole, 0), min(whole + count, size)
    if start < stop:
        plane[start:stop] = moved[start - whole : stop - whole]
    return np.moveaxis(plane, 0, axis)
