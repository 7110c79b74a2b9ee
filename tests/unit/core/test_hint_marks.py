"""Which voxels hints mean, against distances and areas by hand, on straight, thick, tilted and mirrored grids."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from skimage.measure import points_in_poly

from medview.core.geometry import Box, Floats, Geometry, Point
from medview.core.hint import Hint, HintRecord, PlacedMask
from medview.core.hint_marks import box_around, box_of, contradicts, line_of, marks_of, voxels_of
from medview.editing import brush
from tests.support.volumes import oblique, orientations

GRIDS = (
    Geometry.from_parts((20, 24, 22), (1.0, 1.0, 1.0), (3.0, -7.0, 2.0)),
    Geometry.from_parts((9, 30, 26), (5.0, 1.0, 0.9), (3.0, -7.0, 2.0)),
    Geometry.from_parts((14, 24, 22), (2.0, 0.8, 1.1), (3.0, -7.0, 2.0), oblique()),
    Geometry.from_parts((18, 16, 22), (2.0, 1.5, 1.0), (3.0, -7.0, 2.0), orientations()[37]),
)


def _at(grid: Geometry, *index: float) -> Point:
    k, j, i = index
    x, y, z = (float(value) for value in grid.to_patient((k, j, i)))
    return x, y, z


def _centres(grid: Geometry) -> Floats:
    axes = [np.arange(size, dtype=np.float64) for size in grid.shape]
    return grid.to_patient(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))


@pytest.mark.parametrize("grid", GRIDS)
def test_a_point_means_the_voxels_within_its_radius_and_its_own(grid: Geometry) -> None:
    place = _at(grid, 4.3, 8.2, 9.4)
    found = voxels_of(Hint.point(place, radius_mm=3.2), grid)
    wanted = np.linalg.norm(_centres(grid) - np.asarray(place), axis=-1) <= 3.2
    wanted[4, 8, 9] = True
    assert np.array_equal(found, wanted)
    assert np.argwhere(voxels_of(Hint.point(place), grid)).tolist() == [[4, 8, 9]]


@pytest.mark.parametrize("grid", GRIDS)
def test_a_scribble_means_what_a_brush_of_its_radius_would_paint(grid: Geometry) -> None:
    corners = [_at(grid, 3.2, 4.1, 5.3), _at(grid, 5.4, 12.2, 9.3), _at(grid, 4.1, 13.0, 16.2)]
    found = voxels_of(Hint.scribble(corners, radius_mm=2.6), grid)
    wanted = np.zeros(grid.shape, dtype=bool)
    for start, stop in pairwise(corners):
        box, mask = brush.sphere(grid, start, stop, 2.6)
        wanted[box.slices] |= mask
    assert np.array_equal(found, wanted)


def test_a_thin_scribble_leaves_no_gap() -> None:
    grid = GRIDS[1]
    found = voxels_of(Hint.scribble([_at(grid, 1, 2, 3), _at(grid, 7, 27, 22)]), grid)
    index = np.argwhere(found)
    order = np.argsort(index @ np.array([1, 5, 5]))
    assert np.abs(np.diff(index[order], axis=0)).max() <= 1


@pytest.mark.parametrize("grid", GRIDS)
def test_a_lasso_means_what_it_encloses_in_its_slice(grid: Geometry) -> None:
    outline = np.array([[2.3, 3.1], [12.4, 4.2], [9.3, 8.6], [13.2, 13.4], [3.1, 12.7]])
    found = voxels_of(Hint.lasso([_at(grid, 4, j, i) for j, i in outline]), grid)
    j, i = np.meshgrid(np.arange(grid.shape[1]), np.arange(grid.shape[2]), indexing="ij")
    wanted = points_in_poly(np.stack([j.ravel(), i.ravel()], axis=1), outline).reshape(j.shape)
    assert np.flatnonzero(found.any(axis=(1, 2))).tolist() == [4]
    assert np.array_equal(found[4], wanted)


def test_a_thick_lasso_reaches_to_both_sides() -> None:
    grid = GRIDS[0]
    corners = [_at(grid, 6, *place) for place in ((3.0, 3.0), (3.0, 11.0), (11.0, 11.0), (11.0, 3.0))]
    found = voxels_of(Hint.lasso(corners, radius_mm=2.0), grid)
    assert np.flatnonzero(found.any(axis=(1, 2))).tolist() == [4, 5, 6, 7, 8]


def test_a_mask_keeps_its_place_on_another_grid() -> None:
    fine, part = GRIDS[0], GRIDS[0].cropped(Box((5, 6, 7), (10, 12, 13)))
    voxels = np.random.default_rng(1).random(part.shape) > 0.5
    found = voxels_of(Hint.mask(PlacedMask(part, voxels)), fine)
    wanted = np.zeros(fine.shape, dtype=bool)
    wanted[5:10, 6:12, 7:13] = voxels
    assert np.array_equal(found, wanted)
    coarse = Geometry(  # every second voxel of the other one
        (10, 12, 11), fine.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    )
    assert np.array_equal(voxels_of(Hint.mask(PlacedMask(part, voxels)), coarse), wanted[::2, ::2, ::2])


def test_a_positive_box_says_what_is_outside_it_and_a_negative_one_what_is_not() -> None:
    grid = GRIDS[2]
    box = Hint.box(_at(grid, 3, 4, 5), _at(grid, 8, 11, 15))
    assert box_of(box, grid) == Box((3, 4, 5), (9, 12, 16))
    marks = marks_of([box, Hint.point(_at(grid, 5, 6, 7))], grid)
    assert np.argwhere(marks.inside).tolist() == [[5, 6, 7]]
    wanted = np.ones(grid.shape, dtype=bool)
    wanted[3:9, 4:12, 5:16] = False
    assert np.array_equal(marks.outside, wanted)
    other = marks_of([Hint.box(_at(grid, 3, 4, 5), _at(grid, 8, 11, 15), positive=False)], grid)
    assert np.array_equal(other.outside, ~wanted)
    assert not other.inside.any()


def test_rims_that_meet_say_nothing_and_lines_keep_their_voxels() -> None:
    grid = GRIDS[0]
    yes = Hint.scribble([_at(grid, 8, 4, 8), _at(grid, 8, 12, 8)], radius_mm=3.0)
    no = Hint.scribble([_at(grid, 8, 4, 11), _at(grid, 8, 12, 11)], positive=False, radius_mm=3.0)
    marks = marks_of([yes, no], grid)
    assert not (marks.inside & marks.outside).any()
    assert marks.inside[8, 8].nonzero()[0].tolist() == [5, 6, 7, 8]
    assert marks.outside[8, 8].nonzero()[0].tolist() == [11, 12, 13, 14]
    assert not contradicts(no, [yes], grid)


def test_what_contradicts() -> None:
    grid = GRIDS[0]
    yes = Hint.scribble([_at(grid, 8, 4, 8), _at(grid, 8, 12, 8)], radius_mm=2.0)
    across = Hint.scribble([_at(grid, 8, 8, 3), _at(grid, 8, 8, 14)], positive=False)
    box = Hint.box(_at(grid, 5, 5, 5), _at(grid, 12, 15, 15))
    assert contradicts(across, [yes], grid)
    assert not contradicts(Hint.scribble(across.points), [yes], grid)
    assert contradicts(box, [yes], grid), "the scribble leaves the box"
    assert contradicts(yes, [box], grid)
    assert not contradicts(across, [box], grid), "what is not of the structure may lie anywhere"
    assert not contradicts(Hint.point(_at(grid, 8, 8, 8)), [box], grid)
    forbidden = Hint.box(_at(grid, 5, 5, 5), _at(grid, 12, 15, 15), positive=False)
    assert contradicts(Hint.point(_at(grid, 8, 8, 8)), [forbidden], grid)
    assert not contradicts(Hint.point(_at(grid, 2, 2, 2)), [forbidden], grid)


def test_boxes_around_hints_and_places_outside() -> None:
    grid = GRIDS[1]
    away = Hint.point((900.0, 0.0, 0.0))
    assert box_of(away, grid).is_empty
    assert not voxels_of(away, grid).any()
    assert box_around([away], grid, 10.0).is_empty
    found = box_around([Hint.point(_at(grid, 4, 10, 10)), Hint.point(_at(grid, 5, 12, 20)), away], grid, 5.0)
    assert found == Box((3, 5, 4), (7, 18, 26))
    places = line_of(Hint.scribble([(0, 0, 0), (10, 0, 0), (10, 4, 0)]), 3.0)
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).max() <= 3.0
    assert places[-1].tolist() == [10, 4, 0]


def test_a_hint_is_written_down_and_must_lie_somewhere() -> None:
    hint = Hint.scribble([(1.00004, 2.0, 3.0), (4.0, 5.0, 6.0)], positive=False, radius_mm=2.0)
    record = HintRecord.of(hint)
    assert (record.kind, record.positive, record.points, record.radius_mm) == (
        "scribble",
        False,
        ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)),
        2.0,
    )
    mask = Hint.mask(PlacedMask(GRIDS[0], np.ones(GRIDS[0].shape, dtype=bool)))
    assert HintRecord.of(mask).voxels == 20 * 24 * 22
    with pytest.raises(ValueError, match="somewhere"):
        Hint.point((0.0, float("nan"), 0.0))
    with pytest.raises(ValueError, match="2 points"):
        Hint.lasso([(0, 0, 0), (1, 1, 1)])
