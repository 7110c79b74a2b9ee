"""Hints to a model or a tool: given one by one, answered in the background, and taken when the reader agrees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medview.core.errors import InputError, MedViewError, PluginUnavailableError
from medview.core.events import Event
from medview.core.geometry import Box, Geometry, Point
from medview.core.hint import Hint, HintAnswer, HintKind, HintRecord
from medview.core.hint_marks import box_of, contradicts
from medview.core.planes import Plane
from medview.core.segmentation import HintedEdit, Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.editing.reshape import proposal
from medview.workstation.correction import Correction
from medview.workstation.hint_engines import (
    TOOL,
    TOOL_ID,
    HintChoice,
    HintEngine,
    HintPlugins,
    Question,
    ToolEngine,
    replaced,
)
from medview.workstation.hint_parts import AcceptPart, boxed, chosen_of
from medview.workstation.jobs import Job, JobQueue
from medview.workstation.workspace import ActiveChanged, Workspace, WorkspaceChange

_NAME = Text("Scribble and click")
_GIANT_SHARE = 0.98
_RADII_MM = (0.1, 30.0)
_FEWEST_CORNERS = 2


@dataclass(eq=False)
class _Given:
    """A hint with all before it, and what was answered to them; None as long as nothing was."""

    hints: tuple[Hint, ...]
    answer: HintAnswer | None = None


class Hinting:
    """Hints on one structure of the active volume. Main thread only.

    What is answered is a preview: the segmentation changes when it is accepted, as one step to undo, and not before.
    Hints that come faster than answers are answered together. What was answered to the hints before is kept, so that a
    hint is taken back at once.

    Args:
        workspace: Says what is active.
        jobs: Run what answers.
        correction: Takes what is accepted.
        plugins: That take hints; None: there are none.

    Attributes:
        changed: Emitted when hints, the preview, what answers or the way to give them have changed.
    """

    def __init__(
        self, workspace: Workspace, jobs: JobQueue, correction: Correction, plugins: HintPlugins | None = None
    ) -> None:
        self.changed: Event[None] = Event()
        self._radius_mm = 1.0
        self._shape = HintKind.SCRIBBLE
        self._workspace = workspace
        self._jobs = jobs
        self._correction = correction
        self._plugins = plugins
        self._choice = TOOL
        self._structure = 0
        self._engine: HintEngine | None = None
        self._volume: Volume | None = None
        self._given: list[_Given] = []
        self._job: Job[Any] | None = None
        self._job_asked: _Given | None = None
        self._problem: MedViewError | None = None
        workspace.changed.connect(self._workspace_changed)
        jobs.changed.connect(self._job_changed)

    # What answers

    @property
    def choice(self) -> HintChoice:
        """What answers."""
        return self._choice

    @property
    def structure(self) -> int:
        """The label of the plugin's that the hints are on; 0: its only one, or whatever is there."""
        return self._structure

    def choices(self) -> tuple[HintChoice, ...]:
        """What can answer hints on the active volume: the tool, and the plugins that suit it."""
        volume = self._workspace.active_volume
        fitting = self._plugins.choices(volume) if self._plugins is not None and volume is not None else ()
        return (TOOL, *fitting)

    def choose(self, choice_id: str, structure: int = 0) -> None:
        """Let another one answer from now on. Hints that were given, and their answer, go.

        Raises:
            PluginUnavailableError: There is no such one.
        """
        found = next((one for one in self.choices() if one.id == choice_id), None)
        if found is None:
            raise PluginUnavailableError(
                Text("There is nothing of this name that takes hints here."), Text("Choose another one.")
            )
        if found != self._choice or structure != self._structure:
            self.end()
            self._choice, self._structure = found, structure
            self._shape = HintKind.BOX if found.needs_box else self.shapes[0]
            self.changed.emit(None)

    # How hints are given

    @property
    def shapes(self) -> tuple[HintKind, ...]:
        """What can be drawn: a scribble, or a click where it does not move; a box; an outline."""
        lines = (HintKind.SCRIBBLE,) if {HintKind.POINT, HintKind.SCRIBBLE} & set(self._choice.kinds) else ()
        return (*lines, *(one for one in (HintKind.BOX, HintKind.LASSO) if one in self._choice.kinds))

    @property
    def shape(self) -> HintKind:
        """What is drawn next."""
        return self._shape

    def use_shape(self, shape: HintKind) -> None:
        """Draw something else from now on."""
        if shape in self.shapes and shape is not self._shape:
            self._shape = shape
            self.changed.emit(None)

    @property
    def radius_mm(self) -> float:
        """How far clicks and scribbles reach."""
        return self._radius_mm

    def set_radius(self, radius_mm: float) -> None:
        """Let clicks and scribbles reach farther, or less far."""
        self._radius_mm = min(max(radius_mm, _RADII_MM[0]), _RADII_MM[1])
        self.changed.emit(None)

    def drawn(self, points: Sequence[Point], plane: Plane, *, positive: bool) -> None:
        """Give what was drawn in a slice as a hint, in the shape in use.

        Args:
            points: x, y, z, LPS, mm, along the way of the mouse; of a box, its first and last count.
            plane: Of the slice.
            positive: Whether it says what belongs to the structure.

        Raises:
            MedViewError: As `add`.
        """
        if self._shape is HintKind.BOX:
            volume = self._ready_volume()
            boxes = [one for one in self.hints if one.kind is HintKind.BOX and one.positive]
            known = box_of(boxes[-1], volume.geometry) if boxes else None
            hint = boxed(points[0], points[-1], volume.geometry, plane, known if positive else None, positive=positive)
        elif self._shape is HintKind.LASSO and len(points) > _FEWEST_CORNERS:
            hint = Hint.lasso(points, positive=positive)
        elif len(points) > 1 and HintKind.SCRIBBLE in self._choice.kinds:
            hint = Hint.scribble(points, positive=positive, radius_mm=self._radius_mm)
        else:
            hint = Hint.point(points[0], positive=positive, radius_mm=self._radius_mm)
        self.add(hint)
        if self._shape is HintKind.BOX and positive:
            self.use_shape(self.shapes[0])

    # Hints

    @property
    def hints(self) -> tuple[Hint, ...]:
        """The hints that were given and not accepted, rejected or taken back."""
        return self._given[-1].hints if self._given else ()

    @property
    def preview(self) -> HintAnswer | None:
        """The newest answer to them, or to those before; None as long as there is none."""
        return next((one.answer for one in reversed(self._given) if one.answer is not None), None)

    @property
    def is_current(self) -> bool:
        """Whether the preview answers all hints."""
        return bool(self._given) and self._given[-1].answer is not None

    @property
    def is_active(self) -> bool:
        """Whether hints were given."""
        return bool(self._given)

    @property
    def running(self) -> Job[Any] | None:
        """The question that is being answered; None when there is none."""
        return self._job if self._job is not None and not self._job.state.is_final else None

    @property
    def problem(self) -> MedViewError | None:
        """Why the newest hints were not answered."""
        return self._problem

    def add(self, hint: Hint) -> None:
        """Give a hint. It counts at once; its answer comes later.

        Raises:
            MedViewError: No volume is open or it is still loading, the segment in work is locked, the hint lies outside
                the image, contradicts another one, or is none that can be answered. It is not taken then.
        """
        volume = self._ready_volume()
        self._correction.check_unlocked(self._correction.active_label)
        self._check(hint, volume.geometry)
        if self._engine is None:
            self._engine, self._volume = self._made(volume), volume
        self._problem = None
        self._given.append(_Given(replaced(self.hints, hint)))
        self._ask()
        self.changed.emit(None)

    def undo(self) -> bool:
        """Take the newest hint back, with its answer; whether there was one."""
        if not self._given:
            return False
        self._given.pop()
        self._problem = None
        if self._given and self._given[-1].answer is None:
            self._ask()
        self.changed.emit(None)
        return True

    def cancel(self) -> None:
        """Stop what is being answered. The hints stay: the next one asks again."""
        if self._job is not None:
            self._job.cancel()

    def reject(self) -> None:
        """Put hints and preview away. What answers is held ready for the next ones."""
        if self._given or self._problem is not None:
            self._given.clear()
            self._problem = None
            self.cancel()
            self.changed.emit(None)

    def end(self) -> None:
        """Put hints and preview away, and let go of what answers."""
        self.reject()
        engine, self._engine, self._volume = self._engine, None, None
        if engine is not None:
            # it may be at work: it is let go after that, in its own lane
            self._jobs.submit(Text("Letting the model go"), lambda _: engine.close(), lane=engine.lane)

    # Taking

    def accept(
        self,
        part: AcceptPart = AcceptPart.ALL,
        *,
        at: Point | None = None,
        plane: Plane | None = None,
        box: Box | None = None,
    ) -> bool:
        """Put the preview, or a part of it, into the segment in work, as one step.

        Of what is marked already, the answer of the tool also takes away what it says is outside; that of a plugin,
        which does not know what is marked, only adds. Other segments keep their voxels. When a part was taken, hints
        and preview stay.

        Args:
            part: How much.
            at: A place, x, y, z, LPS, mm: of a piece, or in a slice.
            plane: Of the slice.
            box: The part of the image.

        Returns:
            Whether there was a preview.

        Raises:
            MedViewError: The segment is locked, or there is nothing of the preview there.
        """
        answer, volume, engine = self.preview, self._volume, self._engine
        if answer is None or volume is None or engine is None:
            return False
        if not answer.inside.any() and part is AcceptPart.ALL:
            raise InputError(Text("Nothing was found to accept."), Text("Give another hint inside the structure."))
        self._correction.check_unlocked(self._correction.active_label)
        named = self._choice.name_of(self._structure)
        segmentation = self._workspace.active_segmentation or self._correction.new_segmentation(named)
        self._correction.adopt(segmentation)
        if not segmentation.segments:
            self._correction.add_segment(named)
        label = self._correction.active_label
        before = segmentation.labels[answer.box.slices] == label
        after = answer.inside if engine.knows_marked else answer.inside | before
        if part is not AcceptPart.ALL:
            chosen = chosen_of(part, answer.box, volume.geometry, before ^ after, at, plane, box)
            after = np.where(chosen, after, before)
        edit = HintedEdit(label, engine.model, tuple(HintRecord.of(one) for one in self.hints), part.value)
        self._put(segmentation, label, proposal(answer.box, before, after), edit)
        if part is AcceptPart.ALL:
            self.reject()
        return True

    def _put(self, segmentation: Segmentation, label: int, found: Any, edit: HintedEdit) -> None:
        if found.is_empty:
            return
        revision, known = segmentation.revision, segmentation.provenance
        segmentation.provenance = replace(known, hinted=(*known.hinted, edit))  # the journal of the step holds it
        self._correction.put(segmentation, label, _NAME, found)
        if segmentation.revision == revision:
            segmentation.provenance = known

    # Inside

    def _check(self, hint: Hint, geometry: Geometry) -> None:
        choice = self._choice
        if hint.kind not in choice.kinds or not (hint.positive or choice.negative):
            raise InputError(
                Text.of("{name} does not take such hints.", name=choice.name), Text("Give one of another kind.")
            )
        there = box_of(hint, geometry)
        if there.is_empty:
            raise InputError(Text("The hint lies outside the image."), Text("Give it where there is something to see."))
        if hint.kind is HintKind.BOX and hint.positive:
            _check_box(there, geometry)
        known = [one for one in self.hints if not (hint.kind is HintKind.BOX and one.kind is HintKind.BOX)]
        if contradicts(hint, known, geometry):
            raise InputError(
                Text("This hint says the contrary of an earlier one at the same place."),
                Text("Undo the earlier hint, or draw beside it."),
            )
        boxed = any(one.kind is HintKind.BOX for one in (*self.hints, hint))
        if choice.needs_box and not boxed:
            raise InputError(
                Text.of("{name} looks inside a box, and there is none yet.", name=choice.name),
                Text("Draw a box around the structure first."),
            )

    def _made(self, volume: Volume) -> HintEngine:
        case = self._workspace.active_case
        if self._choice.id == TOOL_ID or self._plugins is None or case is None:
            return ToolEngine(volume)
        return self._plugins.engine(self._choice.id, case, volume, self._structure)

    def _ask(self) -> None:
        """Ask about all hints, unless something is being answered: its end asks again."""
        engine, given = self._engine, self._given[-1] if self._given else None
        if given is None or engine is None or self.running is not None:
            return
        segmentation = self._workspace.active_segmentation
        question = Question(
            given.hints,
            self.preview,
            segmentation.labels if segmentation is not None else None,
            self._correction.active_label,
        )

        def answered(answer: HintAnswer) -> None:
            # an answer to hints that were taken back meanwhile is of no interest
            if any(one is given for one in self._given):
                given.answer = answer
                self.changed.emit(None)

        self._job = self._jobs.submit(
            Text("Answering hints"),
            lambda progress: engine.answer(question, progress),
            lane=engine.lane,
            then=answered,
            failed=lambda error: self._failed(given, error),
        )
        self._job_asked = given

    def _failed(self, given: _Given, error: MedViewError) -> None:
        if any(one is given for one in self._given):
            self._problem = error
            self.changed.emit(None)

    def _job_changed(self, job: Job[Any]) -> None:
        if job is not self._job or not job.state.is_final:
            return
        asked, self._job = self._job_asked, None
        if self._given and self._given[-1] is not asked and self._given[-1].answer is None:
            self._ask()
        self.changed.emit(None)

    def _ready_volume(self) -> Volume:
        case, volume = self._workspace.active_case, self._workspace.active_volume
        if case is None or volume is None:
            raise InputError(Text("There is nothing to give hints on."), Text("Open a series first."))
        if not case.is_complete(volume.id):
            raise InputError(Text("The series is still being read."), Text("Give hints when all slices are there."))
        if not volume.is_spatial:
            raise InputError(
                Text("These pictures have no place in the patient."), Text("Hints can be given on volumes.")
            )
        if self._volume is not None and self._volume is not volume:
            self.end()
        return volume

    def _workspace_changed(self, change: WorkspaceChange) -> None:
        if isinstance(change, ActiveChanged) and self._workspace.active_volume is not self._volume:
            self.end()


def _check_box(box: Box, geometry: Geometry) -> None:
    if min(box.shape) < 2:
        raise InputError(
            Text("The box is too small to hold a structure."), Text("Draw it around all of the structure.")
        )
    if all(size >= _GIANT_SHARE * whole for size, whole in zip(box.shape, geometry.shape, strict=True)):
        raise InputError(
            Text("The box holds nearly all of the image, and says nothing."),
            Text("Draw it close around the structure."),
        )
