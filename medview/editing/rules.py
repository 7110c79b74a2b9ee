"""What an edit may overwrite.

- A locked segment keeps every voxel: nothing paints over it and nothing erases it.
- Painting takes background and the voxels of every other segment that is not locked: one voxel has one label, and who
  paints liver over spleen means liver.
- Where a range of values is set, only voxels with a value in it are painted or erased.
- Erasing takes away the segment in work only, so that its neighbours survive a wide eraser; on wish, every segment
  that is not locked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.segmentation import Labels


def painted(before: Labels, mask: NDArray[np.bool_], label: int, locked: frozenset[int]) -> Labels:
    """Labels with a segment painted in.

    Args:
        before: (k, j, i) uint8 or uint16, the labels as they are.
        mask: (k, j, i) bool, where to paint.
        label: The segment in work.
        locked: Segments that keep their voxels; when `label` is among them, nothing changes.

    Returns:
        (k, j, i), a new array.
    """
    after = before.copy()
    if label not in locked:
        after[mask & ~_of(before, locked)] = label
    return after


def erased(before: Labels, mask: NDArray[np.bool_], label: int | None, locked: frozenset[int]) -> Labels:
    """Labels with a segment taken away.

    Args:
        before: (k, j, i) uint8 or uint16, the labels as they are.
        mask: (k, j, i) bool, where to erase.
        label: The only segment to erase; None for every one.
        locked: Segments that keep their voxels.

    Returns:
        (k, j, i), a new array.
    """
    after = before.copy()
    if not mask.any():
        return after
    reached = mask & ~_of(before, locked) if locked else mask
    if label is not None:
        reached = reached & (before == label)
    after[reached] = 0
    return after


def within(values: NDArray[Any], lowest: float, highest: float) -> NDArray[np.bool_]:
    """Where values lie between two, both included: (k, j, i) of any number type -> (k, j, i) bool."""
    inside: NDArray[np.bool_] = (values >= lowest) & (values <= highest)
    return inside


def filled(before: Labels, mask: NDArray[np.bool_], label: int) -> Labels:
    """Labels with a segment put where there is background, as by tools that propose voxels on their own.

    Args:
        before: (k, j, i) uint8 or uint16, the labels as they are.
        mask: (k, j, i) bool, where to fill.
        label: The segment to fill with.

    Returns:
        (k, j, i), a new array.
    """
    after = before.copy()
    if mask.any():
        after[mask & (before == 0)] = label
    return after


def _of(labels: Labels, some: frozenset[int]) -> NDArray[np.bool_]:
    belongs = np.zeros(labels.shape, dtype=np.bool_)
    for label in some:
        belongs |= labels == label
    return belongs
