"""The brush that stops at edges, against scipy, on grids of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from medview.core.geometry import Box, Geometry
from medview.editing import adaptive, brush
from tests.support import grids


def texture(geometry: Geometry) -> NDArray[np.float32]:
    noise = np.random.default_rng(9).normal(size=geometry.shape)
    soft = ndimage.gaussian_filter(noise, [1.5 / step for step in geometry.spacing_mm])
    return np.asarray(soft * 1000, dtype=np.float32)


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
@pytest.mark.parametrize("name", sorted(grids.ALL))
def test_it_takes_what_hangs_together_with_its_core_and_is_like_it(name: str, axis: int | None) -> None:
    geometry = grids.ALL[name]
    voxels = texture(geometry)
    radius, deviations = 0.35 * min(geometry.extent_mm), 1.5
    taken = []
    for start in ((6, 8, 10), (2, 15, 3), (9, 3, 18)):
        x, y, z = (float(value) for value in geometry.to_patient(np.array(start) + 0.2))
        middle = (x, y, z)
        if axis is None:
            box, mask = brush.sphere(geometry, middle, middle, radius)
        else:
            box, mask = brush.disk(geometry, middle, middle, radius, axis)
        found = adaptive.taken(voxels, geometry, box, mask, middle, radius, axis, deviations)
        whole = np.zeros(geometry.shape, bool)
        whole[box.slices] = found

        reach = np.zeros(geometry.shape, bool)
        reach[box.slices] = mask
        center = np.array(middle)
        if axis is not None:
            index = np.array(start, float) + 0.2
            index[axis] = start[axis]
            center = geometry.to_patient(index)
        away = np.linalg.norm(grids.centers(geometry) - center, axis=-1)
        core = reach & ((away <= radius / 3) | (np.arange(reach.size).reshape(reach.shape) == index_of(start, reach)))
        values = voxels[core].astype(np.float64)
        similar = reach & (np.abs(voxels - values.mean()) <= deviations * values.std() + 1e-9)
        parts, _ = ndimage.label(similar)
        expected = np.isin(parts, np.unique(parts[core & similar])) & (parts > 0)
        np.testing.assert_array_equal(whole, expected)
        taken.append(found.sum() / mask.sum())
    assert 0 < min(taken) < 1


def index_of(voxel: tuple[int, int, int], array: NDArray[np.bool_]) -> int:
    return int(np.ravel_multi_index(voxel, array.shape))


def test_it_stops_at_an_edge_and_does_not_leap_over_it() -> None:
    geometry = grids.grid((1.0, 1.0, 1.0), shape=(1, 40, 40))
    voxels = np.random.default_rng(3).normal(100, 5, geometry.shape).astype(np.float32)
    voxels[0, :, 20:22] += 200
    x, y, z = (float(value) for value in geometry.to_patient((0, 20, 12)))
    box, mask = brush.disk(geometry, (x, y, z), (x, y, z), 15.0, 0)
    found = np.zeros(geometry.shape, bool)
    found[box.slices] = adaptive.taken(voxels, geometry, box, mask, (x, y, z), 15.0, 0, 4.0)
    assert not found[0, :, 20:].any()
    reach = np.zeros(geometry.shape, bool)
    reach[box.slices] = mask
    assert found[0, :, :20].sum() > 0.98 * reach[0, :, :20].sum()


def test_without_values_nothing_is_taken() -> None:
    geometry = grids.THICK
    x, y, z = (float(value) for value in geometry.to_patient((6, 8, 10)))
    box, mask = brush.disk(geometry, (x, y, z), (x, y, z), 4.0, 0)
    empty = np.full(geometry.shape, np.nan, np.float32)
    assert not adaptive.taken(empty, geometry, box, mask, (x, y, z), 4.0, 0, 2.0).any()
    beside = Box((0, 0, 0), (1, 1, 1))
    assert not adaptive.taken(empty, geometry, beside, np.ones((1, 1, 1), bool), (x, y, z), 1.0, 0, 2.0).any()
