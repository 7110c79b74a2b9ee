"""Smoothing all segments together, against scipy, on grids of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from medview.core.errors import Cancelled
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.editing import joint_smoothing
from tests.support import grids


def organs(geometry: Geometry) -> NDArray[np.uint8]:
    """(k, j, i) uint8: a ball in four pieces with ragged borders, away from one side of the grid and at another."""
    points = grids.centers(geometry)
    middle = geometry.to_patient(np.array([0.5, 0.45, 0.6]) * geometry.shape)
    ragged = np.random.default_rng(6).normal(0, 1.2, (2, *geometry.shape))
    offset = points - middle
    ball = np.linalg.norm(offset, axis=-1) + ragged[0] < 0.42 * min(geometry.extent_mm)
    x, y = offset @ geometry.direction[:, 2] + ragged[1], offset @ geometry.direction[:, 1]
    pieces = np.select([(x < 0) & (y < 0), (x < 0), (y < 2)], [2, 5, 7], 9)
    return np.where(ball, pieces, 0).astype(np.uint8)


def sampled(mask: NDArray[np.bool_], geometry: Geometry, sigma: float) -> NDArray[np.float64]:
    return np.asarray(
        ndimage.gaussian_filter(
            mask.astype(np.float64), [sigma / step for step in geometry.spacing_mm], mode="nearest", truncate=6
        )
    )


@pytest.mark.parametrize("name", sorted(grids.ALL))
def test_every_voxel_goes_to_the_strongest_blur(name: str) -> None:
    geometry = grids.ALL[name]
    labels, sigma = organs(geometry), 1.4
    box, found = joint_smoothing.smoothed(labels, geometry, sigma)
    whole = labels.copy()
    whole[box.slices] = found
    known = np.array([2, 5, 7, 9])
    body = sampled(labels != 0, geometry, sigma)
    blurs = np.stack([sampled(labels == label, geometry, sigma) for label in known])
    order = np.sort(blurs, axis=0)
    expected = np.where(body >= 0.5, known[np.argmax(blurs, axis=0)], 0)
    # Deriche's filter follows the Gaussian to some thousandths; on coarse axes a sampled one is itself only near.
    clear = (np.abs(body - 0.5) > 0.03) & ((body < 0.5) | (order[-1] - order[-2] > 0.06))
    assert clear.mean() > 0.85
    np.testing.assert_array_equal(whole[clear], expected[clear])
    assert (whole != labels).any()


def test_no_gap_opens_where_segments_meet() -> None:
    geometry = grids.grid((1.0, 1.0, 1.0), shape=(1, 60, 60))
    j, i = np.indices((60, 60)) - 29.5
    angle = np.arctan2(j, i)
    disk = np.hypot(j, i) < 25
    labels = np.where(disk, 1 + np.floor((angle + np.pi) / (2 * np.pi / 5)).clip(0, 4), 0).astype(np.uint8)[None]
    box, found = joint_smoothing.smoothed(labels, geometry, 3.0)
    whole = np.zeros_like(labels)
    whole[box.slices] = found
    assert set(np.unique(whole)) == {0, 1, 2, 3, 4, 5}
    assert whole[0][np.hypot(j, i) < 20].all()
    assert not whole[0][np.hypot(j, i) > 27].any()


def test_nothing_comes_of_nothing_and_it_can_be_cancelled() -> None:
    geometry = grids.THICK
    box, found = joint_smoothing.smoothed(np.zeros(geometry.shape, np.uint8), geometry, 2.0)
    assert box.is_empty
    assert not found.size

    class Stopped(NoProgress):
        def raise_if_cancelled(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        joint_smoothing.smoothed(organs(geometry), geometry, 1.0, Stopped())
