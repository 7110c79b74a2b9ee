"""The segmentations that are being corrected: the steps taken on each, their history and their journals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from medview.core.case import Case, CaseChange, SegmentationRemoved, VolumeRemoved
from medview.core.errors import StorageError
from medview.core.events import Event
from medview.core.segmentation import Segmentation, SegmentationId
from medview.core.text import Text
from medview.core.volume import VolumeId
from medview.editing.history import Edit, UndoStack
from medview.editing.journal import Journal, copies_of
from medview.editing.journal_records import FORMAT, Grid, Head, Header, Step
from medview.workstation.edit_summary import EditTally
from medview.workstation.first_copy import FirstCopy
from medview.workstation.jobs import JobQueue
from medview.workstation.journals import Journals, Restored
from medview.workstation.workspace import CaseClosed, CaseOpened, Workspace, WorkspaceChange

_WAIT_AFTER_STEP_S = 0.25
"""How long the end of a step waits until it is written, so that a kill right after it loses nothing."""
_WAIT_BEFORE_STEP_S = 2.0
"""How long a step waits for the one before to be on disk. A disk that does not answer by then stops nobody."""


@dataclass
class Work:
    """A segmentation that is corrected.

    Attributes:
        segmentation: What is corrected.
        journal: Where its steps are kept.
        tally: What was changed.
        active_label: The segment in work; 0 when there is none.
        first: The labels as they were adopted; None of work that was brought back.
        locked: Segments that keep their voxels.
        unsaved: Whether there are steps since it was adopted or saved last.
        hinted: How many answers to hints that were taken are in the journal.
    """

    segmentation: Segmentation
    journal: Journal
    tally: EditTally
    active_label: int
    first: FirstCopy | None = None
    locked: frozenset[int] = frozenset()
    unsaved: bool = False
    hinted: int = 0


@dataclass(frozen=True, slots=True)
class Edited:
    """A step was taken, taken back or taken again.

    Attributes:
        segmentation: On which segmentation.
        labels: Which labels gained or lost voxels by it.
    """

    segmentation: Segmentation
    labels: frozenset[int]


class WorkInHand:
    """All work of the program. Main thread only.

    Args:
        workspace: The open cases; work on a segmentation that is gone is let go.
        jobs: For the way home from the journals' thread.
        journal_folder: Where the journals lie.
        undo_limit_bytes: Memory for undo, all segmentations together.

    Attributes:
        changed: Emitted after every step, and when the journals' state changes.
        edited: Emitted after every step, before `changed`.
        journals: The journals, and what is left in them of earlier runs.
    """

    def __init__(self, workspace: Workspace, jobs: JobQueue, journal_folder: Path, undo_limit_bytes: int) -> None:
        self.changed: Event[None] = Event()
        self.edited: Event[Edited] = Event()
        self.journals = Journals(journal_folder, jobs)
        self._workspace = workspace
        self._history = UndoStack(undo_limit_bytes)
        self._works: dict[SegmentationId, Work] = {}
        workspace.changed.connect(self._on_workspace)
        for case in workspace.cases:
            case.changed.connect(self._on_case)
        self.journals.problem_changed.connect(self._on_problem)

    @property
    def undo_limit_bytes(self) -> int:
        """Memory for undo, all segmentations together."""
        return self._history.limit_bytes

    def find(self, segmentation: Segmentation | None) -> Work | None:
        """The work on a segmentation, if any was begun."""
        return self._works.get(segmentation.id) if segmentation is not None else None

    def on(self, segmentation: Segmentation) -> Work:
        """The work on a segmentation of an open case; begun now if it was not, with a journal of its own.

        Raises:
            ValueError: The segmentation lies on no open case.
        """
        work = self._works.get(segmentation.id)
        if work is None:
            case = next((one for one in self._workspace.cases if segmentation.id in one.segmentations), None)
            if case is None:
                raise ValueError("Only a segmentation of an open case can be corrected.")
            journal = self.journals.new()
            first = FirstCopy(segmentation.labels)
            journal.begin(_header(case, segmentation), first.take)
            tally = EditTally(segmentation, first_counts=lambda: first.counts)
            hinted = len(segmentation.provenance.hinted)
            work = Work(segmentation, journal, tally, _first_label(segmentation), first, hinted=hinted)
            self._works[segmentation.id] = work
        return work

    def begin_step(self, work: Work) -> None:
        """Before anything changes: the step before is on disk."""
        work.tally.tick()
        if work.first is not None:
            work.first.wait_until_taken()
        work.journal.wait_until_synced(_WAIT_BEFORE_STEP_S)

    def end_step(self, work: Work, edit: Edit | None) -> None:
        """After it has changed: keep the edit for undo and in the journal. None: nothing changed, nothing to keep."""
        work.tally.tick()
        if edit is not None:
            work.tally.edited(edit)
            self._history.push(edit)
            self._record(work, edit)
        self.edited.emit(Edited(work.segmentation, edit.touched if edit is not None else frozenset()))
        self.changed.emit(None)

    def leave_step(self, segmentation: Segmentation) -> None:
        """A step was broken off, and all is as it was before it."""
        self.edited.emit(Edited(segmentation, frozenset()))

    def last_done(self, segmentation: Segmentation | None) -> Edit | None:
        """What `undo` would take back."""
        return self._history.last_done(segmentation) if segmentation is not None else None

    def last_undone(self, segmentation: Segmentation | None) -> Edit | None:
        """What `redo` would do again."""
        return self._history.last_undone(segmentation) if segmentation is not None else None

    def edits(self, segmentation: Segmentation | None) -> tuple[tuple[Edit, ...], int]:
        """The steps of a segmentation that are remembered, in the order in which they were taken; how many are done."""
        return self._history.edits(segmentation) if segmentation is not None else ((), 0)

    def move(self, segmentation: Segmentation | None, steps: int) -> None:
        """Take steps of a segmentation again, or with a negative number take steps back: each a step of the journal."""
        work = self.find(segmentation)
        if work is None or not steps:
            return
        self.begin_step(work)
        moved = self._history.move(work.segmentation, steps)
        if not moved:
            return
        step, now = Step.REDO if steps > 0 else Step.UNDO, datetime.now(UTC)
        taken = []
        for edit, side in moved:
            work.tally.exchanged(edit)
            head = Head(step, edit.name, now, work.tally.seconds, side.segments, label=edit.label)
            taken.append((head, side.images))
        work.journal.append_packed(taken)
        self._written(work)
        self.edited.emit(Edited(work.segmentation, frozenset().union(*(edit.touched for edit, _ in moved))))
        self.changed.emit(None)

    def mark_saved(self, segmentation: Segmentation) -> None:
        """The labels as they are now were saved: they need not be brought back."""
        work = self.find(segmentation)
        if work is not None and work.unsaved:
            work.journal.append(Head(Step.SAVED, Text(""), datetime.now(UTC), work.tally.seconds), {})
            work.unsaved = False
            self.changed.emit(None)

    def put_back(self, restored: Restored, case: Case, on: VolumeId) -> None:
        """Go on with work that was read back, on a volume of an open case."""
        segmentation = restored.segmentation
        case.add_segmentation(segmentation, on=on)
        journal = self.journals.opened(restored)
        label = _first_label(segmentation)
        hinted = len(segmentation.provenance.hinted)
        self._works[segmentation.id] = Work(segmentation, journal, restored.tally, label, unsaved=True, hinted=hinted)
        self._history.take_over(restored.history)
        self.changed.emit(None)

    def close(self) -> None:
        """Close all journals. Those of unsaved work stay, and are offered at the next start."""
        for work in self._works.values():
            work.journal.close(keep=work.unsaved)
        self._works.clear()
        self.journals.close()

    def _record(self, work: Work, edit: Edit) -> None:
        segmentation = work.segmentation
        segments = segmentation.segments if edit.changes_segments else None
        hinted = segmentation.provenance.hinted[work.hinted :]
        work.hinted += len(hinted)
        head = Head(Step.EDIT, edit.name, edit.at, work.tally.seconds, segments, label=edit.label, hinted=hinted)
        work.journal.append(head, copies_of(segmentation.labels, edit.images))
        self._written(work)

    def _written(self, work: Work) -> None:
        work.journal.wait_until_written(_WAIT_AFTER_STEP_S)
        work.unsaved = True

    def _on_workspace(self, change: WorkspaceChange) -> None:
        if isinstance(change, CaseOpened):
            for case in self._workspace.cases:
                if case.id == change.case_id:
                    case.changed.connect(self._on_case)
        elif isinstance(change, CaseClosed):
            self._let_go()

    def _on_case(self, change: CaseChange) -> None:
        if isinstance(change, SegmentationRemoved | VolumeRemoved):
            self._let_go()

    def _on_problem(self, problem: StorageError | None) -> None:
        self.changed.emit(None)

    def _let_go(self) -> None:
        """Close the journals of segmentations that are gone; unsaved work is offered at the next start."""
        here = {key for case in self._workspace.cases for key in case.segmentations}
        for key in [one for one in self._works if one not in here]:
            work = self._works.pop(key)
            self._history.forget(work.segmentation)
            work.journal.close(keep=work.unsaved)
        self.changed.emit(None)


def _first_label(segmentation: Segmentation) -> int:
    return segmentation.segments[0].label if segmentation.segments else 0


def _header(case: Case, segmentation: Segmentation) -> Header:
    volume = case.volume_under(segmentation.id)
    series = case.series_with(volume.series_uid)
    return Header(
        FORMAT,
        segmentation.id,
        segmentation.title,
        case.study,
        volume.series_uid,
        volume.description or (series.description if series is not None else ""),
        volume.modality,
        series.files if series is not None else (),
        Grid.of(segmentation.geometry),
        segmentation.labels.dtype.name,
        segmentation.segments,
        segmentation.provenance,
        datetime.now(UTC),
    )
