"""What differs between the labels as they are and as they came, counted block by block."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Index
from medview.core.segmentation import Labels, Segmentation
from medview.editing import blocks
from medview.editing.first_labels import FirstLabels

ADDED, REMOVED, EXCHANGED = 1, 2, 3
"""How a voxel differs, in a map of differences: background then or now, or another structure; 0: it does not."""

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Difference:
    """How labels differ from the first ones, in voxels.

    Attributes:
        added: By label that has them: voxels with the label now that had another one, or none, at first.
        removed: By label that lost them: voxels with the label at first that have another one, or none, now.
        gained: For each axis, (slice,) int64: voxels of any label now that had another one, or none, at first.
        lost: For each axis, (slice,) int64: voxels of any label at first that have another one, or none, now.
    """

    added: Mapping[int, int]
    removed: Mapping[int, int]
    gained: tuple[Counts, Counts, Counts]
    lost: tuple[Counts, Counts, Counts]

    def slices(self, axis: int) -> NDArray[np.intp]:
        """(n,) numbers of the slices across an axis on which anything differs, rising."""
        return np.flatnonzero(self.gained[axis] + self.lost[axis])

    @property
    def box(self) -> Box:
        """Around everything that differs; empty when nothing does."""
        found = [self.slices(axis) for axis in range(3)]
        if not found[0].size:
            return Box((0, 0, 0), (0, 0, 0))
        k, j, i = ((int(one[0]), int(one[-1]) + 1) for one in found)
        return Box((k[0], j[0], i[0]), (k[1], j[1], i[1]))


@dataclass(frozen=True, slots=True)
class _Block:
    """The counts of one block; those along the axes begin at the block's first slice."""

    added: Counts
    removed: Counts
    gained: tuple[Counts, Counts, Counts]
    lost: tuple[Counts, Counts, Counts]


class DifferenceCount:
    """Counts what differs, and after an edit only the blocks that it touched anew.

    Args:
        target: The labels as they are.
        first: The labels as they came.
    """

    def __init__(self, target: Segmentation, first: FirstLabels) -> None:
        self._target = target
        self._first = first
        self._stale: set[Index] = set()
        self._counted: dict[Index, _Block] = {}
        self._added, self._removed = self._no_labels(), self._no_labels()
        self._gained, self._lost = self._no_slices(), self._no_slices()

    def changed(self, touched: Iterable[Index]) -> None:
        """Blocks that an edit changed, or its undoing."""
        self._stale.update(touched)

    def refresh(self, limit_s: float) -> bool:
        """Count what is not counted yet, for no longer than some time; whether all of it is."""
        until = time.monotonic() + limit_s
        while self._stale:
            self._count(self._stale.pop())
            if time.monotonic() > until:
                break
        return not self._stale

    def result(self) -> Difference:
        """What differs now, all of it counted."""
        while self._stale:
            self._count(self._stale.pop())
        return Difference(_listed(self._added), _listed(self._removed), _copies(self._gained), _copies(self._lost))

    def net(self) -> Counts:
        """(label,) int64: by how many voxels each label has grown, all of them counted."""
        while self._stale:
            self._count(self._stale.pop())
        return self._added - self._removed

    def _count(self, block: Index) -> None:
        box = blocks.box_of(block, self._target.geometry.shape)
        old = self._counted.pop(block, None)
        if old is not None:
            self._sum(old, box, -1)
        first, now = self._first.block(block), self._target.labels[box.slices]
        differs = first != now
        if not differs.any():
            return
        gained, lost = differs & (now != 0), differs & (first != 0)
        new = _Block(
            np.bincount(now[gained], minlength=0).astype(np.int64),
            np.bincount(first[lost], minlength=0).astype(np.int64),
            _along_axes(gained),
            _along_axes(lost),
        )
        self._counted[block] = new
        self._sum(new, box, 1)

    def _sum(self, one: _Block, box: Box, sign: int) -> None:
        self._added[: one.added.size] += sign * one.added
        self._removed[: one.removed.size] += sign * one.removed
        for axis, where in enumerate(box.slices):
            self._gained[axis][where] += sign * one.gained[axis]
            self._lost[axis][where] += sign * one.lost[axis]

    def _no_labels(self) -> Counts:
        return np.zeros(self._target.largest_label + 1, dtype=np.int64)

    def _no_slices(self) -> tuple[Counts, Counts, Counts]:
        k, j, i = (np.zeros(size, dtype=np.int64) for size in self._target.geometry.shape)
        return k, j, i


def map_of(first: Labels, now: Labels) -> NDArray[np.uint8]:
    """How each voxel differs.

    Args:
        first: (k, j, i) uint8 or uint16, the labels as they came.
        now: The same, as they are.

    Returns:
        (k, j, i) uint8: `ADDED`, `REMOVED`, `EXCHANGED`, or 0 where nothing differs.
    """
    difference = np.zeros(now.shape, dtype=np.uint8)
    differs = first != now
    difference[differs & (first == 0)] = ADDED
    difference[differs & (now == 0)] = REMOVED
    difference[differs & (first != 0) & (now != 0)] = EXCHANGED
    return difference


def _along_axes(mask: NDArray[np.bool_]) -> tuple[Counts, Counts, Counts]:
    rows = np.count_nonzero(mask, axis=2)
    return rows.sum(axis=1), rows.sum(axis=0), np.count_nonzero(mask, axis=(0, 1)).astype(np.int64)


def _listed(counts: Counts) -> Mapping[int, int]:
    return {int(label): int(counts[label]) for label in np.flatnonzero(counts) if label}


def _copies(counts: tuple[Counts, Counts, Counts]) -> tuple[Counts, Counts, Counts]:
    k, j, i = counts
    return k.copy(), j.copy(), i.copy()
