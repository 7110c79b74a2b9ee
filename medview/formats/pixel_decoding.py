"""Compressed pixels through pydicom's decoders: one picture after the other here, or several at once in processes.

The decoders of JPEG, JPEG-LS and JPEG 2000 keep Python's lock while they work, so that threads would wait for each
other. Processes do not; and one of them may even die of a damaged picture.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID

from medview.core.errors import UnreadableFileError
from medview.core.text import Text
from medview.formats import codestream, decoder_panics

_MOST_PROCESSES = 8
"""Each takes some 60 MB, and disks have been the limit before."""


class Form(StrEnum):
    """What is wanted: stored values, colours, colours out of a palette, or the values of 12-bit JPEG, through ITK."""

    VALUES = "values"
    COLORS = "colors"
    PALETTE = "palette"
    RESCALED = "rescaled"


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


Decode = Callable[[Picture], NDArray[Any]]


def decoded(picture: Picture) -> NDArray[Any]:
    """(j, i) or (j, i, 3) pixels.

    Raises:
        UnreadableFileError: The code stream is a picture of another size than the header says; it is not decoded.
        Exception: Whatever decoders raise on damaged pixels.
    """
    dataset = ensure_believable(picture)
    if picture.form is Form.RESCALED:
        import SimpleITK

        return np.squeeze(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(picture.path))))
    index = None if picture.frames == 1 and picture.form is Form.VALUES else picture.index
    with decoder_panics.caught():
        pixels = pixel_array(dataset, index=index, raw=picture.form is not Form.COLORS)
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


def useful_processes() -> int:
    """How many pictures can be decoded at once here."""
    return min(_MOST_PROCESSES, os.cpu_count() or 1)


class DecodingProcesses:
    """Decodes in several processes while it is open. `decode` may be called from as many threads.

    Args:
        count: How many processes.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._processes: list[BaseProcess] = []
        self._idle: SimpleQueue[Connection | None] = SimpleQueue()

    def __enter__(self) -> DecodingProcesses:
        context = multiprocessing.get_context("spawn")
        for _ in range(self._count):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs,), daemon=True)
            process.start()
            theirs.close()
            self._processes.append(process)
            self._idle.put(ours)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()

    def decode(self, picture: Picture) -> NDArray[Any]:
        """As `decoded`.

        Raises:
            UnreadableFileError: As `decoded`.
            Exception: What the decoder raised, or that its process has died.
        """
        connection = self._idle.get()
        if connection is None:
            self._idle.put(None)
            raise ChildProcessError
        answer: NDArray[Any] | Exception
        try:
            connection.send(picture)
            answer = connection.recv()
        except (EOFError, OSError) as error:
            connection.close()
            self._idle.put(None)  # whoever waits for a process learns that there are none
            raise ChildProcessError from error
        self._idle.put(connection)
        if isinstance(answer, Exception):
            raise answer
        return answer


def _serve(connection: Connection) -> None:
    """The work of such a process: pictures in, pixels out, until the other side is gone."""
    import warnings

    warnings.simplefilter("ignore")
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            picture: Picture = connection.recv()
            try:
                answer: NDArray[Any] | Exception = decoded(picture)
            except UnreadableFileError as error:
                answer = error
            except Exception as error:  # decoders raise anything on damaged pixels
                answer = ValueError(repr(error))
            connection.send(answer)
