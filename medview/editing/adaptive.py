"""The brush that stops at edges: of what it reaches it takes what hangs together with its middle and is like it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Geometry, Point
from medview.editing import brush, regions, rules

_CORE_SHARE = 1 / 3
"""Of the radius: what is this near to the middle says what the brush takes."""


def taken(
    voxels: NDArray[Any],
    geometry: Geometry,
    box: Box,
    mask: NDArray[np.bool_],
    middle: Point,
    radius_mm: float,
    axis: int | None,
    deviations: float,
) -> NDArray[np.bool_]:
    """What an adaptive brush takes of what it reaches.

    The values of the core, a third of the radius around the middle and at least the voxel there, have a mean and a
    standard deviation; taken is what lies within some deviations of the mean, and hangs together with the core over
    voxels' faces.

    Args:
        voxels: (k, j, i) numbers of the whole grid.
        geometry: The grid.
        box: What the brush reaches at most.
        mask: (k, j, i) bool of the box's shape: what it reaches.
        middle: Where the brush is: x, y, z, LPS, mm.
        radius_mm: Of the brush.
        axis: The index axis across the slice that it stays in; None for a sphere.
        deviations: How many standard deviations a value may differ.

    Returns:
        (k, j, i) bool of the box's shape.
    """
    values = voxels[box.slices]
    if axis is None:
        around, core = brush.sphere(geometry, middle, middle, radius_mm * _CORE_SHARE)
    else:
        around, core = brush.disk(geometry, middle, middle, radius_mm * _CORE_SHARE, axis)
    seeds = np.zeros(mask.shape, dtype=np.bool_)
    common = around.intersection(box)
    if common.is_empty:
        return seeds
    into, of = (common.shifted(_back(one)) for one in (box, around))
    seeds[into.slices] = core[of.slices]
    seeds &= mask
    inside = values[seeds]
    inside = inside[np.isfinite(inside)].astype(np.float64)
    if not inside.size:
        return np.zeros(mask.shape, dtype=np.bool_)
    mean, reach = float(inside.mean()), deviations * float(inside.std())
    similar = mask & rules.within(values, mean - reach, mean + reach)
    return regions.connected_to(similar, seeds & similar)


def _back(box: Box) -> tuple[int, int, int]:
    k, j, i = box.start
    return -k, -j, -i
