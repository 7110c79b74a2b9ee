"""Grids that editing has to work on: of every orientation and of unequal spacing."""

from __future__ import annotations

import numpy as np

from medview.core.geometry import Floats, Geometry, Index

SHAPE = (14, 18, 22)


def rotation(angles: tuple[float, float, float]) -> Floats:
    """(3, 3) about z, y and x, radians."""
    total = np.eye(3)
    for axis, angle in zip((2, 1, 0), angles, strict=True):
        one = np.eye(3)
        a, b = [n for n in range(3) if n != axis]
        one[a, a] = one[b, b] = np.cos(angle)
        one[a, b], one[b, a] = -np.sin(angle), np.sin(angle)
        total = total @ one
    return total


def grid(spacing_mm: tuple[float, float, float], direction: Floats | None = None, shape: Index = SHAPE) -> Geometry:
    return Geometry.from_parts(shape, spacing_mm, (-40.0, 25.0, 110.0), direction)


ISOTROPIC = grid((1.0, 1.0, 1.0))
THICK = grid((5.0, 1.0, 1.0))
OBLIQUE = grid((2.5, 0.8, 0.7), rotation((0.4, -0.3, 0.9)))
FLIPPED = grid((3.0, 0.9, 1.1), np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]))
SAGITTAL = grid((1.5, 1.0, 1.2), np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]))

ALL = {"isotropic": ISOTROPIC, "thick": THICK, "oblique": OBLIQUE, "flipped": FLIPPED, "sagittal": SAGITTAL}


def centers(geometry: Geometry) -> Floats:
    """(k, j, i, 3): x, y, z of every voxel centre, mm."""
    k, j, i = (np.arange(n) for n in geometry.shape)
    index = np.stack(np.meshgrid(k, j, i, indexing="ij"), axis=-1).astype(np.float64)
    return index @ geometry.affine[:3, :3].T + geometry.affine[:3, 3]


def distance_to_line(points: Floats, start: Floats, stop: Floats) -> Floats:
    """(...): from (..., 3) points to the straight line between two points, mm."""
    way = stop - start
    length2 = float(way @ way)
    share = np.zeros(points.shape[:-1]) if length2 == 0 else np.clip((points - start) @ way / length2, 0, 1)
    return np.asarray(np.linalg.norm(points - start - share[..., None] * way, axis=-1))
