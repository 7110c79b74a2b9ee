"""Label maps cut into blocks of 32x32x32 voxels: the unit of undo and of the journal.

A block is kept as bytes: one value when all of it is the same, else deflated.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from medview.core.geometry import Box, Index
from medview.core.segmentation import Labels

SIDE = 32
"""Voxels along a block's edge."""

_UNIFORM = b"u"
_DEFLATED = b"z"


def covering(box: Box, shape: Index) -> Iterator[Index]:
    """The blocks that hold the voxels of a box, as block numbers (k, j, i).

    Args:
        box: Which voxels; what lies outside the grid is left out.
        shape: The grid's.
    """
    inside = box.clipped(shape)
    if inside.is_empty:
        return
    ranges = [range(a // SIDE, (b - 1) // SIDE + 1) for a, b in zip(inside.start, inside.stop, strict=True)]
    for k in ranges[0]:
        for j in ranges[1]:
            for i in ranges[2]:
                yield k, j, i


def box_of(block: Index, shape: Index) -> Box:
    """The voxels of a block; blocks at the far faces of the grid are cut off."""
    k, j, i = (number * SIDE for number in block)
    return Box((k, j, i), (k + SIDE, j + SIDE, i + SIDE)).clipped(shape)


def box_around(blocks: Iterable[Index], shape: Index) -> Box:
    """The smallest box around some blocks; empty when there are none."""
    whole = Box((0, 0, 0), (0, 0, 0))
    for block in blocks:
        whole = whole.union(box_of(block, shape))
    return whole


def pack(values: Labels) -> bytes:
    """The bytes that stand for a block: (k, j, i) uint8 or uint16, not empty."""
    first = values[0, 0, 0]
    if bool((values == first).all()):
        return _UNIFORM + _little(values[:1, :1, :1]).tobytes()
    return _DEFLATED + zlib.compress(_little(values).tobytes(), 1)


def unpack(packed: bytes, shape: Index, dtype: DTypeLike) -> Labels:
    """The block that bytes stand for.

    Raises:
        ValueError: The bytes are not those of a block of this shape and type.
    """
    kind = np.dtype(dtype).newbyteorder("<")
    if packed[:1] == _UNIFORM and len(packed) == 1 + kind.itemsize:
        return np.full(shape, np.frombuffer(packed[1:], kind)[0], dtype)
    try:
        raw = zlib.decompress(packed[1:]) if packed[:1] == _DEFLATED else b""
    except zlib.error as error:
        raise ValueError("A block of labels is damaged.") from error
    values: Labels = np.frombuffer(raw, kind).reshape(shape).astype(dtype)
    return values


def _little(values: Labels) -> np.ndarray[Any, Any]:
    return values.astype(values.dtype.newbyteorder("<"), copy=False)
