"""Measuring: the tool in hand, what is being drawn, and what was measured on the volume that is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from medview.core.case import Case, CaseChange, Series, SeriesFound, Use, VolumeComplete
from medview.core.events import Connection, Event
from medview.core.geometry import Floats
from medview.core.measurement import DrawnOn, Measurement, MeasurementId, MeasurementKind
from medview.core.text import Text
from medview.core.volume import Volume
from medview.editing.drawn import MM, PIXELS, LengthUnit, numbers_of
from medview.workstation.jobs import JobQueue
from medview.workstation.measurement_files import MeasurementFiles
from medview.workstation.measuring_tools import (
    KIND_NAMES,
    DraftChanged,
    MarkChanged,
    MeasurementsChanged,
    MeasuringChange,
    Sought,
    Tool,
    ToolChanged,
)
from medview.workstation.view_state import Mode, ViewChange, Viewing
from medview.workstation.workspace import ActiveChanged, Workspace, WorkspaceChange

_NO_SCALE = "no-scale"
"""The remark of series whose pixels have no known size."""


@dataclass(frozen=True, slots=True)
class _Step:
    name: Text
    before: tuple[Measurement, ...]
    after: tuple[Measurement, ...]


@dataclass
class _OfSeries:
    """All that was measured on a series, in the order in which it was made, and what can be taken back."""

    measurements: tuple[Measurement, ...] = ()
    past: list[_Step] = field(default_factory=list)
    future: list[_Step] = field(default_factory=list)


class Measuring:
    """Holds the measurements. Main thread only.

    Args:
        workspace: Says what is measured on.
        viewing: Measuring is a part of reading: a tool in hand leaves the correction, and the other way round.
        jobs: For the way home from the disk.
        folder: Where measurements are kept.
        author: The reader's name.
    """

    def __init__(
        self, workspace: Workspace, viewing: Viewing, jobs: JobQueue, folder: Path, author: Callable[[], str]
    ) -> None:
        self.changed: Event[MeasuringChange] = Event()
        self.files = MeasurementFiles(folder, jobs)
        self._workspace = workspace
        self._viewing = viewing
        self._author = author
        self._series: dict[str, _OfSeries] = {}
        self._tool: Tool | None = None
        self._draft: Measurement | None = None
        self._selected: MeasurementId | None = None
        self._pointed: MeasurementId | None = None
        self._before_reshaping: tuple[Measurement, ...] | None = None
        self._case: Case | None = None
        self._volume: Volume | None = None
        self._of_case: Connection | None = None
        workspace.changed.connect(self._workspace_changed)
        viewing.changed.connect(self._viewing_changed)
        self._follow()

    # What there is

    @property
    def tool(self) -> Tool | None:
        """What the left button draws; None when it does what it always does."""
        return self._tool

    @property
    def draft(self) -> Measurement | None:
        """What is being drawn."""
        return self._draft

    @property
    def is_reshaping(self) -> bool:
        """Whether points of a measurement are being moved."""
        return self._before_reshaping is not None

    @property
    def shown(self) -> tuple[Measurement, ...]:
        """The measurements of the volume that is shown."""
        volume = self._volume
        return self.of_volume(volume) if volume is not None else ()

    @property
    def selected(self) -> MeasurementId | None:
        """The measurement that Delete takes away."""
        return self._selected

    @property
    def pointed(self) -> MeasurementId | None:
        """The measurement under the mouse."""
        return self._pointed

    @property
    def undo_name(self) -> Text | None:
        """What would be taken back; None when nothing can be."""
        own = self._own
        return own.past[-1].name if own is not None and own.past else None

    @property
    def redo_name(self) -> Text | None:
        """What would be made again; None when nothing can be."""
        own = self._own
        return own.future[-1].name if own is not None and own.future else None

    def of_volume(self, volume: Volume) -> tuple[Measurement, ...]:
        """What was measured on a volume that has been shown."""
        own = self._series.get(volume.series_uid)
        made = own.measurements if own is not None else ()
        return tuple(one for one in made if one.drawn_on is not None and one.drawn_on.phase == volume.phase)

    # Drawing

    def use(self, tool: Tool | None) -> None:
        """Take a tool, or with None put it down."""
        self.discard()
        if tool is not None:
            self._viewing.update(mode=Mode.VIEW, annotations_shown=True)
        if tool is not self._tool:
            self._tool = tool
            self.changed.emit(ToolChanged())

    def sketch(self, kind: MeasurementKind, points: Floats, axis: int, index: int, *, finished: bool = True) -> None:
        """Show what is being drawn.

        Args:
            kind: What it is.
            points: (n, 3) x, y, z, LPS, mm.
            axis: The index axis that its slice stands on.
            index: The slice along it.
            finished: Whether it is all there, so that it has numbers.
        """
        volume = self._volume
        if volume is None:
            return
        draft = Measurement(
            kind,
            points,
            drawn_on=DrawnOn(volume.series_uid, axis, index, volume.phase),
            author=self._author(),
            frame_of_reference_uid=volume.geometry.frame_of_reference_uid,
        )
        self._draft = self._counted(draft, volume) if finished else draft
        self.changed.emit(DraftChanged())

    def discard(self) -> None:
        """Leave what is being drawn, or moved, as it was before."""
        if self._draft is not None:
            self._draft = None
            self.changed.emit(DraftChanged())
        before, self._before_reshaping = self._before_reshaping, None
        own = self._own
        if before is not None and own is not None:
            own.measurements = before
            self.changed.emit(MeasurementsChanged())

    def keep(self) -> None:
        """What is being drawn is done."""
        self.settle()
        draft, self._draft = self._draft, None
        own = self._own
        if draft is None or own is None:
            return
        self.changed.emit(DraftChanged())
        self._selected = draft.id
        self._change(own, (*own.measurements, draft), KIND_NAMES[draft.kind])

    # Changing

    def select(self, id: MeasurementId | None) -> None:
        """Mark a measurement, or none, for what comes next."""
        if id != self._selected:
            self._selected = id
            self.changed.emit(MarkChanged())

    def seek(self, id: MeasurementId) -> None:
        """Select a measurement, and have the views that are on its slice show it."""
        self.select(id)
        self.changed.emit(Sought(id))

    def point_at(self, id: MeasurementId | None) -> None:
        """Say which measurement the mouse is on."""
        if id != self._pointed:
            self._pointed = id
            self.changed.emit(MarkChanged())

    def reshape(self, id: MeasurementId, points: Floats) -> None:
        """Move points of a measurement while the mouse is dragged; `settle` ends it, `discard` takes it back."""
        own, volume = self._own, self._volume
        if own is None or volume is None:
            return
        if self._before_reshaping is None:
            self._before_reshaping = own.measurements
        own.measurements = tuple(
            self._counted(replace(one, points=points), volume) if one.id == id else one for one in own.measurements
        )
        self.changed.emit(MeasurementsChanged())

    def settle(self) -> None:
        """The points are where they shall be."""
        before, self._before_reshaping = self._before_reshaping, None
        own = self._own
        if before is None or own is None:
            return
        moved = next((new for new, old in zip(own.measurements, before, strict=True) if new is not old), None)
        if moved is not None:
            after, own.measurements = own.measurements, before
            self._change(own, after, Text.of("Move: {name}", name=KIND_NAMES[moved.kind]))

    def rename(self, id: MeasurementId, label: str) -> None:
        """Call a measurement something; an empty label gives it its usual name back."""
        self.settle()
        own, one = self._own, self._with(id)
        if own is not None and one is not None and label.strip() != one.label:
            renamed = replace(one, label=label.strip())
            after = tuple(renamed if other is one else other for other in own.measurements)
            self._change(own, after, Text.of("Rename: {name}", name=KIND_NAMES[one.kind]))

    def delete(self, id: MeasurementId) -> None:
        """Take a measurement away."""
        self.settle()
        own, one = self._own, self._with(id)
        if own is None or one is None:
            return
        self._selected = None if self._selected == id else self._selected
        self._pointed = None if self._pointed == id else self._pointed
        after = tuple(other for other in own.measurements if other is not one)
        self._change(own, after, Text.of("Delete: {name}", name=KIND_NAMES[one.kind]))

    def delete_selected(self) -> None:
        """Take the selected measurement away."""
        if self._selected is not None:
            self.delete(self._selected)

    def undo(self) -> None:
        """Take the last change on this series back."""
        self.discard()
        own = self._own
        if own is not None and own.past:
            step = own.past.pop()
            own.future.append(step)
            self._put(own, step.before, again=True)

    def redo(self) -> None:
        """Make the last change that was taken back again."""
        self.discard()
        own = self._own
        if own is not None and own.future:
            step = own.future.pop()
            own.past.append(step)
            self._put(own, step.after, again=True)

    def close(self) -> None:
        """Wait until everything is on the disk."""
        self.files.close()

    # Inside

    @property
    def _own(self) -> _OfSeries | None:
        return self._series.get(self._volume.series_uid) if self._volume is not None else None

    def _with(self, id: MeasurementId) -> Measurement | None:
        return next((one for one in self.shown if one.id == id), None)

    def _change(self, own: _OfSeries, after: tuple[Measurement, ...], name: Text) -> None:
        own.past.append(_Step(name, own.measurements, after))
        own.future.clear()
        self._put(own, after)

    def _put(self, own: _OfSeries, measurements: tuple[Measurement, ...], *, again: bool = False) -> None:
        assert self._volume is not None
        own.measurements = measurements
        if again:
            # They may be from the time before all slices had come.
            self._count_again()
        measurements = own.measurements
        self.files.write(self._volume.series_uid, measurements)
        self.changed.emit(MeasurementsChanged())

    def _counted(self, one: Measurement, volume: Volume) -> Measurement:
        """The measurement with its numbers on a volume, and with what these are worth."""
        assert one.drawn_on is not None
        unit, doubt = judged(self._series_of(volume), volume)
        axis = one.drawn_on.axis
        index = int(np.floor(volume.geometry.to_index(one.points)[:, axis].mean() + 0.5))
        values = numbers_of(one.kind, one.points, volume, axis, index, unit)
        return replace(one, values=values, drawn_on=replace(one.drawn_on, index=index), doubtful=doubt)

    def _series_of(self, volume: Volume) -> Series | None:
        return self._case.series_with(volume.series_uid) if self._case is not None else None

    def _workspace_changed(self, change: WorkspaceChange) -> None:
        if isinstance(change, ActiveChanged):
            self._follow()

    def _viewing_changed(self, change: ViewChange) -> None:
        if change.touches("mode") and change.new.mode is Mode.EDIT:
            self.use(None)

    def _follow(self) -> None:
        """Take up what is shown now."""
        case, volume = self._workspace.active_case, self._workspace.active_volume
        if volume is self._volume and case is self._case:
            return
        self.discard()
        if case is not self._case:
            if self._of_case is not None:
                self._of_case.close()
            self._case = case
            self._of_case = case.changed.connect(self._case_changed) if case is not None else None
        self._volume = volume
        self._selected = self._pointed = None
        if volume is not None and volume.series_uid not in self._series:
            own = self._series[volume.series_uid] = _OfSeries()
            self.files.read(volume.series_uid, lambda found: self._found(own, found))
        self._count_again()
        self.changed.emit(MeasurementsChanged())

    def _found(self, own: _OfSeries, found: tuple[Measurement, ...]) -> None:
        """Put what was kept before what was made meanwhile, also in everything that can be taken back."""
        if not found:
            return
        own.measurements = found + own.measurements
        own.past = [_Step(step.name, found + step.before, found + step.after) for step in own.past]
        own.future = [_Step(step.name, found + step.before, found + step.after) for step in own.future]
        if self._before_reshaping is not None and own is self._own:
            self._before_reshaping = found + self._before_reshaping
        if own.past or own.future:
            uid = next(uid for uid, one in self._series.items() if one is own)
            self.files.write(uid, own.measurements)
        if own is self._own:
            self._count_again()
            self.changed.emit(MeasurementsChanged())

    def _case_changed(self, change: CaseChange) -> None:
        volume = self._volume
        arrived = isinstance(change, VolumeComplete) and volume is not None and change.volume_id == volume.id
        judged_anew = isinstance(change, SeriesFound) and volume is not None and change.series_uid == volume.series_uid
        if arrived or judged_anew:
            self._count_again()
            self.changed.emit(MeasurementsChanged())

    def _count_again(self) -> None:
        """The numbers of what was measured before, from the voxels that are here now: all of them, or none."""
        own, volume = self._own, self._volume
        if own is None or volume is None or self._case is None or not self._case.is_complete(volume.id):
            return
        mine = {one.id for one in self.of_volume(volume)}
        own.measurements = tuple(self._counted(one, volume) if one.id in mine else one for one in own.measurements)


def judged(series: Series | None, volume: Volume) -> tuple[LengthUnit, Text | None]:
    """In what lengths on a volume are told, and why its numbers are doubtful; None when they are not."""
    remark = series.unsafe_for(Use.MEASURE) if series is not None else None
    unknown = series is not None and any(one.code == _NO_SCALE for one in series.remarks)
    return PIXELS if unknown else MM, remark.text if remark is not None else volume.caution
