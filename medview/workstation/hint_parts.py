"""Boxes that are drawn in slices, and what of a preview is taken where a reader takes a part of it."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from medview.core.errors import InputError
from medview.core.geometry import Box, Geometry, Point
from medview.core.hint import Hint
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


def boxed(one: Point, other: Point, geometry: Geometry, plane: Plane, known: Box | None, *, positive: bool) -> Hint:
    """A box that was drawn in a slice.

    Args:
        one: A corner, x, y, z, LPS, mm.
        other: The opposite one, in the same slice.
        geometry: The grid.
        plane: Of the slice.
        known: A box that was there: its depth stays where the slice cuts it. None: it is as deep as it is wide.
        positive: Whether the structure lies in it.
    """
    axis = slice_plane(geometry, plane).axis
    ends = np.sort(geometry.to_index(np.array([one, other], dtype=np.float64)), axis=0)
    middle = float(ends[:, axis].mean())
    if known is not None and known.start[axis] - 0.5 <= middle < known.stop[axis] - 0.5:
        ends[:, axis] = known.start[axis], known.stop[axis] - 1
    else:
        sizes = (ends[1] - ends[0]) * np.asarray(geometry.spacing_mm)
        half = float(np.delete(sizes, axis).mean()) / 2 / geometry.spacing_mm[axis]
        ends[:, axis] = middle - half, middle + half
    corners = geometry.to_patient(np.clip(ends, 0, np.asarray(geometry.shape) - 1))
    (a, b, c), (d, e, f) = corners.tolist()
    return Hint.box((a, b, c), (d, e, f), positive=positive)


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
