"""Boxes around structures, as a person would draw them: near the edge, never on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medview.learning.optimisation import Range

Floats = NDArray[np.float64]


def extent_of(points: Floats, half_voxel_mm: Floats) -> tuple[Floats, Floats]:
    """The corners of the smallest box around voxels.

    Args:
        points: (n, 3) x, y, z of their centres, mm.
        half_voxel_mm: (3,) how far a voxel reaches from its centre along x, y, z.
    """
    return points.min(axis=0) - half_voxel_mm, points.max(axis=0) + half_voxel_mm


def drawn_around(low: Floats, high: Floats, share: Range, random: np.random.Generator) -> tuple[Floats, Floats]:
    """A box as drawn by hand: each of its six faces misses the smallest box by its own part of the box's side.

    Args:
        low: (3,) lower corner of the smallest box, mm.
        high: (3,) upper corner.
        share: The least and the largest distance outward, in sides of the box; negative: inward.
        random: The source of the six choices.
    """
    size = high - low
    least, most = share
    return low - random.uniform(least, most, 3) * size, high + random.uniform(least, most, 3) * size
