"""Taking all voxels within a range of values into a segment, or keeping only those."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from medview.core.text import Text
from medview.editing import thresholding
from medview.editing.reshape import Proposal
from medview.workstation.correction import Correction
from medview.workstation.edit_tools import EditTools
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.view_state import Viewing

Range = tuple[float, float]


class Thresholding:
    """Thresholds. Main thread only.

    Args:
        jobs: Compute.
        correction: Takes what they find.
        tools: Hold the range.
        viewing: The brighter half of its window is the range as long as none was chosen.
    """

    def __init__(self, jobs: JobQueue, correction: Correction, tools: EditTools, viewing: Viewing) -> None:
        self._jobs = jobs
        self._correction = correction
        self._tools = tools
        self._viewing = viewing

    @property
    def range(self) -> Range:
        """The range in hand: the lowest and the highest value."""
        chosen = self._tools.options.threshold
        window = self._viewing.state.window
        return chosen if chosen is not None else (window.center, window.upper)

    def set_range(self, one: float, other: float) -> None:
        """Choose the range, by its two ends in any order."""
        self._tools.set_options(replace(self._tools.options, threshold=(min(one, other), max(one, other))))

    def paint_within(self) -> None:
        """Let every tool reach only the range."""
        self._correction.set_rules(replace(self._correction.rules, values=self.range))

    def add(self) -> Job[Any] | None:
        """Add everything in the range to the segment in work, where there is background.

        Raises:
            MedViewError: No volume is open, it is still loading, or the segment in work is locked.
        """
        return self._apply(thresholding.added_within, Text("Threshold"), adds=True)

    def keep(self) -> Job[Any] | None:
        """Keep of the segment in work only what is in the range.

        Raises:
            MedViewError: No volume is open, it is still loading, or the segment in work is locked.
        """
        return self._apply(thresholding.removed_outside, Text("Keep only the range"), adds=False)

    def _apply(self, find: Callable[..., Proposal], name: Text, *, adds: bool) -> Job[Any] | None:
        found = self._correction.in_work(self._viewing.state.cursor, adds=adds)
        if found is None:
            return None
        voxels, segmentation, label = found.volume.voxels, found.segmentation, found.label
        labels, (lowest, highest) = segmentation.labels.copy(), self.range
        return self._jobs.submit(
            name,
            lambda progress: find(voxels, labels, label, lowest, highest, progress),
            lane=Lane.DISK,
            then=lambda proposal: self._correction.put(segmentation, label, name, proposal),
        )
