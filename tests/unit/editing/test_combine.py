"""Segments beside others, against plain numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from medview.core.errors import Cancelled
from medview.core.progress import NoProgress
from medview.editing import combine
from medview.editing.combine import Combination
from medview.editing.reshape import Proposal
from tests.support import grids

Mask = NDArray[np.bool_]
TRUTH: dict[Combination, Callable[[Mask, Mask], Mask]] = {
    Combination.UNION: lambda mine, its: mine | its,
    Combination.SUBTRACT: lambda mine, its: mine & ~its,
    Combination.INTERSECT: lambda mine, its: mine & its,
}


def blobs(seed: int) -> NDArray[np.uint8]:
    """(k, j, i) uint8: labels 1..4 in random blocks."""
    rng = np.random.default_rng(seed)
    drawn = np.zeros(grids.SHAPE, np.uint8)
    for label in (1, 2, 3, 4):
        start = rng.integers(0, 8, 3)
        size = rng.integers(3, 9, 3)
        drawn[tuple(slice(a, a + n) for a, n in zip(start, size, strict=True))] = label
    return drawn


def applied(labels: NDArray[np.uint8], label: int, found: Proposal) -> Mask:
    after: Mask = np.asarray(labels == label)
    after[found.box.slices] |= found.added
    after[found.box.slices] &= ~found.removed
    return after


@pytest.mark.parametrize("how", Combination)
def test_two_segments_are_combined_as_sets(how: Combination) -> None:
    for seed in range(12):
        labels, others = blobs(seed), blobs(seed + 100)
        found = combine.combined(how, labels, 2, others, 3)
        np.testing.assert_array_equal(applied(labels, 2, found), TRUTH[how](labels == 2, others == 3))


@pytest.mark.parametrize("how", Combination)
def test_beside_nothing(how: Combination) -> None:
    labels = blobs(3)
    found = combine.combined(how, labels, 2, np.zeros_like(labels), 9)
    np.testing.assert_array_equal(applied(labels, 2, found), TRUTH[how](labels == 2, np.zeros(labels.shape, bool)))
    nowhere = combine.combined(how, labels, 77, labels, 78)
    assert nowhere.is_empty


@pytest.mark.parametrize("axis", range(3))
def test_a_slice_is_copied_to_another(axis: int) -> None:
    labels = blobs(5)
    mask = labels == 3
    index = int(np.flatnonzero(mask.any(axis=tuple(n for n in range(3) if n != axis)))[-1])
    found = combine.copied(labels, 3, axis, index, index + 1)
    expected = mask.copy()
    across = np.moveaxis(expected, axis, 0)
    across[index + 1] |= across[index]
    np.testing.assert_array_equal(applied(labels, 3, found), expected)
    assert found.added.any()
    assert combine.copied(labels, 3, axis, index, labels.shape[axis]).is_empty
    assert combine.copied(labels, 3, axis, 0, -1).is_empty


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_an_image_is_masked(dtype: type[np.int16] | type[np.float32]) -> None:
    labels = blobs(8)
    voxels = np.random.default_rng(1).integers(-900, 900, labels.shape).astype(dtype)
    found = combine.masked(voxels, labels, 4, -1024.0)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.where(labels == 4, voxels, dtype(-1024)))


def test_it_can_be_cancelled() -> None:
    class Stopped(NoProgress):
        def raise_if_cancelled(self) -> None:
            raise Cancelled

    labels = blobs(1)
    with pytest.raises(Cancelled):
        combine.combined(Combination.UNION, labels, 1, labels, 2, Stopped())
    with pytest.raises(Cancelled):
        combine.masked(labels, labels, 1, 0.0, Stopped())
