"""Compressed pixels through pydicom and the decoders that it knows, one picture at a time, in any thread.

Which decoder takes which transfer syntax is chosen here. JPEG, JPEG-LS and JPEG 2000 go to decoders that let go of
Python's lock (see `stream_decoders`), so that threads decode on all cores; RLE goes to its own, and takes 1 ms.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from medview.core.errors import UnreadableFileError
from medview.core.text import Text
from medview.formats import codestream, decoder_panics, stream_decoders

_MOST_AT_ONCE = 8
"""Disks have been the limit before."""


class Form(StrEnum):
    """What is wanted: stored values, colours, or colours out of a palette."""

    VALUES = "values"
    COLORS = "colors"
    PALETTE = "palette"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture in a file.

    Attributes:
        path: The file.
        transfer_syntax: UID.
        index: The number of the frame, from 0.
        frames: How many the file holds.
        stream_size: Rows and columns that the header tells of its code stream; None when it is none.
        form: What is wanted of it.
    """

    path: Path
    transfer_syntax: str
    index: int
    frames: int
    stream_size: tuple[int, int] | None
    form: Form


def decoded(picture: Picture) -> NDArray[Any]:
    """(j, i) or (j, i, 3) pixels.

    Raises:
        UnreadableFileError: The code stream is a picture of another size than the header says; it is not decoded.
        Exception: Whatever decoders raise on damaged pixels.
    """
    dataset = ensure_believable(picture)
    index = None if picture.frames == 1 and picture.form is Form.VALUES else picture.index
    raw, decoder = picture.form is not Form.COLORS, preferred_decoder(picture.transfer_syntax)
    with decoder_panics.caught():
        try:
            pixels = pixel_array(dataset, index=index, raw=raw, decoding_plugin=decoder)
        except Exception:
            if not decoder:
                raise
            pixels = pixel_array(dataset, index=index, raw=raw)  # another may know this kind of stream
    return apply_color_lut(pixels, dataset) if picture.form is Form.PALETTE else pixels


def ensure_believable(picture: Picture) -> Dataset:
    """The file of a picture whose code stream, where it is one, has the size that the header says.

    A code stream of another size would make a decoder take any memory.

    Raises:
        UnreadableFileError: It is of another size.
        Exception: What holds the stream is damaged.
    """
    dataset = dataset_of(picture.path, picture.transfer_syntax, is_kept=picture.frames > 1)
    if picture.stream_size is None:
        return dataset
    rows, columns = picture.stream_size
    size = codestream.size_of(get_frame(dataset.PixelData, picture.index, number_of_frames=picture.frames))
    if size is not None and (size.rows or rows, size.columns) != (rows, columns):
        raise UnreadableFileError(
            Text.of(
                "The pixels of {file} are a picture of {columns} x {rows}, and its header says {other} x {others}.",
                file=picture.path.name,
                columns=size.columns,
                rows=size.rows,
                other=columns,
                others=rows,
            ),
            Text("Copy the series again from where it came from."),
        )
    return dataset


def dataset_of(path: Path, transfer_syntax: str, *, is_kept: bool) -> Dataset:
    """A file with its pixels; one with many frames is kept for the next."""
    read = _kept if is_kept else _kept.__wrapped__
    return read(path, transfer_syntax)


def forget() -> None:
    """Let go of the files that were kept for their next frame."""
    _kept.cache_clear()


@lru_cache(maxsize=1)
def _kept(path: Path, transfer_syntax: str) -> Dataset:
    dataset = dcmread(path, force=True)
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    return dataset


def preferred_decoder(transfer_syntax: str) -> str:
    """The name of the decoder among pydicom's that pixels go through; empty where pydicom chooses."""
    return stream_decoders.PLUGIN if transfer_syntax in stream_decoders.SYNTAXES else ""


def useful_threads(transfer_syntax: str) -> int:
    """How many pictures are best decoded at once here: one, where the decoder keeps Python's lock."""
    return min(_MOST_AT_ONCE, os.cpu_count() or 1) if preferred_decoder(transfer_syntax) else 1
