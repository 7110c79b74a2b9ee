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
