"""Where to look next: the doubtful places of segments, found in the background, and the way from one to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from medview.catalog.usual_sizes import UsualSize, usual_size
from medview.core.errors import InputError
from medview.core.events import Event
from medview.core.geometry import Box
from medview.core.progress import PartOf, Progress
from medview.core.segmentation import Labels, Segment, Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.editing import doubts, measure, regions
from medview.editing.doubts import Doubt, DoubtKind
from medview.inference.maps import MapKind
from medview.workstation.analysis import Analysis
from medview.workstation.correction import Correction
from medview.workstation.jobs import Job, JobQueue, JobState, Lane
from medview.workstation.settled_labels import settled
from medview.workstation.view_state import Viewing
from medview.workstation.workspace import ActiveChanged, Workspace, WorkspaceChange


@dataclass(frozen=True, slots=True)
class Place:
    """A doubtful place, with what is said of it.

    Attributes:
        doubt: Where, why and how much.
        segment: The segment's name.
        usual: Of a doubtful volume: what it usually is.
    """

    doubt: Doubt
    segment: str
    usual: UsualSize | None = None


class Doubts:
    """Finds doubtful places of the active segmentation, and goes to them. Main thread only.

    Args:
        workspace: Says what is active.
        viewing: Goes to the places.
        jobs: Look for them.
        correction: Says which segment is in work.
        analysis: Has the map of uncertainty that came with an answer.

    Attributes:
        changed: Emitted when the list, or the place in it, is another one.
    """

    def __init__(
        self, workspace: Workspace, viewing: Viewing, jobs: JobQueue, correction: Correction, analysis: Analysis
    ) -> None:
        self.changed: Event[None] = Event()
        self._workspace = workspace
        self._viewing = viewing
        self._jobs = jobs
        self._correction = correction
        self._analysis = analysis
        self._places: tuple[Place, ...] = ()
        self._looked: tuple[Segmentation, int] | None = None
        self._here = -1
        self._job: Job[Any] | None = None
        self._goes_on = 0
        workspace.changed.connect(self._on_workspace)
        correction.changed.connect(self._on_correction)
        jobs.changed.connect(self._job_changed)

    @property
    def places(self) -> tuple[Place, ...]:
        """What was found, what is about the most millilitres first; volumes that are unusual come before all."""
        return self._places

    @property
    def here(self) -> int:
        """Which of them was gone to last; -1 for none."""
        return self._here

    @property
    def is_looking(self) -> bool:
        """Whether the search is under way."""
        return self._job is not None

    @property
    def was_looked(self) -> bool:
        """Whether the list is one of the active segmentation."""
        active = self._workspace.active_segmentation
        return self._looked is not None and self._looked[0] is active

    @property
    def is_stale(self) -> bool:
        """Whether labels changed since they were looked at."""
        return self._looked is not None and self._looked[0].revision != self._looked[1]

    def look(self, *, everywhere: bool = False) -> Job[Any] | None:
        """Look for doubtful places of the segment in work, or of all segments; one search at a time.

        Returns:
            The job; None while another one is under way.

        Raises:
            InputError: There is no segment, or its image is still loading.
        """
        segmentation, case = self._workspace.active_segmentation, self._workspace.active_case
        volume, label = self._workspace.active_volume, self._correction.active_label
        if segmentation is None or volume is None or case is None or not label:
            raise InputError("There is no segment to look at.", "Run a model or draw a structure first.")
        if not case.is_complete(volume.id):
            raise InputError("The series is still loading.", "Wait until all its slices are there.")
        if self._job is not None:
            return None
        self._correction.end_stroke()
        wanted = (
            segmentation.segments if everywhere else tuple(one for one in segmentation.segments if one.label == label)
        )
        unsure, revision = self._unsure_of(volume), segmentation.revision
        self._job = self._jobs.submit(
            Text("Looking for doubtful places"),
            lambda progress: _found(segmentation, wanted, volume, unsure, progress),
            lane=Lane.DISK,
            then=lambda places: self._put(segmentation, revision, places),
        )
        self.changed.emit(None)
        return self._job

    def go(self, steps: int) -> None:
        """To the next place, or with -1 to the one before; the ends meet. Looks first where nobody has looked.

        Raises:
            InputError: There is no segment, or its image is still loading.
        """
        if not self.was_looked:
            self._goes_on = steps
            self.look()
        elif self._places:
            self.go_to((self._here + steps) % len(self._places) if self._here >= 0 or steps > 0 else -1)

    def go_to(self, number: int) -> None:
        """To a place of the list."""
        segmentation = self._workspace.active_segmentation
        if segmentation is None or not self._places:
            return
        self._here = number % len(self._places)
        doubt = self._places[self._here].doubt
        self._correction.select_segment(doubt.label)
        x, y, z = (float(one) for one in segmentation.geometry.to_patient(doubt.index))
        self._viewing.update(cursor=(x, y, z))
        self.changed.emit(None)

    def _unsure_of(self, volume: Volume) -> NDArray[Any] | None:
        """How unsure the model was, where its answer was about this volume and came with a map."""
        last = self._analysis.last
        if last is None or last.volume.id != volume.id:
            return None
        return next((one.values for one in last.result.maps if one.kind is MapKind.UNCERTAINTY), None)

    def _put(self, segmentation: Segmentation, revision: int, places: Sequence[Place]) -> None:
        if segmentation is not self._workspace.active_segmentation:
            return
        self._looked, self._places, self._here = (segmentation, revision), tuple(places), -1
        if self._goes_on and self._places:
            self.go_to(0 if self._goes_on > 0 else -1)
        self._goes_on = 0

    def _job_changed(self, job: Job[Any]) -> None:
        if job is self._job and job.state.is_final:
            self._job = None
            if job.state is not JobState.DONE:
                self._goes_on = 0
            self.changed.emit(None)

    def _on_workspace(self, change: WorkspaceChange) -> None:
        if isinstance(change, ActiveChanged) and not self.was_looked:
            self._places, self._looked, self._here, self._goes_on = (), None, -1, 0
            self.changed.emit(None)

    def _on_correction(self, _: None) -> None:
        if self._looked is not None and not self._correction.is_painting:
            self.changed.emit(None)


def _found(
    segmentation: Segmentation,
    wanted: Sequence[Segment],
    volume: Volume,
    unsure: NDArray[Any] | None,
    progress: Progress,
) -> list[Place]:
    """In a job's thread: the doubtful places of segments."""
    sizes: list[Place] = []
    places: list[Place] = []
    for number, segment in enumerate(wanted):
        part = PartOf(progress, number / len(wanted), (number + 1) / len(wanted))
        box, labels = settled(segmentation, segment.label, (1, 1, 1), part)
        if box.is_empty:
            continue
        size = _size(labels, box, segmentation, segment, volume)
        if size is not None:
            sizes.append(size)
        listed = doubts.of_segment(
            labels,
            segmentation.geometry.cropped(box),
            segment.label,
            volume.voxels[box.slices],
            unsure[box.slices] if unsure is not None else None,
            part,
        )
        places += [Place(_moved(one, box), segment.name) for one in listed]
    return sizes + sorted(places, key=lambda one: one.doubt.ml, reverse=True)


def _size(labels: Labels, box: Box, segmentation: Segmentation, segment: Segment, volume: Volume) -> Place | None:
    """A volume that is not what it usually is; None where it is, where nobody knows, or where lengths are unsafe."""
    usual = usual_size(segment.code)
    if usual is None or volume.caution is not None or not volume.is_spatial:
        return None
    geometry = segmentation.geometry
    ml = measure.ml_of(measure.count_voxels(labels), geometry).get(segment.label, 0.0)
    mask = labels == segment.label
    whole = regions.box_of(labels, segment.label).shifted(box.start)
    # What reaches the edge of the image may go on beyond it: it cannot be called too small.
    cut_off = any(a == 0 or b == n for a, b, n in zip(whole.start, whole.stop, geometry.shape, strict=True))
    if usual.least_ml <= ml <= usual.most_ml or (ml < usual.least_ml and cut_off):
        return None
    k, j, i = doubts.middle_of(mask)
    return Place(_moved(Doubt(DoubtKind.SIZE, segment.label, (k, j, i), ml), box), segment.name, usual)


def _moved(doubt: Doubt, box: Box) -> Doubt:
    k, j, i = (a + b for a, b in zip(doubt.index, box.start, strict=True))
    return replace(doubt, index=(k, j, i))
