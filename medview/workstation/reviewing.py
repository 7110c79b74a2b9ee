"""Reviewing: what the reader says of the active segmentation, and for how long somebody was at work on it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from medview.core.case import Case
from medview.core.errors import InputError
from medview.core.events import Event
from medview.core.geometry import Point
from medview.core.review import Comment, CommentId, Judgement, Review, SegmentState
from medview.core.segmentation import Segmentation, SegmentationId
from medview.workstation.correction import Correction
from medview.workstation.jobs import JobQueue
from medview.workstation.review_record import (
    Commented,
    CommentTakenBack,
    Judged,
    ReviewLine,
    ReviewRecord,
    StateSaid,
    summed_up,
    with_line,
)
from medview.workstation.view_state import Viewing
from medview.workstation.workspace import ActiveChanged, Workspace, WorkspaceChange


class Reviewing:
    """Keeps what readers say of segmentations, line by line, in the user's folder. Main thread only.

    Args:
        workspace: Says what is active.
        viewing: Says where the crosshair is, and goes to comments.
        jobs: For the way home from the disk.
        correction: Knows what was done to which segment, and for how long.
        folder: Where the records lie.
        reader: Gives the name of whoever sits at the screen.

    Attributes:
        changed: Emitted when something that this class tells may have changed.
        record: Where it is kept.
    """

    def __init__(
        self,
        workspace: Workspace,
        viewing: Viewing,
        jobs: JobQueue,
        correction: Correction,
        folder: Path,
        reader: Callable[[], str],
    ) -> None:
        self.changed: Event[None] = Event()
        self.record = ReviewRecord(folder, jobs)
        self._workspace = workspace
        self._viewing = viewing
        self._correction = correction
        self._reader = reader
        self._reviews: dict[SegmentationId, Review] = {}
        self._read: set[str] = set()
        self._meanwhile: dict[str, list[ReviewLine]] = {}
        workspace.changed.connect(self._on_workspace)
        correction.changed.connect(self._on_correction)

    @property
    def review(self) -> Review:
        """What is said of the active segmentation."""
        return self.review_of(self._workspace.active_segmentation)

    def review_of(self, segmentation: Segmentation | None) -> Review:
        """What is said of a segmentation."""
        return self._reviews.get(segmentation.id, Review()) if segmentation is not None else Review()

    def states(self) -> Mapping[int, SegmentState]:
        """How far each segment of the active segmentation is, by label.

        What the reader said counts; of a segment of which nothing was said, whether anything was done to it.
        """
        segmentation = self._workspace.active_segmentation
        if segmentation is None:
            return {}
        said = self.review.states
        edits, done = self._correction.work.edits(segmentation)
        touched = {edit.label for edit in edits[:done]}
        return {
            one.label: said[one.label][0]
            if one.label in said
            else (SegmentState.IN_PROGRESS if one.label in touched else SegmentState.NOT_STARTED)
            for one in segmentation.segments
        }

    @property
    def seconds(self) -> float:
        """Time on task on the active segmentation."""
        return self.seconds_of(self._workspace.active_segmentation)

    def seconds_of(self, segmentation: Segmentation | None) -> float:
        """Time on task on a segmentation."""
        work = self._correction.work.find(segmentation)
        return max(work.tally.seconds if work is not None else 0.0, self.review_of(segmentation).seconds)

    def attend(self) -> None:
        """Somebody does something in the window just now."""
        work = self._correction.work.find(self._workspace.active_segmentation)
        if work is not None:
            # What was counted before a restart, and said last, goes on.
            work.tally.seconds = max(work.tally.seconds, self.review.seconds)
            work.tally.tick()

    def look_away(self) -> None:
        """The window is not the active one any more: no time counts until somebody is back."""
        work = self._correction.work.find(self._workspace.active_segmentation)
        if work is not None:
            work.tally.tick()
            work.tally.pause()

    def say_state(self, label: int, state: SegmentState) -> None:
        """Say how far a segment of the active segmentation is; nothing happens when that is known."""
        segmentation = self._workspace.active_segmentation
        if segmentation is not None and segmentation.segment(label) is not None and self.states()[label] is not state:
            self._add(partial(StateSaid, label=label, state=state))

    def judge(self, judgement: Judgement, reason: str = "") -> None:
        """Say what the active segmentation is.

        Raises:
            InputError: There is none, or it is rejected without a reason.
        """
        if self._workspace.active_segmentation is None:
            raise InputError("There is nothing to judge.", "Run a model or draw a structure first.")
        reason = reason.strip()
        if judgement is Judgement.REJECTED and not reason:
            raise InputError("Why is it rejected?", "Write the reason, then reject it.")
        if (judgement, reason) != (self.review.judgement, self.review.reason):
            self._correction.end_stroke()
            self._add(partial(Judged, judgement=judgement, reason=reason))

    def comment(self, text: str, point: Point | None = None) -> None:
        """Remark something at a place, or at the crosshair; nothing happens without words.

        Raises:
            InputError: There is no segmentation.
        """
        if self._workspace.active_segmentation is None:
            raise InputError("There is nothing to comment on.", "Run a model or draw a structure first.")
        if text.strip():
            place = point or self._viewing.state.cursor
            self._add(partial(Commented, id=uuid.uuid4().hex, text=text.strip(), point=place))

    def take_back(self, comment: CommentId) -> None:
        """Take a comment off the list; its line stays in the record."""
        if any(one.id == comment for one in self.review.comments):
            self._add(partial(CommentTakenBack, id=comment))

    def go_to(self, comment: Comment) -> None:
        """Bring the views to the place of a comment."""
        self._viewing.update(cursor=comment.point, annotations_shown=True)

    def close(self) -> None:
        """Wait until everything is on the disk."""
        self.record.close()

    def _add(self, line: Callable[..., ReviewLine]) -> None:
        segmentation = self._workspace.active_segmentation
        assert segmentation is not None
        self.attend()
        made = line(
            segmentation=segmentation.id, reader=self._reader(), at=datetime.now(UTC), seconds=round(self.seconds, 1)
        )
        self._reviews[segmentation.id] = with_line(self.review, made)
        series_uid = self._series_of(segmentation)
        if series_uid is not None:
            if series_uid in self._meanwhile:
                self._meanwhile[series_uid].append(made)
            self.record.add(series_uid, (made,))
        self.changed.emit(None)

    def _series_of(self, segmentation: Segmentation) -> str | None:
        case = next((one for one in self._workspace.cases if segmentation.id in one.segmentations), None)
        return case.volume_under(segmentation.id).series_uid if isinstance(case, Case) else None

    def _on_workspace(self, change: WorkspaceChange) -> None:
        volume = self._workspace.active_volume
        if not isinstance(change, ActiveChanged):
            return
        if volume is not None and volume.series_uid not in self._read:
            self._read.add(volume.series_uid)
            self._meanwhile[volume.series_uid] = []
            self.record.read(volume.series_uid, partial(self._found, volume.series_uid))
        self.changed.emit(None)

    def _found(self, series_uid: str, lines: tuple[ReviewLine, ...]) -> None:
        """What was said before the program started, and what was said while the disk was read."""
        self._reviews |= summed_up((*lines, *self._meanwhile.pop(series_uid)))
        self.changed.emit(None)

    def _on_correction(self, _: None) -> None:
        self.changed.emit(None)
