"""What was changed in a segmentation since it was adopted, and how long it took."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box
from medview.core.segmentation import Segmentation
from medview.editing import measure
from medview.editing.difference import DifferenceCount
from medview.editing.first_labels import FirstLabels
from medview.editing.history import Edit

_LONGEST_GAP_S = 60.0
"""A longer pause between two signs of work does not count: the reader was away."""


@dataclass(frozen=True, slots=True)
class EditSummary:
    """What was changed since the model, or whoever else made the first labels.

    Attributes:
        strokes: How many edits were made, undone ones included.
        seconds: Time on task; pauses of more than a minute do not count.
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

    The cost of its answers grows with the blocks that were changed since the last question, not with the volume; only
    the first question for volumes counts all voxels once, where nobody has done it before.

    Args:
        target: The segmentation.
        strokes: How many edits were made before.
        seconds: Time on task before.
        first_counts: Gives (label,) int64, how many voxels every label had when counting began; None: not known yet.

    Attributes:
        first: The labels as they were when counting began.
        difference: What differs from them.
    """

    def __init__(
        self,
        target: Segmentation,
        strokes: int = 0,
        seconds: float = 0.0,
        first_counts: Callable[[], NDArray[np.int64] | None] = lambda: None,
    ) -> None:
        self.strokes = strokes
        self.seconds = seconds
        self.first = FirstLabels(target)
        self.difference = DifferenceCount(target, self.first)
        self._target = target
        self._last: float | None = None
        self._first_counts: NDArray[np.int64] | None = None
        self._ask_first_counts = first_counts

    def tick(self) -> None:
        """Somebody is at work now."""
        now = time.monotonic()
        if self._last is not None and now - self._last <= _LONGEST_GAP_S:
            self.seconds += now - self._last
        self._last = now

    def pause(self) -> None:
        """Nobody is at work from now on, until the next tick."""
        self._last = None

    def edited(self, edit: Edit) -> None:
        """An edit was made; its images are those from before."""
        self.strokes += 1
        self.first.keep(edit.images)
        self.exchanged(edit)

    def exchanged(self, edit: Edit) -> None:
        """An edit was undone or redone."""
        self.difference.changed(edit.images)

    def summary(self) -> EditSummary:
        """The answer as of now."""
        found = self.difference.result()
        added, removed = tuple(found.added.items()), tuple(found.removed.items())
        return EditSummary(self.strokes, self.seconds, added, removed, found.box)

    def is_counted(self, limit_s: float) -> bool:
        """Whether the next answers are quick; what is missing is counted for no longer than some time."""
        if self._first_counts is None:
            self._first_counts = self._ask_first_counts()
        return self._first_counts is not None and self.difference.refresh(limit_s)

    def volumes_ml(self) -> Mapping[int, float]:
        """The volume of every label that has voxels, by label."""
        net = self.difference.net()
        if self._first_counts is None:
            self._first_counts = self._ask_first_counts()
        if self._first_counts is None:
            self._first_counts = measure.count_voxels(self._target.labels) - net
        return measure.ml_of(self._first_counts + net, self._target.geometry)
