"""What of a preview is taken, where a reader takes a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from medview.core.errors import InputError
from medview.core.geometry import Box, Geometry, Point
from medview.core.planes import Plane, slice_plane
from medview.core.text import Text
from medview.editing import regions

Mask = NDArray[np.bool_]


class AcceptPart(StrEnum):
    """How much of an answer is taken: all, what lies in a box, the piece that a place is in, or one slice."""

    ALL = "all"
    BOX = "box"
    PIECE = "piece"
    SLICE = "slice"


def chosen_of(
    part: AcceptPart,
    box: Box,
    geometry: Geometry,
    differs: Mask,
    at: Point | None,
    plane: Plane | None,
    within: Box | None,
) -> Mask:
    """(k, j, i) bool of the answer's box: which of what would change is taken.

    Raises:
        InputError: There is nothing there.
    """
    chosen = np.zeros(box.shape, dtype=np.bool_)
    voxel = geometry.voxel_at(at) if at is not None else None
    start = tuple(-n for n in box.start)
    if part is AcceptPart.BOX and within is not None:
        inner = within.intersection(box)
        if not inner.is_empty:
            chosen[inner.shifted((start[0], start[1], start[2])).slices] = True
    elif voxel is not None and part is AcceptPart.SLICE and plane is not None:
        axis = slice_plane(geometry, plane).axis
        if box.start[axis] <= voxel[axis] < box.stop[axis]:
            cut = [slice(None)] * 3
            cut[axis] = slice(voxel[axis] - box.start[axis], voxel[axis] - box.start[axis] + 1)
            chosen[tuple(cut)] = True
    elif (
        voxel is not None and part is AcceptPart.PIECE and Box(voxel, _next(voxel)).intersection(box).shape != (0, 0, 0)
    ):
        k, j, i = (n - m for n, m in zip(voxel, box.start, strict=True))
        parts, _ = regions.components(differs)
        if parts[k, j, i]:
            chosen = parts == parts[k, j, i]
    if not (chosen & differs).any():
        raise InputError(Text("There is nothing of the preview to accept there."), Text("Point at a part of it."))
    return chosen


def _next(voxel: Sequence[int]) -> tuple[int, int, int]:
    k, j, i = (n + 1 for n in voxel)
    return k, j, i
