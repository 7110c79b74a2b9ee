"""Changes of a whole segment: grown, shrunk, smoothed, freed of holes and islands.

Radii are balls in millimetres, so that grids of unequal spacing are treated as the patient is, not as the grid is. Only
the box that a change can reach is looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Geometry, Index
from medview.core.progress import NoProgress, Progress
from medview.core.segmentation import Labels
from medview.editing import blocks, regions
from medview.editing.regions import Mask, Spacing


class Change(Protocol):
    """Something to do with a segment."""

    @property
    def reach_mm(self) -> float:
        """How far around the segment it adds voxels, or has to know what is there."""

    def of(self, mask: Mask, spacing_mm: Spacing) -> Mask:
        """A mask, (k, j, i), after the change, a new array; `spacing_mm` are voxel sizes (k, j, i)."""


@dataclass(frozen=True, slots=True)
class Grow:
    """Add what lies within a distance."""

    reach_mm: float

    def of(self, mask: Mask, spacing_mm: Spacing) -> Mask:
        """As `Change.of`."""
        return regions.dilate(mask, self.reach_mm, spacing_mm)


@dataclass(frozen=True, slots=True)
class Shrink:
    """Take away what lies within a distance of the outside. The edge of the image is not an outside."""

    reach_mm: float

    def of(self, mask: Mask, spacing_mm: Spacing) -> Mask:
        """As `Change.of`."""
        return regions.erode(mask, self.reach_mm, spacing_mm)


@dataclass(frozen=True, slots=True)
class Hollow:
    """Keep a wall of this thickness, inside the outline."""

    reach_mm: float

    def of(self, mask: Mask, spacing_mm: Spacing) -> Mask:
        """As `Change.of`."""
        return mask & ~regions.erode(mask, self.reach_mm, spacing_mm)


@dataclass(frozen=True, slots=True)
class FillHoles:
    """Add what is enclosed on all sides."""

    reach_mm: ClassVar[float] = 0.0

    def of(self, mask: Mask, spacing_mm: Spacing) -> Mask:
        """As `Change.of`."""
        return regions.fill_holes(mask)


@dataclass(frozen=True, slots=True)
class Open:
    """Take away spurs and bridges that a ball of this radius does not fit into."""

    reach_mm: float

    def of(self, mask: Mask, spacing_mm: Spacing) -> Mask:
        """As `Change.of`."""
        return regions.opened(mask, self.reach_mm, spacing_mm)


@dataclass(frozen=True, slots=True)
class Close:
    """Add gaps and dents that a ball of this radius does not fit into."""

    reach_mm: float

    def of(self, mask: Mask, spacing_mm: Spacing) -> Mask:
        """As `Change.of`."""
        return regions.closed(mask, self.reach_mm, spacing_mm) | mask


@dataclass(frozen=True, slots=True)
class Median:
    """Every voxel follows the majority of the block that reaches this far along every axis."""

    reach_mm: float

    def of(self, mask: Mask, spacing_mm: Spacing) -> Mask:
        """As `Change.of`."""
        return regions.median(mask, self.reach_mm, spacing_mm)


@dataclass(frozen=True, slots=True)
class Gaussian:
    """Blur with this standard deviation, and keep what stays at one half or above."""

    sigma_mm: float

    @property
    def reach_mm(self) -> float:
        """Four standard deviations."""
        return 4 * self.sigma_mm

    def of(self, mask: Mask, spacing_mm: Spacing) -> Mask:
        """As `Change.of`."""
        kept: Mask = regions.blurred(mask, self.sigma_mm, spacing_mm) >= 0.5
        return kept


@dataclass(frozen=True, slots=True)
class KeepLargest:
    """Keep the largest connected part (voxels that share a face)."""

    reach_mm: ClassVar[float] = 0.0

    def of(self, mask: Mask, spacing_mm: Spacing) -> Mask:
        """As `Change.of`."""
        return regions.largest(mask)


@dataclass(frozen=True, slots=True)
class RemoveSmall:
    """Take away connected parts smaller than this."""

    ml: float
    reach_mm: ClassVar[float] = 0.0

    def of(self, mask: Mask, spacing_mm: Spacing) -> Mask:
        """As `Change.of`."""
        parts, sizes = regions.components(mask)
        kept: Mask = np.concatenate([[False], sizes >= self.ml * 1000 / float(np.prod(spacing_mm))])[parts]
        return kept


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """What a tool would do to a segment.

    Attributes:
        box: Inside the grid; empty when nothing is to change.
        added: (k, j, i) bool of the box's shape: what the segment would gain.
        removed: (k, j, i) bool of the box's shape: what it would lose.
    """

    box: Box
    added: Mask
    removed: Mask

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return self.box.is_empty or not (self.added.any() or self.removed.any())

    def touched(self) -> tuple[Box, ...]:
        """Boxes around all that would change, at most one for each block of labels; blocks that stay have none."""
        found = []
        k, j, i = self.box.start
        for block in blocks.covering(self.box, self.box.stop):
            part = blocks.box_of(block, self.box.stop).intersection(self.box)
            cut = part.shifted((-k, -j, -i)).slices
            if self.added[cut].any() or self.removed[cut].any():
                found.append(part)
        return tuple(found)

    def shifted(self, by: Index) -> Proposal:
        """The same on a grid of which this one is a part that begins at an index (k, j, i)."""
        return Proposal(self.box.shifted(by), self.added, self.removed)


def reshape(
    labels: Labels, geometry: Geometry, label: int, change: Change, progress: Progress | None = None
) -> Proposal:
    """What a change would do to one segment, were it alone.

    Args:
        labels: (k, j, i) uint8 or uint16.
        geometry: The grid.
        label: The segment.
        change: What to do with it.
        progress: May cancel between steps.

    Returns:
        The proposal; what it adds may belong to other segments now.
    """
    progress = progress or NoProgress()
    whole = regions.box_of(labels, label, progress)
    if whole.is_empty:
        return proposal(whole, np.zeros((0, 0, 0), bool), np.zeros((0, 0, 0), bool))
    box = _with_margin(whole, change.reach_mm, geometry)
    before = labels[box.slices] == label
    progress.report(0.3)
    progress.raise_if_cancelled()
    return proposal(box, before, change.of(before, geometry.spacing_mm))


def islands(
    labels: Labels, geometry: Geometry, label: int, most: int, progress: Progress | None = None
) -> list[Proposal]:
    """The connected parts of a segment without its largest one, each as what it would lose, the larger first.

    Args:
        labels: (k, j, i) uint8 or uint16.
        geometry: The grid.
        label: The segment.
        most: How many to give at most.
        progress: May cancel.
    """
    progress = progress or NoProgress()
    box = regions.box_of(labels, label, progress)
    if box.is_empty:
        return []
    parts, sizes = regions.components(labels[box.slices] == label)
    found = []
    for number in range(2, min(len(sizes), most + 1) + 1):
        progress.raise_if_cancelled()
        part = parts == number
        inner = Box.around(part)
        cut = part[inner.slices]
        found.append(Proposal(inner.shifted(box.start), np.zeros_like(cut), cut))
    return found


def proposal(box: Box, before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Proposal:
    """What leads from one mask to another, both (k, j, i) of the box's shape; the box is made as small as it can be."""
    differs = before ^ after
    inner = Box.around(differs) if not box.is_empty else box
    cut = inner.slices
    return Proposal(inner.shifted(box.start), (after & differs)[cut], (before & differs)[cut])


def _with_margin(box: Box, reach_mm: float, geometry: Geometry) -> Box:
    """With one voxel more than what is reached, so that there is an outside wherever the image goes on."""
    k, j, i = (math.ceil(reach_mm / step) + 1 for step in geometry.spacing_mm)
    outer = Box(box.shifted((-k, -j, -i)).start, box.shifted((k, j, i)).stop)
    return outer.clipped(geometry.shape)
