"""The trachea and the main bronchi.

The trachea is the long, round, nearly straight tube of air in the middle of the upper slices. From it the airways are
grown with the highest threshold that does not run out into the lung (Mori K. et al., Automated extraction and
visualization of bronchus from 3D CT images of lung, CVRMed 1995:542-548; Proc ICPR 1996). A front then travels down the
airways; where it divides, a branch begins (Schlathölter T. et al., Simultaneous segmentation and tree reconstruction of
the airways for virtual bronchoscopy, Proc SPIE 2002, 4684:103-113). The trachea ends at the first division into two
large branches, and each main bronchus at the next one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medview.api import Context, Mask, Spacing, components, connected_to, path_length

Values = NDArray[np.float32]

_TRACHEA_HU = -750.0
_AREA_MM2 = (40.0, 900.0)
_LEAST_FILL = 0.45
_LARGEST_ASPECT = 3.0
_LEAST_LENGTH_MM = 20.0
_FARTHEST_FROM_MIDLINE_MM = 60.0
_LARGEST_TREE_ML = 130.0
_LARGEST_TREE_TO_TRACHEA = 3.0
_BAND_MM = 2.5
_LEAST_BRANCH_MM2 = 18.0
_LEAST_BRANCH_MM = 8.0
_LONGEST_TRACHEA_MM = 150.0
_LONGEST_BRONCHUS_MM = 65.0
_LEAK = 1.6


@dataclass(frozen=True)
class Tube:
    """The trachea in the coarse image.

    Attributes:
        mask: Its voxels.
        left_mm: Where its middle lies, from the first voxel to the left.
    """

    mask: Mask
    left_mm: float


def find_trachea(values: Values, inside: Mask, body_middle: float, spacing_mm: Spacing) -> Tube | None:
    """The trachea in a coarse image, or None.

    Args:
        values: (to the head, to the back, to the left), HU.
        inside: Air in the body.
        body_middle: The middle of the body, as an index to the left.
        spacing_mm: Voxel sizes.
    """
    round_spots = _round_spots(inside & (values < _TRACHEA_HU), spacing_mm)
    labels, sizes = components(round_spots, corners=True)
    best: Tube | None = None
    best_score = 0.0
    for number in range(1, min(sizes.size, 40) + 1):
        k, _, i = np.nonzero(labels == number)
        length = (np.ptp(k) + 1) * spacing_mm[0]
        aside = abs(float(i.mean()) - body_middle) * spacing_mm[2]
        if length < _LEAST_LENGTH_MM or aside > _FARTHEST_FROM_MIDLINE_MM:
            continue
        score = float(length * (1 - 0.5 * aside / _FARTHEST_FROM_MIDLINE_MM))
        if score > best_score:
            best = Tube(labels == number, float(i.mean()) * spacing_mm[2])
            best_score = score
    return best


def _round_spots(air: Mask, spacing_mm: Spacing) -> Mask:
    """Air that is round and of a trachea's size in its axial slice."""
    pixel_mm2 = spacing_mm[1] * spacing_mm[2]
    spots = np.zeros_like(air)
    for number, section in enumerate(air):
        labels, sizes = components(section)
        fitting = np.flatnonzero((sizes * pixel_mm2 >= _AREA_MM2[0]) & (sizes * pixel_mm2 <= _AREA_MM2[1])) + 1
        for label in fitting:
            j, i = np.nonzero(labels == label)
            sides = (np.ptp(j) + 1) * spacing_mm[1], (np.ptp(i) + 1) * spacing_mm[2]
            is_round = (
                max(sides) <= _LARGEST_ASPECT * min(sides) and j.size * pixel_mm2 >= _LEAST_FILL * sides[0] * sides[1]
            )
            if is_round:
                spots[number, j, i] = True
    return spots


def seed_in(values: NDArray[np.int16], trachea: Mask) -> tuple[int, int, int] | None:
    """The emptiest voxel of the highest slice of the trachea; None when there is no trachea.

    Args:
        values: (to the head, to the back, to the left), HU.
        trachea: Where the trachea is.
    """
    slices = np.flatnonzero(trachea.any(axis=(1, 2)))
    if slices.size == 0:
        return None
    top = int(slices[-1])
    j, i = np.nonzero(trachea[top])
    at = int(np.argmin(values[top, j, i]))
    return top, int(j[at]), int(i[at])


def grow(
    values: NDArray[np.int16], trachea: Mask, seed: tuple[int, int, int], spacing_mm: Spacing, context: Context
) -> Mask:
    """The airways in a fine image: the largest tree from the trachea that has not run out into the lung.

    Args:
        values: (to the head, to the back, to the left), HU; its top slice is where the trachea begins.
        trachea: Where the trachea is, roughly.
        seed: A voxel inside it.
        spacing_mm: Voxel sizes.
        context: Is asked for cancellation.
    """
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    start = np.zeros(values.shape, dtype=np.bool_)
    start[seed] = True
    trachea_ml = float(np.count_nonzero(trachea)) * voxel_ml
    limit = min(_LARGEST_TREE_ML, _LARGEST_TREE_TO_TRACHEA * trachea_ml + 20.0)
    low, high = int(values[seed]) + 1, -600
    tree = np.zeros(values.shape, dtype=np.bool_)
    while high - low > 8:
        context.check()
        middle = (low + high) // 2
        grown = connected_to(values < middle, start)
        if np.count_nonzero(grown) * voxel_ml <= limit:
            tree, low = grown, middle
        else:
            high = middle
    return tree


@dataclass
class _Node:
    """A stretch of airway: the voxels of one piece of one band of the front."""

    band: int
    size: int
    parent: int
    children: list[int]
    reach: int


def main_airways(tree: Mask, seed: tuple[int, int, int], spacing_mm: Spacing) -> tuple[Mask, bool]:
    """The trachea and the main bronchi of an airway tree, and whether the trachea's division was found."""
    lengths = path_length(tree, seed, spacing_mm)
    reached = np.isfinite(lengths)
    band = np.full(tree.shape, -1, dtype=np.int32)
    band[reached] = (lengths[reached] / _BAND_MM).astype(np.int32)
    pieces = _pieces(band)
    nodes = _nodes(band, pieces)
    kept, divided = _walk(nodes, float(np.prod(spacing_mm)) / _BAND_MM)
    wanted = np.zeros(len(nodes) + 1, dtype=np.bool_)
    wanted[list(kept)] = True
    mask: Mask = wanted[pieces]
    return mask, divided


def _pieces(band: NDArray[np.int32]) -> NDArray[np.int32]:
    """Every connected piece of every band, numbered from 1; 0 elsewhere."""
    pieces = np.zeros(band.shape, dtype=np.int32)
    for parity in range(3):
        # Bands whose numbers differ by three or more never touch, so three passes tell all of them apart.
        labels, _ = components((band >= 0) & (band % 3 == parity), corners=True)
        first = int(pieces.max())
        pieces[labels > 0] = labels[labels > 0] + first
    return pieces


def _nodes(band: NDArray[np.int32], pieces: NDArray[np.int32]) -> dict[int, _Node]:
    sizes = np.bincount(pieces.ravel())
    inside = pieces > 0
    bands = np.zeros(sizes.size, dtype=np.int32)
    bands[pieces[inside]] = band[inside]
    nodes = {n: _Node(int(bands[n]), int(sizes[n]), 0, [], int(bands[n])) for n in range(1, sizes.size)}
    for child, parent in _touching(pieces, bands):
        known = nodes[child].parent
        if known == 0 or nodes[known].size < nodes[parent].size:
            nodes[child].parent = parent
    for number in sorted(nodes, key=lambda n: -nodes[n].band):
        parent = nodes[number].parent
        if parent:
            nodes[parent].children.append(number)
            nodes[parent].reach = max(nodes[parent].reach, nodes[number].reach)
    return nodes


def _touching(pieces: NDArray[np.int32], bands: NDArray[np.int32]) -> set[tuple[int, int]]:
    """Pairs (piece, piece of the band before) that share a face."""
    pairs: set[tuple[int, int]] = set()
    for axis in range(3):
        one = np.moveaxis(pieces, axis, 0)[:-1]
        other = np.moveaxis(pieces, axis, 0)[1:]
        both = (one > 0) & (other > 0) & (one != other)
        for a, b in np.unique(np.stack([one[both], other[both]], axis=1), axis=0):
            if bands[a] == bands[b] + 1:
                pairs.add((int(a), int(b)))
            elif bands[b] == bands[a] + 1:
                pairs.add((int(b), int(a)))
    return pairs


def _walk(nodes: dict[int, _Node], mm2_per_voxel: float) -> tuple[set[int], bool]:
    """Follow the trachea to its division, and each main bronchus to its own."""
    roots = [n for n, node in nodes.items() if node.band == 0]
    if not roots:
        return set(), False
    kept, ends = _branch(nodes, roots[0], mm2_per_voxel, _LONGEST_TRACHEA_MM, share=0.2)
    divided = len(ends) == 2
    for end in ends:
        part, _ = _branch(nodes, end, mm2_per_voxel, _LONGEST_BRONCHUS_MM, share=0.15)
        kept |= part
    return kept, divided


def _branch(
    nodes: dict[int, _Node], start: int, mm2_per_voxel: float, longest_mm: float, *, share: float
) -> tuple[set[int], list[int]]:
    """The stretch from a node to its next real division, and where that leads."""
    kept: set[int] = set()
    current = start
    area = 0.0
    while True:
        node = nodes[current]
        kept.add(current)
        here = node.size * mm2_per_voxel
        if area and here > _LEAK * max(area, 120.0):
            return kept - {current}, []
        area = max(area, here) if area == 0 else 0.7 * area + 0.3 * here
        if (node.band - nodes[start].band) * _BAND_MM > longest_mm:
            return kept, []
        real = [
            child
            for child in node.children
            if (nodes[child].reach - node.band) * _BAND_MM >= _LEAST_BRANCH_MM
            and nodes[child].size * mm2_per_voxel >= max(_LEAST_BRANCH_MM2, share * area)
        ]
        for child in node.children:
            if child not in real and (nodes[child].reach - node.band) * _BAND_MM < _LEAST_BRANCH_MM:
                kept.add(child)
        if len(real) != 1:
            return kept, sorted(real, key=lambda n: -nodes[n].size)[:2]
        current = real[0]
