"""Growing all segments from what was painted of them: shown first, and taken when the reader agrees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from medview.core.events import Connection, Event
from medview.core.geometry import Box
from medview.core.segmentation import Labels, LabelsChanged, Segmentation, SegmentsChanged
from medview.core.text import Text
from medview.editing import seeds
from medview.workstation.correction import Correction
from medview.workstation.edit_tools import EditTools
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.view_state import Viewing
from medview.workstation.workspace import ActiveChanged, Workspace, WorkspaceChange

_NAME = Text("Grow from seeds")


@dataclass(frozen=True, slots=True, eq=False)
class _Offer:
    """What was found, and what it was found from."""

    segmentation: Segmentation
    box: Box
    found: Labels
    looked_at: Labels


class Seeding:
    """Grows segments from seeds. Main thread only.

    What is found is drawn in place of the segmentation until it is taken or put away; a stroke puts it away.

    Args:
        workspace: Says what is active, and shows what was found.
        viewing: Says where the reader is.
        jobs: Compute.
        correction: Takes what was found.
        tools: Hold how far segments grow.

    Attributes:
        changed: Emitted when there is something to take, or no more.
    """

    def __init__(
        self, workspace: Workspace, viewing: Viewing, jobs: JobQueue, correction: Correction, tools: EditTools
    ) -> None:
        self.changed: Event[None] = Event()
        self._workspace = workspace
        self._viewing = viewing
        self._jobs = jobs
        self._correction = correction
        self._tools = tools
        self._offer: _Offer | None = None
        self._job: Job[Any] | None = None
        self._watch: Connection | None = None
        workspace.changed.connect(self._workspace_changed)

    @property
    def is_offering(self) -> bool:
        """Whether there is something to take."""
        return self._offer is not None

    @property
    def is_growing(self) -> bool:
        """Whether it is being computed."""
        return self._job is not None and not self._job.state.is_final

    def grow(self) -> Job[Any] | None:
        """Grow the segments of the active segmentation; the result is offered.

        Returns:
            The job; None when there is no segmentation.

        Raises:
            MedViewError: No volume is open, or it is still loading.
        """
        self.discard()
        found = self._correction.in_work(self._viewing.state.cursor, adds=False, spares_locked=False)
        if found is None:
            return None
        volume, segmentation = found.volume, found.segmentation
        labels, margin = segmentation.labels.copy(), self._tools.options.seeds_reach_mm

        def offer(result: tuple[Box, Labels]) -> None:
            if self._job is job and segmentation is self._workspace.active_segmentation:
                self._show(_Offer(segmentation, *result, labels[result[0].slices]))

        if self._job is not None:
            self._job.cancel()
        self._job = job = self._jobs.submit(
            _NAME,
            lambda progress: seeds.grown(volume.voxels, labels, volume.geometry, margin, progress),
            lane=Lane.DISK,
            then=offer,
        )
        return job

    def accept(self) -> None:
        """Take what was found, as one step. Locked segments stay as they are."""
        offer = self._offer
        if offer is not None:
            self.discard()
            self._correction.proposals.put_labels(offer.segmentation, _NAME, offer.box, offer.found, offer.looked_at)

    def discard(self) -> None:
        """Put away what was found."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        if self._offer is not None:
            self._offer = None
            self._workspace.clear_preview()
            self.changed.emit(None)

    def _show(self, offer: _Offer) -> None:
        volume = self._workspace.active_volume
        if volume is None:
            return
        self.discard()
        whole = offer.segmentation.labels.copy()
        whole[offer.box.slices] = offer.found
        shown = Segmentation(offer.segmentation.geometry, whole, offer.segmentation.segments)
        self._offer = offer
        self._watch = offer.segmentation.changed.connect(self._segmentation_changed)
        self._workspace.set_preview(volume.id, shown)
        self.changed.emit(None)

    def _segmentation_changed(self, change: LabelsChanged | SegmentsChanged) -> None:
        self.discard()

    def _workspace_changed(self, change: WorkspaceChange) -> None:
        if isinstance(change, ActiveChanged):
            self.discard()
