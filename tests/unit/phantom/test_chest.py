from __future__ import annotations

import numpy as np
import pytest

from medview.core.geometry import Box
from medview.phantom import chest
from medview.phantom.chest import Phantom
from medview.phantom.parts import LABELS


def test_the_same_arguments_make_the_same_phantom(small_phantom: Phantom) -> None:
    again = chest.make((40, 64, 64))
    other = chest.make((40, 64, 64), seed=8)
    assert np.array_equal(again.volume.voxels, small_phantom.volume.voxels)
    assert np.array_equal(again.labels, small_phantom.labels)
    assert not np.array_equal(other.volume.voxels, small_phantom.volume.voxels)


def test_every_structure_is_there_with_its_code(chest_phantom: Phantom) -> None:
    assert set(np.unique(chest_phantom.labels)) == {0, *(segment.label for segment in chest_phantom.segments)}
    assert {segment.name: segment.label for segment in chest_phantom.segments} == LABELS
    assert all(segment.code and segment.category for segment in chest_phantom.segments)


@pytest.mark.parametrize(
    ("name", "low_ml", "high_ml", "low_hu", "high_hu"),
    [
        ("Right lung", 1000, 2500, -870, -750),
        ("Left lung", 900, 2200, -870, -750),
        ("Trachea and main bronchi", 25, 60, -1000, -900),
        ("Heart", 350, 750, 90, 150),
        ("Liver", 1100, 1900, 95, 125),
        ("Spleen", 80, 300, 100, 130),
        ("Right kidney", 100, 220, 120, 190),
        ("Left kidney", 100, 220, 120, 190),
        ("Spine", 250, 700, 250, 600),
    ],
)
def test_sizes_and_values_are_those_of_an_adult(
    name: str, low_ml: float, high_ml: float, low_hu: float, high_hu: float, chest_phantom: Phantom
) -> None:
    inside = chest_phantom.labels == LABELS[name]
    assert low_ml < inside.sum() * chest_phantom.volume.geometry.voxel_mm3 / 1000 < high_ml
    assert low_hu < chest_phantom.volume.voxels[inside].mean() < high_hu


@pytest.mark.parametrize(
    ("name", "side"),
    [("Right lung", -1), ("Left lung", 1), ("Liver", -1), ("Spleen", 1), ("Heart", 1), ("Right kidney", -1)],
)
def test_sides(name: str, side: int, chest_phantom: Phantom) -> None:
    index = np.argwhere(chest_phantom.labels == LABELS[name]).mean(axis=0)
    assert chest_phantom.volume.geometry.to_patient(index)[0] * side > 10


def test_nodules_lie_in_their_lungs_with_their_volume(chest_phantom: Phantom) -> None:
    geometry = chest_phantom.volume.geometry
    for nodule, lung in zip(chest_phantom.nodules, ("Right lung", "Left lung"), strict=True):
        center = np.array(geometry.nearest_voxel(nodule.center_mm))
        k, j, i = center
        box = Box((k - 6, j - 9, i - 9), (k + 7, j + 10, i + 10))
        part = chest_phantom.labels[box.slices]
        volume = (part == nodule.label).sum() * geometry.voxel_mm3
        assert volume == pytest.approx(nodule.volume_mm3, rel=0.1)
        assert (part == LABELS[lung]).sum() > part.size / 2
        assert chest_phantom.volume.voxels[k, j, i] > -50


def test_borders_have_partial_volume(chest_phantom: Phantom) -> None:
    """Between lung and soft tissue lie values of neither: more than the noise explains."""
    values = chest_phantom.volume.voxels[70:110]
    between = ((values > -700) & (values < -300)).sum()
    assert between > 0.01 * (values < -700).sum()


def test_noise_is_what_was_asked_for() -> None:
    quiet, loud = chest.make((40, 64, 64), noise_hu=0.0), chest.make((40, 64, 64), noise_hu=30.0)
    inside = quiet.labels == LABELS["Liver"]
    difference = loud.volume.voxels[inside].astype(float) - quiet.volume.voxels[inside]
    assert difference.std() == pytest.approx(30.0, rel=0.1)
    assert abs(difference.mean()) < 3


def test_arms_and_table_are_outside_the_truth(small_phantom: Phantom) -> None:
    bare = chest.make((40, 64, 64), arms=False, table=False)
    full = chest.make((40, 64, 64), arms=True, table=True)
    assert np.array_equal(bare.labels, full.labels)
    assert (full.volume.voxels[:, :, 0] > -200).any(axis=1).mean() > 0.5
    assert (bare.volume.voxels[:, -8:] > -800).sum() == 0
    assert (small_phantom.volume.voxels[:, -10:] > -800).sum() > 0


def test_shape_and_place() -> None:
    phantom = chest.make((20, 32, 48))
    assert phantom.volume.geometry.extent_mm == pytest.approx((400.0, 384.0, 384.0))
    assert phantom.volume.voxels.dtype == np.int16
    assert phantom.labels.dtype == np.uint8
