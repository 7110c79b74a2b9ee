"""The live wire against Dijkstra's algorithm in scipy, on grids of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from medview.core.geometry import Floats, Geometry, Index
from medview.editing import live_wire
from medview.editing.live_wire import Wire
from tests.support import grids


def image(geometry: Geometry) -> NDArray[np.float32]:
    noise = np.random.default_rng(5).normal(size=geometry.shape)
    return np.asarray(1000 * ndimage.gaussian_filter(noise, 1.5), dtype=np.float32)


def slice_costs(voxels: NDArray[np.float32], geometry: Geometry, axis: int, index: int) -> NDArray[np.float64]:
    """(row, column): the costs as the tool defines them, from gradients by plain numpy."""
    flat = np.take(voxels, index, axis).astype(np.float64)
    steps = [geometry.spacing_mm[other] for other in range(3) if other != axis]
    strength = np.hypot(*np.gradient(flat, *steps))
    return np.asarray(1 - 0.98 * np.clip(strength / np.percentile(strength, 98), 0, 1))


def cheapest(costs: NDArray[np.float64], steps: list[float], start: tuple[int, int]) -> NDArray[np.float64]:
    """(row, column): what the cheapest way from a pixel costs, over its eight neighbours."""
    rows, columns = costs.shape
    number = np.arange(costs.size).reshape(costs.shape)
    parts = []
    for down, across in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = number[: rows - down, max(0, -across) : columns - max(0, across)]
        b = number[down:, max(0, across) : columns + min(0, across)]
        length = float(np.hypot(down * steps[0], across * steps[1]))
        parts.append((a.ravel(), b.ravel(), length * (costs.ravel()[a] + costs.ravel()[b]).ravel() / 2))
    one, other, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    graph = coo_array((weight, (one, other)), shape=(costs.size, costs.size)).tocsr()
    return np.asarray(dijkstra(graph, directed=False, indices=number[start])).reshape(costs.shape)


def cost_of(way: Floats, costs: NDArray[np.float64], steps: list[float]) -> float:
    """Of a way through pixels, (n, 2)."""
    pixels = np.rint(way).astype(int)
    assert (np.abs(np.diff(pixels, axis=0)).max(axis=1) == 1).all()
    lengths = np.linalg.norm(np.diff(pixels, axis=0) * steps, axis=1)
    at = costs[pixels[:, 0], pixels[:, 1]]
    return float((lengths * (at[1:] + at[:-1]) / 2).sum())


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("name", sorted(grids.ALL))
def test_no_way_is_cheaper_than_the_wire(name: str, axis: int) -> None:
    geometry = grids.ALL[name]
    voxels = image(geometry)
    start: Index = (6, 5, 4)
    others = [other for other in range(3) if other != axis]
    steps = [geometry.spacing_mm[other] for other in others]
    costs = slice_costs(voxels, geometry, axis, start[axis])
    best = cheapest(costs, steps, (start[others[0]], start[others[1]]))
    wire = Wire(voxels, geometry, start, axis)
    for place in np.random.default_rng(1).integers(0, geometry.shape, (6, 3)):
        place[axis] = start[axis]
        if tuple(place) == start:
            continue
        way = geometry.to_index(wire.to((int(place[0]), int(place[1]), int(place[2]))))
        np.testing.assert_allclose(way[-1], place, atol=1e-9)
        np.testing.assert_allclose(way[:, axis], start[axis], atol=1e-9)
        whole = np.vstack([[start], way])[:, others]
        assert cost_of(whole, costs, steps) == pytest.approx(best[tuple(place[others])], rel=1e-4)


def test_a_wire_follows_an_edge_around_a_corner() -> None:
    geometry = grids.grid((1.0, 1.0, 1.0), shape=(1, 60, 60))
    voxels = np.zeros(geometry.shape, np.float32)
    voxels[0, 20:, 20:] = 500
    way = geometry.to_index(Wire(voxels, geometry, (0, 50, 20), 0).to((0, 20, 50)))
    edge = np.minimum(np.abs(way[:, 1] - 19.5), np.abs(way[:, 2] - 19.5))
    assert edge.max() <= 1.5
    assert len(way) >= 57


def test_beyond_its_reach_the_wire_is_a_straight_line() -> None:
    geometry = grids.grid((1.0, 1.0, 1.0), shape=(1, 10, 400))
    voxels = np.zeros(geometry.shape, np.float32)
    far = Wire(voxels, geometry, (0, 5, 5), 0).to((0, 5, 390))
    np.testing.assert_allclose(geometry.to_index(far), [[0, 5, 390]])


def test_costs_are_least_on_the_strongest_edges() -> None:
    voxels = np.zeros((1, 20, 20), np.int16)
    voxels[0, :, 10:] = 100
    costs = live_wire.step_costs(voxels, (1.0, 1.0, 1.0))
    assert costs[0, 5, 9] == pytest.approx(0.02)
    assert costs[0, 5, 2] == 1
    assert (live_wire.step_costs(np.zeros((1, 5, 5)), (1.0, 1.0, 1.0)) == 1).all()
