"""Headers that cannot be true: more pixels than their file can hold, or than any memory.

A damaged or malicious header must not cost more than a sentence. This looks at numbers only; what a compressed stream
says of itself is compared with its header when it is decoded (`codestream`).
"""

from __future__ import annotations

from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    RLELossless,
)

from medview.core.text import Text
from medview.formats.dicom_header import Header
from medview.formats.raw_elements import Storage

_MOST_FRAMES = 1 << 18
_LARGEST_COMPRESSED_FRAME = 1 << 27
"""Pixels, as 11585 x 11585: twice as many as the largest radiographs have; decoders need many bytes for each."""
_BYTES_OF_AN_ITEM = 8
"""Every compressed frame begins an item of its own."""
_LARGEST_RATIOS = {
    RLELossless: 64,
    JPEGLossless: 32,
    JPEGLosslessSV1: 32,
    JPEGBaseline8Bit: 1024,
    JPEGExtended12Bit: 1024,
    DeflatedExplicitVRLittleEndian: 1100,
}
"""How much smaller than its pixels a code can be at most: the shortest code words that it has, with room to spare."""
CUT_OFF = Text("The file is cut off: its pixels are not all there.")
"""What to say of pixels that cannot all be in their file."""


def disbelief(header: Header, size: int) -> Text | None:
    """Why the pixels that a header tells of cannot be there; None when they can.

    Args:
        header: Of a file.
        size: Of the file, bytes.
    """
    if header.frames > _MOST_FRAMES:
        return Text.of("It says that it holds {n} images: no file does.", n=header.frames)
    place = header.pixels
    if place is None:
        return None
    if place.storage is Storage.NATIVE:
        needed = header.bytes_needed
        if header.photometric == "YBR_FULL_422":
            needed = needed * 2 // 3
        return CUT_OFF if place.length < needed or place.offset + needed > size else None
    if header.rows * header.columns > _LARGEST_COMPRESSED_FRAME:
        return Text.of(
            "Its images are said to be {columns} x {rows} pixels large: MedView does not unpack such images.",
            columns=header.columns,
            rows=header.rows,
        )
    if place.storage is Storage.FRAGMENTS and header.frames * _BYTES_OF_AN_ITEM > size:
        return CUT_OFF
    ratio = _LARGEST_RATIOS.get(UID(header.transfer_syntax))
    return CUT_OFF if ratio is not None and header.bytes_needed > ratio * size else None
