"""Branching tubes that grow into a lung: airways, and the vessels beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medview.phantom.shapes import Vector

_SMALLEST_RADIUS_MM = 0.8
_CLEARANCE_MM = 3.0
_TRIES = 12
_THINNER = 0.5 ** (1 / 3)
"""Daughter to mother, by Murray's law: the cubes of the radii add up."""


@dataclass(frozen=True, slots=True)
class Branch:
    """One tube: from, to, and its radii there, LPS, mm. Generation 0 starts at the hilum."""

    start: Vector
    stop: Vector
    start_radius: float
    stop_radius: float
    generation: int


def grow(
    root: Vector,
    direction: Vector,
    radius_mm: float,
    length_mm: float,
    generations: int,
    depth_inside: Callable[[Vector], float],
    random: np.random.Generator,
) -> list[Branch]:
    """A tree in which every branch ends in two.

    Args:
        root: Where it starts.
        direction: Where its stem points.
        radius_mm: Of the stem.
        length_mm: Of the stem; daughters are shorter by a fifth or less.
        generations: How often it divides.
        depth_inside: How deep a place lies in the organ, mm; negative outside. Branches keep clear of the surface.
        random: Chooses the directions.
    """
    branches: list[Branch] = []
    tips = [(root, np.array(direction) / np.linalg.norm(direction), radius_mm, length_mm)]
    for generation in range(generations):
        grown = []
        for start, heading, radius, length in tips:
            stop = _end(start, heading, length, depth_inside, random)
            if stop is None or radius < _SMALLEST_RADIUS_MM:
                continue
            branches.append(Branch(start, stop, radius, radius * 0.85, generation))
            side = np.cross(heading, random.normal(size=3))
            side /= max(float(np.linalg.norm(side)), 1e-6)
            for sign, share in ((1.0, random.uniform(0.55, 0.95)), (-1.0, random.uniform(0.45, 0.8))):
                turned = heading + sign * share * side
                turned /= np.linalg.norm(turned)
                grown.append((stop, turned, radius * _THINNER, length * random.uniform(0.75, 0.95)))
        tips = grown
    return branches


def _end(
    start: Vector,
    heading: NDArray[np.float64],
    length: float,
    depth_inside: Callable[[Vector], float],
    random: np.random.Generator,
) -> Vector | None:
    """The end of a branch inside the organ, near the heading; None when none was found."""
    for attempt in range(_TRIES):
        tried = heading + 0.12 * attempt * random.normal(size=3)
        tried *= length * (1 - 0.05 * attempt) / np.linalg.norm(tried)
        x, y, z = (float(value) for value in np.array(start) + tried)
        if depth_inside((x, y, z)) > _CLEARANCE_MM:
            return x, y, z
    return None
