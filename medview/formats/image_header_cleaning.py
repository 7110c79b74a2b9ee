"""Copies of NIfTI and NRRD files without what their headers say in words.

Both have room for free text (NIfTI: descrip, aux_file, db_name, intent_name and extensions; NRRD: comments, `content`
and key/value pairs), in which converters write names and dates. The voxels and their place stay, byte for byte.
Layouts: nifti1.h and nifti2.h (nifti.nimh.nih.gov), NRRD definition (teem.sourceforge.net/nrrd/format.html).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import IO, cast

from medview.core.errors import UnreadableFileError, UnsupportedSeriesError
from medview.core.progress import Progress
from medview.core.text import Text
from medview.formats.nifti import COPY_AGAIN, DAMAGED

_CHUNK_BYTES = 4 << 20
_NIFTI1, _NIFTI2 = 348, 540
_TEXTS_1 = ((4, 34), (148, 252), (328, 344))
"""data_type, db_name; descrip, aux_file; intent_name."""
_TEXTS_2 = ((240, 344), (508, 524))
"""descrip, aux_file; intent_name."""
_OFFSET_1, _OFFSET_2 = (108, "f"), (168, "q")
_MOST_HEADER_BYTES = 1 << 24
_NRRD_FIELDS = frozenset(
    {
        *("dimension", "type", "sizes", "block size", "blocksize", "encoding", "endian", "min", "max", "old min"),
        *("oldmin", "old max", "oldmax", "line skip", "lineskip", "byte skip", "byteskip", "spacings", "thicknesses"),
        *("axis mins", "axismins", "axis maxs", "axismaxs", "centers", "centerings", "kinds", "space"),
        *("space dimension", "space units", "space origin", "space directions", "measurement frame", "units"),
    }
)


def suffix(path: Path) -> str:
    """The ending of a file that can be copied without the words of its header: .nii, .nii.gz or .nrrd; else empty."""
    name = path.name.lower()
    return next((one for one in (".nii.gz", ".nii", ".nrrd") if name.endswith(one)), "")


def copy(source: Path, target: Path, progress: Progress) -> tuple[str, ...]:
    """Write a copy whose header says nothing in words.

    Args:
        source: A .nii, .nii.gz or .nrrd file in one piece.
        target: Written as it is; the caller gives it its name when it is whole.
        progress: Asked for cancellation.

    Returns:
        The fields in which something stood that the copy lacks.

    Raises:
        UnreadableFileError: It is damaged.
        UnsupportedSeriesError: Its voxels lie in another file.
        OSError: The disk refuses.
        Cancelled: The progress says so.
    """
    try:
        if suffix(source) == ".nrrd":
            return _copy_nrrd(source, target, progress)
        return _copy_nifti(source, target, progress)
    except (EOFError, zlib.error, gzip.BadGzipFile, struct.error, ValueError) as error:
        raise UnreadableFileError(DAMAGED, COPY_AGAIN) from error


def _copy_nifti(source: Path, target: Path, progress: Progress) -> tuple[str, ...]:
    with source.open("rb") as probe:
        packed = probe.read(2) == b"\x1f\x8b"
    with cast(IO[bytes], gzip.open(source, "rb") if packed else source.open("rb")) as file:
        order, size = _nifti_kind(file.read(4))
        header = bytearray(struct.pack(f"{order}i", size) + file.read(size - 4))
        if len(header) < size:
            raise EOFError
        texts, (place, kind) = (_TEXTS_1, _OFFSET_1) if size == _NIFTI1 else (_TEXTS_2, _OFFSET_2)
        touched = ["header texts"] if any(any(header[start:stop]) for start, stop in texts) else []
        for start, stop in texts:
            header[start:stop] = bytes(stop - start)
        offset = int(struct.unpack_from(f"{order}{kind}", header, place)[0])
        if not size <= offset <= _MOST_HEADER_BYTES:
            raise UnsupportedSeriesError(Text("Its voxels lie in another file; save it as one file first."))
        between = file.read(offset - size)
        touched += ["extensions"] if any(between) else []
        struct.pack_into(f"{order}{kind}", header, place, size + 4)
        with cast(IO[bytes], gzip.open(target, "wb", 1) if packed else target.open("wb")) as copied:
            copied.write(bytes(header) + bytes(4))
            _pour(file, copied, progress)
    return tuple(touched)


def _nifti_kind(start: bytes) -> tuple[str, int]:
    for order in "<>":
        (size,) = struct.unpack(f"{order}i", start)
        if size in (_NIFTI1, _NIFTI2):
            return order, size
    raise ValueError("no NIfTI header")


def _copy_nrrd(source: Path, target: Path, progress: Progress) -> tuple[str, ...]:
    kept: list[bytes] = []
    touched: set[str] = set()
    with source.open("rb") as file:
        first = file.readline(_MOST_HEADER_BYTES)
        if not first.startswith(b"NRRD"):
            raise ValueError("no NRRD header")
        while (line := file.readline(_MOST_HEADER_BYTES)).strip():
            field, colon, _ = line.decode("utf-8", "replace").partition(": ")
            if field.lower() in ("data file", "datafile"):
                raise UnsupportedSeriesError(Text("Its voxels lie in another file; save it as one file first."))
            if colon and field.lower() in _NRRD_FIELDS and ":=" not in field:
                kept.append(line)
            else:
                touched.add("comments" if line.startswith(b"#") else "key/value pairs and content")
        if not line:
            raise EOFError
        with target.open("wb") as copied:
            copied.write(first + b"".join(kept) + b"\n")
            _pour(file, copied, progress)
    return tuple(sorted(touched))


def _pour(source: IO[bytes], target: IO[bytes], progress: Progress) -> None:
    while chunk := source.read(_CHUNK_BYTES):
        progress.raise_if_cancelled()
        target.write(chunk)
