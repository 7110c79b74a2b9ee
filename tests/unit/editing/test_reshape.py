"""Changes of whole segments against scipy and plain numpy, on grids of every kind."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from medview.core.errors import Cancelled
from medview.core.geometry import Box, Geometry
from medview.core.progress import NoProgress
from medview.editing import reshape
from medview.editing.reshape import Change, Proposal
from tests.support import grids

Mask = NDArray[np.bool_]


def shape_on(geometry: Geometry, seed: int = 0) -> Mask:
    """Two balls, a bridge and a hole, somewhere in the middle and at an edge of the grid."""
    rng = np.random.default_rng(seed)
    points = grids.centers(geometry)
    extent = np.asarray(geometry.extent_mm)
    total = np.zeros(geometry.shape, dtype=np.bool_)
    for size in (0.3, 0.2, 0.12, 0.1):
        at = geometry.to_patient(rng.uniform(0.1, 0.9, 3) * np.asarray(geometry.shape))
        total |= np.linalg.norm(points - at, axis=-1) < size * extent.min()
    return total & (rng.random(geometry.shape) > 0.02)


def distance(mask: Mask, geometry: Geometry) -> NDArray[np.float64]:
    """To the nearest voxel of a mask, mm."""
    found: NDArray[np.float64] = ndimage.distance_transform_edt(~mask, sampling=geometry.spacing_mm)
    return found


def reference(mask: Mask, geometry: Geometry, change: Change) -> Mask:
    match change:
        case reshape.Grow(mm):
            return np.asarray(distance(mask, geometry) <= mm + 1e-5)
        case reshape.Shrink(mm):
            return np.asarray(distance(~mask, geometry) > mm + 1e-5)
        case reshape.Hollow(mm):
            return mask & (distance(~mask, geometry) <= mm + 1e-5)
        case reshape.Open(mm):
            return np.asarray(distance(distance(~mask, geometry) > mm + 1e-5, geometry) <= mm + 1e-5)
        case reshape.Close(mm):
            return (distance(~(distance(mask, geometry) <= mm + 1e-5), geometry) > mm + 1e-5) | mask
        case reshape.FillHoles():
            return np.asarray(ndimage.binary_fill_holes(mask))
        case reshape.Median(mm):
            return majority(mask, [int(mm / step + 1e-6) for step in geometry.spacing_mm])
        case reshape.KeepLargest() | reshape.RemoveSmall():
            parts, count = ndimage.label(mask)
            sizes = ndimage.sum_labels(mask, parts, np.arange(1, count + 1))
            if isinstance(change, reshape.KeepLargest):
                return np.asarray(parts == 1 + int(np.argmax(sizes)))
            kept = [n + 1 for n, size in enumerate(sizes) if size * geometry.voxel_mm3 >= change.ml * 1000]
            return np.isin(parts, kept)
        case _:
            raise AssertionError(change)


def majority(mask: Mask, reach: list[int]) -> Mask:
    result = mask.copy()
    for place in np.ndindex(mask.shape):
        block = mask[tuple(slice(max(0, n - r), n + r + 1) for n, r in zip(place, reach, strict=True))]
        votes = 2 * int(block.sum()) - block.size
        if votes:
            result[place] = votes > 0
    return result


def applied(labels: NDArray[np.uint8], label: int, found: Proposal) -> Mask:
    after: Mask = np.asarray(labels == label)
    after[found.box.slices] |= found.added
    after[found.box.slices] &= ~found.removed
    return after


CHANGES: dict[str, Change] = {
    "grow": reshape.Grow(2.3),
    "shrink": reshape.Shrink(1.2),
    "hollow": reshape.Hollow(1.2),
    "holes": reshape.FillHoles(),
    "open": reshape.Open(1.7),
    "close": reshape.Close(2.2),
    "median": reshape.Median(1.6),
    "largest": reshape.KeepLargest(),
    "small": reshape.RemoveSmall(0.05),
}


@pytest.mark.parametrize(("name", "change"), list(product(sorted(grids.ALL), sorted(CHANGES))))
def test_a_change_is_what_other_programs_compute(name: str, change: str) -> None:
    geometry, how = grids.ALL[name], CHANGES[change]
    mask = shape_on(geometry)
    labels = np.where(mask, np.uint8(7), np.uint8(0))
    labels[0, 0, :3] = np.where(mask[0, 0, :3], 7, 3)
    found = reshape.reshape(labels, geometry, 7, how)
    expected = reference(mask, geometry, how)
    np.testing.assert_array_equal(applied(labels, 7, found), expected)
    if not found.is_empty:
        assert Box.around(found.added | found.removed) == Box.whole(found.box.shape)
        assert not (found.added & (labels[found.box.slices] == 7)).any()
        assert (labels[found.box.slices][found.removed] == 7).all()


@pytest.mark.parametrize("name", sorted(grids.ALL))
def test_blurring_keeps_what_a_sampled_gaussian_keeps(name: str) -> None:
    geometry = grids.ALL[name]
    mask = shape_on(geometry)
    labels = mask.astype(np.uint8)
    sigma = 1.4
    found = applied(labels, 1, reshape.reshape(labels, geometry, 1, reshape.Gaussian(sigma)))
    soft = ndimage.gaussian_filter(
        mask.astype(np.float64), [sigma / step for step in geometry.spacing_mm], mode="nearest", truncate=6
    )
    # Deriche's filter follows the Gaussian to some thousandths; on coarse axes a sampled one is itself only near.
    clear = np.abs(soft - 0.5) > 0.03
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(found[clear], soft[clear] > 0.5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.2, 4.0))
def test_growing_and_shrinking_are_each_others_mirror(seed: int, mm: float) -> None:
    geometry = grids.OBLIQUE
    mask = np.random.default_rng(seed).random(geometry.shape) > 0.7
    grown = reshape.Grow(mm).of(mask, geometry.spacing_mm)
    shrunk = reshape.Shrink(mm).of(~mask, geometry.spacing_mm)
    np.testing.assert_array_equal(grown, ~shrunk)
    assert grown[mask].all()


def test_islands_come_by_size_without_the_largest() -> None:
    geometry = grids.ISOTROPIC
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    labels[1:4, 1:4, 1:4] = 2
    labels[6:8, 6:8, 6:8] = 2
    labels[10, 10:13, 10] = 2
    labels[6:8, 12:14, 12:14] = 5
    found = reshape.islands(labels, geometry, 2, most=10)
    assert [int(one.removed.sum()) for one in found] == [8, 3]
    assert [one.box for one in found] == [Box((6, 6, 6), (8, 8, 8)), Box((10, 10, 10), (11, 13, 11))]
    assert len(reshape.islands(labels, geometry, 2, most=1)) == 1


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_segment_without_voxels_stays_so(change: str) -> None:
    labels = np.zeros(grids.ISOTROPIC.shape, dtype=np.uint16)
    assert reshape.reshape(labels, grids.ISOTROPIC, 300, CHANGES[change]).is_empty


def test_it_can_be_stopped() -> None:
    class Stopped(NoProgress):
        def raise_if_cancelled(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        reshape.reshape(np.ones((9, 9, 9), np.uint8), grids.ISOTROPIC, 1, reshape.Grow(2.0), Stopped())
