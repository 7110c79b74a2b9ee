"""The voxels within a range of values: on a slice, in all of an image, and under a stroke that picks the range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box
from medview.core.progress import NoProgress, Progress
from medview.core.segmentation import Labels
from medview.editing import rules
from medview.editing.brush import Stamp
from medview.editing.reshape import Proposal

_SLAB = 16
"""Slices between two looks at whether to go on."""
_DEVIATIONS = 2.0


def slice_within(voxels: NDArray[Any], axis: int, index: int, lowest: float, highest: float) -> Stamp:
    """The voxels of one slice within a range.

    Args:
        voxels: (k, j, i) numbers.
        axis: The index axis that the slice stands on.
        index: Which slice along it.
        lowest: The range; both ends belong to it.
        highest: The other end.

    Returns:
        The box of the slice, and (k, j, i) bool of its shape.
    """
    box = _whole(voxels).narrowed(axis, index, index + 1)
    return box, rules.within(voxels[box.slices], lowest, highest)


def added_within(
    voxels: NDArray[Any], labels: Labels, label: int, lowest: float, highest: float, progress: Progress | None = None
) -> Proposal:
    """What a segment would gain from all voxels within a range.

    Args:
        voxels: (k, j, i) numbers.
        labels: (k, j, i) uint8 or uint16.
        label: The segment.
        lowest: The range; both ends belong to it.
        highest: The other end.
        progress: Told how far it is; may cancel.
    """
    found = _within(voxels, lowest, highest, progress)
    found &= labels != label
    box = Box.around(found)
    return Proposal(box, found[box.slices], np.zeros(box.shape, dtype=np.bool_))


def removed_outside(
    voxels: NDArray[Any], labels: Labels, label: int, lowest: float, highest: float, progress: Progress | None = None
) -> Proposal:
    """What a segment would lose if it kept only its voxels within a range. Arguments as for `added_within`."""
    lost = ~_within(voxels, lowest, highest, progress)
    lost &= labels == label
    box = Box.around(lost)
    return Proposal(box, np.zeros(box.shape, dtype=np.bool_), lost[box.slices])


def usual_range(values: NDArray[Any]) -> tuple[float, float] | None:
    """The range that values usually lie in: their mean, and two standard deviations to both sides.

    Args:
        values: Numbers; those that are not finite are left out.

    Returns:
        None without values.
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    if not finite.size:
        return None
    mean, reach = float(finite.mean()), _DEVIATIONS * float(finite.std())
    return mean - reach, mean + reach


def _within(voxels: NDArray[Any], lowest: float, highest: float, progress: Progress | None) -> NDArray[np.bool_]:
    progress = progress or NoProgress()
    found = np.empty(voxels.shape, dtype=np.bool_)
    for start in range(0, len(voxels), _SLAB):
        progress.raise_if_cancelled()
        progress.report(start / len(voxels))
        found[start : start + _SLAB] = rules.within(voxels[start : start + _SLAB], lowest, highest)
    return found


def _whole(voxels: NDArray[Any]) -> Box:
    k, j, i = voxels.shape
    return Box.whole((k, j, i))
