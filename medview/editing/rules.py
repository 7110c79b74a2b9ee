"""What an edit may overwrite.

- A locked segment keeps every voxel: nothing paints over it and nothing erases it.
- Painting takes background and the voxels of every other segment that is not locked: one voxel has one label, and who
  paints liver over spleen means liver. On wish it takes background only, or only chosen segments.
- What a tool proposes on its own takes background only, or the chosen segments where there are some.
- Where a range of values is set, only voxels with a value in it are painted or erased.
- Erasing takes away the segment in work only, so that its neighbours survive a wide eraser; on wish, every segment
  that is not locked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box
from medview.core.segmentation import Labels


class Overwrite(StrEnum):
    """What may be painted over: everything that is not locked, background, or chosen segments."""

    UNLOCKED = "unlocked"
    BACKGROUND = "background"
    CHOSEN = "chosen"


@dataclass(frozen=True, slots=True)
class PaintRules:
    """What may be painted over.

    Attributes:
        overwrite: In which way that is said.
        chosen: The labels that may be painted over with `Overwrite.CHOSEN`; 0 for background.
        values: Only voxels whose value lies between these two, in the unit of the image, are painted or erased; None:
            all.
        in_box: Only what lies in the box on the image is painted or erased, where it has one.
    """

    overwrite: Overwrite = Overwrite.UNLOCKED
    chosen: frozenset[int] = frozenset()
    values: tuple[float, float] | None = None
    in_box: bool = False

    @property
    def keeps_within(self) -> bool:
        """Whether values or places are left out."""
        return self.values is not None or self.in_box

    def reach(self, part: Box, voxels: NDArray[Any], box: Box | None) -> NDArray[np.bool_]:
        """Which voxels may be changed by their values and their place.

        Args:
            part: Which voxels are asked about.
            voxels: (k, j, i) numbers, of the whole grid.
            box: The box on the image; None where it has none.

        Returns:
            (k, j, i) bool of the part's shape.
        """
        found = np.ones(part.shape, dtype=np.bool_)
        if self.in_box and box is not None:
            k, j, i = (-n for n in part.start)
            inside = part.intersection(box).shifted((k, j, i))
            found[...] = False
            if not inside.is_empty:
                found[inside.slices] = True
        if self.values is not None:
            found &= within(voxels[part.slices], *self.values)
        return found


def painted(
    before: Labels,
    mask: NDArray[np.bool_],
    label: int,
    locked: frozenset[int],
    rules: PaintRules = PaintRules(),
) -> Labels:
    """Labels with a segment painted in.

    Args:
        before: (k, j, i) uint8 or uint16, the labels as they are.
        mask: (k, j, i) bool, where to paint.
        label: The segment in work.
        locked: Segments that keep their voxels; when `label` is among them, nothing changes.
        rules: What else may not be painted over.

    Returns:
        (k, j, i), a new array.
    """
    after = before.copy()
    if label not in locked:
        np.copyto(after, after.dtype.type(label), where=mask & _free(before, locked, rules))
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
    np.copyto(after, after.dtype.type(0), where=reached)
    return after


def within(values: NDArray[Any], lowest: float, highest: float) -> NDArray[np.bool_]:
    """Where values lie between two, both included: (k, j, i) of any number type -> (k, j, i) bool."""
    inside: NDArray[np.bool_] = (values >= lowest) & (values <= highest)
    return inside


def filled(
    before: Labels,
    mask: NDArray[np.bool_],
    label: int,
    locked: frozenset[int] = frozenset(),
    rules: PaintRules = PaintRules(),
) -> Labels:
    """Labels with a segment put where there is background, as by tools that propose voxels on their own.

    Args:
        before: (k, j, i) uint8 or uint16, the labels as they are.
        mask: (k, j, i) bool, where to fill.
        label: The segment to fill with.
        locked: Segments that keep their voxels.
        rules: Where segments were chosen to be painted over, these are filled instead.

    Returns:
        (k, j, i), a new array.
    """
    after = before.copy()
    if not mask.any():
        return after
    free = before == 0 if rules.overwrite is not Overwrite.CHOSEN else _free(before, locked, rules)
    np.copyto(after, after.dtype.type(label), where=mask & free)
    return after


def _free(labels: Labels, locked: frozenset[int], rules: PaintRules) -> NDArray[np.bool_]:
    """(k, j, i) bool: what may be painted over."""
    if rules.overwrite is Overwrite.BACKGROUND:
        return np.asarray(labels == 0)
    free = ~_of(labels, locked)
    if rules.overwrite is Overwrite.CHOSEN:
        free &= _of(labels, rules.chosen)
    return free


def _of(labels: Labels, some: frozenset[int]) -> NDArray[np.bool_]:
    belongs = np.zeros(labels.shape, dtype=np.bool_)
    for label in some:
        belongs |= labels == label
    return belongs
