"""Images that a document names: where they are among the open series, and how they come on the screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medview.core.case import Series
from medview.core.document import ImageRef
from medview.core.text import Text
from medview.core.volume import Volume
from medview.workstation.importing import Importing
from medview.workstation.jobs import Job, JobQueue
from medview.workstation.view_state import Viewing
from medview.workstation.workspace import Workspace


@dataclass(frozen=True, slots=True)
class ImagePlace:
    """Where an image is.

    Attributes:
        series: The series that holds it.
        phase: Its volume, where there are several.
        plane: The plane of the volume along k that shows it.
        number: Its number, as the scanner counts; of a frame, its number in the file.
    """

    series: Series
    phase: int
    plane: int
    number: int

    @property
    def name(self) -> Text:
        """What people call it."""
        series = self.series.description or self.series.modality.value
        return Text.of("{series}, image {number}", series=series, number=self.number)


class NamedImages:
    """Finds images by their UIDs, and shows them. Main thread only.

    Args:
        workspace: What is open.
        viewing: Told where to look.
        jobs: Tells when a series has been read.
        importing: Reads series.
    """

    def __init__(self, workspace: Workspace, viewing: Viewing, jobs: JobQueue, importing: Importing) -> None:
        self._workspace, self._viewing, self._importing = workspace, viewing, importing
        self._waiting: tuple[Job[Volume], ImagePlace] | None = None
        jobs.changed.connect(self._job_changed)

    def places_of(self, images: Iterable[ImageRef]) -> Mapping[ImageRef, ImagePlace]:
        """Where images are, of those that lie in an open series with a grid."""
        wanted = frozenset(images)
        found: dict[ImageRef, ImagePlace] = {}
        for case in self._workspace.cases:
            for series in case.series:
                if len(found) < len(wanted):
                    found |= {image: place for image, place in self._within(series, wanted) if image not in found}
        return found

    def show(self, place: ImagePlace) -> None:
        """Open the series of an image, or show it, and go to the image."""
        job = self._importing.load(place.series.uid, place.phase)
        if job is None or job.state.is_final:
            self._waiting = None
            self._go(place)
        else:
            self._waiting = (job, place)

    def _within(self, series: Series, wanted: frozenset[ImageRef]) -> Iterable[tuple[ImageRef, ImagePlace]]:
        source, geometry = self._importing.source(series.uid), series.geometry
        if source is None or isinstance(source, Path) or geometry is None:
            return
        uids = {image.uid for image in wanted}
        count = max(1, len(source.frames) // max(1, len(series.phases)))
        for number, frame in enumerate(source.frames):
            if frame.header.sop_instance_uid not in uids:
                continue
            phase, plane = divmod(number, count)
            if geometry.slices is not None and frame.position:
                plane = int(geometry.to_index(np.array(frame.position))[0].round())
            header = frame.header
            image_number = frame.index + 1 if header.frames > 1 else int(header.instance_number or number + 1)
            place = ImagePlace(series, phase, min(max(plane, 0), geometry.shape[0] - 1), image_number)
            for frame_number in (None, frame.index + 1):
                image = ImageRef(frame.header.sop_instance_uid, frame_number)
                if image in wanted:
                    yield image, place

    def _job_changed(self, job: Job[Any]) -> None:
        if self._waiting is not None and self._waiting[0] is job and job.state.is_final:
            (_, place), self._waiting = self._waiting, None
            self._go(place)

    def _go(self, place: ImagePlace) -> None:
        volume = self._workspace.active_volume
        if volume is not None and volume.series_uid == place.series.uid and volume.phase == place.phase:
            _, rows, columns = volume.geometry.shape
            x, y, z = volume.geometry.to_patient((float(place.plane), (rows - 1) / 2, (columns - 1) / 2))
            self._viewing.update(cursor=(float(x), float(y), float(z)))
