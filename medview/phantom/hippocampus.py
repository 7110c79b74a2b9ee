"""A made-up T1-weighted MR crop around a hippocampus: enough of an image for a model to run on, not to be judged by.

The hippocampus is a tube around a curve that runs from the front to the back, rising and thinning out, between white
matter and a horn of fluid. Sizes are rounded from anatomy; grey values are arbitrary, as in MR.
"""

from __future__ import annotations

import uuid

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Geometry, Index
from medview.core.volume import Modality, Volume, VolumeId

Floats = NDArray[np.float64]

SHAPE: Index = (36, 52, 36)
_WHITE_MATTER, _GREY_MATTER, _FLUID, _NOISE = 620.0, 430.0, 130.0, 18.0
_LENGTH_MM = 38.0
_EDGE_MM = 0.7
"""Over this width one tissue passes into the other: partial volume of voxels of 1 mm."""


def make(seed: int = 7) -> Volume:
    """The crop: (k, j, i) int16, arbitrary unit, voxels of 1 mm, axial, head first.

    Args:
        seed: Of the noise; the same seed makes the same voxels.
    """
    geometry = Geometry.from_parts(SHAPE, (1.0, 1.0, 1.0), (-48.0, -45.0, -28.0))
    k, j, i = np.meshgrid(*(np.arange(size, dtype=np.float64) for size in SHAPE), indexing="ij")
    middle = (np.asarray(SHAPE) - 1) / 2
    x, y, z = i - middle[2], j - middle[1], k - middle[0]
    along = np.clip(y / _LENGTH_MM + 0.5, 0.0, 1.0)  # 0 at the head in front, 1 at the tail
    center_x, center_z = 5.0 * np.sin(np.pi * along) - 3.0, 14.0 * along**1.6 - 6.0
    radius = 5.2 - 2.6 * along
    beyond = np.maximum(np.abs(y) - _LENGTH_MM / 2, 0.0)
    tube = np.sqrt(((x - center_x) / 1.25) ** 2 + (z - center_z) ** 2 + beyond**2) - radius
    horn = np.sqrt((x - center_x - 6.5) ** 2 + ((z - center_z - 2.0) / 1.6) ** 2 + beyond**2) - 2.2 * (1.2 - along)
    cortex = 3.0 - np.abs(z + 13.0 + 2.0 * np.sin(x / 4.0))
    values = np.full(SHAPE, _WHITE_MATTER)
    for distance, value in ((-cortex, _GREY_MATTER), (horn, _FLUID), (tube, _GREY_MATTER)):
        values += (value - values) * _inside(distance)
    values += np.random.default_rng(seed).normal(0.0, _NOISE, SHAPE)
    voxels = np.clip(np.rint(values), 0, None).astype(np.int16)
    return Volume(
        VolumeId(uuid.uuid4().hex),
        geometry,
        voxels,
        Modality.MR,
        "",
        f"phantom-hippocampus-{seed}",
        "Hippocampus, made up",
    )


def _inside(distance_mm: Floats) -> Floats:
    """How much of a voxel lies inside, by its centre's signed distance from the surface (negative inside), 0..1."""
    share: Floats = np.clip(0.5 - distance_mm / (2 * _EDGE_MM), 0.0, 1.0)
    return share
