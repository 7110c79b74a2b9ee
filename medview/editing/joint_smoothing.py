"""Smoothing all segments together, so that no gaps open between them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Geometry
from medview.core.progress import NoProgress, Progress
from medview.core.segmentation import Labels
from medview.editing import regions

_REACH = 4
"""Standard deviations beyond which a Gaussian is nothing."""


def smoothed(
    labels: Labels, geometry: Geometry, sigma_mm: float, progress: Progress | None = None
) -> tuple[Box, Labels]:
    """All segments after they have been smoothed together.

    All of them as one body are blurred by a Gaussian, and what stays at one half or above is the body afterwards: so
    the background gets nothing between two segments. Inside, every voxel goes to the segment whose own blur is the
    strongest there; where two are equal, to the one with the smaller label.

    Args:
        labels: (k, j, i) uint8 or uint16.
        geometry: The grid.
        sigma_mm: The Gaussian's standard deviation.
        progress: Told how far it is; may cancel between segments.

    Returns:
        A box, empty when there are no segments, and (k, j, i) of the labels' type: all labels inside.
    """
    progress = progress or NoProgress()
    box = _with_margin(Box.around(labels), sigma_mm, geometry)
    before = labels[box.slices]
    winner = np.zeros(box.shape, dtype=labels.dtype)
    if box.is_empty:
        return box, winner
    body = regions.blurred(before != 0, sigma_mm, geometry.spacing_mm) >= 0.5
    strongest = np.zeros(box.shape, dtype=np.float32)
    known = [int(label) for label in np.unique(before) if label]
    within = geometry.cropped(box)
    for number, label in enumerate(known, start=1):
        progress.raise_if_cancelled()
        progress.report(number / (len(known) + 1))
        part = _with_margin(Box.around(before == label), sigma_mm, within).slices
        strength = regions.blurred(before[part] == label, sigma_mm, geometry.spacing_mm)
        stronger = strength > strongest[part]
        strongest[part] = np.maximum(strongest[part], strength)
        winner[part][stronger] = label
    # where all blurs have faded to nothing, a voxel of the body stays what it was
    kept: NDArray[np.bool_] = body & (winner == 0)
    winner[kept] = before[kept]
    winner[~body] = 0
    return box, winner


def _with_margin(box: Box, sigma_mm: float, geometry: Geometry) -> Box:
    if box.is_empty:
        return box
    k, j, i = (math.ceil(_REACH * sigma_mm / step) + 1 for step in geometry.spacing_mm)
    return Box(box.shifted((-k, -j, -i)).start, box.shifted((k, j, i)).stop).clipped(geometry.shape)
