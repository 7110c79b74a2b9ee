"""Labels on the grid that the image came on, decided slab by slab from a network's values on its own grid.

Interpolating all values and then taking the largest asks for a volume of floats for every class. The same labels come
out when only the cells are interpolated whose corners disagree: where all corners of a cell prefer the same class, any
mean of them does. In the other cells all classes compete, for the winner may be one that wins at no corner.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from medview.core.errors import PluginFailedError
from medview.core.geometry import Box
from medview.core.text import Text
from medview.inference.front import Front
from medview.inference.grid_map import AxisMap, GridMap, index

_MOST_VALUES = 1 << 21
"""Values that are interpolated in one go: few enough that their memory is used again, and stays near the processor."""
_CLOSE = 2e-6
"""By what share of the largest value another one may have changed places with it by rounding."""
_MOST_IN_CACHE = 1 << 17
"""Voxels of the model's grid that are decided in one go."""
_MOST_LAYERS = 31


class Activation(StrEnum):
    """What is done with a network's values before they are interpolated."""

    NONE = "none"
    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"


@dataclass(frozen=True, slots=True)
class Decision:
    """How values become labels.

    Attributes:
        activation: Of the values.
        threshold: From which value on a channel is there, each for itself; None: the largest channel wins.
        nearest: Whether labels are carried over from the nearest voxel, instead of deciding between voxels.
    """

    activation: Activation = Activation.SOFTMAX
    threshold: float | None = None
    nearest: bool = False


class Labelling:
    """Takes finished slices of values and fills in the labels of the source grid.

    Args:
        grid: The way from the model's grid to the source's.
        before: How many filled-up voxels lie before the model's grid, along each axis.
        decision: How values become labels.
    """

    def __init__(self, grid: GridMap, before: tuple[int, int, int], decision: Decision) -> None:
        self._grid = grid
        self._before = before
        self._decision = decision
        size = grid.source_size
        self._labels = np.zeros(size[::-1], dtype=np.uint8)
        self._last: torch.Tensor | None = None
        self.channels = 0

    @property
    def labels(self) -> NDArray[np.uint8] | NDArray[np.int32]:
        """(k, j, i), as far as it is decided: the winning channel; with a threshold, a bit for every channel."""
        return self._labels

    def take(self, front: Front, start: int, stop: int) -> Box | None:
        """Decide what can be decided with slices [start, stop), counted in the filled-up image.

        The slice before `start` must still be held.

        Returns:
            The part of the labels, (k, j, i), that is decided now; None when there is none.

        Raises:
            PluginFailedError: The network's values are not numbers, or too many structures overlap.
        """
        if not self.channels:
            self._begin(front)
        if self._last is not None:
            self._last = self._last.to(front.values.device)
        axis = self._grid.axes[front.axis]
        offset = self._before[front.axis]
        low, high = max(start - offset, 0), min(stop - offset, axis.length)
        if high <= low:
            return None
        nodes = self._node_labels(front, low + offset, high + offset)
        first = low
        if self._last is not None:
            nodes = torch.cat([self._last, nodes])
            first = low - 1
        self._last = nodes[-1:].clone()
        ready = _Lines.of(axis, self._decision.nearest, nodes.device).ready(first, low, high)
        if ready is None:
            return None
        self._decide(front, nodes, first, ready)
        k, j, i = self._labels.shape
        return Box.whole((k, j, i)).narrowed(2 - axis.source_axis, *ready)

    def _begin(self, front: Front) -> None:
        self.channels = front.values.shape[0]
        threshold = self._decision.threshold is not None
        if threshold and self.channels > _MOST_LAYERS:
            raise PluginFailedError(
                Text.of("The model finds {count} structures that may overlap.", count=self.channels),
                Text.of("MedView can hold {count}.", count=_MOST_LAYERS),
            )
        if self.channels > (8 if threshold else 256):
            self._labels = np.zeros(self._labels.shape, dtype=np.int32)

    def _node_labels(self, front: Front, start: int, stop: int) -> torch.Tensor:
        """(slice, a, b): the decision at the voxels of the model's grid."""
        section = self._section(front)
        kind = torch.uint8 if self._labels.dtype == np.uint8 else torch.int32
        a, b = section[0].stop - section[0].start, section[1].stop - section[1].start
        found = torch.zeros((stop - start, a, b), dtype=kind, device=front.values.device)
        at_once = max(1, _MOST_IN_CACHE // (a * b))
        place = 0
        for run, _ in front.runs(start, stop):
            for slot in range(run.start, run.stop, at_once):
                slots = slice(slot, min(slot + at_once, run.stop))
                values, weights = front.values[:, slots, *section], front.weights[slots, *section]
                count = slots.stop - slots.start
                self._decide_slices(values, weights, found[place : place + count])
                place += count
        return found

    def _decide_slices(self, values: torch.Tensor, weights: torch.Tensor, into: torch.Tensor) -> None:
        """(channel, slice, a, b) sums and (slice, a, b) weights -> (slice, a, b) labels, or bits."""
        first, *others = values.unbind()
        best = first.clone()
        threshold = self._decision.threshold
        if threshold is None:
            larger = torch.empty(best.shape, dtype=torch.bool, device=best.device)
            for channel, one in enumerate(others, 1):
                into.masked_fill_(torch.gt(one, best, out=larger), channel)
                torch.maximum(best, one, out=best)
        else:
            limit = weights * _before_activation(threshold, self._decision.activation)
            for channel, one in enumerate((first, *others)):
                into |= ((one >= limit) & (weights > 0)).to(into.dtype) << channel
                torch.maximum(best, one, out=best)
        # a sum is not finite when any part of it is not; only then it is worth looking at each
        if not math.isfinite(float(best.sum())) and not bool(torch.isfinite(best).all()):
            raise PluginFailedError(
                Text("The network's values are not numbers."), Text("Nothing was changed. Tell the plugin's author.")
            )

    def _section(self, front: Front) -> tuple[slice, slice]:
        a, b = (
            slice(self._before[one] - origin, self._before[one] - origin + self._grid.axes[one].length)
            for one, origin in zip((one for one in range(3) if one != front.axis), front.origin, strict=True)
        )
        return a, b

    def _decide(self, front: Front, nodes: torch.Tensor, first: int, ready: tuple[int, int]) -> None:
        order = (front.axis, *(one for one in range(3) if one != front.axis))
        lines = [_Lines.of(self._grid.axes[one], self._decision.nearest, nodes.device) for one in order]
        lines[0] = lines[0].part(ready, first)
        smallest, largest = nodes, nodes
        for place, line in enumerate(lines):
            if line.distance is not None:
                smallest = torch.minimum(*_neighbours(smallest, place))
                largest = torch.maximum(*_neighbours(largest, place))
        decided = _spread(smallest, lines)
        mixed = smallest != largest
        if bool(mixed.any()):
            self._interpolate(front, mixed, decided, lines, first)
        for place, line in enumerate(lines):
            decided.index_fill_(place, line.outside, 0)
        self._write(decided, order, ready)

    def _interpolate(
        self, front: Front, mixed: torch.Tensor, decided: torch.Tensor, lines: list[_Lines], first: int
    ) -> None:
        """Decide again, by all channels, the voxels that lie in cells whose corners disagree."""
        table, corners, place_of_cell = self._table(front, mixed, lines, first)
        slice_line, *across = lines
        plane_shares = _products(across[0].shares, across[1].shares)
        plane_cells = (across[0].lower[:, None] * mixed.shape[2] + across[1].lower).flatten()
        along = slice_line.shares
        short_along, short_across = along.float(), plane_shares.float()
        flat, size = decided.view(-1), len(plane_cells)
        at_once = _MOST_VALUES // (table.shape[1] + 2 * corners.shape[1])
        for chunk in torch.split(_places(_spread(mixed, lines)), at_once):
            slices = chunk // size
            inner = chunk - slices * size
            cells = slice_line.lower.index_select(0, slices) * (mixed.shape[1] * mixed.shape[2])
            cells = place_of_cell.index_select(0, cells.add_(plane_cells.index_select(0, inner)))
            nodes = corners.index_select(0, cells)
            shares = _outer(short_along.index_select(0, slices), short_across.index_select(0, inner))
            values = _sums(table, nodes, shares)
            winners = self._winners(values)
            if winners.dtype is torch.int64:
                close = _undecided(values, winners)
                # each of the sums is rounded to a float32 at its end, and not on its way there
                shares = _outer(along[slices[close]], plane_shares[inner[close]])
                exact = (table[nodes[close].long()].double() * shares[:, :, None]).sum(1)
                winners[close] = exact.float().argmax(1)
            flat[chunk] = winners.to(flat.dtype)

    def _winners(self, values: torch.Tensor) -> torch.Tensor:
        """(voxel, column) values -> (voxel,) int64 labels; of two channels whether the second wins; or int32 bits."""
        threshold = self._decision.threshold
        if threshold is None:
            return values[:, 0] > 0 if self.channels == 2 else values.argmax(1)
        bits = torch.zeros(len(values), dtype=torch.int32, device=values.device)
        for channel in range(self.channels):
            bits |= (values[:, channel] >= threshold).to(torch.int32) << channel
        return bits

    def _table(
        self, front: Front, mixed: torch.Tensor, lines: list[_Lines], first: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What is known of mixed cells.

        Returns:
            The activated values of all their corners, (node, channel), of two channels their difference; which nodes
            are the corners of each cell, (cell, corner) int32; and where each cell stands there, (slice * a * b) int32.
        """
        ends = list(product(*(line.ends for line in lines)))
        grown = [size + len(line.ends) - 1 for size, line in zip(mixed.shape, lines, strict=True)]
        wanted = torch.zeros(grown, dtype=torch.bool, device=mixed.device)
        for end in ends:
            part = wanted[tuple(slice(one, one + size) for one, size in zip(end, mixed.shape, strict=True))]
            part |= mixed
        nodes, cells = _places(wanted), _places(mixed)
        place_of_cell = _numbered(cells, mixed.numel())
        place_of_node = _numbered(nodes, wanted.numel())
        slices, a, b = _unravelled(cells, mixed.shape)
        base = (slices * grown[1] + a) * grown[2] + b
        steps = [(end[0] * grown[1] + end[1]) * grown[2] + end[2] for end in ends]
        corners = torch.stack([place_of_node.index_select(0, base + step) for step in steps], 1)
        slices, a, b = _unravelled(nodes, grown)
        slots = (slices + (first + self._before[front.axis])) % front.slots
        section = self._section(front)
        _, _, height, width = front.values.shape
        at = (slots * height + (a + section[0].start)) * width + (b + section[1].start)
        weights = front.weights.view(-1).index_select(0, at).clamp_(min=torch.finfo(torch.float32).tiny)
        table = front.values.view(self.channels, -1).gather(1, at.expand(self.channels, -1)).div_(weights)
        if self._decision.activation is Activation.SOFTMAX:
            table = table.softmax(0)
        elif self._decision.activation is Activation.SIGMOID:
            table = table.sigmoid_()
        if self._decision.threshold is None and self.channels == 2:
            # of two channels, by how much the second is larger says everything
            table = table[1:] - table[:1]
        return table.T.contiguous(), corners, place_of_cell

    def _write(self, decided: torch.Tensor, order: tuple[int, ...], ready: tuple[int, int]) -> None:
        source = [self._grid.axes[one].source_axis for one in order]
        turned = decided.permute([source.index(axis) for axis in range(3)]).cpu()
        into = torch.from_numpy(self._labels).permute(2, 1, 0)
        into.narrow(source[0], ready[0], ready[1] - ready[0]).copy_(turned)


@dataclass(frozen=True, slots=True)
class _Lines:
    """How source voxels along one axis lie between the model's.

    Attributes:
        lower: Their lower neighbours; or the voxel that they lie on.
        distance: How far they are from it, 0..1, float64; None where all lie on voxels, or are carried over from the
            nearest.
        outside: Which of them the model's grid does not reach.
    """

    lower: torch.Tensor
    distance: torch.Tensor | None
    outside: torch.Tensor

    @classmethod
    def of(cls, axis: AxisMap, nearest: bool, device: torch.device) -> _Lines:
        outside = index(np.flatnonzero(~axis.inside())).to(device)
        if nearest or axis.is_exact:
            return cls(index(axis.nearest()).to(device), None, outside)
        lower, distance = axis.cells()
        return cls(index(lower).to(device), torch.from_numpy(distance).to(device), outside)

    @property
    def ends(self) -> tuple[int, ...]:
        """The neighbours that count, from the lower one on."""
        return (0,) if self.distance is None else (0, 1)

    @property
    def shares(self) -> torch.Tensor:
        """(voxel, neighbour) float64: how much each neighbour counts."""
        if self.distance is None:
            return torch.ones((len(self.lower), 1), dtype=torch.float64, device=self.lower.device)
        return torch.stack((1 - self.distance, self.distance), 1)

    def ready(self, first: int, low: int, high: int) -> tuple[int, int] | None:
        """Which source slices can be decided with the model's slices [first, high), and could not before `low`."""
        if self.distance is None:
            now = (self.lower >= low) & (self.lower < high)
        else:
            now = (self.lower >= first) & (self.lower + 1 < high)
        places = now.nonzero()[:, 0]
        return (int(places[0]), int(places[-1]) + 1) if len(places) else None

    def part(self, ready: tuple[int, int], first: int) -> _Lines:
        """The source slices of a range alone, with the model's slices counted from `first`."""
        chosen = slice(*ready)
        outside = self.outside[(self.outside >= ready[0]) & (self.outside < ready[1])] - ready[0]
        return _Lines(self.lower[chosen] - first, self.distance[chosen] if self.distance is not None else None, outside)


def _spread(cells: torch.Tensor, lines: list[_Lines]) -> torch.Tensor:
    """What holds for cells, (slice, a, b), at the source voxels in them."""
    # the innermost axis first: the most work is then done in whole rows
    for place in (2, 1, 0):
        lower = lines[place].lower
        if cells.device.type == "cpu":
            # numpy copies whole rows where torch goes from element to element
            cells = torch.from_numpy(np.take(cells.numpy(), lower.numpy(), place))
        else:
            cells = cells.index_select(place, lower)
    return cells


def _places(mask: torch.Tensor) -> torch.Tensor:
    """(place,) int64: where a mask is set, counted along all its axes together."""
    if mask.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.reshape(-1).nonzero()[:, 0]


def _numbered(places: torch.Tensor, length: int) -> torch.Tensor:
    """(length,) int32: at each of the places its number, elsewhere 0."""
    found = torch.zeros(length, dtype=torch.int32, device=places.device)
    found[places] = torch.arange(len(places), dtype=torch.int32, device=places.device)
    return found


def _unravelled(places: torch.Tensor, shape: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The three indices of places that are counted along all axes together."""
    row = places // shape[2]
    slices = row // shape[1]
    return slices, row - slices * shape[1], places - row * shape[2]


def _sums(table: torch.Tensor, nodes: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """(voxel, column): the values of each voxel's nodes, (voxel, corner), by what they count there."""
    if table.shape[1] == 1:
        return table.view(-1).index_select(0, nodes.view(-1)).view(nodes.shape).mul_(shares).sum(1, keepdim=True)
    return torch.nn.functional.embedding_bag(nodes, table, per_sample_weights=shares, mode="sum")


def _undecided(values: torch.Tensor, winners: torch.Tensor) -> torch.Tensor:
    """(place,) int64: where another value is as good as the largest one; the largest ones are lost."""
    best = values.gather(1, winners[:, None])[:, 0]
    second = values.scatter_(1, winners[:, None], -torch.inf).amax(1)
    return _places(best - second <= _CLOSE * best.abs())


def _outer(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """(voxel, m) and (voxel, n) -> (voxel, m * n): the products of each with each."""
    return (first[:, :, None] * second[:, None, :]).flatten(1)


def _products(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """(a, m) and (b, n) -> (a * b, m * n): the products of each with each."""
    return (first[:, None, :, None] * second[None, :, None, :]).reshape(len(first) * len(second), -1)


def _neighbours(nodes: torch.Tensor, axis: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Along an axis, all but the last and all but the first."""
    count = nodes.shape[axis] - 1
    return nodes.narrow(axis, 0, count), nodes.narrow(axis, 1, count)


def _before_activation(threshold: float, activation: Activation) -> float:
    """The value that the activation takes to a threshold."""
    if activation is not Activation.SIGMOID:
        return threshold
    if not 0.0 < threshold < 1.0:
        return -np.inf if threshold <= 0.0 else np.inf
    return float(np.log(threshold / (1.0 - threshold)))
