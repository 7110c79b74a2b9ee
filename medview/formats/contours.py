"""Between masks and contours of one slice.

A contour goes between the centres of pixels inside and outside. A pixel belongs to a structure when its centre lies
inside an odd number of the structure's contours on that slice: so a contour inside another one is a hole, and so is one
that is joined to the outer one by a keyhole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Floats

_STRAIGHT = 1e-9


def outlines(mask: NDArray[np.bool_]) -> list[Floats]:
    """The contours of a mask, outer ones and holes, by marching squares (contourpy) at half height.

    Args:
        mask: (row, column).

    Returns:
        For each closed contour (n, 2) row and column of its corners, in pixels from the first pixel's centre; the first
        corner is not repeated at the end. `filled` gives exactly the mask back.
    """
    import contourpy

    padded = np.pad(mask, 1).astype(np.float64)
    lines = contourpy.contour_generator(z=padded, line_type=contourpy.LineType.Separate).lines(0.5)
    return [_without_straight_corners(np.asarray(line, dtype=np.float64)[:-1, ::-1] - 1) for line in lines]


def filled(contours: Sequence[Floats], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels whose centres lie inside an odd number of contours.

    Every edge of a contour turns all pixels of the rows that it crosses from its crossing on to the right.

    Args:
        contours: (n, 2) row and column of the corners of each, in pixels; may reach outside.
        shape: Rows and columns.
    """
    rows, columns = shape
    turns = np.zeros((rows, columns + 1), dtype=np.int64)
    for contour in contours:
        start, stop = contour, np.roll(contour, -1, axis=0)
        upper, lower = np.minimum(start[:, 0], stop[:, 0]), np.maximum(start[:, 0], stop[:, 0])
        first = np.clip(np.ceil(upper), 0, rows).astype(np.int64)
        last = np.clip(np.ceil(lower), 0, rows).astype(np.int64)
        counts = np.maximum(last - first, 0)
        if not counts.any():
            continue
        edge = np.repeat(np.arange(len(contour)), counts)
        row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
        share = (row - start[edge, 0]) / (stop[edge, 0] - start[edge, 0])
        crossing = start[edge, 1] + share * (stop[edge, 1] - start[edge, 1])
        np.add.at(turns, (row, np.clip(np.ceil(crossing), 0, columns).astype(np.int64)), 1)
    inside: NDArray[np.bool_] = np.cumsum(turns[:, :-1], axis=1) % 2 == 1
    return inside


def _without_straight_corners(contour: Floats) -> Floats:
    """The same contour without corners at which it goes straight on."""
    before, after = contour - np.roll(contour, 1, axis=0), np.roll(contour, -1, axis=0) - contour
    turning = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > _STRAIGHT
    return contour[turning] if turning.sum() >= 3 else contour
