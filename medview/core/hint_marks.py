"""Which voxels of a grid hints mean."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Floats, Geometry
from medview.core.hint import Hint, HintKind

Mask = NDArray[np.bool_]

_ON_THE_EDGE = 1e-6
"""Of a voxel or a millimetre: what lies on an edge lies within, whatever rounding says."""


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """What hints say of the voxels of a grid.

    Attributes:
        inside: (k, j, i) bool: belongs to the structure.
        outside: (k, j, i) bool: does not. No voxel is in both.
    """

    inside: Mask
    outside: Mask


def marks_of(hints: Sequence[Hint], geometry: Geometry) -> Marks:
    """What hints say of a grid.

    Where the rims of two lines that contradict each other meet, nothing is said; the voxels that a line itself runs
    through are always its own, those of the newest hint where two run through the same.
    """
    said = {True: np.zeros(geometry.shape, dtype=np.bool_), False: np.zeros(geometry.shape, dtype=np.bool_)}
    boxes = [one for one in hints if _holds_all(one)]
    for one in hints:
        if not _holds_all(one):
            _mark(said[one.positive], one, geometry, rim=True)
    both = said[True] & said[False]
    said[True][both] = said[False][both] = False
    if boxes:
        within = np.zeros(geometry.shape, dtype=np.bool_)
        for one in boxes:
            within[box_of(one, geometry).slices] = True
        said[False] |= ~within & ~said[True]
    for one in hints:
        if one.kind in (HintKind.POINT, HintKind.SCRIBBLE):
            line = _solid(one, geometry)
            said[one.positive] |= line
            said[not one.positive] &= ~line
    return Marks(said[True], said[False])


def box_of(hint: Hint, geometry: Geometry) -> Box:
    """The smallest box of a grid around the voxels that a hint may mean; empty where it lies outside the grid."""
    if hint.voxels is not None:
        faces = [np.asarray(one, dtype=np.float64) for one in (hint.voxels.geometry.shape, (0, 0, 0))]
        ends = np.array([[k, j, i] for k in (0, 1) for j in (0, 1) for i in (0, 1)])
        corners = np.where(ends, faces[0] - 1, faces[1])
        index = geometry.to_index(hint.voxels.geometry.to_patient(corners))
        return _between(index.min(axis=0), index.max(axis=0)).clipped(geometry.shape)
    index = geometry.to_index(np.asarray(hint.points, dtype=np.float64))
    low, high = index.min(axis=0), index.max(axis=0)
    if hint.kind is HintKind.BOX:
        # a voxel is in the box when its centre is
        start, stop = np.ceil(low - _ON_THE_EDGE), np.floor(high + _ON_THE_EDGE) + 1
        return Box(_index(start), _index(stop)).clipped(geometry.shape)
    reach = hint.radius_mm / np.asarray(geometry.spacing_mm)
    return _between(low - reach, high + reach).clipped(geometry.shape)


def box_around(hints: Iterable[Hint], geometry: Geometry, margin_mm: float) -> Box:
    """The box of a grid around all hints, with a margin to every side as far as the grid goes; empty without any."""
    found = Box((0, 0, 0), (0, 0, 0))
    for one in hints:
        found = found.union(box_of(one, geometry))
    if found.is_empty:
        return found
    k, j, i = (math.ceil(margin_mm / step) for step in geometry.spacing_mm)
    return Box(found.shifted((-k, -j, -i)).start, found.shifted((k, j, i)).stop).clipped(geometry.shape)


def contradicts(new: Hint, others: Iterable[Hint], geometry: Geometry) -> bool:
    """Whether a hint says the contrary of another one.

    That is: both lines run through the same voxel, areas overlap, or something that belongs to the structure lies
    outside the box that holds all of it. Rims of lines may meet.
    """
    for one in others:
        if new.positive and one.positive:
            if _misses(new, one, geometry) or _misses(one, new, geometry):
                return True
        elif new.positive != one.positive and not any(_holds_all(hint) for hint in (new, one)):
            common = _solid_box(new, geometry).intersection(_solid_box(one, geometry))
            if not common.is_empty:
                part = geometry.cropped(common)
                if (_solid(new, part) & _solid(one, part)).any():
                    return True
    return False


def line_of(hint: Hint, step_mm: float) -> Floats:
    """Places along a point or a scribble, at most this far from each other: (n, 3) x, y, z, LPS, mm."""
    corners = np.asarray(hint.points, dtype=np.float64)
    places = [corners[:1]]
    for start, stop in pairwise(corners):
        count = max(1, math.ceil(float(np.linalg.norm(stop - start)) / step_mm))
        shares = np.arange(1, count + 1)[:, None] / count
        places.append(start + shares * (stop - start))
    return np.concatenate(places)


def voxels_of(hint: Hint, geometry: Geometry) -> Mask:
    """The voxels of a grid that a hint means, with its rim: (k, j, i) bool. Of a positive box, those in it."""
    mask = np.zeros(geometry.shape, dtype=np.bool_)
    _mark(mask, hint, geometry, rim=True)
    return mask


def _misses(box: Hint, other: Hint, geometry: Geometry) -> bool:
    """Whether something that belongs to the structure lies outside a box that holds all of it."""
    if box.kind is not HintKind.BOX or other.kind is HintKind.BOX:
        return False
    return box_of(box, geometry).intersection(_solid_box(other, geometry)) != _solid_box(other, geometry)


def _holds_all(hint: Hint) -> bool:
    """Whether a hint says where the structure is at most, and not what belongs to it."""
    return hint.kind is HintKind.BOX and hint.positive


def _solid(hint: Hint, geometry: Geometry) -> Mask:
    """The voxels of a hint without its rim."""
    mask = np.zeros(geometry.shape, dtype=np.bool_)
    _mark(mask, hint, geometry, rim=False)
    return mask


def _solid_box(hint: Hint, geometry: Geometry) -> Box:
    if hint.kind in (HintKind.POINT, HintKind.SCRIBBLE):
        return box_of(Hint(hint.kind, hint.positive, hint.points), geometry)
    return box_of(hint, geometry)


def _mark(mask: Mask, hint: Hint, geometry: Geometry, *, rim: bool) -> None:
    """Set the voxels of a hint; of a line without its rim, those that it runs through alone."""
    box = box_of(hint, geometry)
    if box.is_empty:
        return
    if hint.kind is HintKind.BOX:
        mask[box.slices] = True
    elif hint.voxels is not None:
        mask[box.slices] |= _of_mask(hint, geometry, box)
    elif hint.kind is HintKind.LASSO:
        mask[box.slices] |= _enclosed(hint, geometry, box)
    else:
        step = 0.45 * min(geometry.spacing_mm)
        index = np.floor(geometry.to_index(line_of(hint, step)) + 0.5).astype(np.intp)
        k, j, i = index[((index >= 0) & (index < np.asarray(geometry.shape))).all(axis=1)].T
        mask[k, j, i] = True
        if rim and hint.radius_mm > 0:
            mask[box.slices] |= _near_line(hint, geometry, box)


def _near_line(hint: Hint, geometry: Geometry, box: Box) -> Mask:
    """(k, j, i) bool of a box: centres within the radius of a line. Right angles: index times spacing is distance."""
    spacing = np.asarray(geometry.spacing_mm)
    corners = geometry.to_index(np.asarray(hint.points, dtype=np.float64)) * spacing
    starts, stops = (corners, corners) if len(corners) == 1 else (corners[:-1], corners[1:])
    limit = hint.radius_mm**2 * (1 + _ON_THE_EDGE) + _ON_THE_EDGE**2
    mask = np.zeros(box.shape, dtype=np.bool_)
    for start, stop in zip(starts, stops, strict=True):
        low = np.floor((np.minimum(start, stop) - hint.radius_mm) / spacing)
        high = np.ceil((np.maximum(start, stop) + hint.radius_mm) / spacing) + 1
        part = Box(_index(low), _index(high)).intersection(box)
        if part.is_empty:
            continue
        offsets = [np.arange(part.start[n], part.stop[n]) * spacing[n] - start[n] for n in range(3)]
        away = np.stack(np.meshgrid(*offsets, indexing="ij"), axis=-1)
        way = stop - start
        length2 = float(way @ way)
        if length2 > 0:
            away = away - np.clip(away @ way / length2, 0, 1)[..., None] * way
        mask[part.shifted((-box.start[0], -box.start[1], -box.start[2])).slices] |= (away**2).sum(-1) <= limit
    return mask


def _enclosed(hint: Hint, geometry: Geometry, box: Box) -> Mask:
    """(k, j, i) bool of a box: centres that a lasso encloses, by the number of its sides that a ray crosses."""
    corners = np.asarray(hint.points, dtype=np.float64)
    middle = corners.mean(axis=0)
    _, _, axes = np.linalg.svd(corners - middle, full_matrices=False)
    normal = np.cross(axes[0], axes[1])
    flat = (corners - middle) @ axes[:2].T
    grid = np.stack(
        np.meshgrid(*(np.arange(a, b) for a, b in zip(box.start, box.stop, strict=True)), indexing="ij"), -1
    )
    places = geometry.to_patient(grid.astype(np.float64)) - middle
    x, y = places @ axes[0], places @ axes[1]
    inside = np.zeros(box.shape, dtype=np.bool_)
    for (x1, y1), (x2, y2) in zip(flat, np.roll(flat, -1, axis=0), strict=True):
        if y1 != y2:
            crosses = (y1 <= y) != (y2 <= y)
            inside ^= crosses & (x < x1 + (y - y1) / (y2 - y1) * (x2 - x1))
    half_voxel = float(np.abs(geometry.direction.T @ normal) @ np.asarray(geometry.spacing_mm)) / 2
    near: Mask = np.abs(places @ normal) <= max(hint.radius_mm, half_voxel) * (1 + _ON_THE_EDGE)
    return inside & near


def _of_mask(hint: Hint, geometry: Geometry, box: Box) -> Mask:
    """(k, j, i) bool of a box: centres that lie in a voxel of a mask."""
    assert hint.voxels is not None
    grid = np.stack(
        np.meshgrid(*(np.arange(a, b) for a, b in zip(box.start, box.stop, strict=True)), indexing="ij"), -1
    )
    source = hint.voxels.geometry
    index = np.floor(source.to_index(geometry.to_patient(grid.astype(np.float64))) + 0.5).astype(np.intp)
    there = ((index >= 0) & (index < np.asarray(source.shape))).all(axis=-1)
    k, j, i = np.moveaxis(np.clip(index, 0, np.asarray(source.shape) - 1), -1, 0)
    found: Mask = there & hint.voxels.voxels[k, j, i]
    return found


def _between(low: Floats, high: Floats) -> Box:
    """The voxels that a range of indices touches."""
    return Box(_index(np.floor(low + 0.5)), _index(np.floor(high + 0.5) + 1))


def _index(values: Floats) -> tuple[int, int, int]:
    k, j, i = (int(value) for value in values)
    return k, j, i
