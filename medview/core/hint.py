"""Hints: where a reader says that a structure is, or is not, so that a model or a tool finds the rest.

A hint lies in the patient: x, y, z, LPS, mm. Whoever answers it asks `core.hint_marks` which voxels of a grid it means.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Geometry, Point


class HintKind(StrEnum):
    """How a hint is given.

    POINT is a click, SCRIBBLE a line, LASSO a closed outline in one plane, MASK a set of voxels. A positive BOX says
    that the structure lies in it and nowhere else, not that all of it belongs to the structure; a negative one that
    nothing of it does.
    """

    POINT = "point"
    BOX = "box"
    SCRIBBLE = "scribble"
    LASSO = "lasso"
    MASK = "mask"


_FEWEST_POINTS = {HintKind.POINT: 1, HintKind.BOX: 2, HintKind.SCRIBBLE: 1, HintKind.LASSO: 3, HintKind.MASK: 0}


@dataclass(frozen=True, slots=True, eq=False)
class PlacedMask:
    """Voxels of a grid.

    Attributes:
        geometry: The grid, often a part of an image's.
        voxels: (k, j, i) bool, of its shape.
    """

    geometry: Geometry
    voxels: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Hint:
    """One hint. Made by `point`, `box`, `scribble`, `lasso` and `mask`.

    Attributes:
        kind: How it is given.
        positive: Whether it says what belongs to the structure, or what does not.
        points: x, y, z, LPS, mm: the place of a point, two opposite corners of a box, whose sides run along the axes of
            the grid that it is asked on, the corners of a scribble or of a lasso; none of a mask.
        radius_mm: How far a point or a scribble reaches around its line; half the thickness of a lasso. The voxels that
            the line itself runs through are meant in any case.
        voxels: Of a mask.

    Raises:
        ValueError: Too few points, one that is no place, or a radius below 0.
    """

    kind: HintKind
    positive: bool
    points: tuple[Point, ...]
    radius_mm: float = 0.0
    voxels: PlacedMask | None = None

    def __post_init__(self) -> None:
        if len(self.points) < _FEWEST_POINTS[self.kind] or (self.kind is HintKind.MASK) != (self.voxels is not None):
            raise ValueError(f"A {self.kind} is not made of {len(self.points)} points.")
        if not np.isfinite(np.asarray(self.points, dtype=np.float64)).all() or not 0 <= self.radius_mm < np.inf:
            raise ValueError("A hint must lie somewhere.")

    @classmethod
    def point(cls, at: Point, *, positive: bool = True, radius_mm: float = 0.0) -> Hint:
        """A click: x, y, z, LPS, mm."""
        return cls(HintKind.POINT, positive, (at,), radius_mm)

    @classmethod
    def box(cls, one: Point, other: Point, *, positive: bool = True) -> Hint:
        """A box between two opposite corners, LPS, mm."""
        return cls(HintKind.BOX, positive, (one, other))

    @classmethod
    def scribble(cls, points: Iterable[Point], *, positive: bool = True, radius_mm: float = 0.0) -> Hint:
        """A line through points, LPS, mm."""
        return cls(HintKind.SCRIBBLE, positive, tuple(points), radius_mm)

    @classmethod
    def lasso(cls, points: Iterable[Point], *, positive: bool = True, radius_mm: float = 0.0) -> Hint:
        """All that a closed outline in one plane encloses, and so far to both sides of the plane."""
        return cls(HintKind.LASSO, positive, tuple(points), radius_mm)

    @classmethod
    def mask(cls, voxels: PlacedMask, *, positive: bool = True) -> Hint:
        """Voxels of a grid."""
        return cls(HintKind.MASK, positive, (), voxels=voxels)


@dataclass(frozen=True, slots=True, eq=False)
class HintAnswer:
    """What was found for some hints.

    Attributes:
        box: The part of the image that was looked at; what lies outside is not answered.
        inside: (k, j, i) bool, of the box's shape: what belongs to the structure.
    """

    box: Box
    inside: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class HintRecord:
    """A hint as it is written down: as `Hint`, a mask by the number of its voxels."""

    kind: HintKind
    positive: bool
    points: tuple[Point, ...]
    radius_mm: float
    voxels: int = 0

    @classmethod
    def of(cls, hint: Hint) -> HintRecord:
        """The record of a hint; places to a thousandth of a millimetre."""
        points = tuple((round(x, 3), round(y, 3), round(z, 3)) for x, y, z in hint.points)
        count = int(np.count_nonzero(hint.voxels.voxels)) if hint.voxels is not None else 0
        return cls(hint.kind, hint.positive, points, round(hint.radius_mm, 3), count)
