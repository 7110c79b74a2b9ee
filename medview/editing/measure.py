"""Numbers of label maps: voxels, millilitres, agreement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Geometry
from medview.core.segmentation import Labels

_MM3_IN_ML = 1000.0


@dataclass(frozen=True, slots=True)
class Statistics:
    """The values of an image inside a label, in its unit.

    Attributes:
        voxels: How many.
        mean: Their mean.
        deviation: Their standard deviation, as of a sample (n - 1); None of a single voxel.
        minimum: The smallest.
        maximum: The largest.
    """

    voxels: int
    mean: float
    deviation: float | None
    minimum: float
    maximum: float


def statistics(labels: Labels, voxels: NDArray[Any]) -> Mapping[int, Statistics]:
    """The values under every label, in one pass over the slices (Chan, Golub and LeVeque 1983).

    Args:
        labels: (k, j, i) uint8 or uint16.
        voxels: (k, j, i) numbers on the same grid.

    Returns:
        By label; background and labels without voxels are left out.
    """
    size = np.iinfo(labels.dtype).max + 1
    count, mean, spread = (np.zeros(size) for _ in range(3))
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    for plane, values in zip(labels, voxels, strict=True):
        here = np.flatnonzero(plane)
        if not here.size:
            continue
        under = plane.ravel()[here]
        order = np.argsort(under, kind="stable")
        drawn, start, n = np.unique(under[order], return_index=True, return_counts=True)
        sorted_values = values.ravel()[here][order].astype(np.float64)
        means = np.add.reduceat(sorted_values, start) / n
        squares = np.add.reduceat((sorted_values - np.repeat(means, n)) ** 2, start)
        way, total = means - mean[drawn], count[drawn] + n
        spread[drawn] += squares + way**2 * count[drawn] * n / total
        mean[drawn] += way * n / total
        count[drawn] = total
        low[drawn] = np.minimum(low[drawn], np.minimum.reduceat(sorted_values, start))
        high[drawn] = np.maximum(high[drawn], np.maximum.reduceat(sorted_values, start))
    return {
        int(label): Statistics(
            int(count[label]),
            float(mean[label]),
            float(np.sqrt(spread[label] / (count[label] - 1))) if count[label] > 1 else None,
            float(low[label]),
            float(high[label]),
        )
        for label in np.flatnonzero(count)
    }


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
