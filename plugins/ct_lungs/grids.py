"""The image as the method wants it: axes along the patient, and a coarser copy for what needs no detail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.api import Box, Geometry, Mask, Plane, Spacing, Volume, slice_plane

Floats = NDArray[np.float32]

_LEAST_HU = -1024
_MOST_HU = 3071


@dataclass(frozen=True)
class PatientView:
    """An array seen with its axes along the patient, whatever the order in which it is stored.

    Attributes:
        axes: The stored axis that runs from foot to head, from front to back, and from right to left.
        flipped: Which of these run the other way in the stored array.
        spacing_mm: Voxel sizes along these axes.
    """

    axes: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    spacing_mm: Spacing

    @classmethod
    def of(cls, geometry: Geometry) -> PatientView:
        """The view of a grid; for an oblique one, along the nearest axes."""
        head, back, left = (slice_plane(geometry, plane).axis for plane in (Plane.AXIAL, Plane.CORONAL, Plane.SAGITTAL))
        axes = (head, back, left)
        flipped = tuple(bool(geometry.direction[row, axis] < 0) for row, axis in zip((2, 1, 0), axes, strict=True))
        steps = tuple(geometry.spacing_mm[axis] for axis in axes)
        return cls(axes, (flipped[0], flipped[1], flipped[2]), (steps[0], steps[1], steps[2]))

    def seen(self, stored: NDArray[Any]) -> NDArray[Any]:
        """(k, j, i) -> (to the head, to the back, to the left); shares memory."""
        turned = stored.transpose(self.axes)
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)]

    def stored(self, seen: NDArray[Any]) -> NDArray[Any]:
        """(to the head, to the back, to the left) -> (k, j, i), C-contiguous."""
        turned = seen[tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)]
        return np.ascontiguousarray(turned.transpose(np.argsort(self.axes)))


def hounsfield(volume: Volume, view: PatientView) -> NDArray[np.int16]:
    """(to the head, to the back, to the left) int16, HU; a copy, with padding values below air made air."""
    seen = view.seen(volume.voxels)
    values = np.empty(seen.shape, dtype=np.int16)
    for number in range(seen.shape[0]):
        values[number] = np.clip(np.nan_to_num(seen[number], nan=_LEAST_HU), _LEAST_HU, _MOST_HU)
    return values


@dataclass(frozen=True)
class Coarse:
    """A grid whose voxels are blocks of the voxels of a finer one.

    Attributes:
        fine_shape: The finer grid.
        factors: Voxels of the finer grid along the edges of a block.
        spacing_mm: Sizes of the blocks.
    """

    fine_shape: tuple[int, int, int]
    factors: tuple[int, int, int]
    spacing_mm: Spacing

    @classmethod
    def near(cls, shape: tuple[int, ...], spacing_mm: Spacing, wanted_mm: float) -> Coarse:
        """Blocks of about this size; at least one voxel."""
        a, b, c = (max(1, round(wanted_mm / step)) for step in spacing_mm)
        blocks = (spacing_mm[0] * a, spacing_mm[1] * b, spacing_mm[2] * c)
        return cls((shape[0], shape[1], shape[2]), (a, b, c), blocks)

    @property
    def shape(self) -> tuple[int, int, int]:
        """How many blocks there are; the last ones may reach beyond the finer grid."""
        a, b, c = (-(-size // factor) for size, factor in zip(self.fine_shape, self.factors, strict=True))
        return a, b, c

    def mean(self, fine: NDArray[Any]) -> Floats:
        """The mean of every block."""
        a, b, c = self.factors
        result = np.empty(self.shape, dtype=np.float32)
        for number in range(self.shape[0]):
            slab = np.asarray(fine[number * a : (number + 1) * a], dtype=np.float32).mean(axis=0)
            lacking = [(0, n * f - size) for n, f, size in zip(self.shape[1:], (b, c), slab.shape, strict=True)]
            slab = np.pad(slab, lacking, mode="edge")
            result[number] = slab.reshape(self.shape[1], b, self.shape[2], c).mean(axis=(1, 3))
        return result

    def blocks_of(self, fine: Mask) -> Mask:
        """The blocks more than half of which a mask of the finer grid fills."""
        found: Mask = self.mean(fine) > 0.5
        return found

    def part(self, box: Box) -> Coarse:
        """The grid of the blocks in a box."""
        fine = self.fine_box(box).shape
        return Coarse(fine, self.factors, self.spacing_mm)

    def fine_box(self, box: Box) -> Box:
        """The part of the finer grid that a box of blocks covers."""
        start = tuple(n * f for n, f in zip(box.start, self.factors, strict=True))
        stop = tuple(min(n * f, s) for n, f, s in zip(box.stop, self.factors, self.fine_shape, strict=True))
        return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

    def refined(self, mask: Mask, fine: Box | None = None) -> Mask:
        """A mask of blocks on the finer grid, or a part of it, with its border interpolated linearly between blocks."""
        fine = Box.whole(self.fine_shape) if fine is None else fine
        values = np.asarray(mask, dtype=np.float32)
        for axis in range(3):
            where = (np.arange(fine.start[axis], fine.stop[axis]) + 0.5) / self.factors[axis] - 0.5
            where = np.clip(where, 0, self.shape[axis] - 1)
            low = np.minimum(np.floor(where).astype(int), max(0, self.shape[axis] - 2))
            high = np.minimum(low + 1, self.shape[axis] - 1)
            share = (where - low).astype(np.float32).reshape([-1 if one == axis else 1 for one in range(3)])
            below = values.take(low, axis=axis)
            below += share * (values.take(high, axis=axis) - below)
            values = below
        found: Mask = values > 0.5
        return found
