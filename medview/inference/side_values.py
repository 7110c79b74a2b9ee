"""Makes maps of probability and uncertainty while a network runs, slab by slab, of the sums that labels come from.

Probabilities are formed on the model's grid and interpolated from there, as labels are: of a map only its own numbers
are interpolated, so that nothing grows with the number of classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from medview.inference.front import Front
from medview.inference.grid_map import AxisMap, GridMap, index
from medview.inference.labelling import Activation, Decision
from medview.inference.maps import MapKind, SideMap
from medview.inference.options import RunOptions

_LEAST = 1e-12


@dataclass(frozen=True, slots=True)
class Wish:
    """A map that is wanted.

    Attributes:
        kind: What it says.
        label: Of which structure, by the number that the map bears; 0 for all.
        channel: The network's channel of that structure.
    """

    kind: MapKind
    label: int = 0
    channel: int = 0


def wishes_of(options: RunOptions, channel_of: Callable[[int], int | None]) -> tuple[Wish, ...]:
    """The maps that a user wants, of one network.

    Args:
        options: What the user asks.
        channel_of: The network's channel of a label; None where it does not find that.
    """
    found = [Wish(MapKind.UNCERTAINTY)] if options.uncertainty else []
    channel = channel_of(options.probability) if options.probability else None
    if channel is not None:
        found.append(Wish(MapKind.PROBABILITY, options.probability, channel))
    return tuple(found)


def probabilities_of(decision: Decision, *, activated: bool) -> Activation:
    """What makes probabilities of a network's values.

    Args:
        decision: How its values become labels.
        activated: Whether they are probabilities already.
    """
    if activated or decision.activation is not Activation.NONE:
        return decision.activation
    if decision.threshold is None:
        return Activation.SOFTMAX
    # a threshold that only a probability can have is one of probabilities
    return Activation.NONE if 1e-6 < decision.threshold < 1 else Activation.SIGMOID


class SideValues:
    """Takes finished slices of values and fills in maps on the source grid.

    Args:
        grid: The way from the model's grid to the source's.
        before: How many filled-up voxels lie before the model's grid, along each axis.
        wishes: Which maps.
        activation: What makes probabilities of the network's values; NONE: they are probabilities.
        layered: Whether every channel is a structure of its own.
    """

    def __init__(
        self,
        grid: GridMap,
        before: tuple[int, int, int],
        wishes: Sequence[Wish],
        activation: Activation,
        *,
        layered: bool,
    ) -> None:
        self._grid = grid
        self._before = before
        self._wishes = tuple(wishes)
        self._activation = activation
        self._layered = layered
        self._values = [np.zeros(grid.source_size[::-1], dtype=np.float16) for _ in wishes]
        self._last: torch.Tensor | None = None

    @property
    def maps(self) -> tuple[SideMap, ...]:
        """The maps, as far as they are known."""
        return tuple(SideMap(one.kind, one.label, of) for one, of in zip(self._wishes, self._values, strict=True))

    def take(self, front: Front, start: int, stop: int) -> None:
        """Fill in what can be known with slices [start, stop), counted in the filled-up image; see `Labelling.take`."""
        if not self._wishes:
            return
        axis, offset = self._grid.axes[front.axis], self._before[front.axis]
        low, high = max(start - offset, 0), min(stop - offset, axis.length)
        if high <= low:
            return
        nodes = self._nodes(front, low + offset, high + offset)
        first = low
        if self._last is not None:
            nodes, first = torch.cat([self._last, nodes]), low - 1
        self._last = nodes[-1:].clone()
        lower, share = _line(axis)
        across = [self._grid.axes[one] for one in range(3) if one != front.axis]
        lines = [_line(one) for one in across]
        inside = axis.inside()
        for place, (node, part) in enumerate(zip(lower, share, strict=True)):
            ready = low <= node < high if part == 0 else first <= node and low <= node + 1 < high
            if not ready or not inside[place]:
                continue
            plane = nodes[node - first]
            if part > 0:
                plane = torch.lerp(plane, nodes[node - first + 1], float(part))
            for number, (one, (lows, shares)) in enumerate(zip(across, lines, strict=True), start=1):
                plane = _spread(plane, number, one, lows, shares)
            self._write(plane, axis.source_axis, place, [one.source_axis for one in across])

    def _nodes(self, front: Front, start: int, stop: int) -> torch.Tensor:
        """(slice, map, a, b) float32 in the machine's memory: the maps at the voxels of the model's grid."""
        a, b = (
            slice(self._before[one] - origin, self._before[one] - origin + self._grid.axes[one].length)
            for one, origin in zip((one for one in range(3) if one != front.axis), front.origin, strict=True)
        )
        found = []
        for run, _ in front.runs(start, stop):
            for slot in range(run.start, run.stop):
                weights = front.weights[slot, a, b].clamp(min=torch.finfo(torch.float32).tiny)
                found.append(self._measured(front.values[:, slot, a, b] / weights).cpu())
        return torch.stack(found)

    def _measured(self, values: torch.Tensor) -> torch.Tensor:
        """(channel, a, b) -> (map, a, b)."""
        if self._activation is Activation.SOFTMAX:
            values = values.softmax(0)
        elif self._activation is Activation.SIGMOID:
            values = values.sigmoid()
        values = values.clamp(0, 1)
        return torch.stack(
            [self._entropy(values) if one.kind is MapKind.UNCERTAINTY else values[one.channel] for one in self._wishes]
        )

    def _entropy(self, chances: torch.Tensor) -> torch.Tensor:
        if self._layered or len(chances) == 1:
            of_each: torch.Tensor = torch.special.entr(chances) + torch.special.entr(1 - chances)
            return of_each.amax(0) / math.log(2)
        total: torch.Tensor = torch.special.entr(chances / chances.sum(0).clamp(min=_LEAST)).sum(0)
        return total / math.log(len(chances))

    def _write(self, plane: torch.Tensor, axis: int, place: int, across: list[int]) -> None:
        if across[0] > across[1]:
            plane = plane.transpose(1, 2)
        for values, one in zip(self._values, plane, strict=True):
            torch.from_numpy(values).permute(2, 1, 0).select(axis, place).copy_(one)


def _line(axis: AxisMap) -> tuple[np.ndarray, np.ndarray]:
    """For every source voxel along an axis: the model's voxel below it, and how far it lies towards the next, 0..1."""
    if axis.is_exact:
        return axis.nearest(), np.zeros(axis.source_length, dtype=np.float32)
    lower, share = axis.cells()
    full = share >= 1
    return lower + full, np.where(full, 0, share).astype(np.float32)


def _spread(plane: torch.Tensor, number: int, axis: AxisMap, lower: np.ndarray, share: np.ndarray) -> torch.Tensor:
    """A plane (map, a, b) with one of its axes at the source's voxels; 0 where the model's grid does not reach."""
    low = index(lower)
    found = plane.index_select(number, low)
    if share.any():
        shape = [-1 if one == number else 1 for one in range(3)]
        above = plane.index_select(number, (low + 1).clamp(max=axis.length - 1))
        found = torch.lerp(found, above, torch.from_numpy(share).reshape(shape))
    return found.index_fill_(number, index(np.flatnonzero(~axis.inside())), 0)
