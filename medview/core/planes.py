"""The three planes of reading, and the letters of the patient's directions.

A view shows the slices of the grid as they were acquired: the plane that is called axial is the grid axis nearest to
the patient's long axis, and so on. The display is the radiological one: in axial and coronal views the patient's right
is on the left of the screen, in the sagittal view the front is on the left; the head, or the front in axial views, is
up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations

import numpy as np

from medview.core.geometry import Floats, Geometry, Index


class Plane(StrEnum):
    """A plane of reading."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"


_NORMAL = {Plane.AXIAL: 2, Plane.CORONAL: 1, Plane.SAGITTAL: 0}
"""The patient axis (x, y, z) that stands on the plane."""

_SCREEN = {
    Plane.AXIAL: ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),
    Plane.CORONAL: ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    Plane.SAGITTAL: ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}
"""Screen right and screen up in the patient, LPS."""

_LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
_LEAST_SHARE = 0.2
"""A patient axis with a smaller share in a direction (12 degrees) gets no letter."""


@dataclass(frozen=True, slots=True)
class SlicePlane:
    """How one plane of reading cuts a grid.

    Attributes:
        plane: Which plane it is.
        axis: The index axis (0 = k, 1 = j, 2 = i) along which one scrolls.
        right_axis: The index axis along the screen's width.
        up_axis: The index axis along the screen's height.
        right: (3,) unit vector, LPS, towards the right of the screen.
        up: (3,) unit vector, LPS, towards the top of the screen.
        normal: (3,) unit vector, LPS, towards the reader: `right` x `up`.
        towards_head: +1 when a larger index lies towards the head (axial), the back (coronal) or the left (sagittal),
            else -1.
    """

    plane: Plane
    axis: int
    right_axis: int
    up_axis: int
    right: Floats
    up: Floats
    normal: Floats
    towards_head: int


def slice_plane(geometry: Geometry, plane: Plane) -> SlicePlane:
    """The plane of a grid that comes nearest to a plane of the patient."""
    direction = geometry.direction
    axes = _axis_of_each_patient_axis(direction)
    axis = axes[_NORMAL[plane]]
    right, up = (np.asarray(vector) for vector in _SCREEN[plane])
    others = [other for other in range(3) if other != axis]
    right_axis = max(others, key=lambda other: abs(float(direction[:, other] @ right)))
    up_axis = next(other for other in others if other != right_axis)
    right_vector = _towards(direction[:, right_axis], right)
    up_vector = _towards(direction[:, up_axis], up)
    along = float(direction[_NORMAL[plane], axis])
    return SlicePlane(
        plane,
        axis,
        right_axis,
        up_axis,
        right_vector,
        up_vector,
        np.cross(right_vector, up_vector),
        1 if along >= 0 else -1,
    )


def slice_count(geometry: Geometry, plane: Plane) -> int:
    """How many slices the grid has along a plane's scrolling axis."""
    return geometry.shape[slice_plane(geometry, plane).axis]


def stepped(geometry: Geometry, plane: Plane, index: Index, steps: int) -> Index:
    """The voxel some slices further, clamped to the grid.

    Positive steps go towards the feet, the front or the right: the way a reader scrolls down.
    """
    cut = slice_plane(geometry, plane)
    moved = list(index)
    moved[cut.axis] = min(max(index[cut.axis] - steps * cut.towards_head, 0), geometry.shape[cut.axis] - 1)
    return moved[0], moved[1], moved[2]


def letters(direction: Floats) -> str:
    """The patient's letters of a direction (LPS), largest share first, as "L", "AL" or "HP"."""
    length = float(np.linalg.norm(direction))
    if length == 0:
        return ""
    unit = np.asarray(direction, dtype=np.float64) / length
    order = sorted(range(3), key=lambda axis: -abs(unit[axis]))
    return "".join(_LETTERS[axis][0 if unit[axis] > 0 else 1] for axis in order if abs(unit[axis]) >= _LEAST_SHARE)


def _axis_of_each_patient_axis(direction: Floats) -> tuple[int, int, int]:
    """The index axis that runs along patient x, y and z: the assignment with the largest sum of cosines."""
    cosines = np.abs(direction)
    x, y, z = max(permutations(range(3)), key=lambda axes: sum(cosines[row, axes[row]] for row in range(3)))
    return x, y, z


def _towards(vector: Floats, wanted: Floats) -> Floats:
    return vector if float(vector @ wanted) >= 0 else -vector
