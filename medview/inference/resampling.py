"""Linear interpolation onto a grid with parallel axes, one axis after the other: the same values in less time.

MONAI interpolates in all three directions at once, eight neighbours for every voxel. Where the axes are parallel the
same weights are products of three, and each axis can be gone by itself, the one that shrinks the image most first. It
is done slab by slab, so that beside the image and the result hardly anything is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Orientationd, Spacingd
from numpy.typing import NDArray

from medview.inference.grid_map import AxisMap, GridMap
from medview.inference.orienting import oriented

_MOST_AT_ONCE = 1 << 22
"""Numbers of the image that are interpolated in one go."""
_HARDLY = 1.25
"""What shrinks an axis by less than this hardly shrinks it."""


def prepare(chain: Compose, items: dict[str, Any], key: str) -> dict[str, Any]:
    """Do what a bundle's preprocessing says; orientation and resampling are done here where it comes to the same.

    Args:
        chain: The preprocessing.
        items: What it starts with; the image is changed.
        key: The name of the image.

    Returns:
        What the chain itself would return, with the record of what was done.
    """
    if chain.lazy or chain.map_items is not True or chain.unpack_items:
        done: dict[str, Any] = chain(items)
        return done
    for step in chain.flatten().transforms:
        items = _done(step, items, key) or step(items)
    return items


def _done(step: Any, items: dict[str, Any], key: str) -> dict[str, Any] | None:
    """What a step gives that is done here; None when it is not."""
    if type(step) is Spacingd:
        return _spaced(step, items, key)
    return oriented(step, items, key) if type(step) is Orientationd else None


def resample(values: torch.Tensor, grid: GridMap) -> torch.Tensor:
    """Linear interpolation of values; those beyond the border are the border's.

    Args:
        values: (channel, x, y, z) float32.
        grid: From the axes of the values to those of the wanted grid, which run the same way.

    Returns:
        (channel, x, y, z) float32.
    """
    lines = [_Cells.of(axis) for axis in grid.axes]
    memory = sorted(range(3), key=lambda axis: values.stride(axis + 1), reverse=True)
    size = [len(values), *(len(line.lower) for line in lines)]
    # as the values lie in memory, so that whole rows are written
    found = torch.empty([size[0], *(size[axis + 1] for axis in memory)], device=values.device)
    found = found.permute([0, *(1 + memory.index(axis) for axis in range(3))])
    outer = memory[0]
    at_once = max(1, _MOST_AT_ONCE * values.shape[outer + 1] // values.numel())
    for start in range(0, size[outer + 1], at_once):
        stop = min(start + at_once, size[outer + 1])
        first, last, line = lines[outer].part(start, stop)
        part = values.narrow(outer + 1, first, last - first)
        for axis in _order(lines, memory):
            part = _along(part, axis + 1, line if axis == outer else lines[axis])
        found.narrow(outer + 1, start, stop - start).copy_(part)
    return found.contiguous()


@dataclass(frozen=True, slots=True)
class _Cells:
    """Between which voxels of a line the wanted ones lie.

    Attributes:
        lower: The voxel below each; or the one that it lies on.
        distance: How far each is from it, 0..1; None where all lie on voxels.
        length: Of the line.
    """

    lower: NDArray[np.int64]
    distance: NDArray[np.float32] | None
    length: int

    @classmethod
    def of(cls, axis: AxisMap) -> _Cells:
        if axis.is_exact:
            return cls(axis.nearest(), None, axis.length)
        lower, distance = axis.cells()
        return cls(lower, distance.astype(np.float32), axis.length)

    def part(self, start: int, stop: int) -> tuple[int, int, _Cells]:
        """The wanted voxels [start, stop) alone: which voxels of the line they need, and their cells among these."""
        lower = self.lower[start:stop]
        first = int(lower.min())
        last = min(int(lower.max()) + (1 if self.distance is None else 2), self.length)
        distance = self.distance[start:stop] if self.distance is not None else None
        return first, last, _Cells(lower - first, distance, last - first)

    @property
    def shrinks(self) -> float:
        """How many voxels there are for each wanted one."""
        return self.length / len(self.lower)


def _order(lines: Sequence[_Cells], memory: Sequence[int]) -> list[int]:
    """In which order the axes are gone: the one that shrinks the image most first."""
    order = sorted(range(3), key=lambda axis: -lines[axis].shrinks)
    # the axis that lies innermost in memory is the slowest to step along: once the others are done there is less of it
    innermost = memory[-1]
    if lines[innermost].shrinks < _HARDLY:
        order = [*(axis for axis in order if axis != innermost), innermost]
    return order


def _along(values: torch.Tensor, dimension: int, line: _Cells) -> torch.Tensor:
    if line.distance is None:
        return _taken(values, dimension, line.lower)
    shape = [1, 1, 1, 1]
    shape[dimension] = len(line.distance)
    share = torch.from_numpy(line.distance).reshape(shape).to(values.device)
    first = _taken(values, dimension, line.lower)
    return first.lerp_(_taken(values, dimension, line.lower + 1), share)


def _taken(values: torch.Tensor, dimension: int, places: NDArray[np.int64]) -> torch.Tensor:
    if values.device.type != "cpu":
        return values.index_select(dimension, torch.from_numpy(places).to(values.device))
    order = sorted(range(values.ndim), key=values.stride, reverse=True)
    taken = np.take(values.permute(order).numpy(), places, order.index(dimension))
    return torch.from_numpy(taken).permute([order.index(one) for one in range(values.ndim)])


def _spaced(step: Spacingd, items: dict[str, Any], key: str) -> dict[str, Any] | None:
    """What a resampling step gives; None when it is not one that is done here."""
    image = items.get(key)
    inner = step.spacing_transform
    plain = (
        step.keys == (key,)
        and str(getattr(step.mode[0], "value", step.mode[0])) == "bilinear"
        and str(getattr(step.padding_mode[0], "value", step.padding_mode[0])) == "border"
        and not step.align_corners[0]
        and not inner.recompute_affine
        and not step.lazy
    )
    if not plain or not isinstance(image, MetaTensor) or image.ndim != 4 or image.pending_operations:
        return None
    # asked to be lazy, MONAI says where the new grid lies and does nothing
    meant = inner(image, lazy=True)
    if not isinstance(meant, MetaTensor):
        return None
    x, y, z = (int(n) for n in image.shape[1:])
    to_x, to_y, to_z = (int(n) for n in meant.peek_pending_shape())
    affine = np.asarray(meant.peek_pending_affine(), dtype=np.float64)
    grid = GridMap.between(affine, (to_x, to_y, to_z), np.asarray(image.affine, dtype=np.float64), (x, y, z))
    if grid is None or tuple(one.source_axis for one in grid.axes) != (0, 1, 2):
        return None
    operations = [*image.applied_operations, *meant.pending_operations]
    values = resample(image.as_tensor().to(torch.float32), grid)
    known = {name: value for name, value in image.meta.items() if name != "affine"}
    found = MetaTensor(values, affine=torch.from_numpy(affine), meta=known, applied_operations=operations)
    return {**items, key: found}
