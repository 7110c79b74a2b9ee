"""Shapes as distances: negative inside, about one millimetre per millimetre near the surface.

All arrays are float32 and broadcast from a `Grid`; the distances give the share of a voxel that a shape fills, and so
the partial volume at its border.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats32 = NDArray[np.float32]
Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Grid:
    """Places in the patient, LPS, mm: x (1, 1, i), y (1, j, 1), z (k, 1, 1) float32."""

    x: Floats32
    y: Floats32
    z: Floats32

    @classmethod
    def at(cls, point: Vector) -> Grid:
        """One place."""
        x, y, z = (np.full((1, 1, 1), value, dtype=np.float32) for value in point)
        return cls(x, y, z)


Distance = Callable[[Grid], Any]
"""(k, j, i) float32, mm, of a grid."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """A box in the patient, LPS, mm."""

    low: Vector
    high: Vector

    @classmethod
    def around(cls, points: tuple[Vector, ...], margin_mm: float) -> Bounds:
        """The box around some points with a margin."""
        array = np.array(points)
        low, high = array.min(axis=0) - margin_mm, array.max(axis=0) + margin_mm
        return cls((low[0], low[1], low[2]), (high[0], high[1], high[2]))


def ellipsoid(grid: Grid, center: Vector, radii: Vector, turned_degrees: float = 0.0) -> Any:
    """An ellipsoid, turned about the z axis."""
    x, y, z = grid.x - center[0], grid.y - center[1], grid.z - center[2]
    if turned_degrees:
        angle = np.radians(turned_degrees)
        x, y = (
            x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)),
            (y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))),
        )
    a, b, c = (x / radii[0]) ** 2, (y / radii[1]) ** 2, (z / radii[2]) ** 2
    outward = np.sqrt(a + b + c)
    steepness = np.sqrt(a / radii[0] ** 2 + b / radii[1] ** 2 + c / radii[2] ** 2)
    return outward * (outward - 1) / np.maximum(steepness, 1e-6)


def ellipse(grid: Grid, x: Any, y: Any, radius_x: Any, radius_y: Any) -> Any:
    """An upright column of elliptic section; centre and radii may change with z."""
    a, b = ((grid.x - x) / radius_x) ** 2, ((grid.y - y) / radius_y) ** 2
    outward = np.sqrt(a + b)
    steepness = np.sqrt(a / radius_x**2 + b / radius_y**2)
    return outward * (outward - 1) / np.maximum(steepness, 1e-6)


def capsule(grid: Grid, start: Vector, stop: Vector, start_radius: float, stop_radius: float) -> Any:
    """A rod with round ends, whose radius changes evenly from one end to the other."""
    axis = np.subtract(stop, start)
    length2 = float(axis @ axis)
    x, y, z = grid.x - start[0], grid.y - start[1], grid.z - start[2]
    share = np.clip((x * axis[0] + y * axis[1] + z * axis[2]) / np.float32(max(length2, 1e-6)), 0, 1).astype(np.float32)
    dx, dy, dz = x - share * axis[0], y - share * axis[1], z - share * axis[2]
    return np.sqrt(dx * dx + dy * dy + dz * dz) - (start_radius + share * (stop_radius - start_radius))
