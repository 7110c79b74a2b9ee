"""Elements of a DICOM file as bytes, up to its pixels, and where these are.

Ordinary files are walked through (`element_walk`); whatever is not ordinary (no preamble, no file meta information,
deflated, another encoding than stated, damaged) goes through `dcmread`, once it is known to unpack to a bounded size.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from pydicom import dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import FileDataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medview.formats import inflation
from medview.formats.element_walk import NotOrdinary, PixelPlace, RawElements, Storage, Walk, place_of

__all__ = ["PixelPlace", "RawElements", "Storage", "read_elements"]
_PIXEL_GROUP = 0x7FE0
_WITH_LONG_LENGTH = (b"OB", b"OW", b"OF", b"OD", b"UN", b"OL", b"OV")


def read_elements(file: BinaryIO, tags: frozenset[int], *, has_preamble: bool) -> RawElements:
    """Read a file from its start up to its pixels.

    Args:
        file: The file; may be unbuffered.
        tags: What to take.
        has_preamble: Whether it starts with DICOM's 128 bytes and "DICM".

    Raises:
        Exception: Whatever pydicom raises on a damaged file.
    """
    if has_preamble:
        try:
            return Walk(file).elements(tags)
        except NotOrdinary:
            pass
    return _any(file, tags, has_preamble=has_preamble)


def _any(file: BinaryIO, tags: frozenset[int], *, has_preamble: bool) -> RawElements:
    inflation.ensure_bounded(file, has_preamble=has_preamble)
    file.seek(0)
    wanted = [BaseTag(tag) for tag in tags]
    dataset = dcmread(file, stop_before_pixels=True, force=not has_preamble, specific_tags=wanted)
    implicit, little = dataset.original_encoding
    values = {tag: _bytes(dataset.get_item(tag)) for tag in tags if tag in dataset}
    syntax = _transfer_syntax(dataset)
    if syntax == DeflatedExplicitVRLittleEndian:
        pixels: PixelPlace | None = PixelPlace(Storage.DEFLATED, 0, 0, is_float=False)
    else:
        pixels = _place_of_pixels(file, is_implicit=bool(implicit), is_little=bool(little))
    return RawElements(values, bool(little), syntax, pixels)


def _bytes(element: DataElement | RawDataElement | None) -> bytes:
    value = None if element is None else element.value
    if isinstance(value, bytes):
        return value
    if isinstance(element, DataElement) and element.VR == "CS":  # pydicom has decoded the character set already
        return "\\".join([value] if isinstance(value, str) else map(str, value or [])).encode("latin-1", "replace")
    return b""


def _transfer_syntax(dataset: FileDataset) -> str:
    stated = str(dataset.file_meta.get("TransferSyntaxUID", "") or "")
    if stated:
        return stated
    implicit, little = dataset.original_encoding
    if implicit:
        return str(ImplicitVRLittleEndian)
    return str(ExplicitVRLittleEndian if little else ExplicitVRBigEndian)


def _place_of_pixels(file: BinaryIO, *, is_implicit: bool, is_little: bool) -> PixelPlace | None:
    """Reading has stopped in front of the pixel data element; what is there says where the pixels are."""
    start = file.tell()
    head = file.read(12)
    if len(head) < 8:
        return None
    order = "<" if is_little else ">"
    group, element = struct.unpack(order + "HH", head[:4])
    if group != _PIXEL_GROUP:
        return None
    tag = group << 16 | element
    if is_implicit:
        return place_of(start + 8, tag, struct.unpack(order + "L", head[4:8])[0])
    if head[4:6] in _WITH_LONG_LENGTH and len(head) == 12:
        return place_of(start + 12, tag, struct.unpack(order + "L", head[8:12])[0])
    return None
