"""Level tracing against scikit-image's contours and against a ball, on grids of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.measure import find_contours

from medview.core.geometry import Floats
from medview.editing import level_trace, outline
from tests.support import grids


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("name", sorted(grids.ALL))
def test_the_line_around_a_ball_has_one_distance_from_its_middle(name: str, axis: int) -> None:
    geometry = grids.ALL[name]
    middle = (np.asarray(geometry.shape) - 1) / 2
    index = round(middle[axis])
    center = middle.copy()
    center[axis] = index
    far = np.linalg.norm(grids.centers(geometry) - geometry.to_patient(center), axis=-1)
    voxels = (-far).astype(np.float32)
    others = [other for other in range(3) if other != axis]
    reach = 0.3 * min(geometry.extent_mm[other] for other in others)
    place = center.copy()
    place[others[0]] += reach / geometry.spacing_mm[others[0]]
    line = level_trace.traced(voxels, geometry, place, axis)
    assert line is not None
    away = np.linalg.norm(line - geometry.to_patient(center), axis=1)
    coarse = max(geometry.spacing_mm[other] for other in others)
    np.testing.assert_allclose(away, reach, atol=0.2 * coarse)
    box, mask = outline.inside(geometry, line, axis, index)
    found = np.zeros(geometry.shape, bool)
    found[box.slices] = mask
    plane = np.take(far, index, axis)
    sure = np.abs(plane - reach) > 0.2 * coarse
    np.testing.assert_array_equal(np.take(found, index, axis)[sure], (plane < reach)[sure])


def test_it_is_the_line_of_another_program_that_passes_most_closely() -> None:
    geometry = grids.grid((1.0, 1.0, 1.0), shape=(3, 40, 50))
    j, i = np.indices((40, 50))
    flat = 100 * np.exp(-((j - 12) ** 2 + (i - 14) ** 2) / 40) + 80 * np.exp(-((j - 26) ** 2 + (i - 33) ** 2) / 60)
    voxels = np.stack([np.zeros_like(flat), flat, np.zeros_like(flat)])
    place = np.array([1.0, 26.3, 37.4])
    line = level_trace.traced(voxels, geometry, place, 0)
    assert line is not None
    block = flat[26:28, 37:39]
    level = float(np.array([0.7, 0.3]) @ block @ np.array([0.6, 0.4]))
    lines: list[Floats] = [one for one in find_contours(flat, level) if np.array_equal(one[0], one[-1])]
    assert len(lines) == 2
    other = min(lines, key=lambda one: float(np.hypot(*(one - place[1:]).T).min()))
    mine = geometry.to_index(line)[:, 1:]
    gaps = np.linalg.norm(mine[:, None] - other[None], axis=-1)
    assert gaps.min(axis=1).max() < 1e-6
    assert gaps.min(axis=0).max() < 1e-6
    assert float(np.hypot(*(mine - place[1:]).T).min()) < 0.5


def test_where_no_closed_line_is_there_is_none() -> None:
    geometry = grids.THICK
    ramp = np.broadcast_to(np.arange(geometry.shape[2], dtype=np.float32), geometry.shape)
    assert level_trace.traced(ramp, geometry, np.array([3.0, 4.5, 6.5]), 0) is None
    assert level_trace.traced(ramp, geometry, np.array([3.0, 4.5, 99.0]), 0) is None
    assert level_trace.traced(ramp, geometry, np.array([99.0, 4.5, 6.5]), 0) is None
    empty = np.full(geometry.shape, np.nan)
    assert level_trace.traced(empty, geometry, np.array([3.0, 4.5, 6.5]), 0) is None
