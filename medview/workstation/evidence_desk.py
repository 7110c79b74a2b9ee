"""Where a model looked when it found something: asked for by the reader, and drawn over the image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from medview.catalog.effort import Effort, effort_of
from medview.catalog.manifest import PluginManifest
from medview.catalog.plugins import PluginRecord
from medview.core.errors import MedViewError, PluginUnavailableError
from medview.core.events import Event
from medview.core.evidence import METHOD_NAMES, Cost, Evidence, EvidenceMethod, PassTime, cost_of
from medview.core.progress import Progress
from medview.core.text import Text
from medview.core.volume import Volume, VolumeId
from medview.inference import runner
from medview.inference.maps import SideMap
from medview.inference.options import RunOptions
from medview.inference.plugin import SegmentationResult
from medview.workstation.analysis import Analysis, Ready
from medview.workstation.answer_maps import MapImage, image_of, title_of
from medview.workstation.finding_record import Entry, FindingId
from medview.workstation.findings_desk import FindingsDesk
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.view_state import ViewChange, Viewing
from medview.workstation.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Offer:
    """A way in which a model can be asked, and what that costs."""

    method: EvidenceMethod
    cost: Cost


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, of which finding.

    Attributes:
        finding: Which one.
        name: The class that is spoken for.
        method: How.
        notes: What there is to say of the answer.
        map_id: The map; None while it is not there.
    """

    finding: FindingId
    name: str
    method: EvidenceMethod
    notes: tuple[Text, ...] = ()
    map_id: VolumeId | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    result: SegmentationResult
    image: MapImage


class EvidenceDesk:
    """Asks models where they looked. Main thread only.

    Args:
        workspace: Gets the maps.
        viewing: Says which map is drawn.
        jobs: Runs the models.
        analysis: Knows the plugins.
        findings: What the models have found.

    Attributes:
        changed: Emitted when what is asked or shown may have changed.
    """

    def __init__(
        self, workspace: Workspace, viewing: Viewing, jobs: JobQueue, analysis: Analysis, findings: FindingsDesk
    ) -> None:
        self.changed: Event[None] = Event()
        self._workspace = workspace
        self._viewing = viewing
        self._jobs = jobs
        self._analysis = analysis
        self._findings = findings
        self._measured: dict[str, PassTime] = {}
        self._efforts: dict[str, tuple[PluginRecord, Effort]] = {}
        self._known: dict[VolumeId, Asked] = {}
        self._maps: dict[VolumeId, tuple[SideMap, Volume]] = {}
        self._job: Job[_Answer] | None = None
        self._asked: Asked | None = None
        analysis.changed.connect(self._analysis_changed)
        viewing.changed.connect(self._viewing_changed)

    @property
    def running(self) -> Job[_Answer] | None:
        """The question that waits or is worked on; None when there is none."""
        return self._job if self._job is not None and not self._job.state.is_final else None

    @property
    def job(self) -> Job[_Answer] | None:
        """The latest question."""
        return self._job

    @property
    def asked(self) -> Asked | None:
        """What is being asked; None when nothing is."""
        return self._asked if self.running is not None else None

    @property
    def shown(self) -> Asked | None:
        """What the map over the image says; None where there is none, or one that is no evidence."""
        map_id, volume = self._viewing.state.map_id, self._workspace.active_volume
        case = self._workspace.active_case
        drawn = case.volumes.get(map_id) if case is not None and map_id is not None else None
        if map_id is None or drawn is None or volume is None or not drawn.geometry.same_grid(volume.geometry):
            return None
        return self._known.get(map_id)

    def offers(self, entry: Entry) -> tuple[Offer, ...]:
        """The ways in which a finding's model can be asked where it looked; none for what no classifier found."""
        finding = entry.finding
        if finding.algorithm is None or finding.probability is None or finding.size_mm is not None:
            return ()
        record = self._record(finding.algorithm.plugin_id)
        if record is None or record.manifest is None or _value(record.manifest, finding.name) is None:
            return ()
        axes = 2 if record.manifest.input[0].dims == 2 else 3
        measured, effort = self._measured.get(record.id), self._effort_of(record)
        averaged = self._analysis.options(record.id).ensemble
        weights = effort.weights if (effort.averaged_unasked if averaged is None else averaged) else 1
        return tuple(Offer(method, cost_of(method, axes, measured, weights)) for method in effort.evidence)

    def ask(
        self, id: FindingId, method: EvidenceMethod, failed: Callable[[MedViewError], None] | None = None
    ) -> Job[_Answer]:
        """Ask for the evidence of a finding; the map is drawn when it comes.

        Args:
            id: A finding of the series that is shown.
            method: How it is asked.
            failed: Gets the error, on the main thread.

        Raises:
            PluginUnavailableError: There is no such finding, its model cannot be asked, or is asked already.
        """
        entry = self._findings.find(id)
        if entry is None or entry.finding.algorithm is None:
            raise PluginUnavailableError(
                Text("No model has found this, so there is nobody to ask."), Text("Choose a finding of a model.")
            )
        if self.running is not None:
            raise PluginUnavailableError(
                Text("A model is being asked already."), Text("Wait until it has answered, or cancel it.")
            )
        wanted = entry.finding.algorithm
        ready = self._analysis.ready_inside(wanted.plugin_id, entry.region)
        value = _value(ready.manifest, entry.finding.name)
        if value is None:
            raise _changed(ready)
        options = RunOptions(
            ensemble=ready.options.ensemble, box=entry.region,
            evidence=Evidence(value, method, _within_region(entry)),
        )  # fmt: skip
        device, exact, words = self._analysis.device, self._analysis.exact, self._analysis.words

        def work(progress: Progress) -> _Answer:
            result = runner.run(
                ready.record, ready.volume, progress, device=device, exact=exact, others=ready.others, options=options
            )
            if result.model.sha256 != wanted.sha256:
                raise _changed(ready)
            title = title_of(result.maps[0], ready.manifest, ready.record.name, METHOD_NAMES[method])
            return _Answer(result, image_of(result.maps[0], ready.volume, words(title)))

        asked = self._asked = Asked(id, entry.finding.name, method)
        self._job = self._jobs.submit(
            Text.of("Asking {name} where it looked", name=Text(ready.record.name)),
            work,
            lane=Lane.GPU,
            then=lambda answer: self._answered(ready, replace(asked, notes=_notes(answer.result, entry)), answer),
            failed=failed,
        )
        self.changed.emit(None)
        return self._job

    def cancel(self) -> None:
        """Ask no more."""
        if self._job is not None:
            self._job.cancel()
            self.changed.emit(None)

    @property
    def drawn(self) -> tuple[SideMap, Volume] | None:
        """The map over the image, and the image that it belongs to; None where no evidence is drawn."""
        shown = self.shown
        return self._maps.get(shown.map_id) if shown is not None and shown.map_id is not None else None

    def hide(self) -> None:
        """Draw no map; it stays among the series."""
        self._viewing.update(map_id=None)

    def _answered(self, ready: Ready, asked: Asked, answer: _Answer) -> None:
        self._take_measure(ready.record.id, answer.result)
        if ready.case in self._workspace.cases and ready.volume.id in ready.case.volumes:
            answer.image.put_into(ready.case)
            map_id = answer.image.volume.id
            self._known[map_id] = replace(asked, map_id=map_id)
            self._maps[map_id] = (answer.result.maps[0], ready.volume)
            if self._workspace.active_volume is ready.volume:
                self._viewing.update(map_id=map_id)
        self.changed.emit(None)

    def _analysis_changed(self, _: None) -> None:
        last = self._analysis.last
        if last is not None:
            self._take_measure(last.plugin.id, last.result)

    def _take_measure(self, plugin_id: str, result: SegmentationResult) -> None:
        if result.measured is not None and self._measured.get(plugin_id) != result.measured:
            self._measured[plugin_id] = result.measured
            self.changed.emit(None)

    def _viewing_changed(self, change: ViewChange) -> None:
        if change.touches("map_id", "map_opacity", "volume_id"):
            self.changed.emit(None)

    def _effort_of(self, record: PluginRecord) -> Effort:
        """What a plugin can do; its configuration is only read when something is new about it."""
        known = self._efforts.get(record.id)
        if known is None or known[0] != record:
            known = self._efforts[record.id] = (record, effort_of(record))
        return known[1]

    def _record(self, plugin_id: str) -> PluginRecord | None:
        return next((one for one in self._analysis.shelf.records() if one.id == plugin_id), None)


def _value(manifest: PluginManifest, name: str) -> int | None:
    """The place of a class among a network's values."""
    return next((one.value for one in manifest.class_ if one.name == name), None)


def _within_region(entry: Entry) -> int | None:
    """The picture of a film that it was found in, counted in what the model saw; None: where it is most probable."""
    if entry.finding.frame is None:
        return None
    return entry.finding.frame - (entry.region.start[0] if entry.region is not None else 0)


def _notes(result: SegmentationResult, entry: Entry) -> tuple[Text, ...]:
    """What was noted beyond what was noted when it was found."""
    return tuple(one for one in result.remarks if str(one) not in entry.notes)


def _changed(ready: Ready) -> PluginUnavailableError:
    return PluginUnavailableError(
        Text.of("{name} is not the same as when it found this.", name=Text(ready.record.name)),
        Text("Run it again, and ask for the evidence of what it finds then."),
    )
