"""What a model has learned from, in a few numbers, so that the unknown can be told from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.inference.familiarity import Familiarity

_LEAST_SHARE = 1e-6


def fit(vectors: NDArray[Any], labels: NDArray[np.int64], directions: int) -> Familiarity:
    """Learn what is usual.

    Args:
        vectors: (n, d), of training cases.
        labels: (n,) the class of each.
        directions: Along how many directions the variance is kept; fewer where there are not so many.
    """
    values = np.asarray(vectors, dtype=np.float64)
    means = np.stack([values[labels == one].mean(axis=0) for one in np.unique(labels)])
    away = values - means[np.unique(labels, return_inverse=True)[1]]
    _, lengths, axes = np.linalg.svd(away, full_matrices=False)
    spread = lengths**2 / max(1, len(values) - len(means))
    kept = min(directions, len(spread))
    least = max(float(spread.sum()), 1e-12) * _LEAST_SHARE
    others = values.shape[1] - kept
    rest = float(spread[kept:].sum()) / others if others else 0.0
    return Familiarity(means, axes[:kept], np.maximum(spread[:kept], least), max(rest, least))
