"""Where in an image there is something to look for: windows that lie in air, or away from the body, are not run.

The plugin says what air is, and whether only the body counts, in the units of the image; nothing is guessed. Windows
keep their places: those that are run are the same as without, so that what they say is the same, voxel for voxel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medview.catalog.manifest import Crop, Input
from medview.core.geometry import Box, Index
from medview.core.progress import Progress
from medview.core.volume import Volume

if TYPE_CHECKING:  # they bring torch, which is not there before a model runs
    from medview.inference.grid_map import AxisMap, GridMap

_EDGE = 4
"""Voxels along the edges of the blocks that are looked at as one."""
_MOST_FOR_PARTS = 2**24
"""Voxels up to which parts are told apart one by one; above, by twos."""

Interval = tuple[int, int]
Starts = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Occupancy:
    """What has to be looked at in an image.

    Attributes:
        shape: Of the image, (k, j, i).
        blocks: (k, j, i) bool, of blocks of voxels: whether there is more than air in one; None: no air is declared.
        body: Where the body lies, with its margin; None: everywhere.
    """

    shape: Index
    blocks: NDArray[np.bool_] | None = None
    body: Box | None = None

    def windows(self, grid: GridMap, before: Sequence[int], roi: Sequence[int], starts: Starts) -> NDArray[np.bool_]:
        """Which windows over a model's image have to be run.

        Args:
            grid: The way from the model's grid to that of the image.
            before: How many filled-up voxels lie before the model's grid, along each of its axes.
            roi: The windows' size.
            starts: Where they start along each axis, in the filled-up image.

        Returns:
            (x, y, z): for every window, whether it is to be run.
        """
        reach = [
            [_reach(grid.axes[axis], start - before[axis], start - before[axis] + roi[axis]) for start in starts[axis]]
            for axis in range(3)
        ]
        runs = np.ones([len(one) for one in reach], dtype=np.bool_)
        if self.blocks is not None:
            runs &= _any_in(self.blocks, reach, [2 - axis.source_axis for axis in grid.axes])
        if self.body is not None:
            for axis in range(3):
                own = 2 - grid.axes[axis].source_axis
                first, last = self.body.start[own], self.body.stop[own]
                touching = np.array([low < last and high > first for low, high in reach[axis]])
                runs &= touching.reshape([-1 if one == axis else 1 for one in range(3)])
        return runs


def occupancy_of(inputs: Sequence[Input], case: Mapping[str, Volume], progress: Progress) -> Occupancy | None:
    """What a plugin's inputs say of what need not be looked at; None when they say nothing.

    Args:
        inputs: The plugin's; air counts where all of them that declare it show it, the body is that of the first.
        case: Their images. One on another grid than the first cannot show air there.
        progress: Asked whether to go on.
    """
    first = case[inputs[0].name]
    shape = first.geometry.shape
    blocks: NDArray[np.bool_] | None = None
    for one in inputs:
        volume = case[one.name]
        if one.background_below is None or (blocks is not None and blocks.all()):
            continue
        found = np.ones(_blocks_in(shape), dtype=np.bool_)
        if volume.geometry.same_grid(first.geometry):
            found = blocks_above(volume.voxels, one.background_below, progress)
        blocks = found if blocks is None else blocks | found
    crop = inputs[0].crop
    body = None if crop is None else body_of(first, crop, progress)
    return None if blocks is None and body is None else Occupancy(shape, blocks, body)


def blocks_above(voxels: NDArray[np.generic], limit: float, progress: Progress, edge: int = _EDGE) -> NDArray[np.bool_]:
    """(k, j, i) of blocks: whether any voxel of one is at least `limit`, or no number."""
    depth, height, width = voxels.shape
    found = np.zeros(_blocks_in(voxels.shape, edge), dtype=np.bool_)
    for number, start in enumerate(range(0, depth, edge)):
        progress.raise_if_cancelled()
        largest = voxels[start : start + edge].max(axis=0)
        largest = np.maximum.reduceat(largest, range(0, height, edge), axis=0)
        largest = np.maximum.reduceat(largest, range(0, width, edge), axis=1)
        found[number] = ~(largest < limit)
    return found


def body_of(volume: Volume, crop: Crop, progress: Progress) -> Box | None:
    """The box around the largest connected thing above a threshold, with a margin; None where nothing is above it.

    Parts are connected by faces. In images of more than 2^24 voxels, blocks of two voxels along each axis, or more,
    count as one.
    """
    import SimpleITK

    edge = 1
    while volume.voxels.size > _MOST_FOR_PARTS * edge**3:
        edge += 1
    mask = blocks_above(volume.voxels, crop.above, progress, edge)
    if not mask.any():
        return None
    parts = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray(mask.astype(np.uint8)))
    progress.raise_if_cancelled()
    largest = SimpleITK.RelabelComponent(parts, sortByObjectSize=True)
    box = Box.around(SimpleITK.GetArrayViewFromImage(largest) == 1)
    margin = [int(np.ceil(crop.margin_mm / step)) for step in volume.geometry.spacing_mm]
    k, j, i = (first * edge - one for first, one in zip(box.start, margin, strict=True))
    c, b, a = (last * edge + one for last, one in zip(box.stop, margin, strict=True))
    return Box((k, j, i), (c, b, a)).clipped(volume.geometry.shape)


def only_inside(labels: NDArray[np.generic], at: Box, body: Box) -> None:
    """Take away, in place, what was found outside of the body in labels that lie at a box of the image."""
    kept = at.intersection(body)
    inner = Box(
        _index(first - start for first, start in zip(kept.start, at.start, strict=True)),
        _index(last - start for last, start in zip(kept.stop, at.start, strict=True)),
    )
    if kept.is_empty:
        labels[...] = np.zeros((), labels.dtype)
        return
    for axis in range(3):
        before: list[slice] = [slice(None)] * 3
        after = list(before)
        before[axis], after[axis] = slice(0, inner.start[axis]), slice(inner.stop[axis], None)
        labels[tuple(before)] = np.zeros((), labels.dtype)
        labels[tuple(after)] = np.zeros((), labels.dtype)


def _reach(axis: AxisMap, start: int, stop: int) -> Interval:
    """Which voxels of the image the model's voxels [start, stop) depend on, or touch; empty where there are none."""
    low, high = max(start, 0), min(stop, axis.length)
    if high <= low:
        return 0, 0
    ends = sorted(((low - 1 - axis.offset) / axis.scale, (high - axis.offset) / axis.scale))
    first, last = int(np.floor(ends[0])), int(np.ceil(ends[1])) + 1
    return max(0, min(first, axis.source_length - 1)), max(1, min(last, axis.source_length))


def _any_in(blocks: NDArray[np.bool_], reach: Sequence[Sequence[Interval]], axes: Sequence[int]) -> NDArray[np.bool_]:
    """(x, y, z) of windows: whether any of the blocks is set that a window reaches; `axes` of the blocks, for each."""
    turned = blocks.transpose(axes)
    counts = np.zeros([size + 1 for size in turned.shape], dtype=np.int64)
    counts[1:, 1:, 1:] = turned.cumsum(0).cumsum(1).cumsum(2)
    lows = [[low // _EDGE for low, _ in line] for line in reach]
    highs = [[-(-high // _EDGE) for _, high in line] for line in reach]
    total = np.zeros([len(line) for line in reach], dtype=np.int64)
    for corner in np.ndindex(2, 2, 2):
        ends = [highs[axis] if corner[axis] else lows[axis] for axis in range(3)]
        total += (-1) ** (3 - sum(corner)) * counts[np.ix_(*ends)]
    return total > 0


def _blocks_in(shape: Sequence[int], edge: int = _EDGE) -> tuple[int, int, int]:
    return _index(-(-size // edge) for size in shape)


def _index(values: Iterable[int]) -> Index:
    k, j, i = (int(value) for value in values)
    return k, j, i
