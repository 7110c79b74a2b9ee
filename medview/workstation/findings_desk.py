"""Findings of the series that is shown: what models and readers found, and what the reader says of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from medview.catalog.manifest import PluginManifest
from medview.core.events import Event
from medview.core.finding import Finding, Relation, Verdict
from medview.core.geometry import Box, Point
from medview.core.segmentation import Code, ModelRef
from medview.core.volume import Volume
from medview.inference.found import BoxFound, ClassFound, Findings
from medview.workstation.analysis import Analysis, Finished
from medview.workstation.finding_record import Decided, Entry, FindingId, FindingRecord, Found, Line, summed_up
from medview.workstation.jobs import JobQueue
from medview.workstation.view_state import Viewing
from medview.workstation.workspace import ActiveChanged, Workspace, WorkspaceChange

_PLACES_SHOWN = 200
"""Of boxes and points of one answer, the most probable first."""


class FindingsDesk:
    """Holds the findings, and keeps every word on them. Main thread only.

    Args:
        workspace: Says which series is shown.
        viewing: Told where to look.
        jobs: For the way home from the disk.
        analysis: Its answers become findings.
        folder: Where the records are kept.
        reader: The reader's name.

    Attributes:
        changed: Emitted when what is shown may have changed.
        record: The files.
    """

    def __init__(
        self,
        workspace: Workspace,
        viewing: Viewing,
        jobs: JobQueue,
        analysis: Analysis,
        folder: Path,
        reader: Callable[[], str],
    ) -> None:
        self.changed: Event[None] = Event()
        self.record = FindingRecord(folder, jobs)
        self._workspace = workspace
        self._viewing = viewing
        self._analysis = analysis
        self._reader = reader
        self._lines: dict[str, tuple[Line, ...]] = {}
        self._least: dict[str, float] = {}
        self._taken: Finished | None = None
        workspace.changed.connect(self._workspace_changed)
        analysis.changed.connect(self._analysis_changed)
        self._follow()

    @property
    def shown(self) -> tuple[Entry, ...]:
        """The findings of the series that is shown: of each model the latest answer, and all that was decided."""
        volume = self._workspace.active_volume
        return self.of_series(volume.series_uid) if volume is not None else ()

    @property
    def any_decided(self) -> bool:
        """Whether something of the series that is shown was accepted, rejected or entered."""
        return any(one.finding.verdict is not Verdict.OPEN for one in self.shown)

    def of_series(self, series_uid: str) -> tuple[Entry, ...]:
        """The findings of a series that has been shown."""
        entries = summed_up(self._lines.get(series_uid, ()))
        latest: dict[str, datetime] = {}
        for one in entries:
            if one.finding.algorithm is not None:
                latest[one.finding.algorithm.plugin_id] = one.found_at
        return tuple(
            one
            for one in entries
            if one.finding.algorithm is None
            or one.finding.verdict is not Verdict.OPEN
            or one.found_at == latest[one.finding.algorithm.plugin_id]
        )

    def find(self, id: FindingId) -> Entry | None:
        """A finding of the series that is shown."""
        return next((one for one in self.shown if one.id == id), None)

    def confirm(self, id: FindingId) -> None:
        """It is there."""
        self._decide(id, Verdict.CONFIRMED, "")

    def reject(self, id: FindingId, reason: str) -> None:
        """It is not there, or is something else."""
        self._decide(id, Verdict.REJECTED, reason.strip())

    def reopen(self, id: FindingId) -> None:
        """Take back what was said of it; that it was said stays in the record."""
        self._decide(id, Verdict.OPEN, "")

    def correct(self, id: FindingId, name: str) -> None:
        """It is something else: it is rejected, and the reader's own finding put in its place."""
        entry, name = self.find(id), name.strip()
        if entry is None or not name or name == entry.finding.name:
            return
        self.reject(id, name)
        before = entry.finding
        mine = Finding(name, self._code(name), place=before.place, size_mm=before.size_mm, frame=before.frame)
        self._found_by_reader(mine, id, entry.region)

    def add(self, name: str, place: Point | None = None) -> None:
        """The reader found something.

        Args:
            name: What.
            place: Where: x, y, z, LPS, mm; None: in the image as a whole.
        """
        if name.strip():
            self._found_by_reader(Finding(name.strip(), self._code(name.strip()), place=place), None)

    def go_to(self, id: FindingId) -> None:
        """Put the crosshair where a finding is; nothing happens when it is nowhere."""
        entry, volume = self.find(id), self._workspace.active_volume
        if entry is None or volume is None:
            return
        if entry.finding.place is not None:
            self._viewing.update(cursor=entry.finding.place)
        elif entry.finding.frame is not None:
            _, rows, columns = volume.geometry.shape
            middle = volume.geometry.to_patient((entry.finding.frame, (rows - 1) / 2, (columns - 1) / 2))
            self._viewing.update(cursor=_point(middle))

    def use_as_box(self, id: FindingId) -> None:
        """Let plugins look inside the box of a finding; nothing happens where it has none.

        Raises:
            InputError: It holds nothing of the image.
        """
        entry, volume = self.find(id), self._workspace.active_volume
        place, size = (entry.finding.place, entry.finding.size_mm) if entry is not None else (None, None)
        if place is None or size is None or volume is None or not volume.is_spatial:
            return
        lower, upper = np.subtract(place, np.divide(size, 2)), np.add(place, np.divide(size, 2))
        self._analysis.search.set_between(_point(lower), _point(upper))
        self.go_to(id)

    @property
    def least(self) -> Mapping[str, float]:
        """By the plugin's id, from which probability on its boxes and points are listed."""
        return self._least

    def list_from(self, plugin_id: str, probability: float) -> None:
        """List the boxes and points of a plugin from a probability on; the others stay in the record and in files."""
        if self._least.get(plugin_id, 0.0) != probability:
            self._least[plugin_id] = probability
            self.changed.emit(None)

    def close(self) -> None:
        """Wait until everything is on the disk."""
        self.record.close()

    def _found_by_reader(self, finding: Finding, corrects: FindingId | None, region: Box | None = None) -> None:
        """What the reader finds, the reader has confirmed."""
        now, reader = datetime.now(UTC), self._reader()
        id = _new_id()
        self._write(
            Found(id=id, finding=finding, source=reader, at=now, corrects=corrects, region=region),
            Decided(id=id, verdict=Verdict.CONFIRMED, reason="", reader=reader, at=now),
        )

    def _decide(self, id: FindingId, verdict: Verdict, reason: str) -> None:
        entry = self.find(id)
        if entry is None or (entry.finding.verdict is verdict and entry.reason == reason):
            return
        self._write(Decided(id=id, verdict=verdict, reason=reason, reader=self._reader(), at=datetime.now(UTC)))

    def _write(self, *lines: Line) -> None:
        volume = self._workspace.active_volume
        if volume is not None:
            self._keep(volume.series_uid, lines)

    def _keep(self, series_uid: str, lines: tuple[Line, ...]) -> None:
        self._take_up(series_uid)
        self._lines[series_uid] = (*self._lines[series_uid], *lines)
        self.record.add(series_uid, lines)
        self.changed.emit(None)

    def _code(self, name: str) -> Code | None:
        return next((one.finding.code for one in self.shown if one.finding.name == name), None)

    def _workspace_changed(self, change: WorkspaceChange) -> None:
        if isinstance(change, ActiveChanged):
            self._follow()
            self.changed.emit(None)

    def _follow(self) -> None:
        volume = self._workspace.active_volume
        if volume is not None:
            self._take_up(volume.series_uid)

    def _take_up(self, series_uid: str) -> None:
        """Read what is known of a series, once; lines that are made meanwhile come behind it."""
        if series_uid in self._lines:
            return
        self._lines[series_uid] = ()

        def arrived(lines: tuple[Line, ...]) -> None:
            self._lines[series_uid] = (*lines, *self._lines[series_uid])
            self.changed.emit(None)

        self.record.read(series_uid, arrived)

    def _analysis_changed(self, _: None) -> None:
        last = self._analysis.last
        if last is None or last is self._taken:
            return
        self._taken = last
        at, notes = _moment(last), tuple(map(str, last.result.remarks))
        lines = tuple(
            Found(
                id=_new_id(),
                finding=one,
                source=last.plugin.name,
                at=at,
                notes=notes,
                relation=_relation(last.plugin.manifest),
                region=last.result.options.box,
            )
            for one in findings_of(last.result.findings, last.plugin.manifest, last.result.model, last.volume)
        )
        if lines:
            self._keep(last.volume.series_uid, lines)


def alternatives(entries: Sequence[Entry]) -> dict[FindingId, tuple[str, ...]]:
    """What else each finding may be: the other names in the same answer of a model.

    Nothing for a reader's own, and for classes of which each holds by itself.
    """
    names: dict[tuple[str, datetime], dict[str, None]] = {}
    for one in entries:
        names.setdefault((one.source, one.found_at), {})[one.finding.name] = None
    return {
        one.id: tuple(name for name in names[one.source, one.found_at] if name != one.finding.name)
        if one.finding.algorithm is not None and one.relation is not Relation.INDEPENDENT
        else ()
        for one in entries
    }


def findings_of(
    found: Findings, manifest: PluginManifest | None, model: ModelRef, volume: Volume
) -> tuple[Finding, ...]:
    """A plugin's answer as findings.

    Of classes that were answered picture by picture, each is one finding, where it is most probable. Of boxes and
    points the most probable are taken.

    Args:
        found: The answer.
        manifest: What the plugin says of its classes.
        model: The plugin, as it ran.
        volume: What it ran on.
    """
    known = {one.value: one for one in manifest.class_} if manifest is not None else {}
    codes = {value: one.concept for value, one in known.items()}
    points = {value: one.operating_point for value, one in known.items()}
    best: dict[int, ClassFound] = {}
    for one in found.classes:
        if one.value not in best or one.probability > best[one.value].probability:
            best[one.value] = one
    classes = [
        Finding(
            one.name, codes.get(one.value), one.probability, model, place=_of_slice(one.slice, volume),
            operating_point=points.get(one.value), interval=one.interval, frame=_frame(one.slice, volume),
        )
        for one in sorted(best.values(), key=_in_order if _relation(manifest) is Relation.ORDINAL else _most_probable)
    ]  # fmt: skip
    boxes = [
        Finding(
            one.name, codes.get(one.value), one.probability, model, place=one.center, size_mm=_size(one),
            operating_point=points.get(one.value),
        )
        for one in sorted(found.boxes, key=lambda one: -one.probability)[:_PLACES_SHOWN]
    ]  # fmt: skip
    # what a film's pictures show has no place in the patient
    marks = [
        Finding(
            one.name, codes.get(one.value), None, model, frame=_frame(one.slice, volume),
            place=one.position if volume.is_spatial else None,
        )
        for one in found.points
    ]  # fmt: skip
    return (*classes, *boxes, *marks[:_PLACES_SHOWN])


def _relation(manifest: PluginManifest | None) -> Relation:
    said = manifest.classify.relation if manifest is not None else None
    return said or Relation.EXCLUSIVE


def _in_order(found: ClassFound) -> float:
    return found.value


def _most_probable(found: ClassFound) -> float:
    return -found.probability


def _frame(slice: int | None, volume: Volume) -> int | None:
    """The picture of a film; None where there is one, or where slices have a place in the patient."""
    return slice if slice is not None and not volume.is_spatial and volume.geometry.shape[0] > 1 else None


def _size(box: BoxFound) -> Point:
    """How far a box reaches along the patient's axes."""
    x, y, z = (float(length) for length in np.abs(np.asarray(box.edges, dtype=np.float64)).sum(axis=0))
    return x, y, z


def _of_slice(slice: int | None, volume: Volume) -> Point | None:
    """The middle of a slice."""
    if slice is None or not volume.is_spatial:
        return None
    _, rows, columns = volume.geometry.shape
    x, y, z = (float(n) for n in volume.geometry.to_patient((slice, (rows - 1) / 2, (columns - 1) / 2)))
    return x, y, z


def _point(values: np.ndarray) -> Point:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _moment(finished: Finished) -> datetime:
    return finished.result.earlier or datetime.now(UTC)


def _new_id() -> FindingId:
    return FindingId(uuid.uuid4().hex)
