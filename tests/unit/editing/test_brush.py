"""Every stamp against the distances of all voxel centres, computed in patient space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from medview.core.geometry import Box, Floats, Geometry, Point
from medview.editing import brush
from tests.support import grids

EDGE_MM = 1e-4
"""Voxels whose distance is this near to the radius may be either."""
INDEX = st.tuples(st.floats(-6, 19), st.floats(-6, 23), st.floats(-6, 27))
GRID = st.sampled_from(sorted(grids.ALL))


def on_whole_grid(geometry: Geometry, stamp: brush.Stamp) -> NDArray[np.bool_]:
    box, mask = stamp
    assert box.clipped(geometry.shape) == box or box.is_empty
    assert mask.shape == box.shape
    whole = np.zeros(geometry.shape, dtype=np.bool_)
    whole[box.slices] = mask
    return whole


def point_at(geometry: Geometry, index: tuple[float, float, float]) -> Point:
    x, y, z = (float(v) for v in geometry.to_patient(index))
    return x, y, z


def on_the_way(geometry: Geometry, start: Floats, stop: Floats) -> NDArray[np.bool_]:
    """Voxels that a line runs through, found with very many points on it."""
    way = np.linspace(geometry.to_index(start), geometry.to_index(stop), 5001)
    voxels = np.floor(way + 0.5).astype(int)
    voxels = voxels[((voxels >= 0) & (voxels < geometry.shape)).all(axis=1)]
    whole = np.zeros(geometry.shape, dtype=np.bool_)
    whole[tuple(voxels.T)] = True
    return whole


@settings(max_examples=80, deadline=None)
@given(GRID, INDEX, INDEX, st.floats(0.1, 12))
def test_a_sphere_reaches_the_centres_within_its_radius(
    name: str, a: tuple[float, float, float], b: tuple[float, float, float], radius: float
) -> None:
    geometry = grids.ALL[name]
    start, stop = point_at(geometry, a), point_at(geometry, b)
    reached = on_whole_grid(geometry, brush.sphere(geometry, start, stop, radius))
    distance = grids.distance_to_line(grids.centers(geometry), np.array(start), np.array(stop))
    assert reached[distance < radius - EDGE_MM].all()
    crossed = on_the_way(geometry, np.array(start), np.array(stop))
    assert reached[crossed].all()
    half_diagonal = float(np.linalg.norm(geometry.spacing_mm)) / 2
    allowed = (distance <= radius + EDGE_MM) | (distance <= half_diagonal + EDGE_MM)
    assert allowed[reached].all()
    if radius > half_diagonal + EDGE_MM:
        assert (distance <= radius + EDGE_MM)[reached].all()


@settings(max_examples=80, deadline=None)
@given(GRID, INDEX, INDEX, st.floats(0.1, 12), st.sampled_from((0, 1, 2)))
def test_a_disk_reaches_the_centres_of_its_slice(
    name: str, a: tuple[float, float, float], b: tuple[float, float, float], radius: float, axis: int
) -> None:
    geometry = grids.ALL[name]
    number = int(np.floor(b[axis] + 0.5))
    in_slice_a, in_slice_b = list(a), list(b)
    in_slice_a[axis] = in_slice_b[axis] = number
    a_flat = (in_slice_a[0], in_slice_a[1], in_slice_a[2])
    b_flat = (in_slice_b[0], in_slice_b[1], in_slice_b[2])
    reached = on_whole_grid(
        geometry, brush.disk(geometry, point_at(geometry, a_flat), point_at(geometry, b), radius, axis)
    )
    if not 0 <= number < geometry.shape[axis]:
        assert not reached.any()
        return
    others = np.delete(reached, number, axis=axis)
    assert not others.any()
    centers: Floats = np.take(grids.centers(geometry), number, axis=axis)
    start, stop = np.array(point_at(geometry, a_flat)), np.array(point_at(geometry, b_flat))
    distance = grids.distance_to_line(centers, start, stop)
    flat: NDArray[np.bool_] = np.take(reached, number, axis=axis)
    assert flat[distance < radius - EDGE_MM].all()
    assert flat[np.take(on_the_way(geometry, start, stop), number, axis=axis)].all()
    half_diagonal = float(np.linalg.norm(np.delete(geometry.spacing_mm, axis))) / 2
    assert (distance <= max(radius, half_diagonal) + EDGE_MM)[flat].all()


@pytest.mark.parametrize("name", sorted(grids.ALL))
@pytest.mark.parametrize("radius", [0.1, 0.5, 1.0, 2.5, 4.0])
def test_a_fast_stroke_has_no_gaps(name: str, radius: float) -> None:
    """Neighbouring voxels along the way touch each other, face to face, however far the samples lie apart."""
    geometry = grids.ALL[name]
    start, stop = point_at(geometry, (6, 1.2, 1.7)), point_at(geometry, (6, 16.4, 20.1))
    reached = on_whole_grid(geometry, brush.disk(geometry, start, stop, radius, 0))[6]
    seen = np.zeros_like(reached)
    seen[1, 2] = reached[1, 2]
    while True:
        grown = seen.copy()
        grown[1:] |= seen[:-1]
        grown[:-1] |= seen[1:]
        grown[:, 1:] |= seen[:, :-1]
        grown[:, :-1] |= seen[:, 1:]
        grown &= reached
        if (grown == seen).all():
            break
        seen = grown
    assert seen[16, 20]
    np.testing.assert_array_equal(seen, reached)


def test_two_samples_paint_no_less_than_the_samples_between_them() -> None:
    geometry = grids.OBLIQUE
    start, stop = np.array(point_at(geometry, (3, 2, 2))), np.array(point_at(geometry, (9, 15, 18)))
    at_once = on_whole_grid(geometry, brush.sphere(geometry, tuple(start), tuple(stop), 2.2))
    slowly = np.zeros_like(at_once)
    for share in np.linspace(0, 1, 400):
        here = tuple(start + share * (stop - start))
        slowly |= on_whole_grid(geometry, brush.sphere(geometry, here, here, 2.2))
    assert at_once[slowly].all()
    distance = grids.distance_to_line(grids.centers(geometry), start, stop)
    assert (np.abs(distance - 2.2) < 0.01)[at_once & ~slowly].all()


def test_a_brush_smaller_than_a_voxel_paints_the_voxel_under_the_cursor() -> None:
    for geometry in grids.ALL.values():
        point = point_at(geometry, (4.4, 7.3, 8.6))
        for stamp in (
            brush.sphere(geometry, point, point, 0.1),
            brush.disk(geometry, point, point, 0.1, 0),
            brush.disk(geometry, point, point, 0.0, 2),
        ):
            reached = on_whole_grid(geometry, stamp)
            assert reached[4, 7, 9]
            assert reached.sum() == 1


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_image_of_the_brush_under_a_flip_is_the_flip_of_its_image(axis: int) -> None:
    geometry = grids.THICK
    matrix = geometry.affine.copy()
    matrix[:3, 3] += matrix[:3, axis] * (geometry.shape[axis] - 1)
    matrix[:3, axis] *= -1
    flipped = Geometry(geometry.shape, matrix)
    start, stop = point_at(geometry, (5.3, 4.1, 7.7)), point_at(geometry, (7.1, 9.9, 12.3))
    one = on_whole_grid(geometry, brush.sphere(geometry, start, stop, 6.0))
    other = on_whole_grid(flipped, brush.sphere(flipped, start, stop, 6.0))
    np.testing.assert_array_equal(np.flip(one, axis), other)


def test_a_centre_exactly_on_the_radius_is_inside_on_every_side() -> None:
    point = point_at(grids.ISOTROPIC, (7, 9, 11))
    reached = on_whole_grid(grids.ISOTROPIC, brush.sphere(grids.ISOTROPIC, point, point, 3.0))
    for axis, middle in enumerate((7, 9, 11)):
        for side in (-3, 3):
            index = [7, 9, 11]
            index[axis] = middle + side
            assert reached[tuple(index)]
            index[axis] = middle + side + (1 if side > 0 else -1)
            assert not reached[tuple(index)]


@pytest.mark.parametrize("name", sorted(grids.ALL))
def test_the_painted_volume_is_the_sphere_s_on_any_spacing(name: str) -> None:
    geometry = grids.grid(grids.ALL[name].spacing_mm, grids.ALL[name].direction, (40, 80, 80))
    point = point_at(geometry, (20.2, 40.4, 39.7))
    radius = 12.0
    box, mask = brush.sphere(geometry, point, point, radius)
    volume = mask.sum() * geometry.voxel_mm3
    assert not box.is_empty
    # Within a shell of half a voxel on either side.
    shell = max(geometry.spacing_mm) / 2
    assert 4 / 3 * np.pi * (radius - shell) ** 3 < volume < 4 / 3 * np.pi * (radius + shell) ** 3


def test_outside_the_grid_there_is_nothing_to_paint() -> None:
    far = point_at(grids.OBLIQUE, (100, 100, 100))
    assert brush.sphere(grids.OBLIQUE, far, far, 3.0)[0].is_empty
    assert brush.disk(grids.OBLIQUE, far, far, 3.0, 1)[0].is_empty


def test_scrolling_during_a_stroke_starts_afresh_in_the_new_slice() -> None:
    geometry = grids.ISOTROPIC
    start, stop = point_at(geometry, (3, 3, 3)), point_at(geometry, (4, 14, 18))
    box, _ = brush.disk(geometry, start, stop, 2.0, 0)
    assert box == Box((4, 12, 16), (5, 17, 21))


def test_the_box_is_no_larger_than_the_brush() -> None:
    geometry = grids.grid((1.0, 0.7, 0.7), shape=(400, 512, 512))
    point = point_at(geometry, (200, 256, 256))
    box, _ = brush.sphere(geometry, point, point, 10.0)
    assert box.shape == (21, 29, 29)


@settings(max_examples=60, deadline=None)
@given(GRID, INDEX, INDEX, st.floats(0.1, 12), st.sampled_from((0, 1, 2)))
def test_a_square_reaches_what_lies_within_its_sides(
    name: str, a: tuple[float, float, float], b: tuple[float, float, float], radius: float, axis: int
) -> None:
    geometry = grids.ALL[name]
    number = int(np.floor(b[axis] + 0.5))
    ends = [np.array([*one[:axis], number, *one[axis + 1 :]], dtype=float) for one in (a, b)]
    points = [point_at(geometry, (one[0], one[1], one[2])) for one in ends]
    reached = on_whole_grid(geometry, brush.square(geometry, points[0], points[1], radius, axis))
    if not 0 <= number < geometry.shape[axis]:
        assert not reached.any()
        return
    others = [other for other in range(3) if other != axis]
    assert not np.delete(reached, number, axis).any()
    offset = np.take(grids.centers(geometry), number, axis) - np.array(points[0])
    flat = offset @ geometry.direction[:, others]
    way = (np.array(points[1]) - np.array(points[0])) @ geometry.direction[:, others]
    shares = np.linspace(0, 1, 401)
    away = np.min([np.abs(flat - share * way).max(axis=-1) for share in shares], axis=0)
    tolerance = EDGE_MM + float(np.abs(way).max()) / 400
    here = np.take(reached, number, axis)
    assert here[away < radius - EDGE_MM].all()
    widest = max(geometry.spacing_mm[other] for other in others) / 2
    allowed = (away <= radius + tolerance) | ((away <= widest + tolerance) & (radius < widest))
    assert allowed[here].all()
    assert np.take(on_the_way(geometry, np.array(points[0]), np.array(points[1])), number, axis)[~here].sum() == 0
