"""From the grid that a model works on back to the grid that the image came on, axis by axis.

Turning, mirroring, resampling to other spacings, cropping and padding all keep the axes of a grid parallel to those of
another: each index of one follows from one index of the other. Such a way back is exact, cheap, and can be gone slab
by slab; anything else is not described here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

_ASKEW = 1e-3
"""By how much of a voxel a whole axis may be out of line."""
_ON_A_VOXEL = 1e-4
_OUTSIDE = 0.5 + 1e-3
_A_TIE = 1e-6


@dataclass(frozen=True, slots=True)
class AxisMap:
    """One axis of the model's grid, and the axis of the source grid that runs along it.

    Attributes:
        source_axis: Which one.
        source_length: How many voxels it has.
        length: How many the model's axis has.
        scale: Model voxels per source voxel; negative when they run against each other.
        offset: Where the first source voxel lies, in model voxels.
        steps: Whether nothing is interpolated along this axis, whatever is along others: values are those of the
            nearest voxel, and from the middle between two on those of the upper one.
    """

    source_axis: int
    source_length: int
    length: int
    scale: float
    offset: float
    steps: bool = False

    def places(self) -> NDArray[np.float64]:
        """(source_length,): where each source voxel lies, in model voxels."""
        where = np.arange(self.source_length, dtype=np.float64) * self.scale + self.offset
        whole = np.rint(where)
        snapped: NDArray[np.float64] = np.where(np.abs(where - whole) < _ON_A_VOXEL, whole, where)
        return snapped

    def inside(self) -> NDArray[np.bool_]:
        """(source_length,): which source voxels the model's grid reaches."""
        where = self.places()
        found: NDArray[np.bool_] = (where >= -_OUTSIDE) & (where <= self.length - 1 + _OUTSIDE)
        return found

    def cells(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """For linear interpolation: the lower neighbour of each source voxel, and its distance from it, 0..1."""
        where = np.clip(self.places(), 0.0, self.length - 1.0)
        lower = np.clip(np.floor(where).astype(np.int64), 0, max(0, self.length - 2))
        return lower, where - lower

    def nearest(self) -> NDArray[np.int64]:
        """The nearest model voxel of each source voxel."""
        where = np.floor(self.places() + (0.5 + _A_TIE)) if self.steps else np.rint(self.places())
        return np.clip(where, 0, self.length - 1).astype(np.int64)

    @classmethod
    def resized(cls, axis: int, source: int, length: int, *, steps: bool = False) -> AxisMap:
        """Of an axis whose voxels are cut otherwise, while its faces stay where they are."""
        scale = length / source
        return cls(axis, source, length, scale, (scale - 1) / 2, steps)

    @property
    def is_exact(self) -> bool:
        """Whether every source voxel that is reached has the values of one model voxel."""
        if self.steps:
            return True
        _, distance = self.cells()
        return bool(((distance == 0) | (distance == 1)).all())


@dataclass(frozen=True, slots=True)
class GridMap:
    """The way back, for each of the model's axes (x, y, z)."""

    axes: tuple[AxisMap, AxisMap, AxisMap]

    @classmethod
    def between(
        cls,
        source_affine: NDArray[np.float64],
        source_size: tuple[int, int, int],
        model_affine: NDArray[np.float64],
        model_size: tuple[int, int, int],
    ) -> GridMap | None:
        """The way between two grids of one patient.

        Args:
            source_affine: (4, 4), takes a voxel index of the source to patient space, mm.
            source_size: Voxels along the source's axes.
            model_affine: The same for the model's grid.
            model_size: Voxels along its axes.

        Returns:
            None when the axes of one are not parallel to those of the other.
        """
        matrix = np.linalg.solve(np.asarray(model_affine, np.float64), np.asarray(source_affine, np.float64))
        steps = matrix[:3, :3]
        chosen = np.abs(steps).argmax(axis=1)
        if sorted(chosen) != [0, 1, 2]:
            return None
        aside = np.abs(steps) * np.maximum(np.asarray(source_size) - 1, 0)
        aside[np.arange(3), chosen] = 0.0
        if aside.sum(axis=1).max() > _ASKEW:
            return None
        x, y, z = (
            AxisMap(
                int(chosen[axis]), source_size[int(chosen[axis])], model_size[axis],
                float(steps[axis, chosen[axis]]), float(matrix[axis, 3]),
            )
            for axis in range(3)
        )  # fmt: skip
        return cls((x, y, z))

    @classmethod
    def same(cls, size: tuple[int, int, int]) -> GridMap:
        """Of a grid to itself."""
        x, y, z = (AxisMap(axis, size[axis], size[axis], 1.0, 0.0) for axis in range(3))
        return cls((x, y, z))

    @property
    def source_size(self) -> tuple[int, int, int]:
        """Voxels along the source's axes."""
        lengths = {one.source_axis: one.source_length for one in self.axes}
        return lengths[0], lengths[1], lengths[2]


def index(values: NDArray[np.int64]) -> torch.Tensor:
    """Indices as torch wants them."""
    return torch.from_numpy(np.ascontiguousarray(values))
