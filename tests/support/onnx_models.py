"""Small ONNX files, written field by field after onnx/onnx.proto3: no package that knows ONNX is needed for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def _varint(value: int) -> bytes:
    made = b""
    while value >= 0x80:
        made += bytes([value & 0x7F | 0x80])
        value >>= 7
    return made + bytes([value])


def number(field: int, value: int) -> bytes:
    """A whole number."""
    return _varint(field << 3) + _varint(value)


def piece(field: int, value: bytes | str) -> bytes:
    """Text, or another message."""
    data = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def tensor(name: str, values: np.ndarray) -> bytes:
    """A tensor of float32 that lies in the file."""
    dims = b"".join(number(1, size) for size in values.shape)
    return dims + number(2, 1) + piece(8, name) + piece(9, values.astype("<f4").tobytes())


def elsewhere(name: str, path: str) -> bytes:
    """A tensor of one number that lies in another file."""
    location = piece(1, "location") + piece(2, path)
    return number(1, 1) + number(2, 1) + piece(8, name) + piece(13, location) + number(14, 1)


def _shaped(name: str, shape: Sequence[str | int]) -> bytes:
    dims = b"".join(piece(1, number(1, one) if isinstance(one, int) else piece(2, one)) for one in shape)
    return piece(1, name) + piece(2, piece(1, number(1, 1) + piece(2, dims)))


def pointwise(weight: np.ndarray, bias: np.ndarray, *, batch: str | int = "n", more: bytes = b"") -> bytes:
    """A convolution of single voxels: (n, channel, x, y, z) -> (n, value, x, y, z).

    Args:
        weight: (value, channel).
        bias: (value,).
        batch: What the file says of the number of images at once.
        more: Further fields of its graph.
    """
    values, channels = weight.shape
    node = piece(1, "image") + piece(1, "w") + piece(1, "b") + piece(2, "values") + piece(4, "Conv")
    graph = piece(1, node) + piece(2, "pointwise")
    graph += piece(5, tensor("w", weight.reshape(values, channels, 1, 1, 1))) + piece(5, tensor("b", bias))
    graph += piece(11, _shaped("image", (batch, channels, "x", "y", "z")))
    graph += piece(12, _shaped("values", (batch, values, "x", "y", "z"))) + more
    return number(1, 8) + piece(7, graph) + piece(8, piece(1, "") + number(2, 13))
