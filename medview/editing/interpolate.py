"""Filling between slices by shape interpolation.

S. P. Raya and J. K. Udupa, "Shape-based interpolation of multidimensional objects", IEEE Transactions on Medical
Imaging 9(1), 1990: the outlines on two slices become maps of the signed distance to the outline; between the slices the
maps are interpolated linearly, and what comes out negative is inside.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Floats, Geometry
from medview.core.progress import NoProgress, Progress
from medview.core.segmentation import Labels
from medview.editing import regions

_ON_THE_OUTLINE_MM = 1e-5
"""Distances come in single precision: what is this near to zero is zero, and belongs to the shape."""


def fill_between_slices(
    labels: Labels, geometry: Geometry, label: int, axis: int, progress: Progress | None = None
) -> tuple[Box, NDArray[np.bool_]]:
    """The shape of a segment on the slices that lie between its painted ones.

    A slice counts as painted when it holds any voxel of the segment; painted slices are left as they are, and nothing
    is added beyond the first and the last.

    Args:
        labels: (k, j, i) uint8 or uint16.
        geometry: The grid.
        label: The segment.
        axis: The index axis (0 = k, 1 = j, 2 = i) across the slices.
        progress: Told how far it is; may cancel.

    Returns:
        A box, empty when there is no gap to fill, and (k, j, i) bool of its shape: what to add.
    """
    progress = progress or NoProgress()
    box = regions.box_of(labels, label)
    mask = np.moveaxis(labels[box.slices] == label, axis, 0)
    added = np.zeros_like(mask)
    painted = np.flatnonzero(mask.any(axis=(1, 2))).tolist()
    spacing = np.delete(np.asarray(geometry.spacing_mm), axis)
    last: Outline | None = None
    for before, after in pairwise(painted):
        progress.raise_if_cancelled()
        progress.report(before / len(mask))
        if after - before == 1:
            last = None
            continue
        here, last = last or Outline(mask[before], spacing), Outline(mask[after], spacing)
        added[before + 1 : after] = mask[before] & mask[after]
        # What lies in both shapes, or in neither, needs no distances: all that is between them lies there, too.
        rows, columns = np.nonzero(mask[before] != mask[after])
        start = here.mm_at(rows, columns)
        way = last.mm_at(rows, columns) - start
        for number in range(before + 1, after):
            share = (number - before) / (after - before)
            added[number][rows, columns] = start + share * way <= _ON_THE_OUTLINE_MM
    if not added.any():
        return Box((0, 0, 0), (0, 0, 0)), np.zeros((0, 0, 0), dtype=np.bool_)
    return box, np.moveaxis(added, 0, axis)


class Outline:
    """How far pixels of a slice are from a shape: positive outside, negative inside, never zero.

    Outside, it is the distance to the nearest pixel of the shape; inside, to the nearest pixel that is not. Distances
    are worked out along the columns first, and across them for the pixels that are asked for only (after Saito and
    Toriwaki, Pattern Recognition 27(11), 1994).

    Args:
        shape: (row, column) bool, not empty; the pixels around the array count as outside.
        spacing_mm: Pixel sizes along row and column.
    """

    def __init__(self, shape: NDArray[np.bool_], spacing_mm: Floats) -> None:
        self._padded = np.pad(shape, 1)
        self._row_mm, self._column_mm = (float(one) for one in spacing_mm)
        self._to_shape = self._along_columns(self._padded)
        self._to_outside = self._along_columns(~self._padded)

    def mm_at(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
        """(n,) float64, mm: of pixels, given by (n,) row and (n,) column numbers."""
        rows, columns = rows + 1, columns + 1
        found = np.empty(rows.size)
        inside = self._padded[rows, columns]
        found[inside] = -self._across(self._to_outside, rows[inside], columns[inside])
        found[~inside] = self._across(self._to_shape, rows[~inside], columns[~inside])
        return found

    def _along_columns(self, goal: NDArray[np.bool_]) -> Floats:
        """(row, column) float64, mm²: to the nearest pixel of `goal` in the same column; infinite where it has none."""
        count = len(goal)
        numbers = np.arange(count, dtype=np.int32)[:, None]
        never = np.int32(4 * count + 4)
        above = np.maximum.accumulate(np.where(goal, numbers, -never), axis=0)
        below = np.minimum.accumulate(np.where(goal, numbers, never)[::-1], axis=0)[::-1]
        steps = np.minimum(numbers - above, below - numbers)
        squares: Floats = np.where(steps < count, (steps * self._row_mm) ** 2, np.inf)
        return squares

    def _across(self, squares: Floats, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Floats:
        """(n,) float64, mm: the shortest way to a goal, over all columns that can be nearer than what is found."""
        best = squares[rows, columns]
        live = np.arange(rows.size)
        last = squares.shape[1] - 1
        for step in range(1, last + 1):
            across = (step * self._column_mm) ** 2
            live = live[best[live] > across]
            if not live.size:
                break
            row, column = rows[live], columns[live]
            # Beyond the edge, the last column is asked again: it is not nearer than when it was its turn.
            left, right = squares[row, np.maximum(column - step, 0)], squares[row, np.minimum(column + step, last)]
            best[live] = np.minimum(best[live], np.minimum(left, right) + across)
        return np.sqrt(best)
