"""Masks whose surface is a manifold: no two voxels meet in an edge or a corner only.

Well-composed sets after Latecki (3D Well-Composed Pictures, 1997). Where voxels meet so, one more voxel joins them; the
background is treated alike. Nothing is added outside the box around the mask.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

_Mask = NDArray[np.bool_]
_PAIRS = ((0, 1), (0, 2), (1, 2))


def well_composed(mask: _Mask) -> _Mask:
    """The mask with the voxels that it needs.

    Args:
        mask: (k, j, i) bool.

    Returns:
        (k, j, i) bool, a copy.
    """
    joined = mask.copy()
    # Every round only adds, so that it ends; one or two rounds are enough for what people draw.
    while _join_edges(joined) + _join_corners(joined):
        pass
    return joined


def _join_edges(mask: _Mask) -> int:
    """Two voxels across the diagonal of a square, the other two empty: fill one of these."""
    added = 0
    for first, second in _PAIRS:
        quarter = [[_part(mask, first, a, second, b) for b in (0, 1)] for a in (0, 1)]
        for flip in (0, 1):
            here, there = quarter[0][flip], quarter[1][1 - flip]
            empty, other = quarter[0][1 - flip], quarter[1][flip]
            critical = here & there & ~empty & ~other
            empty |= critical
            added += int(np.count_nonzero(critical))
    return added


def _join_corners(mask: _Mask) -> int:
    """Two voxels across the diagonal of a cube, alone in it, or alone empty in it: fill one more."""
    added = 0
    cube = {
        at: mask[tuple(slice(one, mask.shape[axis] - 1 + one) for axis, one in enumerate(at))]
        for at in itertools.product((0, 1), repeat=3)
    }
    for at in ((0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1)):
        opposite = (1 - at[0], 1 - at[1], 1 - at[2])
        others = [part for key, part in cube.items() if key not in (at, opposite)]
        alone = cube[at] & cube[opposite]
        holes = ~cube[at] & ~cube[opposite]
        for part in others:
            alone &= ~part
            holes &= part
        beside = (1 - at[0], at[1], at[2])
        cube[beside][...] |= alone
        cube[at][...] |= holes
        added += int(np.count_nonzero(alone)) + int(np.count_nonzero(holes))
    return added


def _part(mask: _Mask, first: int, a: int, second: int, b: int) -> _Mask:
    """A view of the mask, moved by `a` along one axis and by `b` along another."""
    index = [slice(None)] * 3
    index[first] = slice(a, mask.shape[first] - 1 + a)
    index[second] = slice(b, mask.shape[second] - 1 + b)
    return mask[tuple(index)]
