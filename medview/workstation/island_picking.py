"""Picking one part of a segment: to keep it alone, to take it away, or to make a segment of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from medview.core.geometry import Index, Point
from medview.core.progress import PartOf, Progress
from medview.core.segmentation import Labels, Segmentation
from medview.core.text import Text
from medview.editing import growing, regions
from medview.editing.brush import Stamp
from medview.editing.reshape import Proposal
from medview.workstation.correction import Correction
from medview.workstation.edit_tools import IslandAction
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.workspace import Workspace

_NAMES = {
    IslandAction.KEEP: Text("Keep one part"),
    IslandAction.REMOVE: Text("Remove one part"),
    IslandAction.APART: Text("One part for itself"),
}


class IslandPicking:
    """Main thread only.

    Args:
        workspace: Says what is active.
        jobs: Compute.
        correction: Takes what is found.
    """

    def __init__(self, workspace: Workspace, jobs: JobQueue, correction: Correction) -> None:
        self._workspace = workspace
        self._jobs = jobs
        self._correction = correction

    def in_slice(self, point: Point, axis: int) -> Stamp | None:
        """What hangs together, within a slice, with the segment at a point: x, y, z, LPS, mm. None without one."""
        at = self._at(point)
        if at is None:
            return None
        segmentation, voxel, label = at
        return growing.grown(segmentation.labels, voxel, label, label, axis)

    def pick(self, point: Point, action: IslandAction) -> Job[Any] | None:
        """Do something with the part at a point; its segment is in work from then on.

        Args:
            point: x, y, z, LPS, mm.
            action: What.

        Returns:
            The job; None where there is no segment.

        Raises:
            MedViewError: The segment is locked.
        """
        at = self._at(point)
        if at is None:
            return None
        segmentation, voxel, label = at
        self._correction.check_unlocked(label)
        self._correction.select_segment(label)
        self._correction.end_stroke()
        self._correction.adopt(segmentation)
        labels, name = segmentation.labels.copy(), _NAMES[action]

        def put(found: Proposal) -> None:
            if action is IslandAction.APART:
                self._correction.proposals.put_apart(segmentation, label, name, [found])
            else:
                self._correction.put(segmentation, label, name, found)

        return self._jobs.submit(
            name,
            lambda progress: _lost(labels, voxel, label, keeps=action is IslandAction.KEEP, progress=progress),
            lane=Lane.DISK,
            then=put,
        )

    def _at(self, point: Point) -> tuple[Segmentation, Index, int] | None:
        segmentation = self._workspace.active_segmentation
        voxel = segmentation.geometry.voxel_at(point) if segmentation is not None else None
        if segmentation is None or voxel is None:
            return None
        label = int(segmentation.labels[voxel])
        return (segmentation, voxel, label) if segmentation.segment(label) is not None else None


def _lost(labels: Labels, voxel: Index, label: int, *, keeps: bool, progress: Progress) -> Proposal:
    """What a segment loses: the part at a voxel, or `keeps` all others."""
    box = regions.box_of(labels, label, PartOf(progress, 0.0, 0.3))
    k, j, i = (a - b for a, b in zip(voxel, box.start, strict=True))
    inner, part = growing.grown(labels[box.slices], (k, j, i), label, label, None, PartOf(progress, 0.3, 1.0))
    if not keeps:
        return Proposal(inner.shifted(box.start), np.zeros_like(part), part)
    others = labels[box.slices] == label
    others[inner.slices] &= ~part
    return Proposal(box, np.zeros_like(others), others)
