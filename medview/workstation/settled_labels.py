"""Labels for a job, copied in its own thread: the window must not stand still for hundreds of megabytes."""

from __future__ import annotations

import time

import numpy as np

from medview.core.geometry import Box, Index
from medview.core.progress import Progress
from medview.core.segmentation import Labels, Segmentation
from medview.editing import regions

_TRIES = 40
_PAUSE_S = 0.05


def settled(segmentation: Segmentation, label: int, margin: Index, progress: Progress) -> tuple[Box, Labels]:
    """The labels around a segment, copied while nobody wrote to them. For the thread of a job.

    A copy during which somebody wrote is made again. Who paints for seconds without a pause gets one with part of a
    stroke in it; what a job proposes is weighed against the labels as they are then in any case.

    Args:
        segmentation: May be written to on the main thread meanwhile.
        label: The segment; 0: all of them.
        margin: Voxels (k, j, i) that are wanted around it.
        progress: May cancel.

    Returns:
        A box of the grid, empty when the segment has no voxels, and (k, j, i) its labels.
    """
    box, copy = Box((0, 0, 0), (0, 0, 0)), np.zeros((0, 0, 0), segmentation.labels.dtype)
    for _ in range(_TRIES):
        progress.raise_if_cancelled()
        revision = segmentation.settled_revision
        box = _box(segmentation.labels, label, margin, progress)
        copy = segmentation.labels[box.slices].copy()
        if revision is not None and segmentation.settled_revision == revision:
            break
        time.sleep(_PAUSE_S)
    return box, copy


def _box(labels: Labels, label: int, margin: Index, progress: Progress) -> Box:
    shape: Index = (labels.shape[0], labels.shape[1], labels.shape[2])
    if not label:
        return Box.whole(shape)
    box = regions.box_of(labels, label, progress)
    if box.is_empty:
        return box
    k, j, i = margin
    return Box(box.shifted((-k, -j, -i)).start, box.shifted((k, j, i)).stop).clipped(shape)
