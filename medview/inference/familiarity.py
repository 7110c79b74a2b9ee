"""How far something lies from what a model has learned from: one number, in standard deviations.

The Mahalanobis distance to the nearest class (Lee K. et al., A simple unified framework for detecting
out-of-distribution samples and adversarial attacks, NeurIPS 2018), with the covariance of probabilistic principal
components (Tipping M.E., Bishop C.M., J R Stat Soc B 1999, 61(3):611-622): the variance along a few directions, and
one for all others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Familiarity:
    """What is known of vectors of a length d.

    Attributes:
        means: (class, d).
        directions: (k, d), orthonormal.
        variances: (k,) around the nearest mean, along these directions.
        rest: Variance along any other.
    """

    means: Floats
    directions: Floats
    variances: Floats
    rest: float

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Any]) -> Familiarity:
        """From what `arrays` gave.

        Raises:
            KeyError: One is missing.
        """
        means, directions, variances = (
            np.asarray(arrays[name], dtype=np.float64) for name in ("means", "directions", "variances")
        )
        return cls(means, directions, variances, float(np.asarray(arrays["rest"]).reshape(-1)[0]))

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """All of it as arrays, to be kept in a file."""
        return {
            "means": self.means.astype(np.float32),
            "directions": self.directions.astype(np.float32),
            "variances": self.variances.astype(np.float32),
            "rest": np.array([self.rest], dtype=np.float32),
        }

    def distance(self, vectors: NDArray[Any]) -> Floats:
        """(n, d) -> (n,): to the nearest class, in deviations; 1 is usual, whatever d."""
        away = np.asarray(vectors, dtype=np.float64)[:, None] - self.means
        along = away @ self.directions.T
        beside = np.maximum((away**2).sum(-1) - (along**2).sum(-1), 0.0)
        squares = (along**2 / self.variances).sum(-1) + beside / self.rest
        nearest: Floats = np.sqrt(squares.min(axis=1) / away.shape[-1])
        return nearest
