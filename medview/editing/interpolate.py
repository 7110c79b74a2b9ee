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
    painted = np.flatnonzero(mask.any(axis=(1, 2)))
    spacing = np.delete(np.asarray(geometry.spacing_mm), axis)
    last: tuple[int, NDArray[np.float32]] | None = None
    for before, after in pairwise(painted.tolist()):
        progress.raise_if_cancelled()
        progress.report(before / len(mask))
        if after - before > 1:
            here = last[1] if last and last[0] == before else signed_distance_mm(mask[before], spacing)
            there = signed_distance_mm(mask[after], spacing)
            for number in range(before + 1, after):
                share = np.float32((number - before) / (after - before))
                added[number] = here + share * (there - here) <= _ON_THE_OUTLINE_MM
            last = after, there
    if not added.any():
        return Box((0, 0, 0), (0, 0, 0)), np.zeros((0, 0, 0), dtype=np.bool_)
    return box, np.moveaxis(added, 0, axis)


def signed_distance_mm(shape: NDArray[np.bool_], spacing_mm: Floats) -> NDArray[np.float32]:
    """How far the pixels of a slice are from a shape: positive outside, negative inside, never zero.

    Outside, it is the distance to the nearest pixel of the shape; inside, to the nearest pixel that is not.

    Args:
        shape: (row, column) bool; the pixels around the array count as outside.
        spacing_mm: Pixel sizes along row and column.

    Returns:
        (row, column) float32, mm.
    """
    padded = np.pad(shape, 1)
    distance = _distance_to(padded, spacing_mm) - _distance_to(~padded, spacing_mm)
    inner: NDArray[np.float32] = distance[1:-1, 1:-1]
    return inner


def _distance_to(goal: NDArray[np.bool_], spacing_mm: Floats) -> NDArray[np.float32]:
    """(row, column) float32, mm: to the nearest pixel of `goal`, 0 on it (Maurer et al. 2003)."""
    import SimpleITK

    image = SimpleITK.GetImageFromArray(goal.astype(np.uint8))
    image.SetSpacing((float(spacing_mm[1]), float(spacing_mm[0])))
    distance = SimpleITK.SignedMaurerDistanceMap(
        image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True
    )
    outside: NDArray[np.float32] = np.maximum(SimpleITK.GetArrayFromImage(distance), 0)
    outside[goal] = 0
    return outside
