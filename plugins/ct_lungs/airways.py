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
_LEAST_BAND_MM = 2.5
_BAND_IN_VOXELS = 1.25
"""A band is thicker than any voxel, so that neighbouring voxels lie in the same band or in neighbouring ones."""
_LEAST_BRANCH_MM2 = 18.0
_LEAST_BRANCH_MM = 8.0
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


@dataclass(frozen=True)
class _Kind:
    """What a stretch of airway may be: how long, how wide before it is a leak, and what divides it.

    Attributes:
        longest_mm: Where it ends at the latest.
        widest_mm2: A cross-section that is still normal.
        share: The least share of its cross-section that a real branch has.
    """

    longest_mm: float
    widest_mm2: float
    share: float


_TRACHEA = _Kind(150.0, 450.0, 0.2)
_BRONCHUS = _Kind(65.0, 250.0, 0.15)


@dataclass
class _Node:
    """A stretch of airway: the voxels of one piece of one band of the front."""

    band: int
    area_mm2: float
    parent: int
    children: list[int]
    reach: int


def main_airways(tree: Mask, seed: tuple[int, int, int], spacing_mm: Spacing) -> tuple[Mask, bool]:
    """The trachea and the main bronchi of an airway tree, and whether the trachea's division was found."""
    thickness = max(_LEAST_BAND_MM, _BAND_IN_VOXELS * max(spacing_mm))
    lengths = path_length(tree, seed, spacing_mm)
    reached = np.isfinite(lengths)
    band = np.full(tree.shape, -1, dtype=np.int32)
    band[reached] = (lengths[reached] / thickness).astype(np.int32)
    pieces = _pieces(band)
    nodes = _nodes(band, pieces, float(np.prod(spacing_mm)) / thickness)
    roots = [n for n, node in nodes.items() if node.band == 0]
    kept: set[int] = set()
    ends: list[int] = []
    if roots:
        kept, ends = _branch(nodes, roots[0], thickness, _TRACHEA)
        for end in ends:
            kept |= _branch(nodes, end, thickness, _BRONCHUS)[0]
    wanted = np.zeros(len(nodes) + 1, dtype=np.bool_)
    wanted[list(kept)] = True
    mask: Mask = wanted[pieces]
    return mask, len(ends) == 2


def _pieces(band: NDArray[np.int32]) -> NDArray[np.int32]:
    """Every connected piece of every band, numbered from 1; 0 elsewhere."""
    pieces = np.zeros(band.shape, dtype=np.int32)
    for parity in range(3):
        # Bands whose numbers differ by three or more never touch, so three passes tell all of them apart.
        labels, _ = components((band >= 0) & (band % 3 == parity), corners=True)
        first = int(pieces.max())
        pieces[labels > 0] = labels[labels > 0] + first
    return pieces


def _nodes(band: NDArray[np.int32], pieces: NDArray[np.int32], mm2_per_voxel: float) -> dict[int, _Node]:
    sizes = np.bincount(pieces.ravel())
    inside = pieces > 0
    bands = np.zeros(sizes.size, dtype=np.int32)
    bands[pieces[inside]] = band[inside]
    nodes = {
        n: _Node(int(bands[n]), float(sizes[n]) * mm2_per_voxel, 0, [], int(bands[n])) for n in range(1, sizes.size)
    }
    for child, parent in _touching(pieces, bands):
        known = nodes[child].parent
        if known == 0 or nodes[known].area_mm2 < nodes[parent].area_mm2:
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


def _branch(nodes: dict[int, _Node], start: int, band_mm: float, kind: _Kind) -> tuple[set[int], list[int]]:
    """The stretch from a node to its next real division, and the two largest branches there."""
    kept: set[int] = set()
    current = start
    area = nodes[start].area_mm2
    while True:
        node = nodes[current]
        if node.area_mm2 > _LEAK * max(area, kind.widest_mm2):
            return kept, []
        kept.add(current)
        area = 0.7 * area + 0.3 * node.area_mm2
        if (node.band - nodes[start].band) * band_mm > kind.longest_mm:
            return kept, []
        short = [one for one in node.children if (nodes[one].reach - node.band) * band_mm < _LEAST_BRANCH_MM]
        kept.update(short)
        real = [
            one
            for one in node.children
            if one not in short and nodes[one].area_mm2 >= max(_LEAST_BRANCH_MM2, kind.share * area)
        ]
        if len(real) != 1:
            return kept, sorted(real, key=lambda one: -nodes[one].area_mm2)[:2]
        current = real[0]
