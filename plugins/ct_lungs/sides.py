"""Which lung is which, and where two that touch are divided.

After Hu S., Hoffman E.A., Reinhardt J.M., IEEE Trans Med Imaging 2001, 20(6):490-498, section II-C: where the thin
junction lines between the lungs are lost at the threshold, the lungs are shrunk until they part, and divided again
along the densest way between them. The densest way is found as the watershed between the two shrunk lungs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medview.api import Box, Context, Mask, Spacing, components, distance, erode, flood, opened

LEFT, RIGHT = 1, 2

_SHRINK_MM = (0.0, 2.5, 4.5, 6.5, 9.0, 12.0)
_DEEPER_MM = 6.0
_LEAST_SHARE_OF_TWO = 0.25
_LEAST_SHARE = 0.12
_LEAST_APART_MM = 55.0
_PIECE_ML = 5.0
_JUNCTION_MM = 6.0
_UNSURE_MM = 15.0
"""How far the rough division may be from the densest way."""
_BONE_HU = 150.0
_VERTEBRA_MM = 6.0
_LEAST_SPINE_ML = 10.0


@dataclass(frozen=True)
class Sides:
    """The lungs in the coarse image.

    Attributes:
        labels: uint8, `LEFT`, `RIGHT` or 0.
        parted: Whether the border between touching lungs was seen, and not only drawn along the midline.
        sure: Whether left and right are known from more than the middle of the image.
    """

    labels: NDArray[np.uint8]
    sure: bool
    parted: bool = True


def spine(rough: NDArray[np.float32], lungs: Mask, spacing_mm: Spacing) -> float | None:
    """Where the spine lies, mm from the first voxel to the left: the thick bone behind the middle of the lungs."""
    bone = rough > _BONE_HU
    bone[:, : int(np.nonzero(lungs)[1].mean())] = False
    labels, sizes = components(opened(bone, _VERTEBRA_MM, spacing_mm))
    if sizes.size == 0 or sizes[0] * float(np.prod(spacing_mm)) / 1000 < _LEAST_SPINE_ML:
        return None
    return float(np.nonzero(labels == 1)[2].mean()) * spacing_mm[2]


def divide(lungs: Mask, middle: float, middle_is_known: bool, spacing_mm: Spacing, context: Context) -> Sides:
    """Tell the lungs apart.

    Args:
        lungs: Lung without airways, (to the head, to the back, to the left).
        middle: The patient's midline, as an index to the left.
        middle_is_known: Whether it comes from the trachea or the spine.
        spacing_mm: Voxel sizes.
        context: Is asked for cancellation.
    """
    labels = np.zeros(lungs.shape, dtype=np.uint8)
    box = Box.around(lungs).grown(1).clipped(_shape(labels)).slices
    part = lungs[box]
    cores = _cores(part, spacing_mm, context)
    if cores is None:
        return _without_cores(lungs, middle, middle_is_known)
    labels[box] = np.where(part, _nearest(cores, spacing_mm), 0)
    return Sides(labels, True)


def junction(labels: NDArray[np.uint8], spacing_mm: Spacing) -> Box:
    """Where the lungs come so close to each other that their border must be drawn in the fine image; may be empty."""
    whole = Box.around(labels)
    part = labels[whole.slices]
    left, right = part == LEFT, part == RIGHT
    if not left.any() or not right.any():
        return Box((0, 0, 0), (0, 0, 0))
    near = (left & (distance(right, spacing_mm) <= _JUNCTION_MM)) | (
        right & (distance(left, spacing_mm) <= _JUNCTION_MM)
    )
    inner = Box.around(near)
    if inner.is_empty:
        return inner
    k, j, i = whole.start
    start = (inner.start[0] + k, inner.start[1] + j, inner.start[2] + i)
    stop = (inner.stop[0] + k, inner.stop[1] + j, inner.stop[2] + i)
    return Box(start, stop).grown(round(2 * _UNSURE_MM / min(spacing_mm))).clipped(_shape(labels))


def redraw(values: NDArray[np.int16], labels: NDArray[np.uint8], spacing_mm: Spacing) -> NDArray[np.uint8]:
    """The border between two lungs along the densest way.

    Args:
        values: (to the head, to the back, to the left), HU, fine.
        labels: The lungs on the same grid, divided roughly.
        spacing_mm: Voxel sizes.
    """
    left, right = labels == LEFT, labels == RIGHT
    sure_left = left & (distance(right, spacing_mm) > _UNSURE_MM)
    sure_right = right & (distance(left, spacing_mm) > _UNSURE_MM)
    if not sure_left.any() or not sure_right.any():
        return labels
    markers = np.zeros(labels.shape, dtype=np.uint8)
    markers[sure_left], markers[sure_right] = LEFT, RIGHT
    divided = flood(values, markers)
    return np.where(labels > 0, divided, 0).astype(np.uint8)


def _cores(lungs: Mask, spacing_mm: Spacing, context: Context) -> NDArray[np.uint8] | None:
    """The two lungs, shrunk until they part: uint8; None when there is only one."""
    for radius in _SHRINK_MM:
        context.check()
        cores = _parted(lungs, radius, spacing_mm)
        if cores is not None and radius:
            # What still hangs on one lung where they first part belongs to neither yet.
            deeper = _parted(lungs, radius + _DEEPER_MM, spacing_mm)
            return cores if deeper is None else deeper
        if cores is not None:
            return cores
    return None


def _parted(lungs: Mask, radius_mm: float, spacing_mm: Spacing) -> NDArray[np.uint8] | None:
    """The two lungs after shrinking by a radius: uint8; None when they still hang together."""
    labels, sizes = components(erode(lungs, radius_mm, spacing_mm) if radius_mm else lungs)
    if sizes.size == 0:
        return None
    least = _LEAST_SHARE * max(float(sizes[0]), float(np.count_nonzero(lungs)) / 4)
    pair = _pair(labels, [n for n in range(1, min(sizes.size, 6) + 1) if sizes[n - 1] > least], spacing_mm)
    if pair is None:
        return None
    right, left = pair
    cores = np.zeros(lungs.shape, dtype=np.uint8)
    cores[labels == left], cores[labels == right] = LEFT, RIGHT
    return _with_pieces(cores, labels, sizes, spacing_mm)


def _pair(labels: NDArray[np.int32], large: list[int], spacing_mm: Spacing) -> tuple[int, int] | None:
    """The largest two pieces that lie beside each other: (right, left)."""
    places = {n: float(np.nonzero(labels == n)[2].mean()) * spacing_mm[2] for n in large}
    for second in large[1:]:
        first = large[0]
        if abs(places[first] - places[second]) >= _LEAST_APART_MM:
            return (first, second) if places[first] < places[second] else (second, first)
    return None


def _with_pieces(
    cores: NDArray[np.uint8], labels: NDArray[np.int32], sizes: NDArray[np.int64], spacing_mm: Spacing
) -> NDArray[np.uint8]:
    """Give the other pieces, as lobes cut off by the image's edge, to the nearer lung."""
    least = _PIECE_ML * 1000 / float(np.prod(spacing_mm))
    others = [n for n in range(1, sizes.size + 1) if sizes[n - 1] >= least and not cores[labels == n].any()]
    if others:
        nearest = _nearest(cores, spacing_mm)
        for number in others:
            piece = labels == number
            cores[piece] = LEFT if np.count_nonzero(nearest[piece] == LEFT) * 2 > np.count_nonzero(piece) else RIGHT
    return cores


def _nearest(cores: NDArray[np.uint8], spacing_mm: Spacing) -> NDArray[np.uint8]:
    closer_left = distance(cores == LEFT, spacing_mm) < distance(cores == RIGHT, spacing_mm)
    return np.where(closer_left, LEFT, RIGHT).astype(np.uint8)


def _without_cores(lungs: Mask, middle: float, middle_is_known: bool) -> Sides:
    """One lung; or two that nothing parts, if much of what was found lies on either side of the midline."""
    labels = np.zeros(lungs.shape, dtype=np.uint8)
    columns = np.arange(lungs.shape[2])
    on_left = float(np.count_nonzero(lungs[:, :, columns > middle])) / max(1.0, float(np.count_nonzero(lungs)))
    if _LEAST_SHARE_OF_TWO < on_left < 1 - _LEAST_SHARE_OF_TWO:
        labels[lungs] = np.broadcast_to(np.where(columns > middle, LEFT, RIGHT), lungs.shape)[lungs]
        return Sides(labels, middle_is_known, parted=False)
    labels[lungs] = _side_of_one(lungs, middle)
    return Sides(labels, middle_is_known)


def _side_of_one(lungs: Mask, middle: float) -> int:
    place = float(np.nonzero(lungs)[2].mean()) if lungs.any() else middle
    return LEFT if place > middle else RIGHT


def _shape(labels: NDArray[np.uint8]) -> tuple[int, int, int]:
    return labels.shape[0], labels.shape[1], labels.shape[2]
