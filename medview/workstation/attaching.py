"""Brings masks that came with a study onto the series that they were drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medview.core.case import Series, SeriesKind
from medview.core.errors import GridMismatchError, MedViewError
from medview.core.progress import Progress
from medview.core.segmentation import Segmentation
from medview.core.text import Text
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

    def open(self, series_uid: str) -> Job[Attached] | None:
        """Read the masks of a series, open the images that they were drawn on, and draw them there.

        Returns:
            The job that reads them; it fails, in plain words, when their images are not open or have another grid. None
            when the series is not known or holds no masks.
        """
        case = self._workspace.case_with_series(series_uid)
        facts = case.series_with(series_uid) if case is not None else None
        if case is None or facts is None or facts.kind is not SeriesKind.MASK:
            return None
        path = facts.files[0]
        candidates = [one for other in self._workspace.cases for one in other.series if one.geometry is not None]
        # series of the masks' own study first, the largest before the others
        candidates.sort(key=lambda one: (one.study.uid != facts.study.uid, -one.slices))

        def work(progress: Progress) -> Attached:
            return _on_images(path, candidates, progress)

        title = Text.of("Opening {series}", series=facts.description or path.name)
        return self._jobs.submit(title, work, lane=Lane.DISK, then=self._read)

    def _read(self, attached: Attached) -> None:
        """The masks are there; their images may still have to be read, which the same lane does next."""
        series_uid, _ = attached
        self._importing.load(series_uid, 0)
        self._jobs.submit(
            Text("Drawing the masks"), lambda _: None, lane=Lane.DISK, then=lambda _: self._attach(attached)
        )

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
