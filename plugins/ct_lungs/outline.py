"""The surface of a lung in the fine image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medview.api import Box, Context, Mask, closed, components, dilate, erode, fill_holes

from . import sides
from .grids import Coarse, Floats

_CLOSING_MM = 8.0
_RIM_MM = 2.5
_LARGEST_ADDED_HU = 400.0
_LARGEST_HOLE_MM2 = 250.0
"""What an axial slice of lung may enclose and be lung: a vessel or a nodule, but not the dome of the diaphragm."""


def draw(
    values: NDArray[np.int16],
    coarse: Coarse,
    rough: Floats,
    told: NDArray[np.uint8],
    airways: Mask,
    threshold_hu: float,
    context: Context,
) -> NDArray[np.uint8]:
    """Carry the lungs from the coarse image to the fine one, with what belongs to them although it holds no air.

    Args:
        values: (to the head, to the back, to the left), HU, fine.
        coarse: The coarse grid.
        rough: The coarse image, HU.
        told: The lungs on it, left and right.
        airways: The large airways and their walls, coarse: not lung.
        threshold_hu: Between lung and tissue.
        context: Is told how far it is.

    Returns:
        uint8 on the fine grid.
    """
    labels = np.zeros(values.shape, dtype=np.uint8)
    for number, side in enumerate((sides.LEFT, sides.RIGHT)):
        context.progress(0.6 + 0.12 * number, "Drawing the outlines")
        lung = told == side
        if lung.any():
            _draw_one(values, coarse, rough, lung, (told > 0) & ~lung, airways, threshold_hu, labels, side)
    context.progress(0.85, "Drawing the outlines")
    box = sides.junction(told, coarse.spacing_mm)
    if not box.is_empty:
        fine = coarse.fine_box(box).slices
        spacing = tuple(step / factor for step, factor in zip(coarse.spacing_mm, coarse.factors, strict=True))
        labels[fine] = sides.redraw(values[fine], labels[fine], (spacing[0], spacing[1], spacing[2]))
    return labels


def _draw_one(
    values: NDArray[np.int16],
    coarse: Coarse,
    rough: Floats,
    lung: Mask,
    other: Mask,
    airways: Mask,
    threshold_hu: float,
    labels: NDArray[np.uint8],
    side: int,
) -> None:
    spacing = coarse.spacing_mm
    margin = int(np.ceil((_CLOSING_MM + _RIM_MM) / min(spacing))) + 1
    box = Box.around(lung).grown(margin).clipped(coarse.shape)
    lung, other, forbidden = lung[box.slices], other[box.slices], airways[box.slices]
    full = _with_vessels(lung, rough[box.slices], spacing) & ~other & ~forbidden
    added = dilate(full & ~lung, _RIM_MM, spacing) & full
    within = coarse.part(box)
    fine_box = coarse.fine_box(box)
    fine = fine_box.slices
    near = within.refined(dilate(full, _RIM_MM, spacing) & ~other)
    solid = within.refined(erode(full, _RIM_MM, spacing) | added) & within.refined(full)
    found = (near & (values[fine] < threshold_hu)) | solid
    part = labels[fine]
    part[found & (part == 0)] = side


def _with_vessels(lung: Mask, rough: Floats, spacing: tuple[float, float, float]) -> Mask:
    """A lung with its vessels, its nodules and its hilum smoothed over: closed by a ball, and holes filled."""
    smooth = fill_holes(lung | (closed(lung, _CLOSING_MM, spacing) & (rough < _LARGEST_ADDED_HU)))
    holes = fill_holes(smooth, axis=0) & ~smooth
    for number in np.flatnonzero(holes.any(axis=(1, 2))):
        labels, sizes = components(holes[number])
        small = sizes * spacing[1] * spacing[2] <= _LARGEST_HOLE_MM2
        smooth[number] |= np.concatenate([[False], small])[labels]
    return smooth
