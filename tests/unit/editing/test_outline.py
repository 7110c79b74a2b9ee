"""What lies inside an outline, against the winding number of every voxel centre, on grids of every kind."""

from __future__ import annotations

import numpy as np
import pytest

from medview.core.geometry import Box
from medview.editing import outline
from tests.support import grids
from tests.support.winding import drawn, turns_in_slice


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("name", sorted(grids.ALL))
def test_a_voxel_is_inside_when_the_outline_goes_around_its_centre(name: str, axis: int) -> None:
    geometry, index = grids.ALL[name], 7
    for seed in range(4):
        points = drawn(geometry, axis, index, seed)
        expected = np.zeros(geometry.shape, dtype=np.bool_)
        np.moveaxis(expected, axis, 0)[index] = turns_in_slice(geometry, points, axis, index) != 0
        box, mask = outline.inside(geometry, points, axis, index)
        found = np.zeros(geometry.shape, dtype=np.bool_)
        found[box.slices] = mask
        assert expected.any()
        np.testing.assert_array_equal(found, expected)
        assert Box.around(mask) == Box.whole(box.shape)


def test_what_was_drawn_off_the_slice_is_projected_onto_it() -> None:
    geometry = grids.OBLIQUE
    points = drawn(geometry, 0, 7, 1)
    lifted = points + 3.7 * geometry.direction[:, 0]
    for one, other in zip(outline.inside(geometry, points, 0, 7), outline.inside(geometry, lifted, 0, 7), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_without_a_surface_there_is_nothing_inside(count: int) -> None:
    box, mask = outline.inside(grids.THICK, drawn(grids.THICK, 0, 3, 0, count), 0, 3)
    assert box.is_empty
    assert not mask.size


def test_an_outline_beside_the_grid_holds_nothing() -> None:
    far = grids.THICK.to_patient(np.array([[3.0, 40, 40], [3, 60, 40], [3, 60, 60]]))
    assert outline.inside(grids.THICK, far, 0, 3)[0].is_empty
    assert outline.inside(grids.THICK, drawn(grids.THICK, 0, 3, 0), 0, 99)[0].is_empty
