"""Whether an ONNX file holds its network by itself, found without loading it.

ONNX lets tensors lie in other files, by a path that the file names; such a path may lead anywhere. The file is a
message of protocol buffers (onnx/onnx.proto3; protobuf.dev/programming-guides/encoding): its fields are stepped over
here, and only those are entered that can hold a tensor.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

from medview.core.errors import PluginUnavailableError
from medview.core.text import Text

_TENSOR = "tensor"
_INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: _TENSOR, 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: _TENSOR, 6: "graph", 10: _TENSOR, 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: _TENSOR, 2: _TENSOR},
}
"""Of each kind of message, the fields with messages of the next kind."""
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_DEEPEST = 40
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5


def check(path: Path) -> None:
    """Refuse a file that is no ONNX, or keeps a tensor elsewhere.

    Raises:
        PluginUnavailableError: It does.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if not _is_whole(data):
                raise PluginUnavailableError(
                    Text.of("The network {file} keeps weights in another file.", file=path.name),
                    Text("Ask its author for an ONNX file that holds all of them."),
                )
    except (OSError, ValueError) as error:
        raise PluginUnavailableError(
            Text.of("The network {file} is damaged, or no ONNX.", file=path.name), Text("Install the plugin again.")
        ) from error


def _is_whole(data: mmap.mmap) -> bool:
    """Whether every tensor lies in the file.

    Raises:
        ValueError: It is no message of protocol buffers.
    """
    waiting = [("model", 0, len(data), 0)]
    graphs = 0
    while waiting:
        kind, start, stop, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError("nested too deeply")
        graphs += kind == "graph"
        for field, begin, end in _fields(data, start, stop):
            if kind == _TENSOR and field in (_EXTERNAL_DATA, _DATA_LOCATION) and (end > begin or data[begin - 1]):
                return False
            inner = _INSIDE.get(kind, {}).get(field)
            if inner is not None:
                waiting.append((inner, begin, end, depth + 1))
    if not graphs:
        raise ValueError("no graph")
    return True


def _fields(data: mmap.mmap, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each field; of one that is no piece of bytes both are where it ends."""
    place = start
    while place < stop:
        tag, place = _varint(data, place, stop)
        wire = tag & 7
        if wire == _BYTES:
            length, place = _varint(data, place, stop)
            if place + length > stop:
                raise ValueError("cut off")
            yield tag >> 3, place, place + length
            place += length
            continue
        if wire == _VARINT:
            _, place = _varint(data, place, stop)
        elif wire in (_FIXED_32, _FIXED_64):
            place += 4 if wire == _FIXED_32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        if place > stop:
            raise ValueError("cut off")
        yield tag >> 3, place, place


def _varint(data: mmap.mmap, place: int, stop: int) -> tuple[int, int]:
    value = shift = 0
    while place < stop and shift < 70:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place += 1
        if byte < 0x80:
            return value, place
        shift += 7
    raise ValueError("cut off")
