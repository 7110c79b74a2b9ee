"""What was changed in a segmentation since it was adopted, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Index
from medview.core.segmentation import Labels, Segmentation
from medview.editing import blocks, measure
from medview.editing.history import Edit

_LONGEST_GAP_S = 60.0
"""A longer pause between two strokes counts as this much: the reader was away."""


@dataclass(frozen=True, slots=True)
class EditSummary:
    """What was changed since the model, or whoever else made the first labels.

    Attributes:
        strokes: How many edits were made, undone ones included.
        seconds: Time on task; pauses count up to a minute.
        added: Voxels that have a label now and had not at first: (label, voxels), by label.
        removed: Voxels that had a label at first and have it no more: (label, voxels), by label.
        box: Around all of these; empty when there are none.
    """

    strokes: int
    seconds: float
    added: tuple[tuple[int, int], ...]
    removed: tuple[tuple[int, int], ...]
    box: Box


class EditTally:
    """Keeps count of the edits of one segmentation, against its labels as they were when counting began.

    The cost of its answers grows with the blocks that were ever changed, not with the volume; only the first question
    for volumes counts all voxels once.

    Args:
        target: The segmentation.
        strokes: How many edits were made before.
        seconds: Time on task before.
    """

    def __init__(self, target: Segmentation, strokes: int = 0, seconds: float = 0.0) -> None:
        self.strokes = strokes
        self.seconds = seconds
        self._target = target
        self._last: float | None = None
        self._first: dict[Index, bytes] = {}
        self._difference: dict[Index, NDArray[np.int64]] = {}
        self._stale: set[Index] = set()
        self._first_counts: NDArray[np.int64] | None = None

    def tick(self) -> None:
        """Somebody is at work now."""
        now = time.monotonic()
        if self._last is not None:
            self.seconds += min(now - self._last, _LONGEST_GAP_S)
        self._last = now

    def edited(self, edit: Edit) -> None:
        """An edit was made; its images are those from before."""
        self.strokes += 1
        for block, image in edit.images.items():
            self._first.setdefault(block, image)
        self.exchanged(edit)

    def exchanged(self, edit: Edit) -> None:
        """An edit was undone or redone."""
        self._stale.update(edit.images)

    def summary(self) -> EditSummary:
        """The answer as of now."""
        added = self._no_counts()
        removed = self._no_counts()
        around = Box((0, 0, 0), (0, 0, 0))
        for block in self._first:
            first, now, box = self._sides(block)
            changed = first != now
            if changed.any():
                added += _counts(now[changed], added.size)
                removed += _counts(first[changed], removed.size)
                inner = Box.around(changed)
                around = around.union(_moved(inner, box.start))
        return EditSummary(self.strokes, self.seconds, _listed(added), _listed(removed), around)

    def volumes_ml(self) -> Mapping[int, float]:
        """The volume of every label that has voxels, by label."""
        for block in self._stale:
            if block in self._first:
                first, now, _ = self._sides(block)
                size = np.iinfo(now.dtype).max + 1
                self._difference[block] = _counts(now, size) - _counts(first, size)
        self._stale.clear()
        difference = sum(self._difference.values(), self._no_counts())
        if self._first_counts is None:
            self._first_counts = measure.count_voxels(self._target.labels) - difference
        return measure.ml_of(self._first_counts + difference, self._target.geometry)

    def _sides(self, block: Index) -> tuple[Labels, Labels, Box]:
        labels = self._target.labels
        box = blocks.box_of(block, labels.shape)
        return blocks.unpack(self._first[block], box.shape, labels.dtype), labels[box.slices], box

    def _no_counts(self) -> NDArray[np.int64]:
        return np.zeros(self._target.largest_label + 1, dtype=np.int64)


def _counts(values: Labels, size: int) -> NDArray[np.int64]:
    return np.bincount(values.ravel(), minlength=size).astype(np.int64)


def _listed(counts: NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    return tuple((int(label), int(counts[label])) for label in np.flatnonzero(counts) if label)


def _moved(box: Box, by: Index) -> Box:
    k, j, i = by
    return Box(
        (box.start[0] + k, box.start[1] + j, box.start[2] + i), (box.stop[0] + k, box.stop[1] + j, box.stop[2] + i)
    )
