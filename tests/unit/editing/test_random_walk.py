"""The random walker, beside scikit-image's and beside what can be worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.segmentation import random_walker

from medview.core.errors import Cancelled
from medview.editing.random_walk import Lattice, walk


def _ball(size: int, noise: float) -> NDArray[np.float32]:
    grid = np.stack(np.meshgrid(*[np.arange(size)] * 3, indexing="ij"), axis=-1)
    inside = ((grid - size / 2) ** 2).sum(-1) < (size / 3) ** 2
    values: NDArray[np.float64] = inside + np.random.default_rng(4).normal(0, noise, inside.shape)
    return values.astype(np.float32)


def test_it_says_what_scikit_image_says() -> None:
    values = _ball(26, 0.15)
    inside, outside = np.zeros(values.shape, dtype=bool), np.ones(values.shape, dtype=bool)
    inside[13, 10:17, 13] = True
    outside[1:-1, 1:-1, 1:-1] = False
    found = walk(Lattice(values / np.float32(0.3), (1.0, 1.0, 1.0)), inside, outside, tolerance=1e-6)
    marks = np.where(inside, 1, np.where(outside, 2, 0))
    beta = 0.5 / 0.3**2 * 10 * values.std()  # it divides by ten deviations
    wanted: Any = random_walker(values, marks, beta=beta, mode="cg_j", tol=1e-6, return_full_prob=True)
    np.testing.assert_allclose(found, wanted[0], atol=1e-3)


def test_between_two_plates_it_falls_off_evenly_in_millimetres() -> None:
    values = np.zeros((9, 5, 31), dtype=np.float32)
    inside, outside = np.zeros(values.shape, dtype=bool), np.zeros(values.shape, dtype=bool)
    inside[..., 0] = outside[..., -1] = True
    found = walk(Lattice(values, (5.0, 2.0, 0.7)), inside, outside, tolerance=1e-7)
    np.testing.assert_allclose(found, np.broadcast_to(np.linspace(1, 0, 31), found.shape), atol=1e-4)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 1.0, 1.2)])
def test_between_two_balls_it_falls_off_as_it_does_in_physics(spacing: tuple[float, float, float]) -> None:
    axes = [np.arange(-24.0, 24.01, step) for step in spacing]
    away = np.sqrt(sum(one**2 for one in np.meshgrid(*axes, indexing="ij")))
    inside, outside = away <= 8, away >= 22
    found = walk(Lattice(np.zeros(away.shape, dtype=np.float32), spacing), inside, outside, tolerance=1e-6)
    wanted = np.clip((1 / np.maximum(away, 8) - 1 / 22) / (1 / 8 - 1 / 22), 0, 1)
    assert np.abs(found - wanted).mean() < 0.015
    assert np.abs(found - wanted).max() < 0.2  # next to balls that are made of voxels


def test_a_prior_without_neighbours_is_the_answer_and_a_guess_changes_nothing() -> None:
    values = _ball(16, 0.1)
    prior = np.random.default_rng(2).random(values.shape).astype(np.float32)
    nobody = np.zeros(values.shape, dtype=bool)
    found = walk(Lattice(values * 1000, (1.0, 1.0, 1.0), prior, trust=1e4), nobody, nobody, tolerance=1e-6)
    np.testing.assert_allclose(found, prior, atol=1e-3)
    inside = nobody.copy()
    inside[8, 8, 8] = True
    lattice = Lattice(values, (1.0, 1.0, 1.0), prior, trust=0.1)
    plain = walk(lattice, inside, nobody, tolerance=1e-6)
    guessed = walk(lattice, inside, nobody, start=np.ones(values.shape, dtype=np.float32), tolerance=1e-6)
    np.testing.assert_allclose(plain, guessed, atol=1e-3)


def test_it_stops_when_it_is_asked_to() -> None:
    class _Stop:
        def report(self, fraction: float | None, message: object = "") -> None: ...

        def raise_if_cancelled(self) -> None:
            raise Cancelled

    values = _ball(12, 0.1)
    inside = np.zeros(values.shape, dtype=bool)
    inside[6, 6, 6] = True
    with pytest.raises(Cancelled):
        walk(Lattice(values, (1.0, 1.0, 1.0)), inside, ~inside & (values < 0), progress=_Stop())
