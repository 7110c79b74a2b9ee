"""Which compressed pixels this installation reads: every decoder is asked to decode a small picture.

A decoder is a library beside pydicom, and libraries can be missing or broken: that is better known before a study
arrives than after.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    CTImageStorage,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    generate_uid,
)

from medview.formats.pixel_decoding import preferred_decoder

_SIDE = 64
_SYNTAXES = (
    ExplicitVRLittleEndian, RLELossless,
    JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless,
    JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K,
)  # fmt: skip


class DecoderState(StrEnum):
    """WORKS: a picture went through it. PRESENT: it is there, and nothing here could make a picture to try it with."""

    WORKS = "works"
    PRESENT = "present"
    WRONG = "wrong"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class DecoderReport:
    """What was found about one transfer syntax.

    Attributes:
        uid: The transfer syntax.
        name: Its name in the standard.
        libraries: The libraries that decode it.
        state: Whether it works.
    """

    uid: str
    name: str
    libraries: tuple[str, ...]
    state: DecoderState


def decoder_reports() -> tuple[DecoderReport, ...]:
    """Try every kind of compression that MedView reads."""
    return tuple(_report(uid) for uid in _SYNTAXES)


def _report(uid: UID) -> DecoderReport:
    decoder = get_decoder(uid)
    libraries = decoder.available_plugins
    if not decoder.is_available:
        return DecoderReport(uid, uid.name, (), DecoderState.MISSING)
    try:
        state = _tried(uid)
    except Exception:  # whatever a broken library throws is the answer to the question
        state = DecoderState.WRONG
    return DecoderReport(uid, uid.name, tuple(libraries), state)


def _tried(uid: UID) -> DecoderState:
    sample = _sample(uid)
    if sample is None:
        return DecoderState.PRESENT
    dataset, truth, tolerance = sample
    decoded = np.asarray(pixel_array(dataset, decoding_plugin=preferred_decoder(uid)), dtype=np.int64)
    close = decoded.shape == truth.shape and np.abs(decoded - truth).max() <= tolerance
    return DecoderState.WORKS if close else DecoderState.WRONG


def _sample(uid: UID) -> tuple[Dataset, NDArray[np.int64], int] | None:
    """A picture in a transfer syntax, its true values, and how far a lossy code may be off."""
    truth = np.add.outer(np.arange(_SIDE) * 3, np.arange(_SIDE)).astype(np.int64)
    dataset = _dataset(uid, truth)
    if uid == ExplicitVRLittleEndian:
        dataset.PixelData = truth.astype("<u2").tobytes()
        return dataset, truth, 0
    if uid in _ENCODED:
        encode, tolerance = _ENCODED[uid]
        if uid == JPEGBaseline8Bit:
            dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.PixelData = encapsulate([encode(truth)])
        dataset["PixelData"].VR = "OB"
        return dataset, truth, tolerance
    if uid in (RLELossless, JPEGLSLossless, JPEG2000Lossless):
        dataset.compress(uid, truth.astype(np.uint16), generate_instance_uid=False)
        return dataset, truth, 0
    if uid == JPEGLSNearLossless:
        dataset.compress(uid, truth.astype(np.uint16), jls_error=2, generate_instance_uid=False)
        return dataset, truth, 2
    if uid == JPEG2000:
        dataset.compress(uid, truth.astype(np.uint16), j2k_cr=[2], generate_instance_uid=False)
        return dataset, truth, 8
    return None


def _dataset(uid: UID, truth: NDArray[np.int64]) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.Rows, dataset.Columns = truth.shape
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    return dataset


def _jpeg_baseline(truth: NDArray[np.int64]) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(truth.astype(np.uint8)).save(buffer, "JPEG", quality=100)
    return buffer.getvalue()


def _jpeg_lossless(truth: NDArray[np.int64]) -> bytes:
    """JPEG's lossless process, ITU-T T.81 annex H, 12 bits, each sample predicted from its left neighbour.

    The Huffman table gives the thirteen categories of a difference codes of four bits each.
    """
    rows, columns = truth.shape
    categories = bytes(range(13))
    frame = bytes([12]) + rows.to_bytes(2, "big") + columns.to_bytes(2, "big") + bytes([1, 1, 0x11, 0])
    head = b"".join(
        (
            b"\xff\xd8",
            _marker(0xC3, frame),
            _marker(0xC4, bytes([0]) + bytes([0, 0, 0, len(categories)] + [0] * 12) + categories),
            _marker(0xDA, bytes([1, 1, 0x00, 1, 0, 0])),
        )
    )
    predicted = np.empty_like(truth)
    predicted[:, 1:] = truth[:, :-1]
    predicted[1:, 0] = truth[:-1, 0]
    predicted[0, 0] = 1 << 11
    bits = "".join(_difference(int(value)) for value in (truth - predicted).ravel())
    bits += "1" * (-len(bits) % 8)
    coded = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    return head + coded + b"\xff\xd9"


def _marker(code: int, content: bytes) -> bytes:
    return bytes([0xFF, code]) + (len(content) + 2).to_bytes(2, "big") + content


def _difference(value: int) -> str:
    size = abs(value).bit_length()
    if size == 0:
        return f"{0:04b}"
    low_bits = value if value > 0 else value + (1 << size) - 1
    return f"{size:04b}{low_bits:0{size}b}"


_Encoder = Callable[[NDArray[np.int64]], bytes]
_ENCODED: dict[UID, tuple[_Encoder, int]] = {
    JPEGBaseline8Bit: (_jpeg_baseline, 4),
    JPEGLossless: (_jpeg_lossless, 0),
    JPEGLosslessSV1: (_jpeg_lossless, 0),
}


def all_read(reports: Iterable[DecoderReport]) -> bool:
    """Whether every transfer syntax can be read."""
    return all(report.state in (DecoderState.WORKS, DecoderState.PRESENT) for report in reports)
