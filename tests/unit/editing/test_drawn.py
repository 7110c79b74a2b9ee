"""Numbers of what is drawn, against geometry worked out otherwise and SimpleITK's statistics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray

from medview.core.geometry import Floats, Geometry
from medview.core.measurement import MeasurementKind, Quantity, Value
from medview.core.volume import Modality, Volume, VolumeId
from medview.editing.drawn import PIXELS, angle_deg, area_of, distance, numbers_of, statistics, values_inside
from medview.phantom.chest import Phantom
from tests.support.grids import ALL, OBLIQUE, centers

ELLIPSE, RECTANGLE, POLYGON = MeasurementKind.ELLIPSE, MeasurementKind.RECTANGLE, MeasurementKind.POLYGON


def image(geometry: Geometry, dtype: type[np.int16] | type[np.float32] = np.int16) -> Volume:
    voxels = np.random.default_rng(11).integers(-1000, 1500, geometry.shape).astype(dtype)
    return Volume(VolumeId("image"), geometry, voxels, Modality.CT, "HU", "1.2.3")


def found(values: tuple[Value, ...]) -> dict[Quantity, float]:
    return {value.quantity: value.number for value in values}


def itk_statistics(volume: Volume, mask: NDArray[np.bool_]) -> dict[Quantity, float]:
    """What SimpleITK finds in the voxels of a mask."""
    counter = SimpleITK.LabelStatisticsImageFilter()
    picture = SimpleITK.GetImageFromArray(np.asarray(volume.voxels, dtype=np.float64))
    counter.Execute(picture, SimpleITK.GetImageFromArray(mask.astype(np.uint8)))
    return {
        Quantity.MEAN: counter.GetMean(1),
        Quantity.DEVIATION: counter.GetSigma(1),
        Quantity.MINIMUM: counter.GetMinimum(1),
        Quantity.MAXIMUM: counter.GetMaximum(1),
    }


def ellipse_around(
    geometry: Geometry, center: tuple[float, float, float], axis: int, mm: tuple[float, float], turn: float
) -> Floats:
    """Ends of the axes of an ellipse in a slice, turned within it: (4, 3) LPS, mm."""
    one, other = (geometry.direction[:, n] for n in range(3) if n != axis)
    along = np.cos(turn) * one + np.sin(turn) * other
    across = -np.sin(turn) * one + np.cos(turn) * other
    middle = geometry.to_patient(center)
    return np.array([middle - mm[0] * along, middle + mm[0] * along, middle - mm[1] * across, middle + mm[1] * across])


@pytest.mark.parametrize("name", ALL)
def test_a_length_is_that_of_the_patient_on_every_grid(name: str) -> None:
    geometry = ALL[name]
    one, other = (3.0, 4.25, 1.5), (11.0, 9.0, 19.75)
    steps = [(b - a) * mm for a, b, mm in zip(one, other, geometry.spacing_mm, strict=True)]
    points = geometry.to_patient(np.array([one, other]))
    (length,) = numbers_of(MeasurementKind.LENGTH, points, image(geometry), 0, 3)
    assert (length.quantity, length.unit) == (Quantity.LENGTH, "mm")
    assert length.number == pytest.approx(math.hypot(*steps))


def test_long_and_short_axis_and_pixels() -> None:
    points = np.array([[0.0, 0, 0], [30, 40, 0], [3, -4, 0], [-3, 4, 0]])
    both = numbers_of(MeasurementKind.LENGTH, points, image(OBLIQUE), 0, 0, PIXELS)
    assert both == (Value(Quantity.LENGTH, 50.0, "px"), Value(Quantity.SHORT_AXIS, 10.0, "px"))


@pytest.mark.parametrize("degrees", [0.0, 0.001, 12.5, 90.0, 133.7, 179.999, 180.0])
def test_an_angle_has_all_its_digits(degrees: float) -> None:
    turn = np.radians(degrees)
    corner = np.array([4.0, -7.0, 2.0])
    arm = 5 * np.array([np.cos(turn), np.sin(turn), 0])
    points = np.array([corner + np.array([9, 0, 0]), corner, corner + arm])
    assert angle_deg(points) == pytest.approx(degrees, abs=1e-9)


@pytest.mark.parametrize(("degrees", "between"), [(0.0, 0.0), (25.0, 25.0), (155.0, 25.0), (90.0, 90.0), (-25.0, 25.0)])
def test_lines_have_no_direction(degrees: float, between: float) -> None:
    turn = np.radians(degrees)
    points = np.array([[0.0, 0, 0], [20, 0, 0], [3, 40, 0], [3 + 10 * np.cos(turn), 40 + 10 * np.sin(turn), 0]])
    assert angle_deg(points) == pytest.approx(between, abs=1e-9)


def test_an_arm_without_length_makes_no_angle() -> None:
    assert angle_deg(np.zeros((3, 3))) == 0.0


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("name", ALL)
def test_an_ellipse_has_the_voxels_whose_centres_lie_in_it(name: str, axis: int) -> None:
    geometry = ALL[name]
    volume = image(geometry)
    place = [5.4, 8.3, 10.7]
    place[axis] = 6.0
    mm = (0.31 * min(geometry.extent_mm), 0.2 * min(geometry.extent_mm))
    points = ellipse_around(geometry, (place[0], place[1], place[2]), axis, mm, 0.5)
    # Membership from the sum of the distances to the two foci, in the patient.
    focus = math.sqrt(mm[0] ** 2 - mm[1] ** 2) * (points[1] - points[0]) / (2 * mm[0])
    middle = points.mean(axis=0)
    sums = sum(np.linalg.norm(centers(geometry) - middle - sign * focus, axis=-1) for sign in (-1, 1))
    slices = np.indices(geometry.shape)[axis] == 6
    mask = (np.asarray(sums) <= 2 * mm[0]) & slices
    assert 10 < mask.sum() < slices.sum()
    values = found(numbers_of(ELLIPSE, points, volume, axis, 6))
    assert values.pop(Quantity.AREA) == pytest.approx(math.pi * mm[0] * mm[1])
    assert values == pytest.approx(itk_statistics(volume, mask))
    assert np.array_equal(np.sort(values_inside(ELLIPSE, points, volume, axis, 6)), np.sort(volume.voxels[mask]))


@pytest.mark.parametrize("name", ALL)
def test_a_rectangle_and_a_polygon_have_the_voxels_whose_centres_lie_in_them(name: str) -> None:
    geometry = ALL[name]
    volume = image(geometry)
    corners = geometry.to_patient(np.array([[4, 3.2, 2.6], [4, 3.2, 15.1], [4, 12.7, 15.1], [4, 12.7, 2.6]], float))
    mask = np.zeros(geometry.shape, dtype=bool)
    mask[4, 4:13, 3:16] = True
    values = found(numbers_of(RECTANGLE, corners, volume, 0, 4))
    sides = (9.5 * geometry.spacing_mm[1], 12.5 * geometry.spacing_mm[2])
    assert values.pop(Quantity.AREA) == pytest.approx(math.prod(sides))
    assert values == pytest.approx(itk_statistics(volume, mask))

    triangle = geometry.to_patient(np.array([[4, 1.3, 2.2], [4, 15.4, 8.1], [4, 6.7, 20.3]]))
    j, i = np.indices(geometry.shape[1:])
    flat = [(1.3, 2.2), (15.4, 8.1), (6.7, 20.3)]
    sides_of = [
        (b[0] - a[0]) * (i - a[1]) - (b[1] - a[1]) * (j - a[0])
        for a, b in zip(flat, flat[1:] + flat[:1], strict=True)
    ]  # fmt: skip
    mask[:] = False
    mask[4] = np.all([side >= 0 for side in sides_of], axis=0) | np.all([side <= 0 for side in sides_of], axis=0)
    values = found(numbers_of(POLYGON, triangle, volume, 0, 4))
    values.pop(Quantity.AREA)
    assert mask.sum() > 50
    assert values == pytest.approx(itk_statistics(volume, mask))


def test_centres_on_the_edge_are_inside() -> None:
    geometry = Geometry.from_parts((1, 20, 20), (1.0, 0.7, 0.7))
    corners = geometry.to_patient(np.array([[0, 3, 5], [0, 3, 9], [0, 8, 9], [0, 8, 5]], float))
    assert values_inside(RECTANGLE, corners, image(geometry), 0, 0).size == 6 * 5


def test_a_concave_polygon_leaves_its_notch_out() -> None:
    geometry = Geometry.from_parts((1, 20, 20), (1.0, 1.0, 1.0))
    points = [(1.5, 1.5), (1.5, 15.5), (15.5, 15.5), (8.5, 8.5), (15.5, 1.5)]
    flat = geometry.to_patient(np.array([(0, j, i) for j, i in points], float))
    inside = values_inside(POLYGON, flat, image(geometry), 0, 0)
    assert area_of(POLYGON, flat) == pytest.approx(14 * 14 - 49)
    j, i = np.indices((20, 20))
    square = (j > 1.5) & (j < 15.5) & (i > 1.5) & (i < 15.5)
    notch = (j - 8.5 > np.abs(i - 8.5)) & square
    assert inside.size == int(square.sum() - notch.sum())


def test_what_lies_off_the_grid_or_between_voxels_has_no_values() -> None:
    volume = image(OBLIQUE)
    away = ellipse_around(OBLIQUE, (6.0, 90.0, 90.0), 0, (3.0, 2.0), 0.0)
    assert [value.quantity for value in numbers_of(ELLIPSE, away, volume, 0, 6)] == [Quantity.AREA]
    between = ellipse_around(OBLIQUE, (6.0, 4.5, 4.5), 0, (0.1, 0.1), 0.0)
    assert values_inside(ELLIPSE, between, volume, 0, 6).size == 0
    assert values_inside(ELLIPSE, between, volume, 0, 99).size == 0
    flat = np.zeros((4, 3))
    assert values_inside(ELLIPSE, OBLIQUE.to_patient(flat), volume, 0, 0).size == 0


def test_one_voxel_has_no_deviation_and_no_number_is_made_of_nothing() -> None:
    assert [value.quantity for value in statistics(np.array([7.0]), "HU")] == [
        Quantity.MEAN, Quantity.MINIMUM, Quantity.MAXIMUM,
    ]  # fmt: skip
    assert statistics(np.empty(0), "HU") == ()
    voxels = np.full((1, 4, 4), np.nan, dtype=np.float32)
    voxels[0, 1, 1] = 3.5
    volume = Volume(VolumeId("pet"), Geometry.from_parts((1, 4, 4), (1.0, 1.0, 1.0)), voxels, Modality.PT, "SUVbw", "1")
    corners = volume.geometry.to_patient(np.array([[0, 0, 0], [0, 0, 3], [0, 3, 3], [0, 3, 0]], float))
    assert values_inside(RECTANGLE, corners, volume, 0, 0).tolist() == [3.5]
    nothing = volume.geometry.to_patient(np.array([[0.0, 2.0, 2.0]]))
    assert numbers_of(MeasurementKind.POINT, nothing, volume, 0, 0) == ()


def test_a_point_has_the_value_of_its_voxel() -> None:
    volume = image(OBLIQUE)
    place = OBLIQUE.to_patient(np.array([[6.0, 7.4, 8.6]]))
    (value,) = numbers_of(MeasurementKind.POINT, place, volume, 0, 6)
    assert value == Value(Quantity.VALUE, float(volume.voxels[6, 7, 9]), "HU")


def test_large_values_keep_their_digits() -> None:
    many: NDArray[Any] = np.full(200_000, 32_000, dtype=np.int16)
    many[::2] = 31_000
    values = found(statistics(many, ""))
    assert values[Quantity.MEAN] == 31_500.0
    assert values[Quantity.DEVIATION] == pytest.approx(500.0, rel=1e-5)


def test_a_nodule_of_the_phantom_is_as_wide_as_it_was_made(chest_phantom: Phantom) -> None:
    nodule = max(chest_phantom.nodules, key=lambda one: one.radius_mm)
    volume, geometry = chest_phantom.volume, chest_phantom.volume.geometry
    middle = np.asarray(nodule.center_mm)
    slice_ = geometry.nearest_voxel(middle)[0]
    index = geometry.to_index(middle)
    offset = (index[0] - slice_) * geometry.spacing_mm[0]
    radius = math.sqrt(nodule.radius_mm**2 - offset**2)
    center = (float(slice_), float(index[1]), float(index[2]))
    points = ellipse_around(geometry, center, 0, (radius, radius), 0.0)
    truth = chest_phantom.labels[slice_] == nodule.label
    assert distance(points[0], points[1]) == pytest.approx(2 * radius)
    inside = values_inside(ELLIPSE, points, volume, 0, slice_)
    pixel = geometry.spacing_mm[1] * geometry.spacing_mm[2]
    edge_pixels = 2 * math.pi * radius / geometry.spacing_mm[1]
    assert abs(inside.size - int(truth.sum())) <= 0.5 * edge_pixels
    assert inside.size * pixel == pytest.approx(math.pi * radius**2, rel=0.1)
