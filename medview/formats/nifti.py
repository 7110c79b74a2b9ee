"""Reads NIfTI-1 and NIfTI-2 files, single or as a .hdr/.img pair, packed or not.

MedView reads NIfTI itself because ITK refuses files whose axes are off a right angle by rounding only. The header is
laid out in nifti1.h and nifti2.h of the NIfTI Data Format Working Group (nifti.nimh.nih.gov).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from medview.core import memory
from medview.core.errors import UnreadableFileError, UnsupportedSeriesError
from medview.core.geometry import Floats
from medview.core.progress import Progress
from medview.core.text import Text

_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_COLOURS = frozenset({128, 2304})
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_CHUNK_BYTES = 4 << 20
_LARGEST_GZIP_RATIO = 1100
"""Deflate cannot do better (RFC 1951)."""
DAMAGED = Text("The file is damaged or cut off.")
"""What to say of a file that ends too early."""
COPY_AGAIN = Text("Copy it again from where it came from.")
"""What to do about it."""


@dataclass(frozen=True, slots=True)
class NiftiHeader:
    """What a NIfTI file says about itself.

    Attributes:
        shape: Voxel counts (k, j, i).
        affine: (4, 4) takes (k, j, i, 1) to LPS, mm; as stored: the axes may be off their right angles.
        dtype: Type of the stored numbers, with their byte order.
        offset: Bytes from the start of the (unpacked) data file to the first voxel.
        slope: Stored numbers times this ...
        intercept: ... plus this are the values.
        has_orientation: Whether the file says how the patient lies.
        description: Free text.
    """

    shape: tuple[int, int, int]
    affine: Floats
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    has_orientation: bool
    description: str


def read_header(path: Path) -> NiftiHeader:
    """Read and check the header.

    Raises:
        UnreadableFileError: It is not NIfTI, or damaged.
        UnsupportedSeriesError: More than three dimensions, or colours, or vectors.
    """
    try:
        with _opened(path) as file:
            raw = file.read(540)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableFileError(DAMAGED, COPY_AGAIN) from error
    for order in "<>":
        if len(raw) >= 348 and struct.unpack(order + "i", raw[:4])[0] == 348:
            return _nifti1(raw, order)
        if len(raw) >= 540 and struct.unpack(order + "i", raw[:4])[0] == 540:
            return _nifti2(raw, order)
    raise UnreadableFileError(Text("It is not a NIfTI file."))


def read_numbers(path: Path, header: NiftiHeader, progress: Progress) -> NDArray[Any]:
    """The stored numbers: (k, j, i), unscaled, in the machine's byte order.

    Raises:
        UnreadableFileError: The file is damaged or cut off.
        InputError: It does not fit into memory.
        Cancelled: The progress says so.
    """
    _ensure_fits(_data_file(path), header)
    numbers = np.empty(header.shape, dtype=header.dtype)
    target = memoryview(numbers.data).cast("B")
    done = 0
    try:
        with _opened(_data_file(path)) as file:
            _skip(file, header.offset)
            while done < len(target):
                progress.raise_if_cancelled()
                progress.report(done / len(target))
                chunk = file.read(min(_CHUNK_BYTES, len(target) - done))
                if not chunk:
                    raise UnreadableFileError(DAMAGED, COPY_AGAIN)
                target[done : done + len(chunk)] = chunk
                done += len(chunk)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableFileError(DAMAGED, COPY_AGAIN) from error
    return numbers.astype(numbers.dtype.newbyteorder("="), copy=False)


def more_than_one_volume() -> UnsupportedSeriesError:
    """What to say of a file with more than three dimensions."""
    return UnsupportedSeriesError(
        Text("The file holds several volumes or vectors (more than three dimensions); MedView opens one volume."),
        Text("Split it into single volumes first."),
    )


def _nifti1(raw: bytes, order: str) -> NiftiHeader:
    dims = struct.unpack(order + "8h", raw[40:56])
    datatype = struct.unpack(order + "h", raw[70:72])[0]
    pixdim = struct.unpack(order + "8f", raw[76:108])
    offset, slope, intercept = struct.unpack(order + "3f", raw[108:120])
    qform, sform = struct.unpack(order + "2h", raw[252:256])
    quaternion = struct.unpack(order + "6f", raw[256:280])
    rows = struct.unpack(order + "12f", raw[280:328])
    affine = _affine(pixdim, qform, quaternion, sform, rows)
    units = raw[123]
    text = raw[148:228]
    paired = raw[344:347] == b"ni1"
    if raw[344:346] not in (b"n+", b"ni"):
        sform = qform = 0  # ANALYZE 7.5: the bytes of the forms mean something else
        affine, text = _affine(pixdim, 0, quaternion, 0, rows), b""
    if not math.isfinite(offset):
        raise UnreadableFileError(DAMAGED, COPY_AGAIN)
    start = int(offset) if paired else max(int(offset), 352)
    return _checked(dims, datatype, order, affine, units, start, slope, intercept, bool(qform or sform), text)


def _nifti2(raw: bytes, order: str) -> NiftiHeader:
    datatype = struct.unpack(order + "h", raw[12:14])[0]
    dims = struct.unpack(order + "8q", raw[16:80])
    pixdim = struct.unpack(order + "8d", raw[104:168])
    offset = struct.unpack(order + "q", raw[168:176])[0]
    slope, intercept = struct.unpack(order + "2d", raw[176:192])
    qform, sform = struct.unpack(order + "2i", raw[344:352])
    quaternion = struct.unpack(order + "6d", raw[352:400])
    rows = struct.unpack(order + "12d", raw[400:496])
    units = struct.unpack(order + "i", raw[500:504])[0]
    affine = _affine(pixdim, qform, quaternion, sform, rows)
    has_orientation = bool(qform or sform)
    return _checked(dims, datatype, order, affine, units, offset, slope, intercept, has_orientation, raw[240:320])


def _checked(
    dims: tuple[int, ...],
    datatype: int,
    order: str,
    affine: Floats,
    units: int,
    offset: int,
    slope: float,
    intercept: float,
    has_orientation: bool,
    text: bytes,
) -> NiftiHeader:
    if not 1 <= dims[0] <= 7 or any(size < 1 for size in dims[1 : dims[0] + 1]):
        raise UnreadableFileError(DAMAGED, COPY_AGAIN)
    sizes = (*dims[1 : dims[0] + 1], 1, 1, 1)
    if any(size > 1 for size in dims[4 : dims[0] + 1]):
        raise more_than_one_volume()
    if datatype in _COLOURS:
        raise UnsupportedSeriesError(Text("Its voxels are colours; MedView opens grey images only."))
    if datatype not in _TYPES:
        raise UnsupportedSeriesError(Text("Its voxels are of a type that MedView cannot read (complex or 128 bits)."))
    scale = {1: 1000.0, 3: 0.001}.get(units & 7, 1.0)
    to_lps = _RAS_TO_LPS @ np.diag([scale, scale, scale, 1.0]) @ affine
    to_lps = to_lps[:, [2, 1, 0, 3]]
    if not np.isfinite(to_lps).all():
        raise UnreadableFileError(DAMAGED, COPY_AGAIN)
    if not np.isfinite([slope, intercept]).all() or slope == 0:
        slope, intercept = 1.0, 0.0
    dtype = np.dtype(order + _TYPES[datatype])
    description = text.split(b"\0")[0].decode("latin-1").strip()
    shape = (int(sizes[2]), int(sizes[1]), int(sizes[0]))
    return NiftiHeader(shape, to_lps, dtype, offset, slope, intercept, has_orientation, description)


def _affine(
    pixdim: tuple[float, ...], qform: int, quaternion: tuple[float, ...], sform: int, rows: tuple[float, ...]
) -> Floats:
    """(4, 4) takes (i, j, k, 1) to RAS: the sform where there is one, else the qform, else the pixel sizes alone."""
    affine = np.eye(4)
    if sform > 0:
        affine[:3, :] = np.array(rows).reshape(3, 4)
        if np.linalg.norm(affine[:3, :3], axis=0).min() > 0:
            return affine
        affine = np.eye(4)
    sizes = np.array([abs(size) or 1.0 for size in pixdim[1:4]])
    if qform > 0:
        b, c, d, x, y, z = quaternion
        a = max(0.0, 1.0 - (b * b + c * c + d * d)) ** 0.5
        rotation = np.array(
            [
                [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
            ]
        )
        sizes[2] *= -1.0 if pixdim[0] < 0 else 1.0
        affine[:3, :3] = rotation * sizes
        affine[:3, 3] = x, y, z
        return affine
    affine[:3, :3] = np.diag(sizes)
    return affine


def _opened(path: Path) -> BinaryIO:
    if path.name.lower().endswith(".gz"):
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _data_file(path: Path) -> Path:
    """The .img beside a .hdr; else the file itself."""
    lower = path.name.lower()
    if lower.endswith((".hdr", ".hdr.gz")):
        stem = path.name[: lower.rindex(".hdr")]
        for ending in (".img", ".img.gz", ".IMG"):
            if (other := path.with_name(stem + ending)).is_file():
                return other
        raise UnreadableFileError(
            Text("The .img file that belongs to this header is missing."), Text("Put both files into one folder.")
        )
    return path


def _ensure_fits(file: Path, header: NiftiHeader) -> None:
    """Whether the header's numbers can be in the file, and have room in memory."""
    needed = math.prod(header.shape) * header.dtype.itemsize
    try:
        held = file.stat().st_size
    except OSError as error:
        raise UnreadableFileError(DAMAGED, COPY_AGAIN) from error
    if needed > held * (_LARGEST_GZIP_RATIO if file.name.lower().endswith(".gz") else 1):
        raise UnreadableFileError(DAMAGED, COPY_AGAIN)
    memory.ensure(needed)


def _skip(file: BinaryIO, count: int) -> None:
    while count > 0:
        skipped = len(file.read(min(count, _CHUNK_BYTES)))
        if not skipped:
            raise UnreadableFileError(DAMAGED, COPY_AGAIN)
        count -= skipped
