"""Thresholds against plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from medview.core.errors import Cancelled
from medview.core.geometry import Box
from medview.core.progress import NoProgress
from medview.editing import thresholding
from medview.editing.reshape import Proposal
from tests.support import grids

RANGE = (-20.5, 37.0)


def image(seed: int, kind: str) -> NDArray[np.int16] | NDArray[np.float32]:
    values = np.random.default_rng(seed).normal(0, 60, (37, *grids.SHAPE[1:]))
    if kind == "int16":
        return np.rint(values).astype(np.int16)
    wide = values.astype(np.float32)
    wide[2, 3, 4] = np.nan
    wide[2, 3, 5] = 37.0
    return wide


def labels() -> NDArray[np.uint8]:
    drawn = np.zeros((37, *grids.SHAPE[1:]), np.uint8)
    drawn[4:20, 3:12, 5:15] = 3
    drawn[10:30, 8:15, 2:9] = 1
    return drawn


def applied(found: Proposal, label: int) -> NDArray[np.bool_]:
    after: NDArray[np.bool_] = np.asarray(labels() == label)
    after[found.box.slices] |= found.added
    after[found.box.slices] &= ~found.removed
    return after


@pytest.mark.parametrize("kind", ["int16", "float32"])
def test_what_is_in_the_range_is_added_or_kept(kind: str) -> None:
    voxels = image(5, kind)
    inside = (voxels >= RANGE[0]) & (voxels <= RANGE[1])
    added = thresholding.added_within(voxels, labels(), 3, *RANGE)
    np.testing.assert_array_equal(applied(added, 3), (labels() == 3) | inside)
    kept = thresholding.removed_outside(voxels, labels(), 3, *RANGE)
    np.testing.assert_array_equal(applied(kept, 3), (labels() == 3) & inside)
    assert kept.box.intersection(Box((4, 3, 5), (20, 12, 15))) == kept.box


@pytest.mark.parametrize("axis", range(3))
def test_a_slice_shows_what_would_be_found(axis: int) -> None:
    voxels = image(6, "float32")
    box, mask = thresholding.slice_within(voxels, axis, 9, *RANGE)
    assert box.shape == mask.shape
    expected = np.take((voxels >= RANGE[0]) & (voxels <= RANGE[1]), 9, axis)
    np.testing.assert_array_equal(np.take(mask, 0, axis), expected)


def test_the_usual_range_is_two_deviations_around_the_mean() -> None:
    values = image(7, "float32")
    finite = values[np.isfinite(values)].astype(np.float64)
    found = thresholding.usual_range(values)
    assert found == pytest.approx((finite.mean() - 2 * finite.std(), finite.mean() + 2 * finite.std()))
    assert thresholding.usual_range(np.array([np.nan])) is None


def test_it_can_be_cancelled() -> None:
    class Stopped(NoProgress):
        def raise_if_cancelled(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        thresholding.added_within(image(1, "int16"), labels(), 1, 0.0, 1.0, Stopped())
