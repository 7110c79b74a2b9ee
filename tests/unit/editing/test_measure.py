from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK

from medview.core.geometry import Geometry
from medview.editing import measure

GEOMETRY = Geometry.from_parts((9, 20, 30), (5.0, 0.8, 0.5))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_volumes_are_counts_times_voxel_size(dtype: type[np.uint8] | type[np.uint16]) -> None:
    labels = np.random.default_rng(1).integers(0, 4, GEOMETRY.shape).astype(dtype)
    labels[3] = 0
    found = measure.volumes_ml(labels, GEOMETRY)
    assert sorted(found) == [1, 2, 3]
    for label, ml in found.items():
        assert ml == pytest.approx(int((labels == label).sum()) * 5.0 * 0.8 * 0.5 / 1000)


def test_no_label_no_volume() -> None:
    assert measure.volumes_ml(np.zeros(GEOMETRY.shape, np.uint8), GEOMETRY) == {}


def test_dice_is_simpleitk_s() -> None:
    rng = np.random.default_rng(2)
    one = rng.integers(0, 3, GEOMETRY.shape).astype(np.uint8)
    other = np.where(rng.random(GEOMETRY.shape) < 0.7, one, 1).astype(np.uint8)
    overlap = SimpleITK.LabelOverlapMeasuresImageFilter()
    overlap.Execute(SimpleITK.GetImageFromArray(one), SimpleITK.GetImageFromArray(other))
    for label in (1, 2):
        assert measure.dice(one, other, label) == pytest.approx(overlap.GetDiceCoefficient(label))
    assert math.isnan(measure.dice(one, other, 9))
    assert measure.dice(one, np.zeros_like(one), 1) == 0.0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_statistics_are_numpy_s(dtype: type[np.uint8] | type[np.uint16]) -> None:
    rng = np.random.default_rng(5)
    labels = (rng.integers(0, 5, GEOMETRY.shape) * 50).astype(dtype)
    labels[:4] = 0
    # far from zero, where sums of squares would lose the deviation
    voxels = (rng.normal(30_000, 2, GEOMETRY.shape)).astype(np.float32)
    found = measure.statistics(labels, voxels)
    assert sorted(found) == [50, 100, 150, 200]
    for label, one in found.items():
        values = voxels[labels == label].astype(np.float64)
        assert one.voxels == values.size
        assert one.mean == pytest.approx(values.mean(), rel=1e-12)
        assert one.deviation == pytest.approx(values.std(ddof=1), rel=1e-9)
        assert (one.minimum, one.maximum) == (values.min(), values.max())


def test_a_single_voxel_has_no_deviation() -> None:
    labels = np.zeros(GEOMETRY.shape, np.uint8)
    labels[1, 2, 3] = 4
    one = measure.statistics(labels, np.full(GEOMETRY.shape, 7, np.int16))[4]
    assert (one.voxels, one.mean, one.deviation, one.minimum, one.maximum) == (1, 7.0, None, 7.0, 7.0)


def test_statistics_of_nothing_are_none() -> None:
    assert measure.statistics(np.zeros(GEOMETRY.shape, np.uint8), np.ones(GEOMETRY.shape, np.int16)) == {}
