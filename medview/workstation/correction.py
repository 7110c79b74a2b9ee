"""Correcting: strokes, segments, undo, and the journal that keeps all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from medview.catalog import terminology
from medview.catalog.terminology import Terminology
from medview.core.case import Case, CaseChange, SegmentationRemoved, VolumeRemoved
from medview.core.errors import InputError, MedViewError, StorageError
from medview.core.events import Event
from medview.core.geometry import Box, Point
from medview.core.planes import Plane, slice_plane
from medview.core.segmentation import Color, Segment, Segmentation, SegmentationId
from medview.core.text import Text
from medview.core.volume import Volume
from medview.editing import blocks, interpolate, rules
from medview.editing.history import Edit, Recorder, UndoStack
from medview.editing.journal import Journal, copies_of
from medview.editing.journal_records import FORMAT, Grid, Head, Header, Step
from medview.workstation.edit_summary import EditSummary, EditTally
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.journals import Journals, Recovery, Restored, restore
from medview.workstation.stroke import LARGEST_RADIUS_MM, SMALLEST_RADIUS_MM, BrushOptions, BrushTool, Stroke
from medview.workstation.view_state import Viewing
from medview.workstation.workspace import ActiveChanged, CaseClosed, CaseOpened, Workspace, WorkspaceChange

_WAIT_FOR_DISK_S = 2.0
"""How long a step waits for the one before to be on disk, before the user is told that the disk does not answer."""


@dataclass
class _Work:
    """A segmentation that is corrected."""

    segmentation: Segmentation
    journal: Journal
    tally: EditTally
    active_label: int
    locked: frozenset[int] = frozenset()
    unsaved: bool = False


class Correction:
    """Corrects the active segmentation of the workspace. Main thread only.

    Whatever it does to a segmentation can be undone, and is in a journal on disk before the next step begins.

    Args:
        workspace: Says what is active.
        viewing: Told to show what is painted.
        jobs: Runs what takes longer.
        journal_folder: Where the journals lie.
        undo_limit_bytes: Memory for undo, all segmentations together.
    """

    def __init__(
        self,
        workspace: Workspace,
        viewing: Viewing,
        jobs: JobQueue,
        journal_folder: Path,
        undo_limit_bytes: int = 512 * 2**20,
    ) -> None:
        self.changed: Event[None] = Event()
        self.options = BrushOptions()
        self._workspace = workspace
        self._viewing = viewing
        self._jobs = jobs
        self._journals = Journals(journal_folder, jobs)
        self._history = UndoStack(undo_limit_bytes)
        self._works: dict[SegmentationId, _Work] = {}
        self._stroke: Stroke | None = None
        workspace.changed.connect(self._on_workspace)
        for case in workspace.cases:
            case.changed.connect(self._on_case)
        self._journals.problem_changed.connect(self._on_problem)

    # What is in hand

    @property
    def problem(self) -> StorageError | None:
        """Why the work is not protected by its journal just now; None when it is."""
        return self._journals.problem

    @property
    def active_label(self) -> int:
        """The segment in work; 0 when there is none."""
        segmentation = self._workspace.active_segmentation
        if segmentation is None or not segmentation.segments:
            return 0
        work = self._works.get(segmentation.id)
        if work is not None and segmentation.segment(work.active_label) is not None:
            return work.active_label
        return segmentation.segments[0].label

    @property
    def locked(self) -> frozenset[int]:
        """The segments of the active segmentation that keep their voxels."""
        segmentation = self._workspace.active_segmentation
        work = self._works.get(segmentation.id) if segmentation is not None else None
        if work is None:
            return frozenset()
        return work.locked & {segment.label for segment in work.segmentation.segments}

    def set_options(self, options: BrushOptions) -> None:
        """Choose how strokes are made; a radius out of range is brought back into it."""
        radius = min(max(options.radius_mm, SMALLEST_RADIUS_MM), LARGEST_RADIUS_MM)
        options = replace(options, radius_mm=radius)
        if options != self.options:
            self.options = options
            self.changed.emit(None)

    def select_segment(self, label: int) -> None:
        """Work on a segment; nothing happens when there is none with this label."""
        segmentation = self._workspace.active_segmentation
        if segmentation is not None and segmentation.segment(label) is not None and label != self.active_label:
            self._work_on(segmentation).active_label = label
            self.changed.emit(None)

    def select_next_segment(self, steps: int = 1) -> None:
        """Work on the next segment of the list, or with -1 on the one before; the ends of the list meet."""
        segmentation = self._workspace.active_segmentation
        if segmentation is not None and segmentation.segments:
            labels = [segment.label for segment in segmentation.segments]
            self.select_segment(labels[(labels.index(self.active_label) + steps) % len(labels)])

    def set_locked(self, label: int, locked: bool) -> None:
        """Lock a segment of the active segmentation, or unlock it."""
        segmentation = self._workspace.active_segmentation
        if segmentation is not None and segmentation.segment(label) is not None:
            work = self._work_on(segmentation)
            work.locked = work.locked | {label} if locked else work.locked - {label}
            self.changed.emit(None)

    # Strokes

    @property
    def is_painting(self) -> bool:
        """Whether a stroke is under way."""
        return self._stroke is not None

    def begin_stroke(self, point: Point, plane: Plane, *, erase: bool = False) -> None:
        """Press the brush down. Without a segmentation, a first one is made, with one segment.

        Args:
            point: Where: x, y, z, LPS, mm.
            plane: The plane of the view.
            erase: Erase, whatever the tool.

        Raises:
            MedViewError: No volume is open, it is still loading, or the segment in work is locked.
        """
        self.end_stroke()
        self._editable_volume()
        erase = erase or self.options.tool is BrushTool.ERASER
        segmentation = self._workspace.active_segmentation
        if segmentation is None:
            if erase:
                return
            segmentation = self.new_segmentation()
        if not segmentation.segments and not erase:
            self.add_segment()
        work = self._work_on(segmentation)
        label = self.active_label
        if label in self.locked and not (erase and self.options.erases_all):
            raise _locked(segmentation, label)
        self._before_step(work)
        self._show(segmentation, label)
        self._stroke = Stroke(
            segmentation, self.options, erase=erase, label=label, locked=self.locked, plane=plane, point=point
        )

    def stroke_to(self, point: Point) -> None:
        """Go on with the stroke: x, y, z, LPS, mm. Nothing happens when there is none."""
        if self._stroke is not None:
            self._stroke.to(point)

    def end_stroke(self) -> None:
        """Lift the brush: the stroke is one step to undo, unless nothing changed."""
        stroke, self._stroke = self._stroke, None
        if stroke is not None:
            self._finished(self._work_on(stroke.target), stroke.finish())

    def abort_stroke(self) -> None:
        """Put everything back as it was before the stroke."""
        stroke, self._stroke = self._stroke, None
        if stroke is not None:
            stroke.abort()

    # Undo

    @property
    def can_undo(self) -> bool:
        """Whether there is a step of the active segmentation to take back."""
        return self._last(self._history.last_done) is not None

    @property
    def can_redo(self) -> bool:
        """Whether there is a step of the active segmentation to do again."""
        return self._last(self._history.last_undone) is not None

    @property
    def undo_name(self) -> Text:
        """What `undo` would take back; empty when there is nothing."""
        edit = self._last(self._history.last_done)
        return edit.name if edit is not None else Text("")

    @property
    def redo_name(self) -> Text:
        """What `redo` would do again; empty when there is nothing."""
        edit = self._last(self._history.last_undone)
        return edit.name if edit is not None else Text("")

    def undo(self) -> None:
        """Take back the last step of the active segmentation; during a stroke, the stroke."""
        if self._stroke is not None:
            self.abort_stroke()
        else:
            self._exchange(self._history.undo, Step.UNDO)

    def redo(self) -> None:
        """Do again what was taken back last."""
        self.end_stroke()
        self._exchange(self._history.redo, Step.REDO)

    # Segments

    def new_segmentation(self) -> Segmentation:
        """Put an empty segmentation with one segment on the active volume, and work on it.

        Raises:
            MedViewError: No volume is open, or it is still loading.
        """
        case, volume = self._editable_volume()
        number = len(case.segmentations_on(volume.id)) + 1
        segmentation = Segmentation(
            volume.geometry,
            segments=(self._new_segment((), 255, ""),),
            title=Text.of("Segmentation {number}", number=number),
        )
        case.add_segmentation(segmentation, on=volume.id)
        self._adopt(segmentation, empty=True)
        self._activate(case, volume, segmentation)
        return segmentation

    def add_segment(self, name: str = "") -> Segment:
        """Add a segment to the active segmentation, and work on it. A known name brings its codes and colour.

        Raises:
            MedViewError: There is no segmentation and none can be made, or no label is left.
        """
        segmentation = self._workspace.active_segmentation or self.new_segmentation()
        segment = self._new_segment(segmentation.segments, segmentation.largest_label, name)
        work = self._work_on(segmentation)
        self._set_segments(work, (*segmentation.segments, segment), Text.of("Add {name}", name=segment.name))
        work.active_label = segment.label
        self.changed.emit(None)
        return segment

    def rename_segment(self, label: int, name: str) -> None:
        """Call a segment otherwise. Its codes follow the name: those of a known structure, else none."""
        old, name = self._segment(label), name.strip()
        if old is None or not name or name == old.name:
            return
        term = self._terms.find(name)
        new = term.segment(label, name, old.color) if term is not None else Segment(label, name, old.color)
        self._replace(new, Text.of("Rename {name}", name=old.name))

    def recolour_segment(self, label: int, color: Color) -> None:
        """Draw a segment in another colour."""
        old = self._segment(label)
        if old is not None:
            self._replace(replace(old, color=color), Text.of("Recolour {name}", name=old.name))

    def remove_segment(self, label: int) -> None:
        """Take a segment off the list, and its voxels away.

        Raises:
            MedViewError: It is locked.
        """
        segmentation, segment = self._workspace.active_segmentation, self._segment(label)
        if segmentation is None or segment is None:
            return
        self.end_stroke()
        if label in self.locked:
            raise _locked(segmentation, label)
        work = self._work_on(segmentation)
        self._before_step(work)
        recorder = Recorder(segmentation)
        labels = segmentation.labels
        for start in range(0, labels.shape[0], blocks.SIDE):
            stop = min(start + blocks.SIDE, labels.shape[0])
            inner = Box.around(labels[start:stop] == label)
            if not inner.is_empty:
                box = Box(
                    (start + inner.start[0], *inner.start[1:]),
                    (start + inner.stop[0], *inner.stop[1:]),
                )
                recorder.touch(box)
                before = labels[box.slices]
                segmentation.write(box, np.where(before == label, before.dtype.type(0), before))
        segmentation.set_segments(tuple(one for one in segmentation.segments if one.label != label))
        self._finished(work, recorder.finish(Text.of("Remove {name}", name=segment.name)))

    def fill_between_slices(self, plane: Plane) -> Job[Any] | None:
        """Fill the segment in work on the slices between its painted ones, where there is background.

        Args:
            plane: The plane whose slices were painted.

        Returns:
            The job; None when there is nothing to fill in.

        Raises:
            MedViewError: The segment is locked.
        """
        self.end_stroke()
        segmentation, label = self._workspace.active_segmentation, self.active_label
        if segmentation is None or not label:
            return None
        if label in self.locked:
            raise _locked(segmentation, label)
        geometry = segmentation.geometry
        axis = slice_plane(geometry, plane).axis
        labels = segmentation.labels.copy()
        return self._jobs.submit(
            Text("Fill between slices"),
            lambda progress: interpolate.fill_between_slices(labels, geometry, label, axis, progress),
            lane=Lane.DISK,
            then=lambda found: self._fill(segmentation, label, *found),
        )

    # Keeping

    def adopt(self, segmentation: Segmentation) -> None:
        """Begin the journal of a segmentation that lies on an open case: a model's answer, or a mask from a file.

        What is changed from now on counts as corrections of it. A second call does nothing.
        """
        if segmentation.id not in self._works:
            self._adopt(segmentation, empty=not segmentation.labels.any())

    def summary(self, segmentation: Segmentation) -> EditSummary:
        """What was changed since the segmentation was adopted."""
        return self._work_on(segmentation).tally.summary()

    def volumes_ml(self, segmentation: Segmentation) -> Mapping[int, float]:
        """The volume of every label that has voxels, by label; quick after the first time."""
        return self._work_on(segmentation).tally.volumes_ml()

    def is_unsaved(self, segmentation: Segmentation) -> bool:
        """Whether anything was changed since the segmentation was adopted or saved last."""
        work = self._works.get(segmentation.id)
        return work is not None and work.unsaved

    def mark_saved(self, segmentation: Segmentation) -> None:
        """The labels as they are now were saved: they need not be brought back after this."""
        work = self._works.get(segmentation.id)
        if work is not None and work.unsaved:
            work.journal.append(Head(Step.SAVED, Text(""), datetime.now(UTC), work.tally.seconds), {})
            work.unsaved = False
            self.changed.emit(None)

    def recoveries(self) -> tuple[Recovery, ...]:
        """Unsaved work of a program that was closed or killed, the latest first."""
        return self._journals.recoveries()

    def restore(self, recovery: Recovery) -> Job[Restored]:
        """Bring work back onto its volume, with its history.

        Raises:
            MedViewError: The series of the work is not open, or still loading.
        """
        case = self._workspace.case_with_series(recovery.series_uid)
        volume = case.volume_of_series(recovery.series_uid) if case is not None else None
        if case is None or volume is None:
            raise InputError("The series of this work is not open.", "Open its files, then bring the work back.")
        if not case.is_complete(volume.id):
            raise _still_loading()
        limit = self._history.limit_bytes
        return self._jobs.submit(
            Text.of("Bring back {title}", title=recovery.title),
            lambda progress: restore(recovery, volume.geometry, limit, progress),
            lane=Lane.DISK,
            then=lambda restored: self._restored(case, volume, restored),
        )

    def discard(self, recovery: Recovery) -> None:
        """Remove left work for good.

        Raises:
            StorageError: Another program is working with it, or it cannot be removed.
        """
        self._journals.discard(recovery)

    def close(self) -> None:
        """Finish the stroke and the journals. Journals of unsaved work stay and are offered at the next start."""
        self.end_stroke()
        for work in self._works.values():
            work.journal.close(keep=work.unsaved)
        self._works.clear()
        self._journals.close()

    # Inside

    @cached_property
    def _terms(self) -> Terminology:
        return terminology.load()

    def _editable_volume(self) -> tuple[Case, Volume]:
        case, volume = self._workspace.active_case, self._workspace.active_volume
        if case is None or volume is None:
            raise InputError("There is nothing to paint on.", "Open a series first.")
        if not case.is_complete(volume.id):
            raise _still_loading()
        return case, volume

    def _segment(self, label: int) -> Segment | None:
        segmentation = self._workspace.active_segmentation
        return segmentation.segment(label) if segmentation is not None else None

    def _new_segment(self, segments: tuple[Segment, ...], largest: int, name: str) -> Segment:
        used = {segment.label for segment in segments}
        label = max(used, default=0) + 1
        if label > largest:
            label = next((number for number in range(1, largest + 1) if number not in used), 0)
        if not label:
            raise MedViewError(
                Text.of("A segmentation of this kind holds no more than {count} segments.", count=largest),
                "Remove a segment, or begin another segmentation.",
            )
        name = name.strip() or str(Text.of("Segment {number}", number=label))
        term = self._terms.find(name)
        return term.segment(label, name) if term is not None else Segment(label, name, self._terms.color(label))

    def _replace(self, segment: Segment, name: Text) -> None:
        segmentation = self._workspace.active_segmentation
        if segmentation is not None:
            segments = tuple(segment if one.label == segment.label else one for one in segmentation.segments)
            self._set_segments(self._work_on(segmentation), segments, name)

    def _set_segments(self, work: _Work, segments: tuple[Segment, ...], name: Text) -> None:
        self.end_stroke()
        self._before_step(work)
        recorder = Recorder(work.segmentation)
        work.segmentation.set_segments(segments)
        self._finished(work, recorder.finish(name))

    def _fill(
        self, segmentation: Segmentation, label: int, box: Box, mask: np.ndarray[Any, np.dtype[np.bool_]]
    ) -> None:
        """The shape has come home: strokes made meanwhile stay, for only background is filled."""
        work = self._works.get(segmentation.id)
        if work is None or box.is_empty or segmentation.segment(label) is None or label in work.locked:
            return
        self.end_stroke()
        self._before_step(work)
        recorder = Recorder(segmentation)
        recorder.touch(box)
        segmentation.write(box, rules.filled(segmentation.labels[box.slices], mask, label))
        self._finished(work, recorder.finish(Text("Fill between slices")))

    def _work_on(self, segmentation: Segmentation) -> _Work:
        self.adopt(segmentation)
        return self._works[segmentation.id]

    def _adopt(self, segmentation: Segmentation, *, empty: bool) -> None:
        case = next(case for case in self._workspace.cases if segmentation.id in case.segmentations)
        journal = self._journals.new()
        journal.begin(_header(case, segmentation), None if empty else segmentation.labels.copy())
        first = segmentation.segments[0].label if segmentation.segments else 0
        self._works[segmentation.id] = _Work(segmentation, journal, EditTally(segmentation), first)

    def _restored(self, case: Case, volume: Volume, restored: Restored) -> None:
        if case not in self._workspace.cases or volume.id not in case.volumes:
            restored.lock.release()
            return
        segmentation = restored.segmentation
        case.add_segmentation(segmentation, on=volume.id)
        first = segmentation.segments[0].label if segmentation.segments else 0
        self._works[segmentation.id] = _Work(
            segmentation, self._journals.opened(restored), restored.tally, first, unsaved=True
        )
        self._history.take_over(restored.history)
        self._activate(case, volume, segmentation)
        self.changed.emit(None)

    def _activate(self, case: Case, volume: Volume, segmentation: Segmentation) -> None:
        self._workspace.activate(case, volume, segmentation)
        self._viewing.update(volume_id=volume.id, segmentation_id=segmentation.id)

    def _show(self, segmentation: Segmentation, label: int) -> None:
        """Nobody paints what cannot be seen."""
        state = self._viewing.state
        hidden = state.hidden_of(segmentation.id)
        if not state.labels_shown or label in hidden:
            self._viewing.put(replace(state.with_hidden(segmentation.id, hidden - {label}), labels_shown=True))

    def _before_step(self, work: _Work) -> None:
        """The step before is on disk before the next begins; a disk that does not answer stops nobody."""
        work.tally.tick()
        work.journal.wait(_WAIT_FOR_DISK_S)

    def _finished(self, work: _Work, edit: Edit | None) -> None:
        if edit is not None:
            work.tally.tick()
            work.tally.edited(edit)
            self._history.push(edit)
            self._record(work, Step.EDIT, edit)
        self.changed.emit(None)

    def _exchange(self, swap: Callable[[Segmentation], Edit | None], step: Step) -> None:
        segmentation = self._workspace.active_segmentation
        work = self._works.get(segmentation.id) if segmentation is not None else None
        if work is None:
            return
        self._before_step(work)
        edit = swap(work.segmentation)
        if edit is not None:
            work.tally.exchanged(edit)
            self._record(work, step, edit)
            self.changed.emit(None)

    def _record(self, work: _Work, step: Step, edit: Edit) -> None:
        segmentation = work.segmentation
        segments = segmentation.segments if edit.changes_segments else None
        head = Head(step, edit.name, datetime.now(UTC), work.tally.seconds, segments)
        work.journal.append(head, copies_of(segmentation.labels, edit.images))
        work.unsaved = True

    def _last(self, which: Callable[[Segmentation], Edit | None]) -> Edit | None:
        segmentation = self._workspace.active_segmentation
        return which(segmentation) if segmentation is not None else None

    def _on_workspace(self, change: WorkspaceChange) -> None:
        if isinstance(change, CaseOpened):
            case = next(case for case in self._workspace.cases if case.id == change.case_id)
            case.changed.connect(self._on_case)
        elif isinstance(change, CaseClosed):
            self._let_go()
        elif isinstance(change, ActiveChanged):
            self.end_stroke()
            self.changed.emit(None)

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
            if self._stroke is not None and self._stroke.target is work.segmentation:
                self._stroke = None
            self._history.forget(work.segmentation)
            work.journal.close(keep=work.unsaved)
        self.changed.emit(None)


def _header(case: Case, segmentation: Segmentation) -> Header:
    volume = case.volume_under(segmentation.id)
    series = case.series_with(volume.series_uid)
    return Header(
        FORMAT,
        segmentation.id,
        segmentation.title,
        case.study,
        volume.series_uid,
        volume.description,
        volume.modality,
        series.files if series is not None else (),
        Grid.of(segmentation.geometry),
        segmentation.labels.dtype.name,
        segmentation.segments,
        segmentation.provenance,
        datetime.now(UTC),
    )


def _locked(segmentation: Segmentation, label: int) -> MedViewError:
    segment = segmentation.segment(label)
    return MedViewError(
        Text.of("{name} is locked.", name=segment.name if segment is not None else label),
        "Unlock it, or choose another segment.",
    )


def _still_loading() -> InputError:
    return InputError("The series is still loading.", "Wait until all its slices are there.")
