"""Cuts with scissors, against the winding number of every voxel, on grids of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from medview.core.errors import Cancelled
from medview.core.geometry import Floats, Geometry
from medview.core.progress import NoProgress
from medview.editing import scissors
from medview.editing.reshape import Proposal
from tests.support import grids
from tests.support.winding import drawn, turns, turns_in_slice

Mask = NDArray[np.bool_]
SIZE = (90, 70)


def labels_on(geometry: Geometry) -> NDArray[np.uint8]:
    made = np.random.default_rng(2).choice([0, 1, 3], geometry.shape, p=[0.2, 0.2, 0.6]).astype(np.uint8)
    made[:2] = made[:, :, -3:] = 0
    return made


def kept(labels: NDArray[np.uint8], label: int, found: Proposal) -> Mask:
    after: Mask = np.asarray(labels == label)
    assert not found.added.any()
    assert (labels[found.box.slices][found.removed] == label).all()
    after[found.box.slices] &= ~found.removed
    return after


@pytest.mark.parametrize("slab_mm", [None, 0.1, 7.0])
@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("name", sorted(grids.ALL))
def test_a_cut_goes_straight_through_the_slices(name: str, outside: bool, slab_mm: float | None) -> None:
    geometry = grids.ALL[name]
    labels = labels_on(geometry)
    for axis in range(3):
        index = 6
        curve = drawn(geometry, axis, index, seed=axis + 5)
        goes = turns_in_slice(geometry, curve, axis, index) != 0
        lost = np.zeros(geometry.shape, np.bool_)
        np.moveaxis(lost, axis, 0)[:] = goes != outside
        if slab_mm is not None:
            away = np.abs(np.arange(geometry.shape[axis]) - index) * geometry.spacing_mm[axis]
            np.moveaxis(lost, axis, 0)[(away > slab_mm / 2 + 1e-6)] = False
        found = scissors.cut(labels, geometry, 3, curve, axis, index, outside=outside, slab_mm=slab_mm)
        np.testing.assert_array_equal(kept(labels, 3, found), (labels == 3) & ~lost)
        assert found.removed.any()


def camera(geometry: Geometry, near: bool) -> Floats:
    """(4, 4): a perspective look at the middle of a grid from the side; `near`: from inside of it."""
    middle = np.asarray(geometry.center_mm)
    forward = np.array([0.5, 0.7, -0.3])
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    rows = np.stack([right, np.cross(right, forward), forward])
    eye = middle - (0.0 if near else 3.0) * max(geometry.extent_mm) * forward
    view = np.eye(4)
    view[:3, :3], view[:3, 3] = rows, -rows @ eye
    lens = np.array([[4.0, 0, 0, 0], [0, 5.0, 0, 0], [0, 0, 1, -1], [0, 0, 1, 0]])
    return np.asarray(lens @ view)


@pytest.mark.parametrize("near", [False, True])
@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("name", sorted(grids.ALL))
def test_a_cut_along_the_line_of_sight_takes_what_is_drawn_inside(name: str, outside: bool, near: bool) -> None:
    geometry = grids.ALL[name]
    labels, matrix = labels_on(geometry), camera(geometry, near)
    curve = np.random.default_rng(8).uniform(0.1, 0.9, (7, 2)) * SIZE
    seen = np.concatenate([grids.centers(geometry), np.ones((*geometry.shape, 1))], axis=-1) @ matrix.T
    front = seen[..., 3] > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        pixel = np.floor((seen[..., :2] / seen[..., 3:] + 1) / 2 * SIZE)
    shown = front & (pixel >= 0).all(axis=-1) & (pixel < SIZE).all(axis=-1)
    goes = np.zeros(geometry.shape, np.bool_)
    goes[shown] = turns(curve, pixel[shown] + 0.5) != 0
    assert goes.any()
    found = scissors.cut_along_sight(labels, geometry, 3, matrix, SIZE, curve, outside=outside)
    np.testing.assert_array_equal(kept(labels, 3, found), (labels == 3) & (goes if outside else ~goes))


def test_nothing_is_cut_of_nothing_and_it_can_be_cancelled() -> None:
    geometry = grids.THICK
    labels = labels_on(geometry)
    curve = drawn(geometry, 0, 3, 1)
    assert scissors.cut(labels, geometry, 9, curve, 0, 3, outside=True).is_empty
    assert scissors.cut_along_sight(labels, geometry, 3, np.eye(4), SIZE, np.zeros((2, 2)), outside=True).is_empty

    class Stopped(NoProgress):
        def raise_if_cancelled(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        scissors.cut(labels, geometry, 3, curve, 0, 3, outside=False, progress=Stopped())
