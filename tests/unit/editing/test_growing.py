"""Regions grown from a seed, against scipy's labelling, on grids of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from medview.core.errors import Cancelled
from medview.core.geometry import Box, Geometry
from medview.core.progress import NoProgress
from medview.editing import growing
from tests.support import grids


def texture(geometry: Geometry, seed: int) -> NDArray[np.float32]:
    """(k, j, i) float32: soft structures of some millimetres, -100..100, and voxels without a value."""
    noise = np.random.default_rng(seed).normal(size=geometry.shape)
    soft = ndimage.gaussian_filter(noise, [2.0 / step for step in geometry.spacing_mm])
    values: NDArray[np.float32] = (100 * soft / np.abs(soft).max()).astype(np.float32)
    values[1, 2:4, 3] = np.nan
    return values


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
@pytest.mark.parametrize("name", sorted(grids.ALL))
def test_what_hangs_together_with_the_seed_is_found(name: str, axis: int | None) -> None:
    geometry = grids.ALL[name]
    voxels = texture(geometry, 3)
    rng = np.random.default_rng(11)
    sizes = []
    for tolerance in (5.0, 20.0, 33.3):
        seed = tuple(int(n) for n in rng.integers(4, geometry.shape))
        value = float(voxels[seed])
        similar = np.abs(voxels.astype(np.float64) - value) <= tolerance
        if axis is not None:
            others = np.arange(geometry.shape[axis]) != seed[axis]
            np.moveaxis(similar, axis, 0)[others] = False
        parts, _ = ndimage.label(similar)
        expected = parts == parts[seed]
        box, mask = growing.grown(voxels, (seed[0], seed[1], seed[2]), value - tolerance, value + tolerance, axis)
        found = np.zeros(geometry.shape, dtype=np.bool_)
        found[box.slices] = mask
        np.testing.assert_array_equal(found, expected)
        assert Box.around(mask) == Box.whole(box.shape)
        sizes.append(int(mask.sum()))
    assert max(sizes) > 5


def test_ends_of_the_range_that_are_no_voxel_values_are_kept_to() -> None:
    voxels = np.array([[[10, 11, 12, 13, 10]]], dtype=np.int16)
    box, mask = growing.grown(voxels, (0, 0, 0), 9.5, 12.9)
    assert box == Box((0, 0, 0), (1, 1, 3))
    assert mask.all()


def test_a_seed_out_of_the_range_finds_nothing() -> None:
    box, _ = growing.grown(texture(grids.THICK, 1), (1, 2, 3), -10.0, 10.0)
    assert box.is_empty


def test_it_can_be_cancelled() -> None:
    class Stopped(NoProgress):
        def raise_if_cancelled(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        growing.grown(texture(grids.THICK, 1), (5, 5, 5), -1000.0, 1000.0, None, Stopped())
