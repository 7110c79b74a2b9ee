"""What lies inside an outline that was drawn on a slice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Floats, Geometry
from medview.editing.brush import Stamp

_NOTHING = Box((0, 0, 0), (0, 0, 0))


def inside(geometry: Geometry, points: Floats, axis: int, index: int) -> Stamp:
    """The voxels of a slice whose centres an outline goes around.

    The outline is closed by a straight line. Where it crosses itself, what it goes around twice in the same direction
    is inside (the nonzero rule): the ends of a hand's line overlap more often than not.

    Args:
        geometry: The grid.
        points: (n, 3) x, y, z, LPS, mm; where they lie off the slice, they are projected onto it.
        axis: The index axis that the slice stands on.
        index: Which slice along it.

    Returns:
        The smallest box, maybe empty, and (k, j, i) bool of its shape; the box is one voxel thick along `axis`.
    """
    down, across = (other for other in range(3) if other != axis)
    if len(points) < 3 or not 0 <= index < geometry.shape[axis]:
        return _NOTHING, np.zeros((0, 0, 0), dtype=np.bool_)
    corners = geometry.to_index(points)[:, (down, across)]
    rows, columns = geometry.shape[down], geometry.shape[across]
    first = np.clip(np.ceil(corners.min(axis=0)), 0, (rows, columns)).astype(int)
    stop = np.clip(np.floor(corners.max(axis=0)) + 1, first, (rows, columns)).astype(int)
    flat = polygon(corners - first, (int(stop[0] - first[0]), int(stop[1] - first[1])))
    start, end = [0, 0, 0], [0, 0, 0]
    start[axis], end[axis] = index, index + 1
    for at, other in enumerate((down, across)):
        start[other], end[other] = int(first[at]), int(stop[at])
    mask = np.expand_dims(flat, axis)
    inner = Box.around(mask)
    box = inner.shifted((start[0], start[1], start[2])) if not inner.is_empty else _NOTHING
    return box, mask[inner.slices]


def polygon(corners: Floats, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The points of a raster that a polygon goes around, by the nonzero rule.

    Every edge adds its direction to all points of a row that lie beyond it; where the sum is not zero is inside. The
    cost grows with the length of the outline and the size of the raster, not with their product.

    Args:
        corners: (n, 2) row, column.
        shape: Rows and columns of the raster; its points have whole coordinates.
    """
    turns = np.zeros((shape[0], shape[1] + 1), dtype=np.int32)
    for one, other in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        upper, lower = (one, other) if one[0] < other[0] else (other, one)
        # half open, so that a corner on a row counts once
        begin, end = max(int(np.ceil(upper[0])), 0), min(int(np.ceil(lower[0])), shape[0])
        if begin >= end:
            continue
        row = np.arange(begin, end)
        crossed = upper[1] + (row - upper[0]) * (lower[1] - upper[1]) / (lower[0] - upper[0])
        beyond = np.clip(np.ceil(crossed), 0, shape[1]).astype(int)
        turns[row, beyond] += 1 if one[0] < other[0] else -1
    found: NDArray[np.bool_] = np.cumsum(turns, axis=1)[:, :-1] != 0
    return found
