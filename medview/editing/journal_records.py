"""What is written in a journal, and how it is read back.

A journal is a folder:

- `header.json`: whose work it is and on which grid, for people too.
- `base.bin`: the labels as they were when the journal began; one record.
- `strokes.bin`: what was done since, appended; one record for each step.
- `lock`: held by the program that writes.

A record is its length and its CRC-32 (each 4 bytes, little endian), then that many bytes: the length of its head (4
bytes), the head in JSON, and the packed blocks that the head lists, one after the other. A record that was cut off, and
whatever follows it, does not count.
"""

from __future__ import annotations

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
        hinted: The answers to hints that were taken with the step.
    """

    step: Step
    name: Text
    at: datetime
    seconds: float = 0.0
    segments: tuple[Segment, ...] | None = None
    blocks: tuple[tuple[int, int, int, int], ...] = ()
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
        length: How many bytes of `strokes.bin` these take up; what follows was cut off.
    """

    header: Header
    base: Mapping[Index, bytes]
    records: tuple[Record, ...]
    length: int

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
    text = _HEADS.dump_json(replace(head, blocks=listed))
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
            base = next((record for record, _ in _records(file)), None)
        strokes = folder / STROKES
        records: list[tuple[Record, int]] = []
        if strokes.exists():
            with strokes.open("rb") as file:
                records = list(_records(file))
    except (OSError, ValidationError) as error:
        raise _damaged() from error
    if header.format > FORMAT:
        raise StorageError("This work was left by a newer MedView.", "Bring it back with that one.")
    if base is None or base.head.step is not Step.BASE or header.dtype not in _DTYPES:
        raise _damaged()
    return Stored(header, base.images, tuple(one for one, _ in records), records[-1][1] if records else 0)


_DTYPES = ("uint8", "uint16")


def _records(file: BinaryIO) -> Iterator[tuple[Record, int]]:
    """Every whole record, with the place where it ends."""
    while len(frame := file.read(_FRAME.size)) == _FRAME.size:
        length, checksum = _FRAME.unpack(frame)
        body = file.read(length)
        # After a loss of power a file may end in zeros, which are a record of no bytes with the right checksum.
        if not body or len(body) != length or zlib.crc32(body) != checksum:
            return
        yield _decode(body), file.tell()


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
