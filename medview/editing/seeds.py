"""Growing all segments at once: what was painted are seeds, and what lies between them is divided along edges.

Every segment is a seed, and the outermost shell of the box that is looked at is one for the background, where it does
not lie at the edge of the image. The image is calmed by a Gaussian as wide as the smallest side of a voxel, and the
strength of its edges is flooded from the seeds (watershed): a voxel goes to the seed from which it is reached over the
lowest edge.

Sources: Meyer F., Color image segmentation, 4th IEE Conference on Image Processing, 1992 (flooding from markers), in
the implementation of ITK; Vezhnevets V., Konouchine V., GrowCut: interactive multi-label N-D image segmentation by
cellular automata, Graphicon 2005 (the idea of the tool).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.errors import InputError
from medview.core.geometry import Box, Geometry
from medview.core.progress import NoProgress, PartOf, Progress
from medview.core.segmentation import Labels
from medview.editing import itk_running, regions
from medview.editing.regions import Spacing

_MOST = np.iinfo(np.uint16).max


def grown(
    voxels: NDArray[Any], labels: Labels, geometry: Geometry, margin_mm: float, progress: Progress | None = None
) -> tuple[Box, Labels]:
    """What the segments are when they grow until they meet.

    Args:
        voxels: (k, j, i) numbers.
        labels: (k, j, i) uint8 or uint16: the seeds.
        geometry: The grid of both.
        margin_mm: How far around the seeds they may grow.
        progress: Told how far it is; may cancel.

    Returns:
        A box, and (k, j, i) of the labels' type: all labels inside. Seeds keep their labels.

    Raises:
        InputError: There are no seeds.
    """
    progress = progress or NoProgress()
    seeded = Box.around(labels)
    if seeded.is_empty:
        raise InputError("There are no seeds.", "Paint a little of every structure first.")
    box = _with_margin(seeded, margin_mm, geometry)
    seeds = labels[box.slices]
    known = np.unique(seeds)
    known = known[known != 0]
    number_of = np.zeros(int(np.iinfo(labels.dtype).max) + 1, dtype=np.uint16)
    number_of[known] = np.arange(1, known.size + 1)
    markers = number_of[seeds]
    if known.size < _MOST:
        shell = _shell(box, geometry) & (markers == 0)
        markers[shell] = known.size + 1
    progress.raise_if_cancelled()
    calm = regions.blurred(_finite(voxels[box.slices]), min(geometry.spacing_mm), geometry.spacing_mm)
    edges = strength(calm, geometry.spacing_mm, PartOf(progress, 0.1, 0.3))
    flooded = _flood(edges, markers, PartOf(progress, 0.3, 1.0))
    label_of = np.zeros(known.size + 2, dtype=labels.dtype)
    label_of[1 : known.size + 1] = known
    found: Labels = label_of[flooded]
    return box, np.where(seeds != 0, seeds, found)


def strength(voxels: NDArray[Any], spacing_mm: Spacing, progress: Progress | None = None) -> NDArray[np.float32]:
    """How steeply values change, per mm: the length of the gradient by central differences.

    Args:
        voxels: (k, j, i) numbers; those that are not finite count as the least of the others.
        spacing_mm: Voxel sizes (k, j, i).
        progress: May cancel between axes.
    """
    progress = progress or NoProgress()
    values = _finite(voxels)
    squares = np.zeros(values.shape, dtype=np.float32)
    for axis, step in enumerate(spacing_mm):
        progress.raise_if_cancelled()
        progress.report(axis / 3)
        if values.shape[axis] > 1:
            squares += np.gradient(values, np.float32(step), axis=axis) ** 2
    return np.sqrt(squares, out=squares)


def _finite(voxels: NDArray[Any]) -> NDArray[np.float32]:
    values: NDArray[np.float32] = voxels.astype(np.float32)
    lost = ~np.isfinite(values)
    if lost.any():
        values[lost] = values[~lost].min() if not lost.all() else 0
    return values


def _flood(edges: NDArray[np.float32], markers: NDArray[np.uint16], progress: Progress) -> NDArray[np.uint16]:
    import SimpleITK

    watershed = SimpleITK.MorphologicalWatershedFromMarkersImageFilter()
    watershed.SetMarkWatershedLine(False)
    watershed.SetFullyConnected(False)
    images = [SimpleITK.GetImageFromArray(np.ascontiguousarray(one)) for one in (edges, markers)]
    flooded: NDArray[np.uint16] = SimpleITK.GetArrayFromImage(itk_running.run(watershed, progress, *images))
    return flooded


def _with_margin(box: Box, margin_mm: float, geometry: Geometry) -> Box:
    k, j, i = (max(1, math.ceil(margin_mm / step)) for step in geometry.spacing_mm)
    outer = Box(box.shifted((-k, -j, -i)).start, box.shifted((k, j, i)).stop)
    return outer.clipped(geometry.shape)


def _shell(box: Box, geometry: Geometry) -> NDArray[np.bool_]:
    """(k, j, i) bool of the box's shape: its outermost voxels, but not those at the edge of the image."""
    shell = np.zeros(box.shape, dtype=np.bool_)
    for axis in range(3):
        across = np.moveaxis(shell, axis, 0)
        if box.start[axis] > 0:
            across[0] = True
        if box.stop[axis] < geometry.shape[axis]:
            across[-1] = True
    return shell
