"""The brush: which voxels a stroke of the mouse reaches.

A stroke is the union of capsules: all points within the radius of the straight line between two samples of the mouse.
There is thus no gap at any speed. A voxel belongs to the brush when its centre is within the radius; and the voxels
that the cursor itself runs through belong to it always, so that a brush smaller than a voxel still paints.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Floats, Geometry, Point

_ON_THE_EDGE = 1e-9
"""Relative slack, so that a centre exactly on the radius is inside however the grid is turned."""


class BrushShape(StrEnum):
    """A disk and a square lie in the slice that is painted on, a sphere reaches into its neighbours."""

    DISK = "disk"
    SPHERE = "sphere"
    SQUARE = "square"


Stamp = tuple[Box, NDArray[np.bool_]]
"""A box inside the grid and, of its shape, (k, j, i) bool: which of its voxels are reached."""


def sphere(geometry: Geometry, start: Point, stop: Point, radius_mm: float) -> Stamp:
    """What a ball reaches on its way from one point to another.

    Args:
        geometry: The grid, of any spacing and orientation.
        start: Where the ball comes from: x, y, z, LPS, mm.
        stop: Where it goes; the same point for a single dab.
        radius_mm: The ball's radius.

    Returns:
        The box inside the grid, maybe empty, and what is reached of it. The cost depends on radius and way only.
    """
    return _capsule(geometry, geometry.to_index(start), geometry.to_index(stop), radius_mm, None)


def disk(geometry: Geometry, start: Point, stop: Point, radius_mm: float, axis: int) -> Stamp:
    """What a disk reaches on its way from one point to another, in the slice of the second.

    Distances are measured within the slice. When the first point lies in another slice, the reader has scrolled in
    between, and the disk touches down on the second point only.

    Args:
        geometry: The grid, of any spacing and orientation.
        start: Where the disk comes from: x, y, z, LPS, mm.
        stop: Where it goes.
        radius_mm: The disk's radius.
        axis: The index axis (0 = k, 1 = j, 2 = i) across the slice.

    Returns:
        As `sphere`; the box is one voxel thick along `axis`.
    """
    a, b = _within_slice(geometry, start, stop, axis)
    return _capsule(geometry, a, b, radius_mm, axis)


def square(geometry: Geometry, start: Point, stop: Point, radius_mm: float, axis: int) -> Stamp:
    """What a square along rows and columns reaches on its way from one point to another, in the slice of the second.

    Args:
        geometry: The grid, of any spacing and orientation.
        start: Where the square comes from: x, y, z, LPS, mm; as for `disk`.
        stop: Where it goes.
        radius_mm: Half of the square's side.
        axis: The index axis (0 = k, 1 = j, 2 = i) across the slice.

    Returns:
        As `disk`.
    """
    a, b = _within_slice(geometry, start, stop, axis)
    reach = np.full(3, max(radius_mm, 0.0)) / np.asarray(geometry.spacing_mm) * (1 + _ON_THE_EDGE)
    reach[axis] = 0.0
    box = _box_between(np.floor(np.minimum(a, b) - reach), np.ceil(np.maximum(a, b) + reach), geometry)
    if box.is_empty:
        return box, np.zeros(box.shape, dtype=np.bool_)
    # Along every axis a voxel is reached during a stretch of the way; it is inside while all stretches hold.
    first, last = np.zeros(box.shape), np.ones(box.shape)
    for n in range(3):
        offset = np.arange(box.start[n], box.stop[n]) - a[n]
        way = b[n] - a[n]
        if way == 0:
            enter = np.where(np.abs(offset) <= reach[n], 0.0, 2.0)
            leave = np.ones_like(enter)
        else:
            enter, leave = np.sort([(offset - reach[n]) / way, (offset + reach[n]) / way], axis=0)
        shape = [-1 if other == n else 1 for other in range(3)]
        first, last = np.maximum(first, enter.reshape(shape)), np.minimum(last, leave.reshape(shape))
    mask: NDArray[np.bool_] = first <= last + _ON_THE_EDGE
    across = np.delete(np.asarray(geometry.spacing_mm), axis)
    if radius_mm < float(across.max()) / 2:
        _mark_the_way(mask, box, a, b)
    return _trimmed(box, mask)


def _within_slice(geometry: Geometry, start: Point, stop: Point, axis: int) -> tuple[Floats, Floats]:
    """Both ends of a way as indices in the slice of the second; who has scrolled in between touches down there only."""
    a, b = geometry.to_index(start), geometry.to_index(stop)
    here = np.floor(b[axis] + 0.5)
    if np.floor(a[axis] + 0.5) != here:
        a = b.copy()
    a[axis] = b[axis] = here
    return a, b


def _capsule(geometry: Geometry, a: Floats, b: Floats, radius_mm: float, flat: int | None) -> Stamp:
    """The axes of a grid stand at right angles, so index times spacing measures distance whatever its orientation."""
    spacing = np.asarray(geometry.spacing_mm)
    reach = np.full(3, max(radius_mm, 0.0)) / spacing
    if flat is not None:
        reach[flat] = 0.0
    lower = np.floor(np.minimum(a, b) - reach)
    upper = np.ceil(np.maximum(a, b) + reach)
    box = _box_between(lower, upper, geometry)
    if box.is_empty:
        return box, np.zeros(box.shape, dtype=np.bool_)
    mask = _near_the_line(box, a * spacing, b * spacing, spacing, radius_mm)
    across = np.delete(spacing, flat) if flat is not None else spacing
    if radius_mm < float(np.linalg.norm(across)) / 2:
        _mark_the_way(mask, box, a, b)
    return _trimmed(box, mask)


def _box_between(lower: Floats, upper: Floats, geometry: Geometry) -> Box:
    limit = np.asarray(geometry.shape, dtype=np.float64)
    lower = np.clip(lower, 0, limit).astype(np.intp)
    upper = np.clip(upper + 1, 0, limit).astype(np.intp)
    return Box((int(lower[0]), int(lower[1]), int(lower[2])), (int(upper[0]), int(upper[1]), int(upper[2])))


def _near_the_line(box: Box, a: Floats, b: Floats, spacing: Floats, radius_mm: float) -> NDArray[np.bool_]:
    """(k, j, i) bool: centres within the radius of the line from a to b (k, j, i, mm)."""
    way = b - a
    length2 = float(way @ way)
    offsets = [np.arange(box.start[n], box.stop[n]) * spacing[n] - a[n] for n in range(3)]
    squares = _outer_sum([offset**2 for offset in offsets])
    if length2 > 0:
        along = _outer_sum([offset * way[n] for n, offset in enumerate(offsets)])
        share = np.clip(along / length2, 0.0, 1.0)
        squares += share * (share * length2 - 2 * along)
    limit2 = radius_mm**2 + _ON_THE_EDGE * (radius_mm**2 + length2)
    near: NDArray[np.bool_] = squares <= limit2
    return near


def _outer_sum(parts: list[Floats]) -> Floats:
    total: Floats = parts[0][:, None, None] + parts[1][None, :, None] + parts[2][None, None, :]
    return total


def _mark_the_way(mask: NDArray[np.bool_], box: Box, a: Floats, b: Floats) -> None:
    """Mark the voxels that the line from a to b (k, j, i) runs through: between each two crossings of voxel faces."""
    crossings = [np.array([0.0, 1.0])]
    for start, stop in zip(a, b, strict=True):
        if start != stop:
            faces = np.arange(np.floor(min(start, stop)), np.ceil(max(start, stop)) + 1) + 0.5
            crossings.append((faces - start) / (stop - start))
    at = np.unique(np.clip(np.concatenate(crossings), 0.0, 1.0))
    middles = np.concatenate([[0.0, 1.0], (at[1:] + at[:-1]) / 2])
    voxels = np.floor(a + middles[:, None] * (b - a) + 0.5).astype(np.intp) - np.asarray(box.start)
    inside = ((voxels >= 0) & (voxels < np.asarray(box.shape))).all(axis=1)
    k, j, i = voxels[inside].T
    mask[k, j, i] = True


def _trimmed(box: Box, mask: NDArray[np.bool_]) -> Stamp:
    """The smallest box around what is reached."""
    inner = Box.around(mask)
    start = tuple(a + b for a, b in zip(box.start, inner.start, strict=True))
    stop = tuple(a + b for a, b in zip(box.start, inner.stop, strict=True))
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2])), mask[inner.slices]
