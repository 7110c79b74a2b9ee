"""Corrected cases become training examples, and examples leave in the forms that other programs read."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from medview.core.case import Case, CaseChange, SegmentationAdded, SegmentationRemoved
from medview.core.errors import InputError
from medview.core.events import Event
from medview.core.progress import Progress
from medview.core.review import Review
from medview.core.segmentation import Labels, Provenance, Segmentation, SegmentationId
from medview.core.text import Text
from medview.core.volume import Volume
from medview.learning.draft import Draft
from medview.learning.example_record import Effort, Example
from medview.learning.examples import ExampleStore, Saved
from medview.learning.exporters import Export, ExportKind, export
from medview.workstation.decisions import decided
from medview.workstation.edit_summary import EditSummary
from medview.workstation.finding_record import Entry
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.workspace import CaseOpened, Workspace, WorkspaceChange

if TYPE_CHECKING:
    from medview.formats.dicom_series import DicomSeries


class Sources(Protocol):
    """Knows what a series was read from."""

    def source(self, series_uid: str) -> DicomSeries | Path | None:
        """The series, or the image file."""


@dataclass(frozen=True, slots=True)
class _Proposal:
    """Labels as a model proposed them, packed."""

    packed: bytes
    dtype: str
    shape: tuple[int, int, int]

    def labels(self) -> Labels:
        labels: Labels = np.frombuffer(zlib.decompress(self.packed), dtype=self.dtype).reshape(self.shape)
        return labels


class Teaching:
    """Saves examples and exports them. Main thread only; its jobs run in the disk lane.

    Args:
        workspace: The open cases.
        jobs: Where the work runs.
        importing: Knows the files of each series.
        folder: The example store.
        reader: Gives the name of whoever sits at the screen.
    """

    def __init__(
        self, workspace: Workspace, jobs: JobQueue, importing: Sources, folder: Path, reader: Callable[[], str]
    ) -> None:
        self.changed: Event[None] = Event()
        self.store = ExampleStore(folder)
        self._workspace = workspace
        self._jobs = jobs
        self._importing = importing
        self._reader = reader
        self._proposals: dict[SegmentationId, _Proposal] = {}
        self._layers: dict[SegmentationId, tuple[tuple[str, str], int]] = {}
        self._saved: dict[SegmentationId, int] = {}
        workspace.changed.connect(self._on_workspace)
        for case in workspace.cases:
            self._watch(case)

    def examples(self) -> tuple[Example, ...]:
        """The newest revision of every example, oldest first.

        Raises:
            StorageError: The store cannot be read.
        """
        return self.store.examples()

    def is_saved(self, segmentation: Segmentation) -> bool:
        """Whether the labels as they are now were saved as an example since the program started."""
        return self._saved.get(segmentation.id) == segmentation.revision

    def save_example(
        self,
        segmentation: Segmentation | None = None,
        *,
        edits: EditSummary | None = None,
        review: Review | None = None,
        saved: Callable[[Segmentation], None] | None = None,
    ) -> Job[Saved]:
        """Keep a segmentation and its image for training: a new example, or a new revision of the one that it is.

        The labels are copied now; they may be edited while the job runs.

        Args:
            segmentation: Which one; the active one when not given.
            edits: What was changed since the labels were adopted, as it was counted.
            review: What the reader said of it.
            saved: Called on the main thread when the labels are on disk and have not been changed meanwhile.

        Raises:
            InputError: There is nothing to save, or its image is still loading.
        """
        segmentation = segmentation or self._workspace.active_segmentation
        if segmentation is None:
            raise InputError("There is no segmentation to save.", "Run a model or draw a structure first.")
        case, volume = self._under(segmentation)
        if not case.is_complete(volume.id):
            raise InputError("The series is still loading.", "Wait until it is complete and save again.")
        target, revision = segmentation, segmentation.revision
        labels = segmentation.labels.copy()
        segments, provenance, study = segmentation.segments, segmentation.provenance, case.study
        files, reader = self._files(case, volume.series_uid), self._reader()
        proposal, layer = self._proposals.get(segmentation.id), self._layer(segmentation, volume)

        def work(progress: Progress) -> Saved:
            draft = Draft(
                volume,
                labels,
                segments,
                provenance,
                study,
                reader,
                files,
                proposal.labels() if proposal is not None else None,
                Effort(edits.strokes, edits.seconds, edits.added, edits.removed) if edits is not None else None,
                layer,
                review,
            )
            return self.store.save(draft, progress)

        def done(_: Saved) -> None:
            self._saved[target.id] = revision
            if target.revision == revision and saved is not None:
                saved(target)
            self.changed.emit(None)

        return self._jobs.submit(Text("Saving a training example"), work, lane=Lane.DISK, then=done)

    def save_decisions(self, case: Case, volume: Volume, entries: Sequence[Entry]) -> Job[Saved]:
        """Keep an image with what was decided on its findings, for training.

        Args:
            case: The case of the image.
            volume: The image.
            entries: Its findings; those that are open are left out.

        Raises:
            InputError: Nothing was decided on, or the image is still loading.
        """
        classes = decided(entries)
        if not classes:
            raise InputError("Nothing was decided on yet.", "Accept or reject a finding, or add one of your own.")
        if not case.is_complete(volume.id):
            raise InputError("The series is still loading.", "Wait until it is complete and save again.")
        draft = Draft(
            volume, None, (), Provenance(), case.study, self._reader(), self._files(case, volume.series_uid),
            classes=classes,
        )  # fmt: skip
        return self._jobs.submit(
            Text("Saving a training example"),
            lambda progress: self.store.save(draft, progress),
            lane=Lane.DISK,
            then=lambda _: self.changed.emit(None),
        )

    def export(self, kind: ExportKind, example_ids: Sequence[str], folder: Path) -> Job[Export]:
        """Export the newest revision of examples into a new folder.

        Args:
            kind: In which form.
            example_ids: Which ones; none means all.
            folder: The folder to make.

        Raises:
            InputError: An example is unknown.
            StorageError: The store cannot be read.
        """
        chosen = choose(self.examples(), example_ids)
        title = Text.of("Exporting {count} examples", count=len(chosen))
        return self._jobs.submit(
            title,
            lambda progress: export(self.store, chosen, kind, folder, progress),
            lane=Lane.DISK,
            then=lambda _: self.changed.emit(None),
        )

    def _under(self, segmentation: Segmentation) -> tuple[Case, Volume]:
        for case in self._workspace.cases:
            if segmentation.id in case.segmentations:
                return case, case.volume_under(segmentation.id)
        raise InputError("The segmentation belongs to no open case.", "Open its series and try again.")

    def _files(self, case: Case, series_uid: str) -> tuple[Path, ...]:
        source = self._importing.source(series_uid)
        if isinstance(source, Path):
            return (source,)
        if source is not None:
            return source.facts.files
        series = case.series_with(series_uid)
        return series.files if series is not None else ()

    def _layer(self, segmentation: Segmentation, volume: Volume) -> int:
        """Keeps two segmentations of one image, made by the same model or both by hand, from becoming one example."""
        model = segmentation.provenance.model
        origin = (volume.series_uid, model.plugin_id if model else "")
        if segmentation.id not in self._layers:
            used = {layer for key, layer in self._layers.values() if key == origin}
            free = next(number for number in range(len(used) + 1) if number not in used)
            self._layers[segmentation.id] = (origin, free)
        return self._layers[segmentation.id][1]

    def _watch(self, case: Case) -> None:
        case.changed.connect(lambda change: self._on_case(case, change))
        for segmentation in case.segmentations.values():
            self._remember(segmentation)

    def _on_workspace(self, change: WorkspaceChange) -> None:
        if isinstance(change, CaseOpened):
            for case in self._workspace.cases:
                if case.id == change.case_id:
                    self._watch(case)

    def _on_case(self, case: Case, change: CaseChange) -> None:
        if isinstance(change, SegmentationAdded):
            self._remember(case.segmentations[change.segmentation_id])
        elif isinstance(change, SegmentationRemoved):
            for known in (self._proposals, self._layers, self._saved):
                known.pop(change.segmentation_id, None)

    def _remember(self, segmentation: Segmentation) -> None:
        """Keep a model's answer as it came, to say later what was changed."""
        provenance = segmentation.provenance
        if provenance.model is None or provenance.reviewer is not None or segmentation.revision > 0:
            return
        labels, key = segmentation.labels.copy(), segmentation.id

        def pack(progress: Progress) -> _Proposal:
            return _Proposal(zlib.compress(labels.tobytes(), 1), labels.dtype.str, segmentation.geometry.shape)

        def keep(proposal: _Proposal) -> None:
            self._proposals[key] = proposal

        self._jobs.submit(Text("Keeping the model's answer to compare with"), pack, lane=Lane.DISK, then=keep)


def choose(examples: Sequence[Example], example_ids: Sequence[str]) -> tuple[Example, ...]:
    """The examples with these ids, or beginnings of ids; all of them when there are none.

    Raises:
        InputError: An id fits no example, or more than one.
    """
    if not example_ids:
        return tuple(examples)
    chosen: dict[str, Example] = {}
    for wanted in example_ids:
        fitting = [one for one in examples if one.example_id.startswith(wanted.removeprefix("case_"))]
        if len(fitting) != 1:
            what = Text.of("No example is called {name}.", name=wanted)
            if fitting:
                what = Text.of("{name} fits {count} examples.", name=wanted, count=len(fitting))
            raise InputError(what, "List the examples to see their names.")
        chosen[fitting[0].example_id] = fitting[0]
    return tuple(chosen.values())
