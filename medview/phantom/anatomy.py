"""The anatomy of the chest phantom: a supine adult from the kidneys to the shoulders, in contrast, made of distances.

Patient axes in millimetres (LPS): x to the left, y to the back, z to the head; z = 0 lies at the domes of the
diaphragm. Sizes are those of textbooks; nothing is symmetric: the liver and the higher dome are on the right; heart,
aorta, stomach and spleen on the left; the left main bronchus is the longer and flatter one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from medview.phantom.shapes import Bounds, Distance, Grid, Vector, capsule, ellipse, ellipsoid

CARINA: Vector = (3.0, 10.0, 88.0)
RIGHT_HILUM: Vector = (-34.0, 14.0, 64.0)
LEFT_HILUM: Vector = (40.0, 18.0, 58.0)
_EVERYWHERE = Bounds((-1000.0, -1000.0, -1000.0), (1000.0, 1000.0, 1000.0))


@dataclass(frozen=True, slots=True)
class Part:
    """One structure: where, what shape, what value; painted over what came before it.

    Attributes:
        bounds: A box that holds it, so that it is computed nowhere else.
        distance: Its shape.
        hu: Its value, HU; a number, or a function of the grid.
        label: Its label number in the truth; 0 leaves the truth as it is.
    """

    bounds: Bounds
    distance: Distance
    hu: float | Distance
    label: int = 0


def body(grid: Grid) -> Any:
    """The skin, from hips to shoulders and neck."""
    z = grid.z
    shoulders = np.maximum(z - 165, 0)
    radius_x = 163 + 8 * np.clip((z - 60) / 90, 0, 1) - 1.7 * shoulders
    radius_y = 110 - 10 * np.clip((z - 40) / 120, 0, 1) - 0.6 * shoulders
    return ellipse(grid, 0.0, 7.0, radius_x, radius_y)


def cavity(grid: Grid) -> Any:
    """The inner wall of the rib cage; it closes at the apices of the lungs."""
    rise = np.clip((grid.z - 10) / 168, 0, 0.999)
    narrow = np.sqrt(1 - rise**2.4)
    return ellipse(grid, 0.0, 2.0 + 14 * rise, 122 * narrow + 1, 84 * narrow + 1)


def diaphragm(grid: Grid) -> Any:
    """Height above the diaphragm, mm: positive in the chest. Two domes, the right one higher, deep at the back."""
    behind = np.maximum(grid.y, 0)
    right = 8 - 0.0050 * (grid.x + 62) ** 2 - 0.0040 * grid.y**2 - 0.0060 * behind**2
    left = -6 - 0.0055 * (grid.x - 66) ** 2 - 0.0040 * grid.y**2 - 0.0060 * behind**2
    return grid.z - np.maximum(right, left)


def heart(grid: Grid) -> Any:
    """Heart with its pericardium: lies on the diaphragm and points to the left and forwards."""
    return ellipsoid(grid, (24.0, -26.0, 30.0), (58.0, 43.0, 47.0), turned_degrees=-28.0)


def mediastinum(grid: Grid) -> Any:
    """All between the lungs: a wall around spine, vessels and airways, with the heart."""
    wall = ellipse(grid, 2.0, 12.0, 27 + 0.05 * np.maximum(grid.z - 60, 0), 84.0)
    spine = ellipse(grid, 0.0, 66.0, 30.0, 26.0)
    return np.minimum(np.minimum(wall, spine), heart(grid) - 4)


def lung(grid: Grid, side: int) -> Any:
    """A lung; side -1 is the right one, +1 the left one."""
    inside = np.maximum(cavity(grid) + 4, -mediastinum(grid))
    inside = np.maximum(inside, 3 - diaphragm(grid))
    return np.maximum(inside, -side * grid.x)


def abdomen(grid: Grid) -> Any:
    """The space inside the muscles of the belly, below the diaphragm."""
    return np.maximum(ellipse(grid, 0.0, -2.0, 128.0, 82.0), diaphragm(grid) + 2)


def liver(grid: Grid) -> Any:
    """Right and left lobe under the right dome."""
    right = ellipsoid(grid, (-62.0, -4.0, -52.0), (72.0, 74.0, 72.0))
    left = ellipsoid(grid, (8.0, -44.0, -36.0), (62.0, 30.0, 36.0), turned_degrees=12.0)
    return np.maximum(np.minimum(right, left), abdomen(grid) + 3)


def spleen(grid: Grid) -> Any:
    """Behind the stomach, under the left dome."""
    return np.maximum(ellipsoid(grid, (88.0, 36.0, -46.0), (26.0, 38.0, 44.0), turned_degrees=-20.0), abdomen(grid) + 3)


def ribs(grid: Grid) -> Any:
    """Eleven pairs that run down from the back to the front, around the cavity."""
    out = cavity(grid) - 5.5
    height = grid.z - 0.42 * (grid.y - 20)
    nearest = np.round((height + 62) / 22) * 22 - 62
    rings = np.sqrt((out / 3.8) ** 2 + ((height - nearest) / 5.5) ** 2)
    distance = (rings - 1) * 4.2
    distance = np.maximum(distance, np.abs(grid.z - 52) - 118)
    return np.maximum(distance, 24 - np.abs(grid.x))


def column(grid: Grid) -> Any:
    """Vertebral bodies with arches and processes; discs are left out."""
    place = np.mod(grid.z + 11, 27.0) - 13.5
    vertebra = np.maximum(ellipse(grid, 0.0, 58.0, 19.0, 15.0), np.abs(place) - 10.5)
    arch = np.maximum(np.abs(ellipse(grid, 0.0, 80.0, 13.5, 12.0)) - 3.2, np.abs(place) - 8)
    spine = np.maximum(np.maximum(np.abs(grid.x) - 3.2, np.abs(grid.y - 96) - 8), np.abs(place + 4) - 6)
    across = np.maximum(np.maximum(np.abs(grid.x) - 31, np.abs(grid.y - 78) - 3.6), np.abs(place) - 5)
    across = np.maximum(across, 12 - np.abs(grid.x))
    return np.minimum(np.minimum(vertebra, arch), np.minimum(spine, across))


def tube(*points: Vector, radius: float) -> tuple[Bounds, Distance]:
    """A tube along a line of points."""

    def distance(grid: Grid) -> Any:
        parts = [capsule(grid, a, b, radius, radius) for a, b in pairwise(points)]
        return np.minimum.reduce(parts)

    return Bounds.around(points, radius + 3), distance


def blob(center: Vector, radii: Vector, turned_degrees: float = 0.0) -> tuple[Bounds, Distance]:
    """An ellipsoid with its bounds."""
    return Bounds.around((center,), max(radii) + 3), lambda grid: ellipsoid(grid, center, radii, turned_degrees)


def shell(distance: Distance, margin_mm: float) -> Distance:
    """The same shape, thicker by a margin, or thinner by a negative one."""
    return lambda grid: distance(grid) - margin_mm


def everywhere() -> Bounds:
    """For what crosses the whole body."""
    return _EVERYWHERE
