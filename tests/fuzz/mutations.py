"""Ways to spoil files that know how DICOM, NIfTI and NRRD are laid out: each gives other bytes, the same for a seed."""

from __future__ import annotations

import gzip
import io
import random
import struct
import warnings
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

Mutation = Callable[[bytes, random.Random], bytes]

_VRS = b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV".split()
_WITH_LONG_LENGTH = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SYNTAXES = (
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless,
    JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless,
    UID("1.2.3.4"),
)  # fmt: skip
_ABSURD = (0, 1, 2, 3, 7, 255, 4096, 32767, 32768, 60000, 65535)
_ABSURD_FRAMES = (-1, 0, 2, 1000, 65536, 10**6, 2**31 - 1)
_ABSURD_NUMBERS = ("nan", "inf", "-inf", "1e400", "1e38", "-1", "0", "x", "", "1\\2", "\\\\\\", "9" * 400, "1e-300")
_COUNTS = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "PixelRepresentation")
_NUMBERS = (
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices",
    "RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "InstanceNumber", "NumberOfFrames",
    "SeriesNumber", "TemporalPositionIdentifier", "TriggerTime", "EchoTime", "DiffusionBValue", "FrameTime",
    "PlanarConfiguration", "PhotometricInterpretation", "SpecificCharacterSet", "AcquisitionTime", "StudyDate",
)  # fmt: skip
_LEVELS = 10_000
_SPOILT_RUN = 64
_SIZE_MARKERS = (b"\xff\x51", b"\xff\xc0", b"\xff\xc1", b"\xff\xc3", b"\xff\xf7")
"""J2K SIZ, and the start of a frame in JPEG baseline, extended, lossless and JPEG-LS."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an element of the outermost data set lies: its first byte, the bytes of its length, its value."""

    start: int
    length_at: int
    length_size: int
    value_at: int
    end: int
    explicit: bool


def cut(data: bytes, rng: random.Random) -> bytes:
    """The file ends too early."""
    return data[: rng.randrange(len(data))]


def cut_the_tail(data: bytes, rng: random.Random) -> bytes:
    """Only a little is missing."""
    return data[: -rng.randint(1, min(64, len(data)))]


def zeros(data: bytes, rng: random.Random) -> bytes:
    """A stretch is zero, as on a bad disk."""
    start = rng.randrange(len(data))
    stop = min(len(data), start + rng.choice((1, 8, 512, 4096)))
    return data[:start] + bytes(stop - start) + data[stop:]


def noise(data: bytes, rng: random.Random) -> bytes:
    """Some bytes are random ones."""
    start = rng.randrange(len(data))
    stop = min(len(data), start + rng.randint(1, _SPOILT_RUN))
    return data[:start] + rng.randbytes(stop - start) + data[stop:]


def noise_in_the_header(data: bytes, rng: random.Random) -> bytes:
    """As `noise`, in the first kilobytes."""
    start = rng.randrange(min(len(data), 3000))
    stop = min(len(data), start + rng.randint(1, 16))
    return data[:start] + rng.randbytes(stop - start) + data[stop:]


def bit_flips(data: bytes, rng: random.Random) -> bytes:
    """Single bits are turned."""
    spoilt = bytearray(data)
    for _ in range(rng.choice((1, 4, 32))):
        spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
    return bytes(spoilt)


def inserted(data: bytes, rng: random.Random) -> bytes:
    """Bytes too many: what follows is shifted."""
    start = rng.randrange(len(data))
    return data[:start] + rng.randbytes(rng.randint(1, 9)) + data[start:]


def lying_length(data: bytes, rng: random.Random) -> bytes:
    """An element says that it has another length than it has."""
    place = _any_place(data, rng)
    size = place.length_size
    lies = (0, 1, 3, (1 << 8 * size) - 1, (1 << 8 * size) - 2, 1 << (8 * size - 1), rng.randrange(1 << 8 * size))
    lie = rng.choice(lies).to_bytes(size, "little")
    return data[: place.length_at] + lie + data[place.length_at + size :]


def swapped_vr(data: bytes, rng: random.Random) -> bytes:
    """An element is said to be of another kind."""
    place = _any_place(data, rng)
    return data[: place.start + 4] + rng.choice(_VRS) + data[place.start + 6 :]


def doubled(data: bytes, rng: random.Random) -> bytes:
    """An element comes twice."""
    place = _any_place(data, rng)
    return data[: place.end] + data[place.start : place.end] + data[place.end :]


def deep(data: bytes, rng: random.Random) -> bytes:
    """Sequences within sequences within sequences."""
    place = _any_place(data, rng)
    tag = rng.choice((b"\x08\x00\x15\x11", b"\x00\x52\x29\x92", b"\x00\x52\x30\x92", b"\x40\x00\x30\xa7"))
    head = tag + (b"SQ\0\0" if place.explicit else b"") + b"\xff" * 4 + b"\xfe\xff\x00\xe0" + b"\xff" * 4
    tail = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    levels = rng.choice((50, 500, _LEVELS))
    closed = rng.random() < 0.5
    return data[: place.start] + head * levels + (tail * levels if closed else b"") + data[place.start :]


def other_syntax(data: bytes, rng: random.Random) -> bytes:
    """The pixels are of another transfer syntax than stated."""
    dataset = _read(data)
    start = _start_of_data_set(data)
    meta = dataset.file_meta
    meta.TransferSyntaxUID = rng.choice(_SYNTAXES)
    return _head(meta) + data[start:]


def absurd_count(data: bytes, rng: random.Random) -> bytes:
    """Rows, columns, bits or samples are not what they can be."""
    dataset = _read(data)
    for keyword in rng.sample(_COUNTS, rng.randint(1, 2)):
        setattr(dataset, keyword, rng.choice(_ABSURD))
    return _written(dataset)


def absurd_size(data: bytes, rng: random.Random) -> bytes:
    """An image larger than any memory, and sometimes a code stream that says the same."""
    dataset = _read(data)
    dataset.Rows = dataset.Columns = 60000
    return _larger_stream(_written(dataset), rng) if rng.random() < 0.7 else _written(dataset)


def absurd_frames(data: bytes, rng: random.Random) -> bytes:
    """More or fewer frames than there are."""
    dataset = _read(data)
    dataset.NumberOfFrames = rng.choice(_ABSURD_FRAMES)
    return _written(dataset)


def absurd_number(data: bytes, rng: random.Random) -> bytes:
    """A number written as text is none, or an absurd one."""
    dataset = _read(data)
    tags = [name for name in _NUMBERS if name in dataset] or ["PixelSpacing"]
    for keyword in rng.sample(tags, min(len(tags), rng.randint(1, 2))):
        text = rng.choice(_ABSURD_NUMBERS)
        if rng.random() < 0.3:
            text = "\\".join([text or "1"] * rng.choice((2, 3, 6, 7, 5000)))
        element = dataset[keyword]
        raw = text.encode() + b" " * (len(text) % 2)
        dataset[keyword] = RawDataElement(
            element.tag, element.VR, len(raw), raw, 0, dataset.original_encoding[0] or False, True
        )
    return _written(dataset)


def without(data: bytes, rng: random.Random) -> bytes:
    """Elements are missing."""
    dataset = _read(data)
    for tag in rng.sample(list(dataset.keys()), min(len(dataset), rng.randint(1, 4))):
        del dataset[tag]
    return _written(dataset)


def larger_stream(data: bytes, rng: random.Random) -> bytes:
    """The code stream says that it holds more pixels than the header says."""
    return _larger_stream(data, rng)


def lying_fragment(data: bytes, rng: random.Random) -> bytes:
    """Items of the pixel data have other lengths than they say; or their end is missing."""
    starts = [at for at in _all(data, b"\xfe\xff\x00\xe0") if at + 8 <= len(data)]
    if not starts:
        return lying_length(data, rng)
    at = rng.choice(starts) + 4
    lie = rng.choice((0, 1, 2, 0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, rng.randrange(1 << 16)))
    return data[:at] + lie.to_bytes(4, "little") + data[at + 4 :]


def run_length_bomb(data: bytes, rng: random.Random) -> bytes:
    """RLE pixels whose header names segments that are not there, or that unpack to more than an image."""
    dataset = _read(data)
    dataset.file_meta.TransferSyntaxUID = RLELossless
    segments = rng.choice((0, 1, 2, 3, 15, 16, 2**31))
    offsets = [rng.choice((0, 64, 65, 2**31, 2**32 - 1)) for _ in range(15)]
    stream = struct.pack("<16L", segments, *offsets) + bytes((0x81, 0xFF)) * rng.choice((1, 1000, 200_000))
    item = b"\xfe\xff\x00\xe0"
    encoded = item + b"\0\0\0\0" + item + struct.pack("<L", len(stream)) + stream + b"\xfe\xff\xdd\xe0\0\0\0\0"
    dataset.PixelData = encoded
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return _written(dataset)


def deflate_bomb(data: bytes, rng: random.Random) -> bytes:
    """A small deflated file that unpacks to very much."""
    dataset = _read(data)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    out = io.BytesIO()
    out.write(_head(dataset.file_meta))
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    element = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100" + b"\x09\x00\x01\x10UN\0\0" + struct.pack("<L", 0xFFFFFFF0)
    out.write(packer.compress(element) + packer.flush(zlib.Z_FULL_FLUSH))
    # a block that refers to nothing before it can be written many times
    zeros_packed = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    out.write(zeros_packed * rng.choice((16, 4096)) + packer.flush())
    return out.getvalue()


def spliced(data: bytes, rng: random.Random) -> bytes:
    """The start of the file, then its middle once more."""
    middle = rng.randrange(len(data))
    return data[: rng.randrange(len(data))] + data[middle:]


def of_words(data: bytes, rng: random.Random) -> bytes:
    """A number in a header that is text, as NRRD's, or in a binary one, is another one."""
    digits = [at for at, byte in enumerate(data[:600]) if chr(byte).isdigit()]
    if not digits:
        return noise_in_the_header(data, rng)
    at = rng.choice(digits)
    return data[:at] + rng.choice((b"9999999", b"-1", b"0", b"x", b"1e30")) + data[at + 1 :]


def nifti_dimensions(data: bytes, rng: random.Random) -> bytes:
    """A NIfTI header that says absurd sizes, types or places."""
    raw = bytearray(_unpacked(data))
    at, kind = rng.choice(((40, "h"), (42, "h"), (44, "h"), (46, "h"), (48, "h"), (70, "h"), (108, "f"), (112, "f")))
    number = rng.choice((-1, 0, 1, 7, 127, 2304, 32767)) if kind == "h" else rng.choice((-1e9, 0, 1e30, float("nan")))
    struct.pack_into("<" + kind, raw, at, number)
    return gzip.compress(bytes(raw), 1) if data[:2] == b"\x1f\x8b" else bytes(raw)


def gzip_bomb(data: bytes, rng: random.Random) -> bytes:
    """Packed zeros behind a header that says little."""
    return gzip.compress(_unpacked(data)[:352] + bytes(rng.choice((1 << 20, 1 << 28))), 1)


ANY: tuple[Mutation, ...] = (cut, cut_the_tail, zeros, noise, noise_in_the_header, bit_flips, inserted, spliced)
DICOM: tuple[Mutation, ...] = (
    *ANY, lying_length, lying_length, swapped_vr, doubled, deep, other_syntax, absurd_count, absurd_size,
    absurd_frames, absurd_number, absurd_number, without, larger_stream, lying_fragment, run_length_bomb, deflate_bomb,
)  # fmt: skip
NIFTI: tuple[Mutation, ...] = (*ANY, noise_in_the_header, nifti_dimensions, nifti_dimensions, gzip_bomb)
TEXT_HEADER: tuple[Mutation, ...] = (*ANY, of_words, of_words, noise_in_the_header)


def mutate(data: bytes, mutations: Sequence[Mutation], seed: int) -> tuple[str, bytes]:
    """Spoil a file: the name of what was done, and its bytes. Files that have no place for a mutation get noise."""
    rng = random.Random(seed)
    mutation = rng.choice(mutations)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return mutation.__name__, mutation(data, rng)
    except Exception:  # the file itself may be broken, and pydicom then writes or reads it not
        return f"noise (instead of {mutation.__name__})", noise(data, rng)


def _head(meta: FileMetaDataset) -> bytes:
    file = DicomBytesIO()
    file.write(b"\0" * 128 + b"DICM")
    write_file_meta_info(file, meta, enforce_standard=False)
    return file.getvalue()


def _read(data: bytes) -> FileDataset:
    return dcmread(io.BytesIO(data), force=True)


def _written(dataset: FileDataset) -> bytes:
    out = io.BytesIO()
    implicit, little = dataset.original_encoding
    if dataset.file_meta.get("TransferSyntaxUID"):
        dcmwrite(out, dataset, enforce_file_format=False)
    else:
        dcmwrite(out, dataset, implicit_vr=bool(implicit), little_endian=bool(little), enforce_file_format=False)
    return out.getvalue()


def _places(data: bytes) -> list[_Place]:
    dataset = _read(data)
    implicit, little = dataset.original_encoding
    if not little or ("TransferSyntaxUID" in dataset.file_meta and dataset.file_meta.TransferSyntaxUID.is_deflated):
        raise ValueError("not a file whose elements can be found")
    places = []
    for element in dataset.values():
        if not isinstance(element, RawDataElement) or element.length == 0xFFFFFFFF:
            continue
        vr = (element.VR or "UN").encode()
        long = implicit or vr in _WITH_LONG_LENGTH
        size = 4 if long else 2
        at = element.value_tell
        start = at - (12 if long and not implicit else 8)
        places.append(_Place(start, at - size, size, at, at + element.length, not implicit))
    return places


def _any_place(data: bytes, rng: random.Random) -> _Place:
    return rng.choice(_places(data))


def _start_of_data_set(data: bytes) -> int:
    return min(place.start for place in _places(data))


def _all(data: bytes, wanted: bytes) -> list[int]:
    found: list[int] = []
    at = data.find(wanted)
    while at >= 0 and len(found) < 200:
        found.append(at)
        at = data.find(wanted, at + 1)
    return found


def _larger_stream(data: bytes, rng: random.Random) -> bytes:
    spoilt = bytearray(data)
    for marker in _SIZE_MARKERS:
        for at in _all(data, marker)[:1]:
            is_j2k = marker == b"\xff\x51"
            size = rng.choice((1, 60000, 65535))
            width = struct.pack(">LL", size, size) if is_j2k else struct.pack(">HH", size, size)
            offset = at + (6 if is_j2k else 5)
            spoilt[offset : offset + len(width)] = width
            if is_j2k and rng.random() < 0.5:
                spoilt[offset + 16 : offset + 24] = width
    return bytes(spoilt)


def _unpacked(data: bytes) -> bytes:
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
