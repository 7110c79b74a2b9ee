"""Changing a whole segment: in the background, as one step to undo."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

import numpy as np

from medview.core.geometry import Box, Geometry, Index
from medview.core.planes import Plane, slice_plane
from medview.core.progress import PartOf, Progress
from medview.core.segmentation import Labels, Segmentation
from medview.core.text import Text
from medview.editing import interpolate, joint_smoothing, reshape
from medview.editing.reshape import Change, Proposal
from medview.workstation.correction import Correction
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.settled_labels import settled
from medview.workstation.workspace import Workspace

MOST_PARTS = 20
"""How many segments a segment is split into at most; smaller parts stay with the largest one."""


class Unit(StrEnum):
    """What the number of a change is in."""

    MM = "mm"
    ML = "ml"


@dataclass(frozen=True, slots=True)
class Amount:
    """The number that a change takes."""

    unit: Unit
    usual: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Shape:
    """One way to change a segment.

    Attributes:
        name: What the user calls it; also the name of the step.
        help: What it does.
        change: Makes the change, given the number; without `amount`, the number is not looked at. None: all segments
            are smoothed together, and not only the one in work changed.
        amount: The number; None when it takes none.
    """

    name: Text
    help: Text
    change: Callable[[float], Change] | None
    amount: Amount | None = None


def _mm(usual: float) -> Amount:
    return Amount(Unit.MM, usual, 0.1, 50.0)


SHAPES: tuple[Shape, ...] = (
    Shape(
        Text("Keep the largest part"),
        Text("Takes away what does not hang together with the largest part."),
        lambda _: reshape.KeepLargest(),
    ),
    Shape(
        Text("Remove small parts"),
        Text("Takes away parts smaller than this."),
        reshape.RemoveSmall,
        Amount(Unit.ML, 0.1, 0.001, 1000.0),
    ),
    Shape(Text("Fill holes"), Text("Fills what is enclosed on all sides."), lambda _: reshape.FillHoles()),
    Shape(
        Text("Smooth (median)"),
        Text("Every voxel follows the majority around it: thin spurs go, edges stay."),
        reshape.Median,
        _mm(2.0),
    ),
    Shape(
        Text("Smooth (Gaussian)"),
        Text("Rounds the surface; thin structures get thinner."),
        reshape.Gaussian,
        _mm(1.0),
    ),
    Shape(
        Text("Smooth all together"),
        Text("Rounds all segments of the segmentation at once; no gaps open between them."),
        None,
        _mm(1.0),
    ),
    Shape(
        Text("Remove spurs (opening)"),
        Text("Takes away what a ball of this radius does not fit into."),
        reshape.Open,
        _mm(2.0),
    ),
    Shape(
        Text("Close gaps (closing)"),
        Text("Fills gaps and dents that a ball of this radius does not fit into."),
        reshape.Close,
        _mm(2.0),
    ),
    Shape(
        Text("Grow"), Text("Adds what lies within this distance, where there is background."), reshape.Grow, _mm(2.0)
    ),
    Shape(Text("Shrink"), Text("Takes this much away from the surface."), reshape.Shrink, _mm(2.0)),
    Shape(Text("Hollow"), Text("Keeps a wall of this thickness."), reshape.Hollow, _mm(3.0)),
)


@dataclass(frozen=True, slots=True)
class _Worked:
    """What a job found, and where, so that the main thread need not look for it."""

    found: Proposal
    touched: tuple[Box, ...]


class Shaping:
    """Changes the segment in work as a whole. Main thread only.

    What is added takes background only; what was painted while a change was computed stays.

    Args:
        workspace: Says what is active.
        jobs: Compute.
        correction: Takes what they find.
    """

    def __init__(self, workspace: Workspace, jobs: JobQueue, correction: Correction) -> None:
        self._workspace = workspace
        self._jobs = jobs
        self._correction = correction

    def apply(self, shape: Shape, amount: float) -> Job[Any] | None:
        """Change the segment in work.

        Args:
            shape: How.
            amount: The number that it takes, brought into its range.

        Returns:
            The job; None when there is no segment.

        Raises:
            MedViewError: The segment is locked.
        """
        if shape.amount is not None:
            amount = min(max(amount, shape.amount.least), shape.amount.most)
        if shape.change is None:
            return self._smooth_together(shape.name, amount)
        segmentation, label = self._in_work()
        if segmentation is None:
            return None
        change = shape.change(amount)

        def work(progress: Progress) -> _Worked:
            reach = _voxels(change.reach_mm, segmentation.geometry)
            box, labels = settled(segmentation, label, reach, PartOf(progress, 0.0, 0.2))
            if box.is_empty:
                return _worked(_nothing())
            geometry = segmentation.geometry.cropped(box)
            found = reshape.reshape(labels, geometry, label, change, PartOf(progress, 0.2, 1.0))
            return _worked(found.shifted(box.start))

        return self._jobs.submit(
            shape.name,
            work,
            lane=Lane.DISK,
            then=lambda done: self._correction.put(segmentation, label, shape.name, done.found, done.touched),
        )

    def fill_between_slices(self, plane: Plane) -> Job[Any] | None:
        """Fill the segment in work on the slices between its painted ones, where there is background.

        Args:
            plane: The plane whose slices were painted.

        Returns:
            The job; None when there is no segment.

        Raises:
            MedViewError: The segment is locked.
        """
        segmentation, label = self._in_work()
        if segmentation is None:
            return None
        axis, name = slice_plane(segmentation.geometry, plane).axis, Text("Fill between slices")

        def fill(progress: Progress) -> _Worked:
            box, labels = settled(segmentation, label, (0, 0, 0), PartOf(progress, 0.0, 0.2))
            if box.is_empty:
                return _worked(_nothing())
            geometry = segmentation.geometry.cropped(box)
            inner, added = interpolate.fill_between_slices(labels, geometry, label, axis, PartOf(progress, 0.2, 1.0))
            return _worked(Proposal(inner, added, np.zeros_like(added)).shifted(box.start))

        return self._jobs.submit(
            name,
            fill,
            lane=Lane.DISK,
            then=lambda done: self._correction.put(segmentation, label, name, done.found, done.touched),
        )

    def split(self) -> Job[Any] | None:
        """Make a segment of its own of every part that does not hang together with the largest one.

        Returns:
            The job; None when there is no segment.

        Raises:
            MedViewError: The segment is locked.
        """
        segmentation, label = self._in_work()
        if segmentation is None:
            return None

        def work(progress: Progress) -> list[Proposal]:
            box, labels = settled(segmentation, label, (0, 0, 0), PartOf(progress, 0.0, 0.2))
            if box.is_empty:
                return []
            geometry = segmentation.geometry.cropped(box)
            found = reshape.islands(labels, geometry, label, MOST_PARTS - 1, PartOf(progress, 0.2, 1.0))
            return [one.shifted(box.start) for one in found]

        return self._jobs.submit(
            Text("Split into parts"),
            work,
            lane=Lane.DISK,
            then=partial(self._split, segmentation, label),
        )

    def _smooth_together(self, name: Text, sigma_mm: float) -> Job[Any] | None:
        """All segments; locked ones stay as they are."""
        self._correction.end_stroke()
        segmentation = self._workspace.active_segmentation
        if segmentation is None:
            return None
        self._correction.adopt(segmentation)
        geometry, labels = segmentation.geometry, segmentation.labels.copy()

        def put(found: tuple[Box, Labels]) -> None:
            box, after = found
            self._correction.proposals.put_labels(segmentation, name, box, after, labels[box.slices])

        return self._jobs.submit(
            name,
            lambda progress: joint_smoothing.smoothed(labels, geometry, sigma_mm, progress),
            lane=Lane.DISK,
            then=put,
        )

    def _in_work(self) -> tuple[Segmentation | None, int]:
        self._correction.end_stroke()
        segmentation, label = self._workspace.active_segmentation, self._correction.active_label
        if segmentation is None or not label:
            return None, 0
        self._correction.check_unlocked(label)
        return segmentation, label

    def _split(self, segmentation: Segmentation, label: int, parts: list[Proposal]) -> None:
        self._correction.proposals.put_apart(segmentation, label, Text("Split into parts"), parts)


def _voxels(reach_mm: float, geometry: Geometry) -> Index:
    """How many voxels around a segment a change may look at, and one more, so that the copy's edge means nothing."""
    k, j, i = (math.ceil(reach_mm / step) + 2 for step in geometry.spacing_mm)
    return k, j, i


def _worked(found: Proposal) -> _Worked:
    return _Worked(found, found.touched() if not found.is_empty else ())


def _nothing() -> Proposal:
    none = np.zeros((0, 0, 0), dtype=np.bool_)
    return Proposal(Box((0, 0, 0), (0, 0, 0)), none, none)
