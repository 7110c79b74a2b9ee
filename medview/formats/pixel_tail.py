"""The pixels of a DICOM file as they lie in it: where they begin and end, copied byte for byte in small pieces."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from medview.core.progress import Progress

_PIXELS = (b"\xe0\x7f\x10\x00", b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00")
_PIXELS_BIG = (b"\x7f\xe0\x00\x10", b"\x7f\xe0\x00\x08", b"\x7f\xe0\x00\x09")
_UNDEFINED = 0xFFFFFFFF
_ITEM, _END = 0xFFFEE000, 0xFFFEE0DD
_CHUNK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Tail:
    """The pixel element of a file.

    Attributes:
        start: Where its tag begins, in bytes from the start of the file.
        stop: Behind its last byte.
    """

    start: int
    stop: int


def find(file: BinaryIO, *, implicit: bool, little: bool) -> Tail | None:
    """The pixel element that begins where the file stands; None when none does.

    Raises:
        ValueError: It is cut off, or its pieces do not fit together.
    """
    start = file.tell()
    head = file.read(12)
    if head[:4] not in (_PIXELS if little else _PIXELS_BIG):
        return None
    order = "<" if little else ">"
    if implicit:
        length, begin = struct.unpack(f"{order}I", head[4:8])[0], start + 8
    else:
        length, begin = struct.unpack(f"{order}I", head[8:12])[0], start + 12
    end = file.seek(0, 2)
    stop = _behind_pieces(file, begin, end) if length == _UNDEFINED else begin + length
    if stop > end:
        raise ValueError("the pixels are cut off")
    return Tail(start, stop)


def _behind_pieces(file: BinaryIO, begin: int, end: int) -> int:
    """Behind the delimiter of an encapsulated element; its pieces are always little endian."""
    place = begin
    while place + 8 <= end:
        file.seek(place)
        group, number, length = struct.unpack("<HHI", file.read(8))
        place += 8
        if (group << 16) | number == _END:
            return place
        if (group << 16) | number != _ITEM or length == _UNDEFINED:
            break
        place += length
    raise ValueError("the pieces of the pixels do not fit together")


def append(source: Path, tail: Tail, target: Path, progress: Progress) -> None:
    """Put the pixel element of a file behind what another file holds.

    Raises:
        OSError: The disk refuses.
        Cancelled: The progress says so.
    """
    with source.open("rb") as file, target.open("ab") as copy:
        file.seek(tail.start)
        left = tail.stop - tail.start
        while left > 0:
            progress.raise_if_cancelled()
            chunk = file.read(min(_CHUNK_BYTES, left))
            if not chunk:
                raise OSError("the file became shorter while it was read")
            copy.write(chunk)
            left -= len(chunk)
