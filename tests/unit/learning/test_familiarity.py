from __future__ import annotations

import numpy as np
import pytest

from medview.inference.familiarity import Familiarity
from medview.learning import familiarity


def _known(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two classes in six dimensions, with more spread along two of them."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, 400)
    spread = np.array([3.0, 2.0, 0.5, 0.5, 0.5, 0.5])
    return random.normal(0, 1, (400, 6)) * spread + labels[:, None] * np.array([0, 0, 0, 0, 0, 4.0]), labels


def test_with_all_directions_it_is_the_mahalanobis_distance_to_the_nearest_class() -> None:
    vectors, labels = _known()
    found = familiarity.fit(vectors, labels, 6)
    means = [vectors[labels == one].mean(axis=0) for one in (0, 1)]
    away = np.concatenate([vectors[labels == one] - means[one] for one in (0, 1)])
    inverse = np.linalg.inv(away.T @ away / (400 - 2))
    new = np.random.default_rng(1).normal(0, 5, (20, 6))
    squares = [np.einsum("ni,ij,nj->n", new - mean, inverse, new - mean) for mean in means]
    np.testing.assert_allclose(found.distance(new), np.sqrt(np.min(squares, axis=0) / 6), rtol=1e-6)


@pytest.mark.parametrize("directions", [1, 2, 4])
def test_what_is_learned_from_lies_at_one_and_what_is_not_far_away(directions: int) -> None:
    vectors, labels = _known()
    found = familiarity.fit(vectors, labels, directions)
    assert np.sqrt(np.mean(found.distance(vectors) ** 2)) == pytest.approx(1.0, abs=0.05)
    beside = vectors + np.array([0, 0, 0, 8.0, 0, 0])
    assert found.distance(beside).min() > found.distance(vectors).max()


def test_it_survives_its_arrays_and_constant_vectors() -> None:
    vectors, labels = _known()
    found = familiarity.fit(vectors, labels, 3)
    again = Familiarity.of_arrays(found.arrays())
    np.testing.assert_allclose(again.distance(vectors), found.distance(vectors), rtol=1e-4)
    flat = familiarity.fit(np.ones((10, 4)), np.zeros(10, dtype=np.int64), 2)
    assert flat.distance(np.ones((1, 4))) == [0.0]
    assert np.isfinite(flat.distance(np.zeros((1, 4)))).all()
