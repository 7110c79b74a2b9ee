"""Where voxels lie in the patient.

One index order: (k, j, i) = (slice, row, column), C-contiguous. One world: DICOM patient axes (LPS: x grows to the
patient's left, y to the back, z to the head), millimetres.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Index = tuple[int, int, int]
Point = tuple[float, float, float]

_RIGHT_ANGLE_TOLERANCE = 1e-3
"""Largest cosine between two axes that still counts as a right angle (0.06 degrees)."""


@dataclass(frozen=True, slots=True)
class Box:
    """A half-open range of voxel indices, (k, j, i)."""

    start: Index
    stop: Index

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """To index a (k, j, i) array with."""
        return (
            slice(self.start[0], self.stop[0]),
            slice(self.start[1], self.stop[1]),
            slice(self.start[2], self.stop[2]),
        )

    @property
    def shape(self) -> Index:
        """Voxel counts (k, j, i); 0 where empty."""
        k, j, i = (max(0, b - a) for a, b in zip(self.start, self.stop, strict=True))
        return k, j, i

    @property
    def is_empty(self) -> bool:
        """Whether there is no voxel inside."""
        return 0 in self.shape

    def union(self, other: Box) -> Box:
        """The smallest box around both; an empty box adds nothing."""
        if self.is_empty:
            return other
        if other.is_empty:
            return self
        return Box(_index(map(min, self.start, other.start)), _index(map(max, self.stop, other.stop)))

    def intersection(self, other: Box) -> Box:
        """What lies in both; may be empty."""
        return Box(_index(map(max, self.start, other.start)), _index(map(min, self.stop, other.stop)))

    def grown(self, voxels: int) -> Box:
        """The box with a margin on every side; may reach outside the grid."""
        return Box(_index(n - voxels for n in self.start), _index(n + voxels for n in self.stop))

    def narrowed(self, axis: int, start: int, stop: int) -> Box:
        """The same box from `start` to `stop` along one axis."""
        first, last = list(self.start), list(self.stop)
        first[axis], last[axis] = start, stop
        return Box(_index(first), _index(last))

    def shifted(self, by: Index) -> Box:
        """The same box further along every axis."""
        return Box(
            _index(n + step for n, step in zip(self.start, by, strict=True)),
            _index(n + step for n, step in zip(self.stop, by, strict=True)),
        )

    def clipped(self, shape: Index) -> Box:
        """The part inside a grid of this shape."""
        return self.intersection(Box((0, 0, 0), shape))

    @classmethod
    def whole(cls, shape: Index) -> Box:
        """All of a grid."""
        return cls((0, 0, 0), shape)

    @classmethod
    def around(cls, mask: NDArray[Any]) -> Box:
        """The smallest box around the non-zero voxels of a (k, j, i) array; empty when there are none."""
        start, stop = [], []
        for axis in range(3):
            hit = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
            if hit.size == 0:
                return cls((0, 0, 0), (0, 0, 0))
            start.append(int(hit[0]))
            stop.append(int(hit[-1]) + 1)
        return cls(_index(start), _index(stop))


@dataclass(frozen=True, slots=True, eq=False)
class SourceSlices:
    """Where the slices lie that a grid was made from, when they are not the grid's own planes: tilted or uneven ones.

    They are parallel to the grid's planes, and their pixels have its size and direction.

    Attributes:
        positions: (n, 3) x, y, z of the first pixel of every slice, LPS, mm, ordered along k.
        shape: Rows and columns of a slice.
    """

    positions: Floats
    shape: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """Where a regular, right-angled voxel grid lies in the patient.

    Attributes:
        shape: Voxel counts (k, j, i): slices, rows, columns.
        affine: (4, 4) float64; takes a voxel centre (k, j, i, 1) to (x, y, z, 1), LPS, mm.
        frame_of_reference_uid: DICOM (0020,0052); None outside DICOM.
        slices: The slices that it was made from; None where they are its own planes.

    Raises:
        ValueError: The shape is empty, or the axes are not at right angles, or an axis has no length.
    """

    shape: Index
    affine: Floats
    frame_of_reference_uid: str | None = None
    slices: SourceSlices | None = None

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all():
            raise ValueError("The affine must be a finite (4, 4) matrix.")
        if len(self.shape) != 3 or min(self.shape) < 1:
            raise ValueError(f"The grid {self.shape} has no voxels.")
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        if lengths.min() <= 0:
            raise ValueError("A voxel has no size along one axis.")
        unit = affine[:3, :3] / lengths
        if np.abs(unit.T @ unit - np.eye(3)).max() > _RIGHT_ANGLE_TOLERANCE:
            raise ValueError("The axes of the grid are not at right angles.")
        affine.flags.writeable = False
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", _index(self.shape))

    @classmethod
    def from_parts(
        cls,
        shape: Index,
        spacing_mm: tuple[float, float, float],
        origin_mm: Point = (0.0, 0.0, 0.0),
        direction: Floats | None = None,
        frame_of_reference_uid: str | None = None,
    ) -> Geometry:
        """A geometry from its parts.

        Args:
            shape: Voxel counts (k, j, i).
            spacing_mm: Voxel sizes along k, j, i, mm.
            origin_mm: Centre of voxel (0, 0, 0): x, y, z, LPS, mm.
            direction: (3, 3); columns are the unit vectors of k, j, i in the patient. Default: axial, head first,
                supine (k to the head, j to the back, i to the left).
            frame_of_reference_uid: DICOM (0020,0052).
        """
        if direction is None:
            direction = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
        affine = np.eye(4)
        affine[:3, :3] = np.asarray(direction, dtype=np.float64) * np.asarray(spacing_mm, dtype=np.float64)
        affine[:3, 3] = origin_mm
        return cls(shape, affine, frame_of_reference_uid)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel sizes along k, j, i."""
        k, j, i = (float(length) for length in np.linalg.norm(self.affine[:3, :3], axis=0))
        return k, j, i

    @property
    def origin_mm(self) -> Point:
        """Centre of voxel (0, 0, 0): x, y, z."""
        x, y, z = (float(value) for value in self.affine[:3, 3])
        return x, y, z

    @property
    def direction(self) -> Floats:
        """(3, 3); columns are the unit vectors of k, j, i in the patient."""
        columns: Floats = self.affine[:3, :3] / np.linalg.norm(self.affine[:3, :3], axis=0)
        return columns

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel."""
        return float(np.prod(self.spacing_mm))

    @property
    def extent_mm(self) -> tuple[float, float, float]:
        """Size of the grid, outer face to outer face, along k, j, i."""
        k, j, i = (n * step for n, step in zip(self.shape, self.spacing_mm, strict=True))
        return k, j, i

    @property
    def center_mm(self) -> Point:
        """The middle of the grid: x, y, z."""
        x, y, z = (float(v) for v in self.to_patient((np.asarray(self.shape, dtype=np.float64) - 1) / 2))
        return x, y, z

    @property
    def is_right_handed(self) -> bool:
        """Whether (i, j, k) follow the right-hand rule."""
        return bool(np.linalg.det(self.affine[:3, 2::-1]) > 0)

    def to_patient(self, index: Floats | tuple[float, float, float]) -> Floats:
        """(..., 3) continuous k, j, i -> (..., 3) x, y, z, mm."""
        points: Floats = np.asarray(index, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]
        return points

    def to_index(self, point: Floats | Point) -> Floats:
        """(..., 3) x, y, z, mm -> (..., 3) continuous k, j, i."""
        inverse = np.linalg.inv(self.affine[:3, :3])
        index: Floats = (np.asarray(point, dtype=np.float64) - self.affine[:3, 3]) @ inverse.T
        return index

    def voxel_at(self, point: Floats | Point) -> Index | None:
        """The voxel that holds a point, or None outside the grid."""
        index = _index(np.floor(self.to_index(point) + 0.5))
        return index if all(0 <= n < size for n, size in zip(index, self.shape, strict=True)) else None

    def nearest_voxel(self, point: Floats | Point) -> Index:
        """The voxel of the grid that is nearest to a point."""
        index = np.floor(self.to_index(point) + 0.5)
        return _index(np.clip(index, 0, np.asarray(self.shape) - 1))

    def cropped(self, box: Box) -> Geometry:
        """The geometry of the voxels inside a box."""
        affine = self.affine.copy()
        affine[:3, 3] = self.to_patient(np.asarray(box.start, dtype=np.float64))
        return Geometry(box.shape, affine, self.frame_of_reference_uid)

    def same_grid(self, other: Geometry, tolerance_mm: float = 1e-2) -> bool:
        """Whether every voxel of one lies where the same voxel of the other does."""
        if self.shape != other.shape:
            return False
        corners = _corners(self.shape)
        return bool(np.abs(self.to_patient(corners) - other.to_patient(corners)).max() <= tolerance_mm)


def _index(values: Iterable[Any]) -> Index:
    k, j, i = (int(value) for value in values)
    return k, j, i


def _corners(shape: Index) -> Floats:
    last = [n - 1 for n in shape]
    return np.array([[k, j, i] for k in (0, last[0]) for j in (0, last[1]) for i in (0, last[2])], dtype=np.float64)
