"""Deflated DICOM files that would unpack to more than a file can reasonably hold."""

from __future__ import annotations

import zlib
from typing import BinaryIO

from pydicom.filereader import data_element_generator
from pydicom.uid import DeflatedExplicitVRLittleEndian

_TRANSFER_SYNTAX = 0x00020010
_MAY_MENTION_ITSELF = 4096
_CHUNK = 1 << 20
_ALWAYS_ALLOWED = 256 << 20
_LARGEST_RATIO = 100
"""Pixels that are all the same shrink to a thousandth; images of people hardly to a tenth."""


def ensure_bounded(file: BinaryIO, *, has_preamble: bool) -> None:
    """Unpack a deflated file piece by piece, keeping none, to see how much it is; leaves other files alone.

    Raises:
        ValueError: It is more than files hold.
        zlib.error: It is damaged.
    """
    file.seek(0)
    head = file.read(_MAY_MENTION_ITSELF)
    if DeflatedExplicitVRLittleEndian.encode() not in head:
        return
    file.seek(132 if has_preamble else 0)
    meta = data_element_generator(file, False, True, stop_when=lambda tag, vr, length: int(tag) >> 16 != 2)
    syntax = [one.value for one in meta if int(one.tag) == _TRANSFER_SYNTAX]
    if not any(
        isinstance(one, bytes) and one.strip(b"\0 ").decode("latin-1") == DeflatedExplicitVRLittleEndian
        for one in syntax
    ):
        return
    packed = unpacked = 0
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    while data := file.read(_CHUNK):
        packed += len(data)
        while data:
            unpacked += len(inflater.decompress(data, _CHUNK))
            data = inflater.unconsumed_tail
            if unpacked > max(_ALWAYS_ALLOWED, _LARGEST_RATIO * packed):
                raise ValueError("a deflated file that unpacks without end")
        if inflater.eof:
            return
