"""Regions of binary images: connected parts, holes, distances, growing and shrinking.

Thin, typed functions over SimpleITK. Masks are (k, j, i) arrays, true where not zero; results are new arrays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Index
from medview.core.progress import NoProgress, Progress
from medview.core.segmentation import Labels
from medview.editing import blocks

if TYPE_CHECKING:
    import SimpleITK

_ON_THE_EDGE = 1e-6
"""Of a voxel or a millimetre: what lies on an edge lies within, whatever rounding says."""

Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]


def box_of(labels: Labels, label: int, progress: Progress | None = None) -> Box:
    """The box around a label, found slice by slice: to compare the whole map at once would take its memory again.

    Args:
        labels: (k, j, i) uint8 or uint16.
        label: Which.
        progress: May cancel.
    """
    progress = progress or NoProgress()
    seen = np.zeros(labels.shape[1:], dtype=np.bool_)
    first, last = -1, -1
    for k, plane in enumerate(labels):
        progress.raise_if_cancelled()
        found = plane == label
        if found.any():
            seen |= found
            first, last = (k if first < 0 else first), k
    flat = Box.around(seen[None])
    return Box((first, *flat.start[1:]), (last + 1, *flat.stop[1:])) if first >= 0 else flat


def boxes_of(labels: Labels, wanted: Iterable[int], progress: Progress | None = None) -> dict[int, Box]:
    """Boxes around several labels, in one pass: as small as blocks of 32 voxels let them be.

    Args:
        labels: (k, j, i) uint8 or uint16.
        wanted: Which labels; one without voxels gets an empty box.
        progress: May cancel.
    """
    progress = progress or NoProgress()
    shape: Index = (labels.shape[0], labels.shape[1], labels.shape[2])
    boxes = {label: Box((0, 0, 0), (0, 0, 0)) for label in wanted}
    for block in blocks.covering(Box.whole(shape), shape):
        progress.raise_if_cancelled()
        box = blocks.box_of(block, shape)
        values = labels[box.slices]
        if not values.any():
            continue
        for label in np.flatnonzero(np.bincount(values.ravel())).tolist():
            if label in boxes:
                boxes[label] = boxes[label].union(box)
    return boxes


def components(mask: NDArray[Any], *, corners: bool = False) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """The connected parts of a mask, largest first.

    Args:
        mask: (k, j, i) or (j, i).
        corners: Whether voxels that share only an edge or a corner are connected; else they must share a face.

    Returns:
        (same axes) int32, 0 outside the mask, 1 in the largest part, 2 in the next; and (part,) int64, their sizes in
        voxels.
    """
    import SimpleITK

    parts = SimpleITK.ConnectedComponent(_image(mask), corners)
    order = SimpleITK.RelabelComponentImageFilter()
    order.SortByObjectSizeOn()
    ordered = order.Execute(parts)
    sizes = np.array(order.GetSizeOfObjectsInPixels(), dtype=np.int64)
    return SimpleITK.GetArrayFromImage(ordered).view(np.int32), sizes


def connected_to(mask: NDArray[Any], seeds: NDArray[Any], *, corners: bool = False) -> Mask:
    """The parts of a mask that contain at least one seed voxel."""
    labels, sizes = components(mask, corners=corners)
    touched = np.zeros(sizes.size + 1, dtype=np.bool_)
    touched[np.unique(labels[np.asarray(seeds, dtype=np.bool_)])] = True
    touched[0] = False
    found: Mask = touched[labels]
    return found


def largest(mask: NDArray[Any]) -> Mask:
    """The largest connected part of a mask."""
    labels, _ = components(mask)
    found: Mask = labels == 1
    return found


def fill_holes(mask: NDArray[Any], *, axis: int | None = None) -> Mask:
    """The mask with its enclosed holes.

    Args:
        mask: (k, j, i).
        axis: Fill slice by slice across this axis; None fills what is enclosed in three dimensions.
    """
    import SimpleITK

    if axis is None:
        return _array(SimpleITK.BinaryFillhole(_image(mask)))
    filled = np.array(mask, dtype=np.bool_)
    across = np.moveaxis(filled, axis, 0)
    for number in np.flatnonzero(across.any(axis=(1, 2))):
        across[number] = _array(SimpleITK.BinaryFillhole(_image(across[number])))
    return filled


def distance(mask: NDArray[Any], spacing_mm: Spacing) -> NDArray[np.float32]:
    """How far every voxel is from the nearest voxel of a mask: (k, j, i) float32, mm; infinite for an empty mask."""
    import SimpleITK

    if not np.any(mask):
        return np.full(np.shape(mask), np.inf, dtype=np.float32)
    image = _image(mask)
    image.SetSpacing(tuple(float(step) for step in reversed(spacing_mm)))
    away = SimpleITK.SignedMaurerDistanceMap(image, insideIsPositive=False, squaredDistance=False, useImageSpacing=True)
    array = SimpleITK.GetArrayFromImage(away).astype(np.float32, copy=False)
    array[np.asarray(mask, dtype=np.bool_)] = 0
    return np.maximum(array, 0, out=array)


def dilate(mask: NDArray[Any], radius_mm: float, spacing_mm: Spacing) -> Mask:
    """The mask grown by a ball of this radius."""
    grown: Mask = distance(mask, spacing_mm) <= _with_slack(radius_mm)
    return grown


def erode(mask: NDArray[Any], radius_mm: float, spacing_mm: Spacing) -> Mask:
    """The mask shrunk by a ball of this radius; beyond the edge of the image the mask is thought to go on."""
    shrunk: Mask = distance(~np.asarray(mask, dtype=np.bool_), spacing_mm) > _with_slack(radius_mm)
    return shrunk


def opened(mask: NDArray[Any], radius_mm: float, spacing_mm: Spacing) -> Mask:
    """The mask without what a ball of this radius does not fit into."""
    return dilate(erode(mask, radius_mm, spacing_mm), radius_mm, spacing_mm)


def closed(mask: NDArray[Any], radius_mm: float, spacing_mm: Spacing) -> Mask:
    """The mask with the gaps and dents that a ball of this radius does not fit into."""
    return erode(dilate(mask, radius_mm, spacing_mm), radius_mm, spacing_mm)


def median(mask: NDArray[Any], reach_mm: float, spacing_mm: Spacing) -> Mask:
    """The mask that the majority around every voxel makes: the block that reaches this far along every axis.

    At the edges of the image the block is cut off; where both sides are equally many, the voxel stays as it is.
    """
    inside = np.asarray(mask, dtype=np.bool_)
    counts, sizes = inside.astype(np.int32), np.ones((1, 1, 1), dtype=np.int32)
    for axis, step in enumerate(spacing_mm):
        reach = int(reach_mm / step + _ON_THE_EDGE)
        length = inside.shape[axis]
        places = np.arange(length)
        first, stop = np.maximum(places - reach, 0), np.minimum(places + reach + 1, length)
        sums = np.cumsum(counts, axis=axis, dtype=np.int32)
        sums = np.concatenate([np.zeros_like(np.take(sums, [0], axis)), sums], axis)
        counts = np.take(sums, stop, axis) - np.take(sums, first, axis)
        sizes = sizes * np.expand_dims((stop - first).astype(np.int32), tuple(n for n in range(3) if n != axis))
    majority: Mask = (2 * counts > sizes) | (inside & (2 * counts == sizes))
    return majority


def blurred(mask: NDArray[Any], sigma_mm: float, spacing_mm: Spacing) -> NDArray[np.float32]:
    """A mask (0 and 1) or an image, (k, j, i), blurred by a Gaussian; at the edges of the grid it is thought to go on.

    Source: Deriche R., Recursively implementing the Gaussian and its derivatives, INRIA 1893, 1993.
    """
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.asarray(mask, dtype=np.float32))
    image.SetSpacing(tuple(float(step) for step in reversed(spacing_mm)))
    # The recursive filter needs four voxels along every axis; fewer are repeated, as it repeats the edge itself.
    short = [max(0, 4 - size) for size in image.GetSize()]
    if any(short):
        image = SimpleITK.ZeroFluxNeumannPad(image, [0, 0, 0], short)
    smooth = SimpleITK.SmoothingRecursiveGaussian(image, sigma_mm)
    k, j, i = np.shape(mask)
    soft: NDArray[np.float32] = SimpleITK.GetArrayFromImage(smooth)[:k, :j, :i]
    return soft


def path_length(within: NDArray[Any], start: tuple[int, int, int], spacing_mm: Spacing) -> NDArray[np.float32]:
    """How far every voxel is from a start by the shortest way that stays inside a mask (fast marching).

    Args:
        within: (k, j, i).
        start: A voxel of it (k, j, i).
        spacing_mm: Voxel sizes (k, j, i).

    Returns:
        (k, j, i) float32, mm; infinite outside the mask and where no way leads.

    Source: Sethian J.A., A fast marching level set method for monotonically advancing fronts, PNAS 1996, 93:1591-1595.
    """
    import SimpleITK

    inside = np.asarray(within, dtype=np.bool_)
    speed = SimpleITK.GetImageFromArray(inside.astype(np.float32))
    speed.SetSpacing(tuple(float(step) for step in reversed(spacing_mm)))
    k, j, i = (int(n) for n in start)
    arrival = SimpleITK.GetArrayFromImage(SimpleITK.FastMarching(speed, [(i, j, k)], normalizationFactor=1.0))
    lengths: NDArray[np.float32] = np.where(inside & (arrival < 1e6), arrival, np.inf).astype(np.float32)
    return lengths


def flood(values: NDArray[Any], markers: NDArray[Any]) -> NDArray[np.uint8]:
    """Divide an image among markers along its ridges (watershed).

    Args:
        values: (k, j, i), any number type; low values belong together.
        markers: (k, j, i), non-negative; every region starts from its own number, below 256; 0 is undecided.

    Returns:
        (k, j, i) uint8: the number of the marker whose water reaches the voxel first.

    Source: Beucher S., Meyer F., The morphological approach to segmentation: the watershed transformation, 1993.
    """
    import SimpleITK

    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(values))
    seeds = SimpleITK.GetImageFromArray(np.ascontiguousarray(markers, dtype=np.uint8))
    divided = SimpleITK.MorphologicalWatershedFromMarkers(image, seeds, markWatershedLine=False, fullyConnected=False)
    return SimpleITK.GetArrayFromImage(divided).astype(np.uint8, copy=False)


def _with_slack(radius_mm: float) -> float:
    """Distances come in single precision: what lies exactly on the radius is within, whatever rounding says."""
    return radius_mm * (1 + _ON_THE_EDGE) + _ON_THE_EDGE


def _image(mask: NDArray[Any]) -> SimpleITK.Image:
    import SimpleITK

    return SimpleITK.GetImageFromArray(np.ascontiguousarray(np.asarray(mask, dtype=np.bool_).view(np.uint8)))


def _array(image: SimpleITK.Image) -> Mask:
    import SimpleITK

    found: Mask = SimpleITK.GetArrayFromImage(image).astype(np.bool_)
    return found
