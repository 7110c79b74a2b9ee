"""The segment in work and other segments, other slices and the image."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from medview.core.errors import InputError
from medview.core.planes import Plane, slice_plane, stepped
from medview.core.progress import PartOf, Progress
from medview.core.segmentation import Segmentation
from medview.core.text import Text
from medview.core.volume import VolumeId
from medview.editing import combine
from medview.editing.combine import Combination
from medview.workstation.answer_maps import MapImage
from medview.workstation.correction import Correction
from medview.workstation.edit_tools import InWork
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.view_state import Viewing
from medview.workstation.workspace import Workspace

NAMES = {
    Combination.UNION: Text("Union"),
    Combination.SUBTRACT: Text("Subtract"),
    Combination.INTERSECT: Text("Intersect"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Other:
    """Another segment on the same image."""

    segmentation: Segmentation
    label: int
    name: str


class Combining:
    """Main thread only.

    Args:
        workspace: Says what is active.
        viewing: Says where the reader is.
        jobs: Compute.
        correction: Takes what they find.
    """

    def __init__(self, workspace: Workspace, viewing: Viewing, jobs: JobQueue, correction: Correction) -> None:
        self._workspace = workspace
        self._viewing = viewing
        self._jobs = jobs
        self._correction = correction

    @property
    def others(self) -> tuple[Other, ...]:
        """All segments on the active volume but the one in work."""
        case, volume = self._workspace.active_case, self._workspace.active_volume
        active, label = self._workspace.active_segmentation, self._correction.active_label
        if case is None or volume is None or active is None:
            return ()
        return tuple(
            Other(segmentation, one.label, one.name)
            for segmentation in case.segmentations_on(volume.id)
            for one in segmentation.segments
            if segmentation is not active or one.label != label
        )

    def combine(self, how: Combination, other: Other) -> Job[Any] | None:
        """Unite the segment in work with another one, subtract that, or keep what both have.

        The other one stays as it is, but for what it gives to a union within one segmentation.

        Returns:
            The job; None when there is no segment in work.

        Raises:
            MedViewError: The segment in work is locked, or both belong to one segmentation, where they cannot overlap.
        """
        found = self._in_work()
        if found is None:
            return None
        segmentation, label, name = found.segmentation, found.label, NAMES[how]
        if how is not Combination.UNION and other.segmentation is segmentation:
            raise InputError(
                "Two segments of one segmentation do not overlap.", "Choose a segment of another segmentation."
            )
        labels = segmentation.labels.copy()
        theirs = labels if other.segmentation is segmentation else other.segmentation.labels.copy()
        return self._jobs.submit(
            name,
            lambda progress: combine.combined(how, labels, label, theirs, other.label, progress),
            lane=Lane.DISK,
            then=lambda proposal: self._correction.put(segmentation, label, name, proposal, drawn=True),
        )

    def copy_to_next(self, plane: Plane, steps: int) -> None:
        """Copy the segment in work from the slice of the crosshair to one further on, and go there.

        Args:
            plane: Of the slice.
            steps: How many slices; positive towards the feet, the front or the right.

        Raises:
            MedViewError: The segment in work is locked.
        """
        found = self._in_work()
        if found is None:
            return
        geometry, cursor = found.volume.geometry, self._viewing.state.cursor
        here = geometry.nearest_voxel(cursor)
        there = stepped(geometry, plane, here, steps)
        axis = slice_plane(geometry, plane).axis
        if there == here:
            return
        proposal = combine.copied(found.segmentation.labels, found.label, axis, here[axis], there[axis])
        self._correction.put(found.segmentation, found.label, Text("Copy to the next slice"), proposal, drawn=True)
        index = geometry.to_index(cursor)
        index[axis] = there[axis]
        x, y, z = (float(value) for value in geometry.to_patient(index))
        self._viewing.update(cursor=(x, y, z))

    def mask_image(self) -> Job[Any] | None:
        """Make an image of its own of what is inside the segment in work; outside stands the least value.

        Returns:
            The job; None when there is no segment in work.

        Raises:
            MedViewError: No volume is open, or it is still loading.
        """
        found = self._in_work(spares_locked=False)
        case = self._workspace.active_case
        segment = found.segmentation.segment(found.label) if found is not None else None
        if found is None or case is None or segment is None:
            return None
        volume, label, labels = found.volume, found.label, found.segmentation.labels.copy()
        title = Text.of("Inside {name}", name=segment.name)
        if volume.description:
            title = Text.of("{image}, inside {name}", image=volume.description, name=segment.name)

        def make(progress: Progress) -> MapImage:
            from medview.formats import thumbnails

            least = float(np.nanmin(volume.voxels))
            voxels = combine.masked(volume.voxels, labels, label, least, PartOf(progress, 0.1, 0.9))
            uid = f"medview-masked-{uuid.uuid4().hex}"
            shown = replace(
                volume, id=VolumeId(uid), voxels=voxels, series_uid=uid, description=str(title), phase=0, colors=None
            )
            return MapImage(shown, thumbnails.of_volume(shown))

        return self._jobs.submit(
            Text("Image inside the segment"), make, lane=Lane.DISK, then=lambda image: image.put_into(case)
        )

    def _in_work(self, *, spares_locked: bool = True) -> InWork | None:
        if self._workspace.active_segmentation is None or not self._correction.active_label:
            return None
        return self._correction.in_work(self._viewing.state.cursor, adds=False, spares_locked=spares_locked)
