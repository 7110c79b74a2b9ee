"""A segment and another one: united, subtracted, intersected; a slice copied to its neighbour; an image masked."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box
from medview.core.progress import NoProgress, Progress
from medview.core.segmentation import Labels
from medview.editing import regions
from medview.editing.reshape import Proposal


class Combination(StrEnum):
    """What becomes of a segment beside another one."""

    UNION = "union"
    SUBTRACT = "subtract"
    INTERSECT = "intersect"


def combined(
    how: Combination, labels: Labels, label: int, others: Labels, other: int, progress: Progress | None = None
) -> Proposal:
    """What a segment gains from another one, or loses by it.

    Args:
        how: Which way.
        labels: (k, j, i) uint8 or uint16, with the segment.
        label: The segment.
        others: (k, j, i) uint8 or uint16 on the same grid, with the other one; may be the same array.
        other: The other segment.
        progress: May cancel.
    """
    progress = progress or NoProgress()
    if how is Combination.UNION:
        box = regions.box_of(others, other, progress)
    else:
        box = regions.box_of(labels, label, progress)
    mine, its = labels[box.slices] == label, others[box.slices] == other
    nothing = np.zeros(box.shape, dtype=np.bool_)
    if how is Combination.UNION:
        return Proposal(box, its & ~mine, nothing)
    return Proposal(box, nothing, mine & its if how is Combination.SUBTRACT else mine & ~its)


def copied(labels: Labels, label: int, axis: int, index: int, to: int) -> Proposal:
    """What a segment gains when one of its slices is copied to another place.

    Args:
        labels: (k, j, i) uint8 or uint16.
        label: The segment.
        axis: The index axis that the slice stands on.
        index: Which slice along it.
        to: The slice that it is copied to; nothing is found where there is none.
    """
    if not 0 <= to < labels.shape[axis]:
        return Proposal(Box((0, 0, 0), (0, 0, 0)), *(np.zeros((0, 0, 0), dtype=np.bool_),) * 2)
    k, j, i = labels.shape
    box = Box.whole((k, j, i)).narrowed(axis, to, to + 1)
    added = (np.take(labels, [index], axis) == label) & (labels[box.slices] != label)
    return Proposal(box, added, np.zeros_like(added))


def masked(
    voxels: NDArray[Any], labels: Labels, label: int, value: float, progress: Progress | None = None
) -> NDArray[Any]:
    """An image with one value wherever a segment is not.

    Args:
        voxels: (k, j, i) numbers.
        labels: (k, j, i) uint8 or uint16 on the same grid.
        label: The segment.
        value: What stands outside of it; must fit the voxels' type.
        progress: Told how far it is; may cancel.

    Returns:
        (k, j, i) of the voxels' type, a new array.
    """
    progress = progress or NoProgress()
    found = np.full(voxels.shape, value, dtype=voxels.dtype)
    for k, plane in enumerate(labels):
        progress.raise_if_cancelled()
        progress.report(k / len(labels))
        np.copyto(found[k], voxels[k], where=plane == label)
    return found
