"""A surface made of triangles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """A closed surface.

    Attributes:
        points: (n, 3) float32, x, y, z, LPS, mm.
        triangles: (m, 3) int64, places in `points`; seen from outside they run counter-clockwise.
        coarseness: The longest side of the voxels that it was made of, in longest sides of its grid's voxels: a large
            mask is thinned out first.
    """

    points: NDArray[np.float32]
    triangles: NDArray[np.int64]
    coarseness: float = 1.0

    @property
    def corners(self) -> NDArray[np.float32]:
        """(m, 3, 3) float32: the points of every triangle."""
        return self.points[self.triangles]

    def enclosed(self) -> tuple[float, Floats]:
        """The volume that it encloses, mm³, negative when it is inside out, and its centre of gravity, mm.

        Both are sums over the tetrahedra between the triangles and one point (divergence theorem).
        """
        origin = self.points.mean(axis=0, dtype=np.float64)
        a, b, c = np.moveaxis(self.corners.astype(np.float64) - origin, 1, 0)
        sixths = np.einsum("ij,ij->i", a, np.cross(b, c))
        total = float(sixths.sum())
        center: Floats = origin + (sixths[:, None] * (a + b + c)).sum(axis=0) / (4 * total if total else 1.0)
        return total / 6, center
