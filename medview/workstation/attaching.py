"""Brings masks that came with a study onto the series that they were drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medview.core.case import Series, SeriesKind
from medview.core.errors import GridMismatchError, MedViewError
from medview.core.progress import Progress
from medview.core.segmentation import Segmentation, SegmentationId
from medview.core.text import Text
from medview.core.volume import Volume
from medview.workstation import masks
from medview.workstation.correction import Correction
from medview.workstation.importing import Importing
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.view_state import Viewing
from medview.workstation.workspace import Workspace

Attached = tuple[str, tuple[Segmentation, ...]]
"""The UID of the series that masks lie on, and the masks."""


class Attaching:
    """Opens series of masks. Main thread only; its jobs run in the disk lane."""

    def __init__(
        self, workspace: Workspace, viewing: Viewing, jobs: JobQueue, importing: Importing, correction: Correction
    ) -> None:
        self._workspace = workspace
        self._viewing = viewing
        self._jobs = jobs
        self._importing = importing
        self._correction = correction
        self._attached: dict[str, SegmentationId] = {}
        self._waiting: list[tuple[Job[Volume], Attached]] = []
        jobs.changed.connect(self._job_changed)

    def open(self, series_uid: str) -> Job[Attached] | None:
        """Read the masks of a series, open the images that they were drawn on, and draw them there.

        Returns:
            The job that reads them; it fails, in plain words, when their images are not open or have another grid. None
            when the series is not known or holds no masks, or when they are there already: then they are only shown.
        """
        case = self._workspace.case_with_series(series_uid)
        facts = case.series_with(series_uid) if case is not None else None
        if case is None or facts is None or facts.kind is not SeriesKind.MASK:
            return None
        if self._show_again(series_uid):
            return None
        path = facts.files[0]
        candidates = [one for other in self._workspace.cases for one in other.series if one.geometry is not None]
        # series of the masks' own study first, the largest before the others
        candidates.sort(key=lambda one: (one.study.uid != facts.study.uid, -one.slices))

        def work(progress: Progress) -> Attached:
            return _on_images(path, candidates, progress)

        title = Text.of("Opening {series}", series=facts.description or path.name)
        return self._jobs.submit(title, work, lane=Lane.DISK, then=lambda read: self._read(series_uid, read))

    def _show_again(self, mask_uid: str) -> bool:
        known = self._attached.get(mask_uid)
        case = next((one for one in self._workspace.cases if known in one.segmentations), None)
        if case is None or known is None:
            return False
        self._workspace.activate(case, case.volume_under(known), case.segmentations[known])
        self._viewing.update(volume_id=case.volume_under(known).id, segmentation_id=known, labels_shown=True)
        return True

    def _read(self, mask_uid: str, attached: Attached) -> None:
        """The masks are there; their images may still have to be read."""
        series_uid, segmentations = attached
        self._attached[mask_uid] = segmentations[-1].id
        job = self._importing.load(series_uid, 0)
        if job is None or job.state.is_final:
            self._attach(attached)
        else:
            self._waiting.append((job, attached))

    def _job_changed(self, job: Job[Any]) -> None:
        if not job.state.is_final:
            return
        ready = [attached for waited, attached in self._waiting if waited is job]
        self._waiting = [one for one in self._waiting if one[0] is not job]
        for attached in ready:
            self._attach(attached)

    def _attach(self, attached: Attached) -> None:
        series_uid, segmentations = attached
        case = self._workspace.case_with_series(series_uid)
        volume = case.volume_of_series(series_uid) if case is not None else None
        if case is None or volume is None:
            return
        for segmentation in segmentations:
            case.add_segmentation(segmentation, volume.id)
            self._correction.adopt(segmentation)
        last = segmentations[-1]
        self._workspace.activate(case, volume, last)
        self._viewing.update(volume_id=volume.id, segmentation_id=last.id, labels_shown=True)


def _on_images(path: Path, candidates: Sequence[Series], progress: Progress) -> Attached:
    """The masks on the first series that they fit: one that they name, or else one of their patient space."""
    from medview.formats import mask_references

    references = mask_references.read(path)
    named = [one for one in candidates if one.instance_uid in references.series]
    spaces = references.spaces
    beside = [one for one in candidates if one.geometry and one.geometry.frame_of_reference_uid in spaces]
    refusal: MedViewError | None = None
    for series in [*named, *(one for one in beside if one not in named)]:
        assert series.geometry is not None
        try:
            return series.uid, masks.read_layers(path, series.geometry, progress)
        except GridMismatchError as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal
    raise GridMismatchError(
        Text.of("The images that {name} was drawn on are not open.", name=path.name),
        Text("Drop their folder too, and choose the masks again."),
    )
