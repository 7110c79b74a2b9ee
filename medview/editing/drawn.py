"""The numbers of what is drawn on a slice: lengths, angles, and the values of the voxels inside.

Lengths are taken between points of the patient, so they hold on grids with oblique or unequal axes as they are. Values
are those of the volume, never those of the screen: a voxel belongs to a region when its centre lies inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Floats, Geometry
from medview.core.measurement import MeasurementKind, Quantity, Value
from medview.core.volume import Volume

_ON_THE_EDGE = 1e-9
"""A centre on the outline is inside, also when rounding says otherwise."""


@dataclass(frozen=True, slots=True)
class LengthUnit:
    """What a step of one along the grid means: millimetres, or pixels where nobody knows how large these are."""

    name: str = "mm"

    @property
    def squared(self) -> str:
        """Of areas."""
        return f"{self.name}2"


MM, PIXELS = LengthUnit("mm"), LengthUnit("px")


def numbers_of(
    kind: MeasurementKind, points: Floats, volume: Volume, axis: int, index: int, unit: LengthUnit = MM
) -> tuple[Value, ...]:
    """The numbers of something drawn on one slice of a volume, the one that matters most first.

    Args:
        kind: What was drawn.
        points: (n, 3) x, y, z, LPS, mm, as `MeasurementKind` says.
        volume: What it was drawn on.
        axis: The index axis that the slice stands on.
        index: Which slice along it.
        unit: Of lengths on this grid.
    """
    if kind is MeasurementKind.LENGTH:
        names = (Quantity.LENGTH, Quantity.SHORT_AXIS)
        return tuple(
            Value(name, distance(points[2 * n], points[2 * n + 1]), unit.name)
            for n, name in enumerate(names[: len(points) // 2])
        )
    if kind is MeasurementKind.ANGLE:
        return (Value(Quantity.ANGLE, angle_deg(points), "deg"),)
    if kind is MeasurementKind.POINT:
        return _value_at(points[0], volume)
    area = Value(Quantity.AREA, area_of(kind, points), unit.squared)
    return (area, *statistics(values_inside(kind, points, volume, axis, index), volume.unit))


def distance(one: Floats, other: Floats) -> float:
    """Between two points, (3,) x, y, z, mm."""
    return float(np.linalg.norm(other - one))


def angle_deg(points: Floats) -> float:
    """An angle, 0..180 degrees.

    Args:
        points: (3, 3): an arm, the corner, the other arm; or (4, 3): the ends of one line and of another. Lines have no
            direction, so the angle between two lines is 0..90 (Cobb 1948).

    Returns:
        0 when an arm or a line has no length.
    """
    lines = len(points) == 4
    one = points[1] - points[0] if lines else points[0] - points[1]
    other = points[3] - points[2] if lines else points[2] - points[1]
    # atan2 keeps its digits where the arc cosine loses them: near 0 and 180 degrees.
    angle = float(np.degrees(np.arctan2(np.linalg.norm(np.cross(one, other)), one @ other)))
    return min(angle, 180.0 - angle) if lines else angle


def area_of(kind: MeasurementKind, points: Floats) -> float:
    """Of what was drawn, not of the voxels inside; mm2, or the square of whatever the points are in."""
    if kind is MeasurementKind.ELLIPSE:
        return float(np.pi / 4) * distance(points[0], points[1]) * distance(points[2], points[3])
    edges = points - points[0]
    return float(np.linalg.norm(np.cross(edges[1:-1], edges[2:]).sum(axis=0))) / 2


def values_inside(kind: MeasurementKind, points: Floats, volume: Volume, axis: int, index: int) -> NDArray[Any]:
    """The finite values of the voxels of a slice whose centres lie in a region.

    Args:
        kind: A region.
        points: (n, 3) x, y, z, LPS, mm.
        volume: Its voxels.
        axis: The index axis that the slice stands on.
        index: Which slice along it.

    Returns:
        (n,) of the voxels' type, in the volume's unit; empty when the region lies off the grid or between voxels.
    """
    geometry = volume.geometry
    if not 0 <= index < geometry.shape[axis]:
        return np.empty(0, dtype=volume.voxels.dtype)
    down, across = (other for other in range(3) if other != axis)
    flat = _in_slice(points, geometry, (down, across))
    low, high = _reach(kind, flat)
    spacing = np.array([geometry.spacing_mm[down], geometry.spacing_mm[across]])
    size = np.array([geometry.shape[down], geometry.shape[across]])
    first = np.clip(np.ceil(low / spacing - _ON_THE_EDGE), 0, size).astype(int)
    stop = np.clip(np.floor(high / spacing + _ON_THE_EDGE) + 1, first, size).astype(int)
    cut: list[slice | int] = [index, index, index]
    cut[down], cut[across] = slice(first[0], stop[0]), slice(first[1], stop[1])
    block = volume.voxels[tuple(cut)]
    if kind is MeasurementKind.ELLIPSE:
        values = _in_ellipse(block, flat, first, spacing)
    elif _is_upright(flat):
        values = block.ravel()
    else:
        rows = np.arange(first[0], stop[0])[:, None] * spacing[0]
        values = block[_in_polygon(flat, rows, np.arange(first[1], stop[1])[None, :] * spacing[1])]
    finite: NDArray[Any] = values if np.issubdtype(values.dtype, np.integer) else values[np.isfinite(values)]
    return finite


def statistics(values: NDArray[Any], unit: str) -> tuple[Value, ...]:
    """Mean, standard deviation (of a sample: n - 1), least and largest.

    Args:
        values: (n,) numbers.
        unit: Theirs.

    Returns:
        Nothing without values; no standard deviation of a single one.
    """
    if not values.size:
        return ()
    wide = values.astype(np.float64)
    mean = float(wide.mean())
    wide -= mean
    deviation = (
        () if values.size == 1 else (Value(Quantity.DEVIATION, float(np.sqrt(wide @ wide / (values.size - 1))), unit),)
    )
    return (
        Value(Quantity.MEAN, mean, unit),
        *deviation,
        Value(Quantity.MINIMUM, float(values.min()), unit),
        Value(Quantity.MAXIMUM, float(values.max()), unit),
    )


def _value_at(point: Floats, volume: Volume) -> tuple[Value, ...]:
    voxel = volume.geometry.voxel_at(point)
    value = float(volume.voxels[voxel]) if voxel is not None else float("nan")
    return (Value(Quantity.VALUE, value, volume.unit),) if np.isfinite(value) else ()


def _in_slice(points: Floats, geometry: Geometry, axes: tuple[int, int]) -> Floats:
    """(n, 2): where points lie in a slice, from its first voxel's centre along two index axes, mm."""
    steps = np.asarray(geometry.spacing_mm)
    flat: Floats = (geometry.to_index(points) * steps)[:, axes]
    return flat


def _reach(kind: MeasurementKind, flat: Floats) -> tuple[Floats, Floats]:
    """The smallest and the largest coordinates of a region, (2,) each."""
    if kind is not MeasurementKind.ELLIPSE:
        return flat.min(axis=0), flat.max(axis=0)
    center = flat.mean(axis=0)
    half = np.hypot(flat[1] - flat[0], flat[3] - flat[2]) / 2
    return center - half, center + half


def _in_ellipse(block: NDArray[Any], flat: Floats, first: NDArray[np.int_], spacing: Floats) -> NDArray[Any]:
    """The values of a block of a slice in an ellipse: of every row the stretch between its two crossings.

    Args:
        block: (row, column).
        flat: (4, 2) the ends of the axes, mm.
        first: The row and the column that the block begins with.
        spacing: Between rows, between columns, mm.
    """
    center = flat.mean(axis=0)
    halves = np.array([flat[1] - flat[0], flat[3] - flat[2]]) / 2
    squares = (halves**2).sum(axis=1)
    if squares.min() == 0:
        return np.empty(0, dtype=block.dtype)
    steps = halves / squares[:, None]
    down = (first[0] + np.arange(block.shape[0])) * spacing[0] - center[0]
    a = float(steps[:, 1] @ steps[:, 1])
    b = float(steps[:, 0] @ steps[:, 1]) * down
    c = float(steps[:, 0] @ steps[:, 0]) * down**2 - 1 - _ON_THE_EDGE
    reach = b**2 - a * c
    half = np.sqrt(np.maximum(reach, 0)) / a
    middle = center[1] - b / a
    starts = np.ceil((middle - half) / spacing[1]).astype(int) - first[1]
    stops = np.where(reach >= 0, np.floor((middle + half) / spacing[1]).astype(int) - first[1] + 1, 0)
    stretches = [row[max(start, 0) : max(stop, 0)] for row, start, stop in zip(block, starts, stops, strict=True)]
    return np.concatenate([np.empty(0, dtype=block.dtype), *stretches])


def _is_upright(flat: Floats) -> bool:
    """Whether four corners make a rectangle along rows and columns: its voxels are all between its sides."""
    if len(flat) != 4:
        return False
    near = _ON_THE_EDGE * max(float(np.ptp(flat, axis=0).max()), 1.0)
    sides = np.abs(np.diff(np.vstack([flat, flat[:1]]), axis=0)) <= near
    return bool((sides.any(axis=1)).all() and (sides[0] == sides[2]).all() and (sides[0] != sides[1]).all())


def _in_polygon(flat: Floats, down: Floats, across: Floats) -> NDArray[np.bool_]:
    """The even-odd rule; a point on an edge is inside.

    Args:
        flat: (n, 2) the corners, mm.
        down: (rows, 1) coordinates of the rows, mm.
        across: (1, columns) coordinates of the columns, mm.
    """
    near = _ON_THE_EDGE * max(float(np.ptp(flat, axis=0).max()), 1.0)
    odd = np.zeros((down.size, across.size), dtype=bool)
    edge = odd.copy()
    for one, other in zip(flat, np.roll(flat, -1, axis=0), strict=True):
        step = other - one
        length = float(np.hypot(*step))
        if length == 0:
            continue
        beside = (step[1] * (down - one[0]) - step[0] * (across - one[1])) / length
        along = (step[0] * (down - one[0]) + step[1] * (across - one[1])) / length
        edge |= (np.abs(beside) <= near) & (along >= -near) & (along <= length + near)
        if step[0]:
            crossed = (one[0] > down) != (other[0] > down)
            odd ^= crossed & (across < one[1] + (down - one[0]) * step[1] / step[0])
    inside: NDArray[np.bool_] = odd | edge
    return inside
