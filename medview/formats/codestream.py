"""What a compressed picture says of its own size, read before a decoder sees it.

Decoders make room for what the code stream says, not for what the DICOM header says: a stream of some hundred bytes can
ask for gigabytes. JPEG and JPEG-LS: ITU-T T.81 annex B.2.2 and T.87 annex C.2.2; JPEG 2000 and HTJ2K: T.800 annex A.5.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_J2K_START = b"\xff\x4f\xff\x51"
_JPEG_START = b"\xff\xd8"
_FRAME_STARTS = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_SCAN, _END = 0xDA, 0xD9
_LARGEST_TILES = 1 << 16


@dataclass(frozen=True, slots=True)
class StreamSize:
    """What a code stream says that it holds. A height of 0 is not told yet (JPEG may tell it at the end)."""

    columns: int
    rows: int
    samples: int


def size_of(stream: bytes) -> StreamSize | None:
    """The size that a code stream states; None when it is of no kind that states one.

    Raises:
        ValueError: It is damaged in front of its size.
    """
    at = stream.find(_J2K_START, 0, 4096)
    if at >= 0 and not stream.startswith(_JPEG_START):
        return _of_jpeg_2000(stream[at + 4 :])
    return _of_jpeg(stream) if stream.startswith(_JPEG_START) else None


def _of_jpeg_2000(siz: bytes) -> StreamSize:
    if len(siz) < 38:
        raise ValueError("SIZ is cut off")
    width, height, left, top, tile_width, tile_height, _, _, samples = struct.unpack(">8LH", siz[4:38])
    if width <= left or height <= top or not tile_width or not tile_height:
        raise ValueError("an image without pixels")
    tiles = -(-width // tile_width) * -(-height // tile_height)
    if tiles > _LARGEST_TILES:
        raise ValueError("more tiles than a code stream may have")
    return StreamSize(width - left, height - top, samples)


def _of_jpeg(stream: bytes) -> StreamSize:
    at = 2
    while at + 4 <= len(stream):
        if stream[at] != 0xFF:
            raise ValueError("no marker where one has to be")
        marker = stream[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in _WITHOUT_LENGTH:
            at += 2
            continue
        if marker in _FRAME_STARTS:
            if at + 10 > len(stream):
                break
            rows, columns, samples = struct.unpack(">HHB", stream[at + 5 : at + 10])
            return StreamSize(columns, rows, samples)
        if marker in (_SCAN, _END):
            break
        at += 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    raise ValueError("no frame header")
