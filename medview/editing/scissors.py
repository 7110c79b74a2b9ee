"""Cutting a segment along a closed curve: through the slices of a plane, or along the line of sight of a 3D view."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Floats, Geometry
from medview.core.progress import NoProgress, Progress
from medview.core.segmentation import Labels
from medview.editing import outline, regions
from medview.editing.reshape import Proposal


def cut(
    labels: Labels,
    geometry: Geometry,
    label: int,
    curve: Floats,
    axis: int,
    index: int,
    *,
    outside: bool,
    slab_mm: float | None = None,
    progress: Progress | None = None,
) -> Proposal:
    """What a segment loses by a cut straight through the slices of a plane.

    Args:
        labels: (k, j, i) uint8 or uint16.
        geometry: The grid.
        label: The segment.
        curve: (n, 3) x, y, z, LPS, mm: drawn on a slice, closed by a straight line.
        axis: The index axis that the slice stands on.
        index: Which slice along it.
        outside: Whether what lies outside of the curve goes, and not what lies inside.
        slab_mm: How thick the slab around the slice is that is cut; None: through all slices. Slices belong to it whose
            middle lies in it, the slice itself always.
        progress: May cancel.
    """
    box = regions.box_of(labels, label, progress)
    if slab_mm is not None:
        reach = math.floor(slab_mm / 2 / geometry.spacing_mm[axis] + 1e-9)
        box = box.narrowed(axis, max(box.start[axis], index - reach), min(box.stop[axis], index + reach + 1))
    if box.is_empty:
        return _nothing()
    inside, mask = outline.inside(geometry, curve, axis, index)
    whole = np.zeros([1 if other == axis else n for other, n in enumerate(geometry.shape)], dtype=np.bool_)
    whole[inside.narrowed(axis, 0, min(1, inside.shape[axis])).slices] = mask
    here = whole[box.narrowed(axis, 0, 1).slices]
    return _lost(box, (labels[box.slices] == label) & (~here if outside else here))


def cut_along_sight(
    labels: Labels,
    geometry: Geometry,
    label: int,
    to_screen: Floats,
    size: tuple[int, int],
    curve: Floats,
    *,
    outside: bool,
    progress: Progress | None = None,
) -> Proposal:
    """What a segment loses by a cut into the depth of a 3D view.

    A voxel lies inside the curve when the pixel does on which its centre is drawn. What lies behind the camera or
    beside the picture lies outside.

    Args:
        labels: (k, j, i) uint8 or uint16.
        geometry: The grid.
        label: The segment.
        to_screen: (4, 4): takes x, y, z, 1 (LPS, mm) to homogeneous coordinates, -1..1 from left to right and from the
            lower to the upper edge of the picture.
        size: Width and height of the picture, pixels.
        curve: (n, 2) x, y, pixels from the lower left corner; closed by a straight line.
        outside: Whether what lies outside of the curve goes, and not what lies inside.
        progress: Told how far it is; may cancel.
    """
    progress = progress or NoProgress()
    box = regions.box_of(labels, label, progress)
    if box.is_empty or len(curve) < 3:
        return _nothing()
    width, height = size
    raster = outline.polygon(curve[:, ::-1] - 0.5, (height, width))
    matrix = to_screen @ geometry.cropped(box).affine
    mine = labels[box.slices] == label
    lost = np.zeros(box.shape, dtype=np.bool_)
    for k, plane in enumerate(mine):
        progress.raise_if_cancelled()
        progress.report(k / len(mine))
        j, i = np.nonzero(plane)
        seen = matrix @ np.stack([np.full(j.size, k), j, i, np.ones(j.size)]).astype(np.float64)
        before = seen[3] > 0
        depth = np.where(before, seen[3], 1.0)
        x = np.floor((seen[0] / depth + 1) / 2 * width)
        y = np.floor((seen[1] / depth + 1) / 2 * height)
        shown = before & (x >= 0) & (x < width) & (y >= 0) & (y < height)
        inside = np.zeros(j.size, dtype=np.bool_)
        inside[shown] = raster[y[shown].astype(int), x[shown].astype(int)]
        lost[k, j, i] = ~inside if outside else inside
    return _lost(box, lost)


def _lost(box: Box, mask: NDArray[np.bool_]) -> Proposal:
    inner = Box.around(mask)
    cut_out = mask[inner.slices]
    return Proposal(inner.shifted(box.start), np.zeros_like(cut_out), cut_out)


def _nothing() -> Proposal:
    empty = np.zeros((0, 0, 0), dtype=np.bool_)
    return Proposal(Box((0, 0, 0), (0, 0, 0)), empty, empty)
