"""Numbers of label maps: voxels, millilitres, agreement."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Geometry
from medview.core.segmentation import Labels

_MM3_IN_ML = 1000.0


def count_voxels(labels: Labels) -> NDArray[np.int64]:
    """How many voxels every label has.

    Args:
        labels: (k, j, i) uint8 or uint16.

    Returns:
        (label,) int64, one entry for every value that the type can hold; the first is background.
    """
    counts = np.zeros(np.iinfo(labels.dtype).max + 1, dtype=np.int64)
    for one in labels:
        # Slice by slice: counting widens the values to 64 bit, for the whole map eight times its memory.
        if one.any():
            found = np.bincount(one.ravel())
            counts[: found.size] += found
        else:
            counts[0] += one.size
    return counts


def volumes_ml(labels: Labels, geometry: Geometry) -> Mapping[int, float]:
    """The volume of every label that has voxels, background left out.

    Args:
        labels: (k, j, i) uint8 or uint16.
        geometry: The grid.

    Returns:
        By label, ml.
    """
    return ml_of(count_voxels(labels), geometry)


def ml_of(counts: NDArray[np.int64], geometry: Geometry) -> Mapping[int, float]:
    """Voxel counts as volumes.

    Args:
        counts: (label,) int64, as from `count_voxels`.
        geometry: The grid.

    Returns:
        By label, ml; background and labels without voxels are left out.
    """
    ml = geometry.voxel_mm3 / _MM3_IN_ML
    return {int(label): float(counts[label]) * ml for label in np.flatnonzero(counts) if label}


def dice(one: Labels, other: Labels, label: int) -> float:
    """How well two label maps agree on a label (Dice 1945): twice the common voxels over the sum of both.

    Args:
        one: (k, j, i) integers.
        other: (k, j, i) integers on the same grid.
        label: Which label.

    Returns:
        0..1; NaN when neither map has the label, for there is nothing to agree on.
    """
    a, b = one == label, other == label
    total = int(np.count_nonzero(a)) + int(np.count_nonzero(b))
    return 2 * int(np.count_nonzero(a & b)) / total if total else float("nan")
