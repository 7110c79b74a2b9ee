"""How many voxels a segment has and what their values add up to, block by block, so that an edit costs its blocks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Index
from medview.core.progress import Progress
from medview.core.segmentation import Labels
from medview.editing import blocks

Counts = NDArray[np.int64]
Sums = NDArray[np.float64]


def count_all(
    labels: Labels, voxels: NDArray[Any] | None, label: int, progress: Progress
) -> tuple[Counts, Counts, Sums]:
    """Count every block once.

    Args:
        labels: (k, j, i) uint8 or uint16; blocks that are written to meanwhile have to be counted again.
        label: Which segment.
        voxels: (k, j, i) numbers on the same grid; None: there are no values to add up.
        progress: Reported to and asked for cancellation.

    Returns:
        By block (k, j, i): int64, its voxels of the segment; int64, those of them with a finite value; float64, the
        sum of these values.
    """
    shape = (labels.shape[0], labels.shape[1], labels.shape[2])
    grid = tuple(-(-size // blocks.SIDE) for size in shape)
    counts, valued, sums = np.zeros(grid, np.int64), np.zeros(grid, np.int64), np.zeros(grid, np.float64)
    rows, columns = (np.arange(0, size, blocks.SIDE) for size in shape[1:])
    for number, start in enumerate(range(0, shape[0], blocks.SIDE)):
        progress.raise_if_cancelled()
        progress.report(start / shape[0])
        mask = labels[start : start + blocks.SIDE] == label
        if not mask.any():
            continue
        counts[number] = _by_block(np.count_nonzero(mask, axis=0), rows, columns)
        if voxels is not None:
            some, total = _added(mask, voxels[start : start + blocks.SIDE])
            valued[number] = _by_block(some, rows, columns)
            sums[number] = _by_block(total, rows, columns)
    return counts, valued, sums


class BlockTotals:
    """The totals of one segment.

    Args:
        label: Which.
        counts: By block, as from `count_all`.
        valued: By block, likewise.
        sums: By block, likewise.
    """

    def __init__(self, label: int, counts: Counts, valued: Counts, sums: Sums) -> None:
        self.label = label
        self._counts = counts
        self._valued = valued
        self._sums = sums

    @property
    def voxels(self) -> int:
        """How many voxels it has."""
        return int(self._counts.sum())

    @property
    def mean(self) -> float | None:
        """The mean of the finite values under it; None without any."""
        valued = int(self._valued.sum())
        return float(self._sums.sum()) / valued if valued else None

    def count_again(self, touched: Iterable[Index], labels: Labels, voxels: NDArray[Any] | None) -> None:
        """Count blocks anew.

        Args:
            touched: Their numbers (k, j, i).
            labels: (k, j, i), as they are now.
            voxels: (k, j, i) numbers on the same grid; None: there are no values to add up.
        """
        shape = (labels.shape[0], labels.shape[1], labels.shape[2])
        for block in touched:
            box: Box = blocks.box_of(block, shape)
            mask = labels[box.slices] == self.label
            self._counts[block] = np.count_nonzero(mask)
            self._valued[block], self._sums[block] = 0, 0.0
            if voxels is not None and self._counts[block]:
                values = voxels[box.slices][mask].astype(np.float64)
                finite = values[np.isfinite(values)]
                self._valued[block], self._sums[block] = finite.size, finite.sum()


def _added(mask: NDArray[np.bool_], voxels: NDArray[Any]) -> tuple[Counts, Sums]:
    """(row, column): how many values of a slab are under a mask and finite, and their sum."""
    some = np.zeros(mask.shape[1:], np.int64)
    total = np.zeros(mask.shape[1:], np.float64)
    for under, values in zip(mask, voxels, strict=True):
        # Slice by slice: as doubles a slab takes eight times the memory of its labels.
        finite = under & np.isfinite(values) if values.dtype.kind == "f" else under
        some += finite
        total += np.where(finite, values, 0).astype(np.float64, copy=False)
    return some, total


def _by_block(plane: NDArray[Any], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[Any]:
    added: NDArray[Any] = np.add.reduceat(np.add.reduceat(plane, rows, axis=0), columns, axis=1)
    return added
