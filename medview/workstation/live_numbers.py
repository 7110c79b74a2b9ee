"""Volume and mean of the segment in work, during a stroke too."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from medview.core.events import Connection, Event
from medview.core.geometry import Index
from medview.core.segmentation import LabelsChanged, Segmentation, SegmentsChanged
from medview.core.text import Text
from medview.core.volume import Volume
from medview.editing import blocks
from medview.editing.block_totals import BlockTotals, Counts, Sums, count_all
from medview.workstation.correction import Correction
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.workspace import ActiveChanged, Workspace, WorkspaceChange

_MOST_KEPT = 8
"""Segments whose totals are kept, so that going back to one needs no counting."""
_ML = 1000.0


@dataclass(frozen=True, slots=True)
class LiveNumbers:
    """What is told of the segment in work.

    Attributes:
        segment: Its name.
        ml: Its volume.
        mean: The mean of the image under it; None where it has no voxels, or the image has no numbers.
        unit: Of the mean.
        caution: Why a volume on this image cannot be trusted; None when it can.
    """

    segment: str
    ml: float
    mean: float | None
    unit: str
    caution: Text | None


@dataclass
class _Kept:
    """The totals of a segment, None while they are counted, and the blocks that were written to since."""

    totals: BlockTotals | None = None
    stale: set[Index] = field(default_factory=set)


class Live:
    """Counts the segment in work once in the background, and then only what is written to. Main thread only.

    Args:
        workspace: Says what is active.
        jobs: Count for the first time.
        correction: Says which segment is in work.

    Attributes:
        changed: Emitted when the numbers may be others; `numbers` works them out when asked.
    """

    def __init__(self, workspace: Workspace, jobs: JobQueue, correction: Correction) -> None:
        self.changed: Event[None] = Event()
        self._workspace = workspace
        self._jobs = jobs
        self._correction = correction
        self._segmentation: Segmentation | None = None
        self._volume: Volume | None = None
        self._kept: dict[int, _Kept] = {}
        self._watch: Connection | None = None
        self._job: Job[Any] | None = None
        workspace.changed.connect(self._on_workspace)
        correction.changed.connect(self._on_correction)

    def numbers(self) -> LiveNumbers | None:
        """Those of the segment in work; None where there is none, or it is still being counted."""
        segmentation, volume, label = self._segmentation, self._volume, self._correction.active_label
        kept = self._kept.get(label)
        segment = segmentation.segment(label) if segmentation is not None else None
        if segmentation is None or volume is None or segment is None:
            return None
        if kept is None or kept.totals is None:
            self._count(segmentation, volume, label)
            return None
        kept.totals.count_again(kept.stale, segmentation.labels, _values(volume))
        kept.stale.clear()
        ml = kept.totals.voxels * segmentation.geometry.voxel_mm3 / _ML
        return LiveNumbers(segment.name, ml, kept.totals.mean, volume.unit, volume.caution)

    def _count(self, segmentation: Segmentation, volume: Volume, label: int) -> None:
        case = self._workspace.active_case
        if label in self._kept or case is None or not case.is_complete(volume.id):
            return
        while len(self._kept) >= _MOST_KEPT:
            self._kept.pop(next(iter(self._kept)))
        kept = self._kept[label] = _Kept()
        labels, voxels = segmentation.labels, _values(volume)

        def counted(found: tuple[Counts, Counts, Sums]) -> None:
            # What was written to meanwhile is in `stale`, and counted anew with the next question.
            kept.totals = BlockTotals(label, *found)
            self.changed.emit(None)

        self._job = self._jobs.submit(
            Text("Measuring the segment"),
            lambda progress: count_all(labels, voxels, label, progress),
            lane=Lane.DISK,
            then=counted,
        )

    def _on_workspace(self, change: WorkspaceChange) -> None:
        if not isinstance(change, ActiveChanged):
            return
        segmentation, volume = self._workspace.active_segmentation, self._workspace.active_volume
        if segmentation is not self._segmentation or volume is not self._volume:
            if self._watch is not None:
                self._watch.close()
            if self._job is not None:
                self._job.cancel()
            self._kept = {}
            self._segmentation, self._volume = segmentation, volume
            self._watch = segmentation.changed.connect(self._written) if segmentation is not None else None
        self.changed.emit(None)

    def _written(self, change: LabelsChanged | SegmentsChanged) -> None:
        if isinstance(change, LabelsChanged) and self._segmentation is not None:
            touched = tuple(blocks.covering(change.box, self._segmentation.geometry.shape))
            for kept in self._kept.values():
                kept.stale.update(touched)
        self.changed.emit(None)

    def _on_correction(self, _: None) -> None:
        self.changed.emit(None)


def _values(volume: Volume) -> NDArray[Any] | None:
    return volume.voxels if volume.colors is None else None
