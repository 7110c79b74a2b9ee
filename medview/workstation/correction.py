"""Correcting: strokes, segments and undo, on the active segmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from medview.catalog import terminology
from medview.catalog.terminology import Terminology
from medview.core.case import Case
from medview.core.errors import InputError, MedViewError, StorageError
from medview.core.events import Event
from medview.core.geometry import Box, Point
from medview.core.planes import Plane
from medview.core.segmentation import Color, Segment, Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.editing import segments
from medview.editing.history import Recorder
from medview.editing.reshape import Proposal
from medview.editing.rules import PaintRules
from medview.workstation.edit_summary import EditSummary
from medview.workstation.edit_tools import InWork
from medview.workstation.jobs import JobQueue
from medview.workstation.proposals import Proposals
from medview.workstation.recovering import Recovering, still_loading
from medview.workstation.step_list import StepList
from medview.workstation.stroke import LARGEST_RADIUS_MM, SMALLEST_RADIUS_MM, BrushOptions, Stroke
from medview.workstation.view_state import Compared, Viewing
from medview.workstation.work_in_hand import WorkInHand
from medview.workstation.workspace import ActiveChanged, Workspace, WorkspaceChange

_LARGEST_NEW_LABEL = 255
"""New label maps are uint8."""


class Correction:
    """Corrects the active segmentation of the workspace. Main thread only.

    Whatever it does to a segmentation can be undone, and is in a journal on disk before the next step begins.

    Args:
        workspace: Says what is active.
        viewing: Told to show what is painted.
        jobs: Runs what takes longer.
        journal_folder: Where the journals lie.
        undo_limit_bytes: Memory for undo, all segmentations together.

    Attributes:
        changed: Emitted when anything that this class tells may have changed.
        options: How strokes are made.
        work: The segmentations that are corrected, with what is kept of each.
        edited: Emitted after every step.
        steps: What was done, and the way back to any moment of it.
        recovering: Brings back the work of a program that was closed or killed.
        proposals: Does what tools propose, within the rules.
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
        self.workspace = workspace
        self._viewing = viewing
        self._jobs = jobs
        self.work = WorkInHand(workspace, jobs, journal_folder, undo_limit_bytes)
        self.steps = StepList(workspace, self.work, self.end_stroke)
        self.edited = self.work.edited
        self.recovering = Recovering(workspace, jobs, self.work, self._activate)
        self.proposals = Proposals(workspace, self.work, self.end_stroke, lambda: self._terms)
        self._stroke: Stroke | None = None
        workspace.changed.connect(self._on_workspace)
        self.work.changed.connect(self._on_work)

    # What is in hand

    @property
    def problem(self) -> StorageError | None:
        """Why the work is not protected by its journal just now; None when it is."""
        return self.work.journals.problem

    @property
    def active_label(self) -> int:
        """The segment in work; 0 when there is none."""
        segmentation = self._active
        if segmentation is None or not segmentation.segments:
            return 0
        work = self.work.find(segmentation)
        if work is not None and segmentation.segment(work.active_label) is not None:
            return work.active_label
        return segmentation.segments[0].label

    @property
    def active_color(self) -> Color:
        """The colour of the segment in work; where there is none, that of the one that a tool would begin."""
        segment = self._active.segment(self.active_label) if self._active is not None else None
        return segment.color if segment is not None else self._terms.color(1)

    @property
    def locked(self) -> frozenset[int]:
        """The segments of the active segmentation that keep their voxels."""
        work = self.work.find(self._active)
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
        segmentation = self._active
        if segmentation is not None and segmentation.segment(label) is not None and label != self.active_label:
            self.end_stroke()
            self.work.on(segmentation).active_label = label
            self.changed.emit(None)

    def select_next_segment(self, steps: int = 1) -> None:
        """Work on the next segment of the list, or with -1 on the one before; the ends of the list meet."""
        segmentation = self._active
        if segmentation is not None and segmentation.segments:
            labels = [segment.label for segment in segmentation.segments]
            self.select_segment(labels[(labels.index(self.active_label) + steps) % len(labels)])

    def set_locked(self, label: int, locked: bool) -> None:
        """Lock a segment of the active segmentation, or unlock it."""
        segmentation = self._active
        if segmentation is not None and segmentation.segment(label) is not None:
            self.end_stroke()
            work = self.work.on(segmentation)
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
            erase: Take away instead of adding.

        Raises:
            MedViewError: No volume is open, it is still loading, or the segment in work is locked.
        """
        found = self.in_work(point, adds=not erase, spares_locked=not (erase and self.options.erases_all))
        if found is None:
            return
        self.work.begin_step(self.work.on(found.segmentation))
        self._stroke = Stroke(
            found.segmentation,
            self.options,
            erase=erase,
            label=found.label,
            locked=self.locked,
            rules=self.rules,
            limit=self.proposals.box_on(found.volume),
            plane=plane,
            point=point,
            voxels=found.volume.voxels,
        )

    def in_work(self, point: Point, *, adds: bool, spares_locked: bool = True) -> InWork | None:
        """What a tool changes that is set to work at a point. Ends the stroke, and shows the segment in work.

        Args:
            point: Where: x, y, z, LPS, mm.
            adds: Whether it adds: then a segmentation and a segment are made where there are none.
            spares_locked: Whether it keeps off a locked segment.

        Returns:
            None when there is nothing to take away from, or nothing to add to outside of the image.

        Raises:
            MedViewError: No volume is open, it is still loading, or the segment in work is locked.
        """
        self.end_stroke()
        _, volume = self._editable_volume()
        segmentation = self._active
        if segmentation is None:
            if not adds or volume.geometry.voxel_at(point) is None:
                return None
            segmentation = self.new_segmentation()
        if not segmentation.segments and adds:
            self.add_segment()
        label = self.active_label
        if spares_locked and label in self.locked:
            raise _locked(segmentation, label)
        self.work.on(segmentation)
        self._show(segmentation, label)
        return InWork(volume, segmentation, label)

    def stroke_to(self, point: Point) -> None:
        """Go on with the stroke: x, y, z, LPS, mm. Nothing happens when there is none."""
        if self._stroke is not None:
            self._stroke.to(point)

    def end_stroke(self) -> None:
        """Lift the brush: the stroke is one step to undo, unless nothing changed."""
        stroke, self._stroke = self._stroke, None
        work = self.work.find(stroke.target) if stroke is not None else None
        if stroke is not None and work is not None:
            self.work.end_step(work, stroke.finish())

    def abort_stroke(self) -> None:
        """Put everything back as it was before the stroke."""
        stroke, self._stroke = self._stroke, None
        if stroke is not None:
            stroke.abort()
            self.work.leave_step(stroke.target)
            self.changed.emit(None)

    # Undo

    @property
    def can_undo(self) -> bool:
        """Whether there is a step of the active segmentation, or a stroke, to take back."""
        return self._stroke is not None or self.work.last_done(self._active) is not None

    @property
    def can_redo(self) -> bool:
        """Whether there is a step of the active segmentation to do again."""
        return self.work.last_undone(self._active) is not None

    @property
    def undo_name(self) -> Text:
        """What `undo` would take back; empty when there is nothing."""
        edit = self.work.last_done(self._active)
        return edit.name if edit is not None else Text("")

    @property
    def redo_name(self) -> Text:
        """What `redo` would do again; empty when there is nothing."""
        edit = self.work.last_undone(self._active)
        return edit.name if edit is not None else Text("")

    def undo(self) -> None:
        """Take back the last step of the active segmentation; during a stroke, the stroke."""
        if self._stroke is not None:
            self.abort_stroke()
        else:
            self.work.move(self._active, -1)

    def redo(self) -> None:
        """Do again what was taken back last."""
        self.end_stroke()
        self.work.move(self._active, 1)

    # Segments

    def new_segmentation(self, segment_name: str = "") -> Segmentation:
        """Put an empty segmentation with one segment on the active volume, and work on it.

        Raises:
            MedViewError: No volume is open, or it is still loading.
        """
        self.end_stroke()
        case, volume = self._editable_volume()
        number = len(case.segmentations_on(volume.id)) + 1
        segmentation = Segmentation(
            volume.geometry,
            segments=(segments.new_segment(self._terms, (), _LARGEST_NEW_LABEL, segment_name),),
            title=Text.of("Segmentation {number}", number=number),
        )
        case.add_segmentation(segmentation, on=volume.id)
        self.work.on(segmentation)
        self._activate(case, volume, segmentation)
        return segmentation

    def add_segment(self, name: str = "") -> Segment:
        """Add a segment to the active segmentation, or to a new one, and work on it.

        A known name brings its codes and its colour.

        Raises:
            MedViewError: There is no segmentation and none can be made, or no label is left.
        """
        segmentation = self._active
        if segmentation is None:
            return self.new_segmentation(name).segments[0]
        segment = segments.new_segment(self._terms, segmentation.segments, segmentation.largest_label, name)
        self._set_segments(segmentation, (*segmentation.segments, segment), Text.of("Add {name}", name=segment.name))
        self.select_segment(segment.label)
        return segment

    def rename_segment(self, label: int, name: str) -> None:
        """Call a segment otherwise. Its codes follow the name: those of a known structure, else none."""
        segmentation, old, name = self._active, self._segment(label), name.strip()
        if segmentation is not None and old is not None and name and name != old.name:
            new = segments.with_segment(segmentation.segments, segments.renamed(self._terms, old, name))
            self._set_segments(segmentation, new, Text.of("Rename {name}", name=old.name))

    def recolour_segment(self, label: int, color: Color) -> None:
        """Draw a segment in another colour."""
        segmentation, old = self._active, self._segment(label)
        if segmentation is not None and old is not None:
            new = segments.with_segment(segmentation.segments, replace(old, color=color))
            self._set_segments(segmentation, new, Text.of("Recolour {name}", name=old.name))

    def remove_segment(self, label: int) -> None:
        """Take a segment off the list, and its voxels away.

        Raises:
            MedViewError: It is locked.
        """
        segmentation, segment = self._active, self._segment(label)
        if segmentation is None or segment is None:
            return
        self.end_stroke()
        if label in self.locked:
            raise _locked(segmentation, label)
        work = self.work.on(segmentation)
        self.work.begin_step(work)
        recorder = Recorder(segmentation, label)
        segments.remove(recorder, label)
        self.work.end_step(work, recorder.finish(Text.of("Remove {name}", name=segment.name)))

    def check_unlocked(self, label: int) -> None:
        """Ask whether a segment of the active segmentation may be changed.

        Raises:
            MedViewError: It is locked.
        """
        if self._active is not None and label in self.locked:
            raise _locked(self._active, label)

    @property
    def rules(self) -> PaintRules:
        """What may be changed."""
        return self.proposals.rules

    def set_rules(self, rules: PaintRules) -> None:
        """Choose what may be changed; the ends of a range of values may come in any order."""
        if rules.values is not None:
            rules = replace(rules, values=(min(rules.values), max(rules.values)))
        if rules != self.proposals.rules:
            self.proposals.rules = rules
            self.changed.emit(None)

    def put(
        self,
        segmentation: Segmentation,
        label: int,
        name: Text,
        found: Proposal,
        touched: Sequence[Box] | None = None,
        *,
        drawn: bool = False,
    ) -> None:
        """Do to a segment what a tool has proposed, as one step: `Proposals.put`."""
        self.proposals.put(segmentation, label, name, found, touched, drawn=drawn)

    # Keeping

    def adopt(self, segmentation: Segmentation) -> None:
        """Begin the journal of a segmentation that lies on an open case: a model's answer, or a mask from a file.

        What is changed from now on counts as corrections of it. A second call does nothing.

        Raises:
            ValueError: The segmentation lies on no open case.
        """
        self.work.on(segmentation)

    def summary(self, segmentation: Segmentation) -> EditSummary:
        """What was changed since the segmentation was adopted."""
        return self.work.on(segmentation).tally.summary()

    def volumes_ml(self, segmentation: Segmentation) -> Mapping[int, float]:
        """The volume of every label that has voxels, by label; quick after the first time."""
        return self.work.on(segmentation).tally.volumes_ml()

    def is_unsaved(self, segmentation: Segmentation) -> bool:
        """Whether anything was changed since the segmentation was adopted or saved last."""
        work = self.work.find(segmentation)
        return work is not None and work.unsaved

    def mark_saved(self, segmentation: Segmentation) -> None:
        """The labels as they are now were saved: they need not be brought back after this."""
        self.work.mark_saved(segmentation)

    def close(self) -> None:
        """Finish the stroke and the journals. Journals of unsaved work stay and are offered at the next start."""
        self.end_stroke()
        self.work.close()

    # Inside

    @cached_property
    def _terms(self) -> Terminology:
        return terminology.load()

    @property
    def _active(self) -> Segmentation | None:
        return self.workspace.active_segmentation

    def _segment(self, label: int) -> Segment | None:
        return self._active.segment(label) if self._active is not None else None

    def _editable_volume(self) -> tuple[Case, Volume]:
        case, volume = self.workspace.active_case, self.workspace.active_volume
        if case is None or volume is None:
            raise InputError("There is nothing to paint on.", "Open a series first.")
        if not case.is_complete(volume.id):
            raise still_loading()
        return case, volume

    def _set_segments(self, segmentation: Segmentation, new: tuple[Segment, ...], name: Text) -> None:
        self.end_stroke()
        work = self.work.on(segmentation)
        self.work.begin_step(work)
        recorder = Recorder(segmentation)
        segmentation.set_segments(new)
        self.work.end_step(work, recorder.finish(name))

    def _activate(self, case: Case, volume: Volume, segmentation: Segmentation) -> None:
        self.workspace.activate(case, volume, segmentation)
        self._viewing.update(volume_id=volume.id, segmentation_id=segmentation.id)

    def _show(self, segmentation: Segmentation, label: int) -> None:
        """Nobody paints what cannot be seen."""
        state = self._viewing.state
        hidden = state.hidden_of(segmentation.id)
        if not state.labels_shown or label in hidden or state.compared is not Compared.MINE:
            shown = state.with_hidden(segmentation.id, hidden - {label})
            self._viewing.put(replace(shown, labels_shown=True, compared=Compared.MINE))

    def _on_workspace(self, change: WorkspaceChange) -> None:
        if isinstance(change, ActiveChanged):
            self.end_stroke()
            if self.proposals.rules.chosen:
                # the labels of another segmentation are other structures
                self.proposals.rules = PaintRules(values=self.proposals.rules.values)
            self.changed.emit(None)

    def _on_work(self, _: None) -> None:
        self.changed.emit(None)


def _locked(segmentation: Segmentation, label: int) -> MedViewError:
    segment = segmentation.segment(label)
    return MedViewError(
        Text.of("{name} is locked.", name=segment.name if segment is not None else label),
        "Unlock it, or choose another segment.",
    )
