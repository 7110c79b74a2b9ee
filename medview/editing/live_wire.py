"""The live wire: the way along edges from one place of a slice to another.

Sources: Mortensen E.N., Barrett W.A., Interactive segmentation with intelligent scissors, Graphical Models and Image
Processing 60(5), 1998; of their features the strength of the gradient alone. Shortest ways by scikit-image's
`MCP_Geometric` (Dijkstra), with steps as long as they are in the patient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Floats, Geometry, Index
from medview.editing import seeds

_REACH = 150
"""How many voxels a wire reaches to each side of its start: all ways within are known in a twentieth of a second."""
_LEAST_COST = 0.02
"""Of a step along the strongest edge, beside 1 where there is none: ways do not wander where edges are equal."""
_STRONG_PERCENTILE = 98.0


class Wire:
    """All cheapest ways from one voxel of a slice.

    Args:
        voxels: (k, j, i) numbers.
        geometry: Their grid.
        start: The voxel (k, j, i).
        axis: The index axis that the slice stands on.
    """

    def __init__(self, voxels: NDArray[Any], geometry: Geometry, start: Index, axis: int) -> None:
        from skimage.graph import MCP_Geometric

        self._geometry = geometry
        self._start = start
        self._axes = tuple(other for other in range(3) if other != axis)
        first = [max(0, start[n] - _REACH) for n in range(3)]
        stop = [min(geometry.shape[n], start[n] + _REACH + 1) for n in range(3)]
        first[axis], stop[axis] = start[axis], start[axis] + 1
        self._box = Box((first[0], first[1], first[2]), (stop[0], stop[1], stop[2]))
        costs = np.take(step_costs(voxels[self._box.slices], geometry.spacing_mm), 0, axis)
        down, across = self._axes
        spacing = geometry.spacing_mm
        self._ways = MCP_Geometric(costs, sampling=(spacing[down], spacing[across]))
        self._ways.find_costs([self._within(start)])

    def to(self, stop: Index) -> Floats:
        """The way to another voxel of the slice.

        Args:
            stop: The voxel (k, j, i).

        Returns:
            (n, 3) x, y, z, LPS, mm: centres of the voxels on the way, without the first one; a straight line where
            the wire does not reach.
        """
        if any(not a <= n < b for a, n, b in zip(self._box.start, stop, self._box.stop, strict=True)):
            return self._geometry.to_patient(np.array([stop], dtype=np.float64))
        steps = np.array(self._ways.traceback(self._within(stop)), dtype=np.float64)[1:]
        index = np.tile(np.asarray(self._start, dtype=np.float64), (len(steps), 1))
        for at, axis in enumerate(self._axes):
            index[:, axis] = steps[:, at] + self._box.start[axis]
        return self._geometry.to_patient(index)

    def _within(self, voxel: Index) -> tuple[int, int]:
        down, across = self._axes
        return voxel[down] - self._box.start[down], voxel[across] - self._box.start[across]


def step_costs(voxels: NDArray[Any], spacing_mm: tuple[float, float, float]) -> NDArray[np.float64]:
    """What a step onto a voxel costs per mm: little on strong edges, 1 where there is none.

    Args:
        voxels: (k, j, i) numbers, one voxel thick along one axis.
        spacing_mm: Voxel sizes (k, j, i).
    """
    strength = seeds.strength(voxels, spacing_mm).astype(np.float64)
    strong = float(np.percentile(strength, _STRONG_PERCENTILE))
    share = np.clip(strength / strong, 0, 1) if strong > 0 else np.zeros_like(strength)
    costs: NDArray[np.float64] = 1 - (1 - _LEAST_COST) * share
    return costs
