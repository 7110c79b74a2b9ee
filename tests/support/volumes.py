"""Small volumes in every orientation."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Floats, Geometry
from medview.core.volume import Modality, Volume, VolumeId


def orientations() -> list[Floats]:
    """The 48 ways in which the three axes of a grid can run along the patient's: (3, 3), columns k, j, i."""
    found = []
    for axes in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            direction = np.zeros((3, 3))
            for column, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
                direction[axis, column] = sign
            found.append(direction)
    return found


def oblique() -> Floats:
    """Axes turned by 20 and 35 degrees about two of the patient's axes."""
    a, b = np.radians(20), np.radians(35)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    turned: Floats = about_z @ about_x @ np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    return turned


def volume(
    voxels: NDArray[Any],
    *,
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0),
    direction: Floats | None = None,
    modality: Modality = Modality.CT,
    unit: str = "HU",
) -> Volume:
    """A volume of these voxels, (k, j, i)."""
    geometry = Geometry.from_parts(voxels.shape, spacing_mm, (-31.0, 12.5, 7.0), direction)
    return Volume(VolumeId(uuid.uuid4().hex), geometry, np.ascontiguousarray(voxels), modality, unit, "1.2.3.4")
