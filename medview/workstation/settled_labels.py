"""Labels for a job, copied in its own thread: the window must not stand still for hundreds of megabytes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from medview.core.geometry import Box, Index
from medview.core.progress import Progress
from medview.core.segmentation import Labels, Segmentation
from medview.editing import regions

T = TypeVar("T")
_TRIES = 40
_PAUSE_S = 0.05


def settled(segmentation: Segmentation, label: int, margin: Index, progress: Progress) -> tuple[Box, Labels]:
    """The labels around a segment, copied while nobody wrote to them. For the thread of a job.

    Args:
        segmentation: May be written to on the main thread meanwhile.
        label: The segment; 0: all of them.
        margin: Voxels (k, j, i) that are wanted around it.
        progress: May cancel.

    Returns:
        A box of the grid, empty when the segment has no voxels, and (k, j, i) its labels.
    """

    def look() -> tuple[Box, Labels]:
        box = _box(segmentation.labels, label, margin, progress)
        return box, segmentation.labels[box.slices].copy()

    return while_settled(segmentation, look, progress)


def while_settled(segmentation: Segmentation, look: Callable[[], T], progress: Progress) -> T:
    """What somebody sees in a segmentation while nobody writes to it. For the thread of a job.

    A look during which somebody wrote is taken again. Who paints for seconds without a pause gets one with part of a
    stroke in it; what a job proposes is weighed against the labels as they are then in any case.

    Args:
        segmentation: May be written to on the main thread meanwhile.
        look: Looks, and copies what it returns.
        progress: May cancel.
    """
    for _ in range(_TRIES):
        progress.raise_if_cancelled()
        revision = segmentation.settled_revision
        seen = look()
        if revision is not None and segmentation.settled_revision == revision:
            return seen
        time.sleep(_PAUSE_S)
    return look()


def _box(labels: Labels, label: int, margin: Index, progress: Progress) -> Box:
    shape: Index = (labels.shape[0], labels.shape[1], labels.shape[2])
    if not label:
        return Box.whole(shape)
    box = regions.box_of(labels, label, progress)
    if box.is_empty:
        return box
    k, j, i = margin
    return Box(box.shifted((-k, -j, -i)).start, box.shifted((k, j, i)).stop).clipped(shape)
