"""What is written in a journal, and how it is read back.

A journal is a folder:

- `header.json`: whose work it is and on which grid, for people too.
- `base.bin`: the labels as they were when the journal began; one record.
- `strokes.bin`: what was done since, appended; one record for each step.
- `lock`: held by the program that writes.

A record is its length and its CRC-32 (each 4 bytes, little endian), then that many bytes: the length of its head (4
bytes), the head in JSON, and the packed blocks that the head lists, one after the other. A record that was cut off at
the end does not count: it is the step that was not finished. One that is damaged further up is passed over, and the
next whole one is looked for: every record holds its blocks as they were after it, whatever was before.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydantic import TypeAdapter, ValidationError

from medview.core.case import Study
from medview.core.errors import StorageError
from medview.core.geometry import Geometry, Index
from medview.core.segmentation import HintedEdit, Labels, Provenance, Segment, SegmentationId
from medview.core.text import Text
from medview.core.volume import Modality
from medview.editing import blocks

HEADER, BASE, STROKES, LOCK = "header.json", "base.bin", "strokes.bin", "lock"
FORMAT = 1
"""Raised when older programs cannot read what is written."""

_FRAME = struct.Struct("<II")
_HEAD_LENGTH = struct.Struct("<I")
_HEAD_BEGINS = b'{"step":'
"""How every head begins, and what a record is found again by behind damage."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A geometry as it is stored: shape (k, j, i), and the affine's first three rows."""

    shape: Index
    affine: tuple[tuple[float, float, float, float], ...]
    frame_of_reference_uid: str | None

    @classmethod
    def of(cls, geometry: Geometry) -> Grid:
        """The record of a geometry."""
        rows = tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in geometry.affine[:3])
        return cls(geometry.shape, rows, geometry.frame_of_reference_uid)

    @property
    def geometry(self) -> Geometry:
        """The geometry of the record."""
        return Geometry(self.shape, np.array([*self.affine, (0.0, 0.0, 0.0, 1.0)]), self.frame_of_reference_uid)


@dataclass(frozen=True, slots=True)
class Header:
    """Whose work a journal holds, and what is needed to bring it back.

    Attributes:
        format: Of the journal.
        segmentation_id: Of the segmentation that is corrected.
        title: Its title.
        study: The study, with its patient.
        series_uid: The series that the volume came from.
        series_description: What people call the series.
        modality: What made it.
        paths: The files that have to be opened to see it again.
        grid: Where the labels lie.
        dtype: "uint8" or "uint16".
        segments: The structures when the journal began.
        provenance: Who made the segmentation.
        began_at: When the journal began, UTC.
    """

    format: int
    segmentation_id: SegmentationId
    title: Text
    study: Study
    series_uid: str
    series_description: str
    modality: Modality
    paths: tuple[Path, ...]
    grid: Grid
    dtype: str
    segments: tuple[Segment, ...]
    provenance: Provenance
    began_at: datetime


class Step(StrEnum):
    """What a record tells: the first labels, a new edit, one taken back, one done again, or that all was saved."""

    BASE = "base"
    EDIT = "edit"
    UNDO = "undo"
    REDO = "redo"
    SAVED = "saved"


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a record.

    Attributes:
        step: What it tells.
        name: What the user did.
        at: When, UTC.
        seconds: Time on task up to here.
        segments: The list of segments after the step; None when it did not change.
        blocks: For every block that changed: its number (k, j, i) and how many bytes stand for it.
        label: The segment that it was done to; 0 when it was to none in particular.
        hinted: The answers to hints that were taken with the step.
    """

    step: Step
    name: Text
    at: datetime
    seconds: float = 0.0
    segments: tuple[Segment, ...] | None = None
    blocks: tuple[tuple[int, int, int, int], ...] = ()
    label: int = 0
    hinted: tuple[HintedEdit, ...] = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A record: its head and, by block, the labels after the step, packed."""

    head: Head
    images: Mapping[Index, bytes]


@dataclass(frozen=True, slots=True)
class Stored:
    """What is in a journal's folder.

    Attributes:
        header: Whose work it is.
        base: The labels when it began, by block, packed; blocks that are missing are background.
        records: Every whole record since.
        length: Where in `strokes.bin` the last of these ends; what follows was cut off.
        damaged: At how many places, further up, there are bytes that are no record.
    """

    header: Header
    base: Mapping[Index, bytes]
    records: tuple[Record, ...]
    length: int
    damaged: int = 0

    @property
    def strokes(self) -> int:
        """How many edits were made."""
        return sum(record.head.step is Step.EDIT for record in self.records)

    @property
    def is_unsaved(self) -> bool:
        """Whether anything was done since the work was saved last."""
        return bool(self.records) and self.records[-1].head.step is not Step.SAVED

    @property
    def last_at(self) -> datetime:
        """When the last step was taken, UTC."""
        return self.records[-1].head.at if self.records else self.header.began_at

    def base_labels(self) -> Labels:
        """(k, j, i), the labels when the journal began.

        Raises:
            StorageError: They are damaged.
        """
        labels = np.zeros(self.header.grid.shape, dtype=self.header.dtype)
        try:
            for block, image in self.base.items():
                box = blocks.box_of(block, self.header.grid.shape)
                labels[box.slices] = blocks.unpack(image, box.shape, labels.dtype)
        except ValueError as error:
            raise _damaged() from error
        return labels


_HEADERS = TypeAdapter(Header)
_HEADS = TypeAdapter(Head)


def encode_header(header: Header) -> bytes:
    """The bytes of `header.json`."""
    return _HEADERS.dump_json(header, indent=1)


def encode(head: Head, images: Mapping[Index, bytes]) -> bytes:
    """The bytes of a record; the head's list of blocks is made here."""
    listed = tuple((*block, len(image)) for block, image in images.items())
    full = replace(head, blocks=listed)
    text = _HEADS.dump_json(full)
    body = b"".join([_HEAD_LENGTH.pack(len(text)), text, *images.values()])
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def read(folder: Path) -> Stored:
    """What is in a journal's folder; the tail of a record that was cut off is left out.

    Raises:
        StorageError: There is no journal, or its beginning is damaged.
    """
    try:
        header = _HEADERS.validate_json((folder / HEADER).read_bytes())
        with (folder / BASE).open("rb") as file:
            base = next((one.record for one in _records(file)), None)
        strokes = folder / STROKES
        found: list[_Found] = []
        if strokes.exists():
            with strokes.open("rb") as file:
                found = list(_records(file))
    except (OSError, ValidationError) as error:
        raise _damaged() from error
    if header.format > FORMAT:
        raise StorageError("This work was left by a newer MedView.", "Bring it back with that one.")
    if base is None or base.head.step is not Step.BASE or header.dtype not in _DTYPES:
        raise _damaged()
    records = tuple(one.record for one in found)
    return Stored(header, base.images, records, found[-1].end if found else 0, sum(one.after_damage for one in found))


_DTYPES = ("uint8", "uint16")


@dataclass(frozen=True, slots=True)
class _Found:
    """A whole record, where it ends, and whether damage lies before it."""

    record: Record
    end: int
    after_damage: bool


def _records(file: BinaryIO) -> Iterator[_Found]:
    """Every whole record."""
    start, after_damage = 0, False
    while (body := _body_at(file, start)) is not None or (start := _next_start(file, start + 1)) >= 0:
        if body is None:
            after_damage = True
            continue
        start = file.tell()
        yield _Found(_decode(body), start, after_damage)
        after_damage = False


def _body_at(file: BinaryIO, start: int) -> bytes | None:
    """The body of the record that begins at a place, with the file behind it; None where none does."""
    file.seek(start)
    frame = file.read(_FRAME.size)
    if len(frame) < _FRAME.size:
        return None
    length, checksum = _FRAME.unpack(frame)
    # A damaged length could ask for gigabytes.
    if length > os.fstat(file.fileno()).st_size - file.tell():
        return None
    body = file.read(length)
    # After a loss of power a file may end in zeros, which are a record of no bytes with the right checksum.
    return body if body and zlib.crc32(body) == checksum else None


def _next_start(file: BinaryIO, start: int) -> int:
    """Where the next whole record begins, from a place on; -1 where none follows."""
    before_head = _FRAME.size + _HEAD_LENGTH.size
    file.seek(start)
    rest = file.read()
    place = rest.find(_HEAD_BEGINS)
    while place >= 0:
        if place >= before_head and _body_at(file, start + place - before_head) is not None:
            return start + place - before_head
        place = rest.find(_HEAD_BEGINS, place + 1)
    return -1


def _decode(body: bytes) -> Record:
    (length,) = _HEAD_LENGTH.unpack_from(body)
    start = _HEAD_LENGTH.size + length
    head = _HEADS.validate_json(body[_HEAD_LENGTH.size : start])
    images: dict[Index, bytes] = {}
    for k, j, i, size in head.blocks:
        images[k, j, i] = body[start : start + size]
        start += size
    return Record(head, images)


def _damaged() -> StorageError:
    return StorageError("The journal of this work is damaged.", "Discard it; other work is not affected.")
