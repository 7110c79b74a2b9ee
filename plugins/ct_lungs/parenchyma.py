"""Where there is lung: air inside the body that is not gas.

The threshold is Hu's (Hu S., Hoffman E.A., Reinhardt J.M., Automatic lung segmentation for accurate quantitation of
volumetric X-ray CT images, IEEE Trans Med Imaging 2001, 20(6):490-498, section II-A), which is Ridler's and Calvard's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medview.api import Mask, Spacing, components, dilate, erode, largest, opened

Floats = NDArray[np.float32]

_THRESHOLD_LIMITS_HU = (-650.0, -350.0)
_OUTSIDE_HU = -900.0
_PURE_AIR_MARGIN_HU = 45.0
_SMALL_POCKET_MM2 = 150.0
_LEAST_PIECE_ML = 12.0
_LEAST_LUNG_ML = 100.0
_BESIDE_LUNG_MM = 15.0
_GAS_SHARE = 0.6
_TISSUE_HU = -300.0
_THINNEST_BODY_MM = 5.0
_NEAR_BODY_MM = 5.0
_LEAST_WALLED = 0.5


@dataclass(frozen=True)
class AirInBody:
    """What lies at the coarse grid.

    Attributes:
        threshold_hu: Between lung and tissue.
        pure_air_hu: What air without tissue measures in this scan.
        inside: Everything below the threshold that is not outside the body: lungs, airways, gas in the gut.
        lungs: The part of it that is lung, with the airways that open into it.
    """

    threshold_hu: float
    pure_air_hu: float
    inside: Mask
    lungs: Mask


def find(values: Floats, spacing_mm: Spacing) -> AirInBody:
    """Find the lungs in a coarse image, (to the head, to the back, to the left), HU. May find none."""
    threshold = optimal_threshold(values)
    air = values < threshold
    at_border = _reaching_the_sides(air)
    # What the sides of the image show below -900 HU is room air, lung that the image cuts off, or both.
    beyond = values[at_border & (values < _OUTSIDE_HU)]
    pure_air = float(np.median(beyond)) if beyond.size > 1000 else -1000.0
    pure_air = min(max(pure_air, -1024.0), -950.0)
    inside = air & ~_outside(values, at_border, pure_air + _PURE_AIR_MARGIN_HU, spacing_mm)
    lungs = _lungs(values, inside, pure_air + _PURE_AIR_MARGIN_HU, spacing_mm)
    return AirInBody(threshold, pure_air, inside, lungs)


def optimal_threshold(values: Floats) -> float:
    """The value midway between the means of what lies below and above it, HU."""
    threshold = -500.0
    for _ in range(50):
        body = values >= threshold
        if not body.any() or body.all():
            break
        midway = float(values[body].mean() + values[~body].mean()) / 2
        if abs(midway - threshold) < 0.5:
            break
        threshold = midway
    return float(np.clip(threshold, *_THRESHOLD_LIMITS_HU))


def _reaching_the_sides(air: Mask) -> Mask:
    """Air that reaches a side of its axial slice, slice by slice, so that an open mouth empties no lung."""
    reaching = np.zeros_like(air)
    for number, section in enumerate(air):
        labels, sizes = components(section)
        edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        touching = np.zeros(sizes.size + 1, dtype=np.bool_)
        touching[edge] = True
        touching[0] = False
        reaching[number] = touching[labels]
    return reaching


def _outside(values: Floats, at_border: Mask, gas_below: float, spacing_mm: Spacing) -> Mask:
    """Of the air that reaches a side, what is room air: nearly all of it without tissue, or too small to be lung."""
    pixel_mm2 = spacing_mm[1] * spacing_mm[2]
    outside = np.zeros_like(at_border)
    for number, section in enumerate(at_border):
        labels, sizes = components(section)
        if sizes.size == 0:
            continue
        gas = np.bincount(labels[values[number] < gas_below], minlength=sizes.size + 1)[1:]
        room = (gas > 0.5 * sizes) | (sizes * pixel_mm2 < _SMALL_POCKET_MM2)
        outside[number] = np.concatenate([[False], room])[labels]
    return outside


def _lungs(values: Floats, inside: Mask, gas_below: float, spacing_mm: Spacing) -> Mask:
    """Of the air inside, what is lung: not pure gas, as in the gut, and walled by the body, unlike the table's foam."""
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    labels, sizes = components(inside)
    if sizes.size == 0:
        return np.zeros_like(inside)
    # Of small pieces much is border, where gas and wall share a voxel: their cores tell gas from lung.
    core = erode(inside, max(spacing_mm), spacing_mm)
    core_sizes = np.bincount(labels[core], minlength=sizes.size + 1)[1:]
    gas = np.bincount(labels[core & (values < gas_below)], minlength=sizes.size + 1)[1:]
    volume_ml = sizes * voxel_ml
    lung = (core_sizes > 0) & (gas < _GAS_SHARE * core_sizes) & (volume_ml >= _LEAST_PIECE_ML)
    lung &= _walled_share(values, labels, sizes.size, spacing_mm) >= _LEAST_WALLED
    whole = lung & (volume_ml >= _LEAST_LUNG_ML)
    if not whole.any():
        return np.zeros_like(inside)
    # A small piece is a part of a lung that lies next to it; one that lies apart is in the gut.
    beside = dilate(np.concatenate([[False], whole])[labels], _BESIDE_LUNG_MM, spacing_mm)
    lung &= whole | (np.bincount(labels[beside], minlength=sizes.size + 1)[1:] > 0)
    found: Mask = np.concatenate([[False], lung])[labels]
    return found


def _walled_share(values: Floats, labels: NDArray[np.int32], count: int, spacing_mm: Spacing) -> NDArray[np.float64]:
    """How much of the surface of every piece of air is the body's, 0..1. A side of the image is no surface."""
    body = largest(opened(values > _TISSUE_HU, _THINNEST_BODY_MM, spacing_mm))
    near = dilate(body, _NEAR_BODY_MM, spacing_mm)
    faces = np.zeros(count + 1)
    walled = np.zeros(count + 1)
    for axis in range(3):
        piece, wall = np.moveaxis(labels, axis, 0), np.moveaxis(near, axis, 0)
        for inner, outer in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
            surface = (piece[inner] > 0) & (piece[outer] == 0)
            faces += np.bincount(piece[inner][surface], minlength=count + 1)
            walled += np.bincount(piece[inner][surface & wall[outer]], minlength=count + 1)
    share: NDArray[np.float64] = walled[1:] / np.maximum(faces[1:], 1)
    return share
