"""Running plugins on the volume that is looked at, and taking their results into the case."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from medview.catalog.fit import Fit, contrast_of, fit_volume
from medview.catalog.manifest import PluginManifest
from medview.catalog.plugins import PluginRecord, PluginState
from medview.core.case import Case
from medview.core.errors import MedViewError, PluginUnavailableError, StorageError
from medview.core.events import Event
from medview.core.geometry import Box
from medview.core.progress import Progress
from medview.core.segmentation import Labels, Provenance, Segment, Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import runner
from medview.inference.earlier_runs import EarlierRuns
from medview.inference.options import RunOptions
from medview.inference.plugin import SegmentationResult
from medview.workstation.answer_maps import MapImage, image_of, title_of
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.plugin_inputs import PluginInputs
from medview.workstation.plugin_shelf import PluginShelf
from medview.workstation.search_box import SearchBox, size_for
from medview.workstation.view_state import Viewing
from medview.workstation.workspace import Workspace

_log = logging.getLogger(__name__)


class Adopting(Protocol):
    """Who keeps a journal of a segmentation from now on."""

    def adopt(self, segmentation: Segmentation) -> None:
        """Start with a segmentation that came from a model."""


@dataclass(frozen=True, slots=True)
class Ready:
    """All that a run needs.

    Attributes:
        record: The plugin.
        manifest: What it says of itself.
        case: The case of the image.
        volume: The image, or the first of several.
        others: The further ones, by the names of their inputs.
        options: What is asked of it.
    """

    record: PluginRecord
    manifest: PluginManifest
    case: Case
    volume: Volume
    others: Mapping[str, Volume]
    options: RunOptions


@dataclass(frozen=True, slots=True)
class Finished:
    """A plugin's answer, and what it was an answer to.

    Attributes:
        plugin: The plugin as it ran.
        volume: What it ran on.
        result: What it found.
        segmentation: What was made of it; None when the volume has been closed meanwhile, or its task is another one.
        layers: The others that were made of it, where its structures may overlap.
        images: The maps that came with it, as images of the case.
    """

    plugin: PluginRecord
    volume: Volume
    result: SegmentationResult
    segmentation: Segmentation | None
    layers: tuple[Segmentation, ...] = ()
    images: tuple[Volume, ...] = ()

    @property
    def segmentations(self) -> tuple[Segmentation, ...]:
        """All that was made of it."""
        return () if self.segmentation is None else (self.segmentation, *self.layers)


class Analysis:
    """The plugins, the run in progress and the last answer. Main thread only.

    Args:
        workspace: Whose active volume is analysed.
        viewing: Shows the result.
        jobs: Runs the plugin.
        correction: Takes the result over for editing.
        shelf: Where the plugins are.
        inputs: Which series each input of a plugin gets.
        earlier: The answers of earlier runs.
    """

    def __init__(
        self,
        workspace: Workspace,
        viewing: Viewing,
        jobs: JobQueue,
        correction: Adopting,
        shelf: PluginShelf,
        inputs: PluginInputs,
        earlier: EarlierRuns,
    ) -> None:
        self.changed: Event[None] = Event()
        self.device = "auto"
        self.exact = False
        self.earlier = earlier
        self.words: Callable[[Text], str] = str
        """Says a sentence in the language of the window."""
        self._workspace = workspace
        self._viewing = viewing
        self._jobs = jobs
        self._correction = correction
        self.shelf = shelf
        self.inputs = inputs
        self.search = SearchBox(workspace)
        self._options: dict[str, RunOptions] = {}
        self._running_id = ""
        self._failures: dict[str, Text] = {}
        self._job: Job[SegmentationResult] | None = None
        self._last: Finished | None = None
        self._so_far: Segmentation | None = None
        self.search.changed.connect(self.changed.emit)
        jobs.changed.connect(self._job_changed)
        shelf.changed.connect(self.changed.emit)

    @property
    def running(self) -> Job[SegmentationResult] | None:
        """The run that waits or goes on; None when there is none."""
        return self._job if self._job is not None and not self._job.state.is_final else None

    @property
    def last(self) -> Finished | None:
        """The latest answer."""
        return self._last

    def plugins(self) -> tuple[PluginRecord, ...]:
        """All plugins found, also those that cannot be used, each as it is now: running, or failed the last time."""
        return tuple(self._now(record) for record in self.shelf.records())

    def fitting(self, volume: Volume) -> tuple[tuple[PluginRecord, Fit], ...]:
        """Every plugin with whether it suits a volume, those that do first."""
        judged = [
            (self._now(record), self._fit(record, volume, self._part(record.id, volume)))
            for record in self.shelf.records()
        ]
        return tuple(sorted(judged, key=lambda one: not one[1].ok))

    def options(self, plugin_id: str) -> RunOptions:
        """What is asked of the next run of a plugin."""
        return self._options.get(plugin_id, RunOptions())

    def choose(self, plugin_id: str, options: RunOptions) -> None:
        """Say what the next runs of a plugin shall do; it holds until the program ends."""
        if options != self.options(plugin_id):
            self._options[plugin_id] = options
            self.changed.emit(None)

    def set_box(self, plugin_id: str) -> None:
        """Set a box around the crosshair, of a size that a plugin likes."""
        volume = self._workspace.active_volume
        manifest = self.shelf.record(plugin_id).manifest
        if volume is not None and manifest is not None:
            size = size_for(manifest.input[0].maximum_extent_mm, volume.geometry)
            self.search.place(self._viewing.state.cursor, size)

    def ready(self, plugin_id: str) -> Ready:
        """All that a run of a plugin on the active volume needs.

        Raises:
            PluginUnavailableError: There is no such plugin, no volume, its slices are still arriving, or they do not
                suit each other.
        """
        _, volume = self._ready_volume()
        return self.ready_inside(plugin_id, self._part(plugin_id, volume))

    def ready_inside(self, plugin_id: str, box: Box | None) -> Ready:
        """As `ready`, for a run on a part of the image that is shown, (k, j, i), or with None on all of it."""
        record = self._record(plugin_id)
        case, volume = self._ready_volume()
        fit = self._fit(record, volume, box)
        if not fit.ok:
            raise PluginUnavailableError(
                Text.of("{name} cannot run on this series. {reason}", name=Text(record.name), reason=fit.reasons[0]),
                fit.reasons[-1] if fit.needs_box else Text("Choose another series or another plugin."),
            )
        manifest = runner.ready_manifest(record)
        others = self.inputs.volumes(manifest, case, volume)
        first = others.pop(manifest.input[0].name, volume)
        if not first.geometry.same_grid(volume.geometry):
            box = self.search.on(first)
        return Ready(record, manifest, case, first, others, replace(self.options(plugin_id), box=box))

    def run(self, plugin_id: str, *, anew: bool = False) -> Job[SegmentationResult]:
        """Run a plugin on the active volume, in the background. Its result is accepted when it comes.

        Args:
            plugin_id: Which one.
            anew: Whether it is run although an earlier run has given the answer.

        Raises:
            PluginUnavailableError: There is no such plugin, no volume, its slices are still arriving, or they do not
                suit each other.
        """
        ready = self.ready(plugin_id)
        if self.running is not None:
            raise PluginUnavailableError(
                Text("A plugin is running already."), Text("Wait until it is done, or cancel it.")
            )
        device, exact, options = self.device, self.exact, ready.options
        record, manifest, case, volume = ready.record, ready.manifest, ready.case, ready.volume
        segments = manifest.segments

        def seen(box: Box, labels: Labels) -> None:
            self._jobs.post(lambda: self._seen(volume, segments, box, labels))

        images: list[MapImage] = []
        words = self.words

        def work(progress: Progress) -> SegmentationResult:
            result = runner.run(
                record, volume, progress, device=device, exact=exact, preview=seen, others=ready.others,
                options=options, earlier=self.earlier, anew=anew,
            )  # fmt: skip
            for one in result.maps:
                progress.raise_if_cancelled()
                images.append(image_of(one, volume, words(title_of(one, manifest, record.name))))
            return result

        def done(result: SegmentationResult) -> None:
            self._done(record, case, volume, result, images)

        self._failures.pop(plugin_id, None)
        self._running_id = plugin_id
        self._job = self._jobs.submit(
            Text.of("{name} is running", name=Text(record.name)),
            work,
            lane=Lane.GPU,
            then=done,
            failed=self._failed,
        )
        self.changed.emit(None)
        return self._job

    def accept(self, result: SegmentationResult, case: Case, volume: Volume, *, name: str = "") -> Segmentation:
        """Put a plugin's answer into the case, show it and open it for correction.

        Args:
            result: The answer.
            case: The open case of the volume.
            volume: What was analysed; must be held by the case.
            name: What the list calls it.

        Returns:
            The new segmentation. It takes the answer's labels over. Structures that may overlap become a segmentation
            each; this is the first one.
        """
        return self._accept(result, case, volume, name)[0]

    def _accept(self, result: SegmentationResult, case: Case, volume: Volume, name: str) -> tuple[Segmentation, ...]:
        title = name or result.model.plugin_id
        provenance = Provenance(model=result.model)
        made = [
            Segmentation(volume.geometry, labels, (segment,), title=f"{title}: {segment.name}", provenance=provenance)
            for labels, segment in zip(result.layers, result.segments, strict=False)
        ] or [Segmentation(volume.geometry, result.labels, result.segments, title=title, provenance=provenance)]
        for segmentation in made:
            case.add_segmentation(segmentation, volume.id)
        if self._workspace.active_volume in (None, volume):
            self._workspace.activate(case, volume, made[0])
            self._viewing.update(volume_id=volume.id, segmentation_id=made[0].id, labels_shown=True)
        for segmentation in made:
            self._correction.adopt(segmentation)
        return tuple(made)

    def _seen(self, volume: Volume, segments: tuple[Segment, ...], box: Box, labels: Labels) -> None:
        """Draw what a running plugin has found; what comes after its end is of no interest."""
        if self.running is None:
            return
        if self._so_far is None:
            empty = np.zeros(volume.geometry.shape, dtype=labels.dtype)
            self._so_far = Segmentation(volume.geometry, empty, segments)
            self._workspace.set_preview(volume.id, self._so_far)
        self._so_far.write(box, labels)

    def _job_changed(self, job: Job[Any]) -> None:
        if job is self._job and job.state.is_final:
            self._so_far = None
            self._workspace.clear_preview()

    def _done(
        self, record: PluginRecord, case: Case, volume: Volume, result: SegmentationResult, images: Sequence[MapImage]
    ) -> None:
        made: tuple[Segmentation, ...] = ()
        if case in self._workspace.cases and volume.id in case.volumes:
            for one in images:
                one.put_into(case)
            if result.segments:
                made = self._accept(result, case, volume, record.name)
        try:
            self.shelf.keep_card(record, result.model)
        except StorageError:
            _log.warning("The model card of %s could not be kept.", record.id, exc_info=True)
        shown = tuple(one.volume for one in images)
        self._last = Finished(record, volume, result, made[0] if made else None, made[1:], shown)
        self.changed.emit(None)

    def _failed(self, error: MedViewError) -> None:
        self._failures[self._running_id] = error.what
        self.changed.emit(None)

    def _now(self, record: PluginRecord) -> PluginRecord:
        """A plugin that is ready may be running, or have failed the last time."""
        if record.state is not PluginState.READY:
            return record
        if self.running is not None and record.id == self._running_id:
            return replace(record, state=PluginState.RUNNING)
        if record.id in self._failures:
            return replace(record, state=PluginState.FAILED, reason=self._failures[record.id])
        return record

    def _record(self, plugin_id: str) -> PluginRecord:
        record = self.shelf.record(plugin_id)
        runner.ready_manifest(record)
        return record

    def _ready_volume(self) -> tuple[Case, Volume]:
        case, volume = self._workspace.active_case, self._workspace.active_volume
        if case is None or volume is None:
            raise PluginUnavailableError(Text("No series is open."), Text("Open a series first."))
        if not case.is_complete(volume.id):
            raise PluginUnavailableError(
                Text("The series is still being read."), Text("Run the plugin when all slices are there.")
            )
        return case, volume

    def _part(self, plugin_id: str, volume: Volume) -> Box | None:
        """The part of an image that a plugin would get to see: the picture that is shown, where that is wished for."""
        if self.options(plugin_id).one_picture and volume.geometry.shape[0] > 1:
            _, rows, columns = volume.geometry.shape
            shown = volume.geometry.nearest_voxel(self._viewing.state.cursor)[0]
            return Box((shown, 0, 0), (shown + 1, rows, columns))
        return self.search.on(volume)

    def _fit(self, record: PluginRecord, volume: Volume, box: Box | None) -> Fit:
        if record.manifest is None or record.state is not PluginState.READY:
            return Fit(False, (record.reason,))
        case = self._workspace.case_with_series(volume.series_uid)
        series = case.series_with(volume.series_uid) if case is not None else None
        return fit_volume(
            record.manifest,
            volume,
            body_part=series.body_part if series is not None else "",
            contrast=contrast_of(series) if series is not None else None,
            box=box,
        )
