"""Walks through an ordinary DICOM file from one element's length to the next, and takes what is wanted as bytes.

That costs a small part of the time of a `Dataset`: a hundred elements are passed over for every one that matters.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import BinaryIO

from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

_META_GROUP = 0x0002
_TRANSFER_SYNTAX = 0x0010
_PREAMBLE = 132
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_FLOAT_PIXELS = _PIXELS[:2]
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_BLOCK = 1 << 15
_DEEPEST = 32
_SHORTEST_HEAD, _LONGEST_HEAD = 8, 12
_LONG_LENGTH = {True: struct.Struct("<L"), False: struct.Struct(">L")}
_WITH_LONG_LENGTH = frozenset(b"OB OW OF OD OL OV SQ UN UC UR UT SV UV".split())
_WITH_SHORT_LENGTH = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())


class Storage(StrEnum):
    """How pixels lie in their file: as they are, in fragments of a compressed stream, or inside a deflated file."""

    NATIVE = "native"
    FRAGMENTS = "fragments"
    DEFLATED = "deflated"


@dataclass(frozen=True, slots=True)
class PixelPlace:
    """Where the pixels of a file are.

    Attributes:
        storage: How they lie there.
        offset: Bytes from the start of the file to the first pixel; 0 unless native.
        length: Bytes; 0 unless native.
        is_float: Whether they are Float or Double Float Pixel Data.
    """

    storage: Storage
    offset: int
    length: int
    is_float: bool


@dataclass(frozen=True, slots=True)
class RawElements:
    """What was asked for, by tag; sequences are there, but perhaps with no bytes.

    Attributes:
        values: Bytes as they lie in the file.
        little: Whether numbers are little endian.
        syntax: Transfer syntax UID: the stated one, or the one that the encoding amounts to.
        pixels: Where the pixels are; None when there are none.
    """

    values: dict[int, bytes]
    little: bool
    syntax: str
    pixels: PixelPlace | None


class NotOrdinary(Exception):  # noqa: N818 - no fault: such files are read another way
    """A file is damaged, or written in a way that is not read here."""


@dataclass(frozen=True, slots=True)
class _Encoding:
    """How elements of a transfer syntax are written.

    Attributes:
        syntax: Its UID.
        explicit: Whether elements say what they are.
        little: Whether numbers are little endian.
    """

    syntax: str
    explicit: bool
    little: bool


_UNKNOWN = _Encoding("", explicit=False, little=True)
"""Of sequences that call themselves unknown (UN): DICOM PS3.5, 6.2.2."""
_HEADS = {
    (explicit, little): struct.Struct(("<" if little else ">") + ("L2sH" if explicit else "LL"))
    for explicit in (True, False)
    for little in (True, False)
}
"""How an element starts: its tag, its kind where that is told, and its length."""


class Walk:
    """Goes through a file from element to element, with one block of it in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._start = 0
        self._block = b""
        self._move(0)

    def elements(self, tags: frozenset[int]) -> RawElements:
        """Take the elements in front of the pixels.

        Raises:
            NotOrdinary: The file is not.
        """
        start, stated = self._past_meta()
        encoding = _encoding(stated)
        kind = self._bytes(start, 6)[4:]
        if encoding is None or (kind.isalpha() and kind.isupper()) is not encoding.explicit:
            raise NotOrdinary
        values: dict[int, bytes] = {}
        at, tag, length = self._take(start, encoding, _keys(tags, little=encoding.little), values)
        return RawElements(values, encoding.little, encoding.syntax, place_of(at, tag, length))

    def _past_meta(self) -> tuple[int, bytes]:
        """Where the file meta information ends, and the transfer syntax that it states."""
        at, stated = _PREAMBLE, b""
        while True:
            group, element, kind, length = struct.unpack("<HH2sH", self._bytes(at, 8))
            if group != _META_GROUP:
                return at, stated
            at += 8
            if kind in _WITH_LONG_LENGTH:
                (length,) = struct.unpack("<L", self._bytes(at, 4))
                at += 4
            elif kind not in _WITH_SHORT_LENGTH:
                raise NotOrdinary
            if element == _TRANSFER_SYNTAX:
                stated = self._bytes(at, length)
            at += length

    def _take(
        self, at: int, encoding: _Encoding, keys: dict[int, int], values: dict[int, bytes]
    ) -> tuple[int, int, int]:
        """Take values from a place in the file on, up to its pixels.

        Returns:
            Where these begin, their tag and their length; 0 for the tag where there are none.
        """
        explicit, unpack = encoding.explicit, _HEADS[encoding.explicit, encoding.little].unpack_from
        long = _LONG_LENGTH[encoding.little].unpack_from
        block, start = self._block, self._start
        position, last = at - start, len(block) - _LONGEST_HEAD
        while True:
            if position > last or position < 0:
                start += position
                block = self._move(start)
                if len(block) < _SHORTEST_HEAD:
                    return start, 0, 0
                block = block.ljust(_LONGEST_HEAD, b"\0")
                position, last = 0, len(block) - _LONGEST_HEAD
            if explicit:
                key, kind, length = unpack(block, position)
                value = position + 8
                if kind in _WITH_LONG_LENGTH:
                    (length,) = long(block, value)
                    value += 4
                elif kind not in _WITH_SHORT_LENGTH:
                    raise NotOrdinary
            else:
                key, length = unpack(block, position)
                value = position + 8
            tag = keys.get(key)
            if tag is not None:
                if tag in _PIXELS:
                    return start + value, tag, length
                values[tag] = b"" if length == _UNDEFINED else self._value(block, start, value, length)
            if length == _UNDEFINED:
                inside = _UNKNOWN if explicit and kind == b"UN" else encoding
                position = self._past_sequence(start + value, inside, 0) - start
            else:
                position = value + length

    def _value(self, block: bytes, start: int, position: int, length: int) -> bytes:
        """The value of an element, which may reach beyond the block."""
        if position + length <= len(block):
            return block[position : position + length]
        if start + position + length > self._file.seek(0, os.SEEK_END):  # no memory for what cannot be there
            raise NotOrdinary
        self._file.seek(start + position)
        value = self._file.read(length)
        if len(value) < length:
            raise NotOrdinary
        return value

    def _past_sequence(self, at: int, encoding: _Encoding, depth: int) -> int:
        """Where a sequence, or a stream in fragments, of undefined length ends."""
        if depth > _DEEPEST:
            raise NotOrdinary
        order = "<" if encoding.little else ">"
        while True:
            group, element, length = struct.unpack(order + "HHL", self._bytes(at, 8))
            at += 8
            tag = group << 16 | element
            if tag == _SEQUENCE_END:
                return at
            if tag != _ITEM:
                raise NotOrdinary
            at = self._past_item(at, encoding, depth) if length == _UNDEFINED else at + length

    def _past_item(self, at: int, encoding: _Encoding, depth: int) -> int:
        """Where an item of undefined length ends."""
        order = "<" if encoding.little else ">"
        while True:
            head = self._bytes(at, 8)
            group, element, length = struct.unpack(order + "HHL", head)
            at += 8
            if group << 16 | element == _ITEM_END:
                return at
            inside = encoding
            if encoding.explicit:
                kind = head[4:6]
                if kind in _WITH_LONG_LENGTH:
                    (length,) = struct.unpack(order + "L", self._bytes(at, 4))
                    at += 4
                elif kind in _WITH_SHORT_LENGTH:
                    (length,) = struct.unpack(order + "H", head[6:])
                else:
                    raise NotOrdinary
                inside = _UNKNOWN if kind == b"UN" else encoding
            at = self._past_sequence(at, inside, depth + 1) if length == _UNDEFINED else at + length

    def _bytes(self, at: int, count: int) -> bytes:
        """A few bytes at a place in the file."""
        position = at - self._start
        if position < 0 or position + count > len(self._block):
            self._move(at)
            position = 0
        found = self._block[position : position + count]
        if len(found) < count:
            raise NotOrdinary
        return found

    def _move(self, at: int) -> bytes:
        self._file.seek(at)
        self._start, self._block = at, self._file.read(_BLOCK)
        return self._block


@lru_cache(maxsize=64)
def _encoding(stated: bytes) -> _Encoding | None:
    """How a file is written that states this transfer syntax; None when another reader has to find out."""
    syntax = UID(stated.decode("latin-1").strip("\0 "))
    if syntax == DeflatedExplicitVRLittleEndian or not syntax.is_transfer_syntax or syntax.is_private:
        return None
    return _Encoding(str(syntax), not syntax.is_implicit_VR, syntax.is_little_endian)


@lru_cache(maxsize=8)
def _keys(tags: frozenset[int], *, little: bool) -> dict[int, int]:
    """Tags, and those of pixels, by the number that they are when read as one: group and element swap places."""
    return {(tag & 0xFFFF) << 16 | tag >> 16 if little else tag: tag for tag in (*tags, *_PIXELS)}


def place_of(at: int, tag: int, length: int) -> PixelPlace | None:
    """Where pixels are that begin at a place in their file; None for tag 0."""
    if not tag:
        return None
    if length == _UNDEFINED:
        return PixelPlace(Storage.FRAGMENTS, 0, 0, is_float=False)
    return PixelPlace(Storage.NATIVE, at, length, is_float=tag in _FLOAT_PIXELS)
