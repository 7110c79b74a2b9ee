"""The steps that were taken on a segmentation, and the way back to any of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from medview.core.segmentation import Segmentation
from medview.core.text import Text
from medview.editing.history import Edit
from medview.workstation.work_in_hand import WorkInHand
from medview.workstation.workspace import Workspace


@dataclass(frozen=True, slots=True)
class StepTaken:
    """One step.

    Attributes:
        name: What was done.
        segment: The segment that it was done to; empty when it was to none in particular, or its name says so.
        at: When, UTC.
    """

    name: Text
    segment: str
    at: datetime


class StepList:
    """The steps of the active segmentation. Main thread only.

    Args:
        workspace: Says what is active.
        work: Keeps the steps.
        end_stroke: Finishes a stroke that is under way.
    """

    def __init__(self, workspace: Workspace, work: WorkInHand, end_stroke: Callable[[], None]) -> None:
        self._workspace = workspace
        self._work = work
        self._end_stroke = end_stroke

    def all(self) -> tuple[StepTaken, ...]:
        """Every step that is remembered, in the order in which they were taken, those that were taken back too."""
        segmentation = self._workspace.active_segmentation
        edits, _ = self._work.edits(segmentation)
        names = self._names(segmentation, edits)
        return tuple(StepTaken(edit.name, _segment(edit, names), edit.at) for edit in edits)

    @property
    def done(self) -> int:
        """How many of them are done, and not taken back."""
        return self._work.edits(self._workspace.active_segmentation)[1]

    def go_to(self, done: int) -> None:
        """Go back, or forth, to the moment at which so many of them were done."""
        self._end_stroke()
        self._work.move(self._workspace.active_segmentation, done - self.done)

    def _names(self, segmentation: Segmentation | None, edits: tuple[Edit, ...]) -> dict[int, str]:
        """By label, also of segments that are gone."""
        gone = [one for edit in edits for one in edit.segments or ()]
        here = segmentation.segments if segmentation is not None else ()
        return {one.label: one.name for one in (*gone, *here)}


def _segment(edit: Edit, names: dict[int, str]) -> str:
    named = any(key == "name" for key, _ in edit.name.values)
    return "" if named else names.get(edit.label, "")
