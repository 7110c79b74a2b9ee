"""Level tracing: the closed line of equal values through a place of a slice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Floats, Geometry

_LEAST_CORNERS = 4


def traced(voxels: NDArray[Any], geometry: Geometry, place: Floats, axis: int) -> Floats | None:
    """The closed line of the value at a place that passes it most closely.

    Between the centres of voxels values are thought to change linearly, and lines are those of marching squares; they
    come from ContourPy.

    Args:
        voxels: (k, j, i) numbers; those that are not finite have no lines around them.
        geometry: Their grid.
        place: (3,) a continuous index (k, j, i) on a slice.
        axis: The index axis that the slice stands on.

    Returns:
        (n, 3) x, y, z, LPS, mm, the first corner not repeated; None where no closed line is.

    Source: Lorensen W.E., Cline H.E., Marching cubes, SIGGRAPH 1987, in two dimensions.
    """
    import contourpy

    index = int(np.floor(place[axis] + 0.5))
    if not 0 <= index < geometry.shape[axis]:
        return None
    down, across = (other for other in range(3) if other != axis)
    values = np.take(voxels, index, axis).astype(np.float64)
    row, column = float(place[down]), float(place[across])
    level = _between(values, row, column)
    if level is None or min(values.shape) < 2:
        return None
    whole = bool(np.isfinite(values).all())
    lines: Any = contourpy.contour_generator(
        z=values if whole else np.ma.masked_invalid(values),
        name="serial",
        line_type=contourpy.LineType.ChunkCombinedOffset,
    ).lines(level)
    best = _nearest_closed(lines[0][0], lines[1][0], row, column)
    if best is None:
        return None
    corners = np.empty((len(best), 3))
    corners[:, axis], corners[:, down], corners[:, across] = index, best[:, 1], best[:, 0]
    return geometry.to_patient(corners)


def _nearest_closed(points: Any, offsets: Any, row: float, column: float) -> Floats | None:
    """(n, 2) x, y: of many lines the closed one that passes a place most closely; a slice of noise has thousands.

    Args:
        points: (m, 2) x, y of all lines; None where there are none.
        offsets: Where each line begins, and where the last one ends.
        row: The place.
        column: The place.
    """
    if points is None:
        return None
    places = np.asarray(points, dtype=np.float64)
    first, stop = np.asarray(offsets[:-1], dtype=np.intp), np.asarray(offsets[1:], dtype=np.intp)
    closed = (places[first] == places[stop - 1]).all(axis=1) & (stop - first > _LEAST_CORNERS)
    if not closed.any():
        return None
    away = np.minimum.reduceat((places[:, 0] - column) ** 2 + (places[:, 1] - row) ** 2, first)
    best = int(np.argmin(np.where(closed, away, np.inf)))
    return places[first[best] : stop[best] - 1]


def _between(values: NDArray[np.float64], row: float, column: float) -> float | None:
    """The value between pixel centres, linearly; None off the slice or where there is none."""
    if not (0 <= row <= values.shape[0] - 1 and 0 <= column <= values.shape[1] - 1):
        return None
    top, left = min(int(row), values.shape[0] - 2), min(int(column), values.shape[1] - 2)
    if min(top, left) < 0:
        return None
    v, h = row - top, column - left
    block = values[top : top + 2, left : left + 2]
    value = float(np.array([1 - v, v]) @ block @ np.array([1 - h, h]))
    return value if np.isfinite(value) else None
