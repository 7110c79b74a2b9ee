"""The surfaces of a segmentation, made anew in the background for the segments that were edited, and no others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from vtkmodules.vtkCommonDataModel import vtkPolyData

from medview.core.geometry import Box
from medview.core.progress import PartOf, Progress
from medview.core.segmentation import Drawn, Labels, Segmentation
from medview.core.text import Text
from medview.editing import regions
from medview.views.surfaces import LabelCopy, make_surfaces
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.settled_labels import while_settled

_NOWHERE = Box((0, 0, 0), (0, 0, 0))


@dataclass(frozen=True, slots=True)
class _Made:
    """Surfaces by label, of those that have voxels, and for each label that was looked at a box around its voxels."""

    surfaces: Mapping[int, vtkPolyData]
    boxes: Mapping[int, Box]


class SurfaceMaker:
    """Keeps the surfaces of one segmentation up to date; one job at a time, and none while somebody paints.

    Args:
        jobs: Make them.
        is_painting: Whether somebody paints just now.
        show: Gets all surfaces, by label, and what they are of if not of the segmentation itself.
    """

    def __init__(
        self,
        jobs: JobQueue,
        is_painting: Callable[[], bool],
        show: Callable[[Mapping[int, vtkPolyData], Drawn | None], None],
    ) -> None:
        self._jobs = jobs
        self._is_painting = is_painting
        self._show = show
        self._segmentation: Segmentation | None = None
        self._drawn: Drawn | None = None
        self._surfaces: dict[int, vtkPolyData] = {}
        self._boxes: dict[int, Box] = {}
        self._known = False
        self._edited: set[int] = set()
        self._written = self._grown = _NOWHERE
        self._job: Job[_Made] | None = None
        self._waiting = self._unshown = False

    def follow(self, segmentation: Segmentation | None, drawn: Drawn | None) -> None:
        """Make the surfaces of a segmentation from now on, or of what is drawn in its place; all of them are made."""
        if self._job is not None:
            self._job.cancel()
            self._job = None
        self._surfaces = {}
        self._segmentation, self._drawn = segmentation, drawn
        self._forget()
        self.request()

    def written(self, box: Box) -> None:
        """Labels inside a box were written; by what, `edited` says, or nobody does: then all may be others."""
        self._written = self._written.union(box)

    def edited(self, labels: Collection[int]) -> None:
        """What was written since the last edit was an edit of these labels."""
        self._edited.update(labels)
        self._grown = self._grown.union(self._written)
        self._written = _NOWHERE

    def request(self) -> None:
        """Make what is out of date, now or as soon as nobody paints and the job at work is done."""
        segmentation = self._segmentation
        if segmentation is None:
            return
        self._waiting = True
        if self._is_painting() or (self._job is not None and not self._job.state.is_final):
            return
        self._waiting = False
        wanted = [one.label for one in (self._drawn.segments if self._drawn is not None else segmentation.segments)]
        for label in self._surfaces.keys() - set(wanted):
            del self._surfaces[label]
            self._unshown = True
        if self._unshown:
            self._unshown = False
            self._show(dict(self._surfaces), self._drawn)
        if self._drawn is not None or not self._written.is_empty:
            self._forget()
        stale = [one for one in wanted if not self._known or one in self._edited or one not in self._boxes]
        if not stale:
            return
        boxes = {label: self._box_of(label) for label in stale if label in self._boxes} if self._known else {}
        drawn = self._drawn
        self._known = True
        self._edited.clear()
        self._written = self._grown = _NOWHERE
        self._job = job = self._jobs.submit(
            Text("Surfaces"),
            lambda progress: _make(segmentation, drawn, stale, boxes, progress),
            lane=Lane.DISK,
            then=lambda made: self._put(job, made),
            failed=lambda _: self._put(job, None),
        )

    def close(self) -> None:
        """Make none any more."""
        self._segmentation = None
        if self._job is not None:
            self._job.cancel()

    def go_on(self) -> None:
        """Nobody paints any more: show what came meanwhile, and make what is out of date."""
        if self._waiting or self._unshown:
            self.request()

    def _forget(self) -> None:
        self._known, self._boxes = False, {}
        self._edited.clear()
        self._written = self._grown = _NOWHERE

    def _box_of(self, label: int) -> Box:
        """Where a label can have voxels: where it had some, or somebody has written since."""
        return self._boxes[label].union(self._grown) if label in self._edited else self._boxes[label]

    def _put(self, job: Job[_Made], made: _Made | None) -> None:
        if job is not self._job:
            return
        self._job = None
        if made is not None:
            for label in made.boxes:
                self._surfaces.pop(label, None)
            self._surfaces |= made.surfaces
            self._boxes |= made.boxes
            # To draw them takes the time of many moves of the brush: they wait until it is lifted.
            self._unshown = True
            if not self._is_painting():
                self._unshown = False
                self._show(dict(self._surfaces), self._drawn)
        if self._waiting:
            self.request()


def _make(
    segmentation: Segmentation, drawn: Drawn | None, wanted: list[int], boxes: Mapping[int, Box], progress: Progress
) -> _Made:
    """In a job's thread: the surfaces of some labels, within boxes where these are known."""
    known = len(boxes) == len(wanted)
    union = _NOWHERE
    for box in boxes.values():
        union = union.union(box)
    if not known:
        union = Box.whole(segmentation.geometry.shape)
    if union.is_empty:
        return _Made({}, dict.fromkeys(wanted, _NOWHERE))

    def look() -> Labels:
        labels: Labels = segmentation.labels[union.slices].copy() if drawn is None else drawn.within(union)
        return labels

    labels = while_settled(segmentation, look, PartOf(progress, 0.0, 0.2))
    if not known:
        boxes = regions.boxes_of(labels, wanted, PartOf(progress, 0.2, 0.4))
    surfaces: dict[int, vtkPolyData] = {}
    found: dict[int, Box] = {}
    for number, label in enumerate(wanted):
        progress.raise_if_cancelled()
        progress.report(0.4 + 0.6 * number / len(wanted))
        k, j, i = union.start
        inner = boxes[label].shifted((-k, -j, -i)) if known else boxes[label]
        tight = Box.around(labels[inner.slices] == label).shifted(inner.start) if not inner.is_empty else inner
        found[label] = tight.shifted(union.start) if not tight.is_empty else _NOWHERE
        if not tight.is_empty:
            geometry = segmentation.geometry.cropped(found[label])
            surfaces |= make_surfaces(LabelCopy(labels[tight.slices], geometry, (label,)), PartOf(progress, 0.4, 0.4))
    return _Made(surfaces, found)
