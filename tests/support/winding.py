"""How often a polygon goes around points: by the angles that it is seen in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Floats, Geometry
from tests.support import grids


def turns(corners: Floats, points: Floats) -> NDArray[np.int_]:
    """(...): how often a closed polygon, (n, 2), goes around (..., 2) points."""
    total = np.zeros(points.shape[:-1])
    for one, other in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        a, b = one - points, other - points
        total += np.arctan2(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0], (a * b).sum(axis=-1))
    return np.rint(total / (2 * np.pi)).astype(int)


def turns_in_slice(geometry: Geometry, points: Floats, axis: int, index: int) -> NDArray[np.int_]:
    """(row, column): how often an outline, (n, 3) LPS mm, goes around the voxel centres of a slice."""
    where = np.take(grids.centers(geometry), index, axis=axis)
    plane = np.stack([geometry.direction[:, other] for other in range(3) if other != axis], axis=-1)
    return turns(points @ plane, where @ plane)


def drawn(geometry: Geometry, axis: int, index: int, seed: int, count: int = 9) -> Floats:
    """(count, 3) corners on a slice, some of them off the grid; the outline crosses itself."""
    corners = np.random.default_rng(seed).uniform(-0.2, 1.2, (count, 3)) * np.asarray(geometry.shape)
    corners[:, axis] = index
    return geometry.to_patient(corners)
