"""Decoders of JPEG, JPEG-LS and JPEG 2000 that let go of Python's lock, so that pictures are decoded on all cores.

The codecs are those of the package imagecodecs: libjpeg-turbo, CharLS and OpenJPEG. They are given to pydicom, which
takes the stream out of the file, puts the sign right and converts colours. Importing this module makes them known.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from imagecodecs import jpeg2k_decode, jpeg8_decode, jpegls_decode
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
)

PLUGIN = "imagecodecs"
"""Their name among pydicom's decoders."""
JPEG_SYNTAXES = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1)
JPEG_2000_SYNTAXES = (JPEG2000Lossless, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K)
SYNTAXES = frozenset({*JPEG_SYNTAXES, *JPEGLSTransferSyntaxes, *JPEG_2000_SYNTAXES})
"""The transfer syntaxes that they decode."""
DECODER_DEPENDENCIES = dict.fromkeys(SYNTAXES, ("imagecodecs",))


def is_available(uid: str) -> bool:
    """Whether they decode a transfer syntax; pydicom asks."""
    return uid in SYNTAXES


def decode_frame(stream: bytes, runner: DecodeRunner) -> bytearray:
    """The pixels of one code stream, as pydicom wants them from a decoder.

    Args:
        stream: The code stream.
        runner: Knows what the header says, and is told how the pixels lie.

    Returns:
        Pixels, colour by pixel; (j, i) or (j, i, sample) in C order, in the bits that `runner` is told.

    Raises:
        RuntimeError: The stream is damaged.
        ValueError: It is of no kind that the codec knows.
    """
    if runner.transfer_syntax in JPEG_SYNTAXES:
        # colours stay as they are in the stream: converting them is pydicom's part
        space = "YCBCR" if runner.samples_per_pixel > 1 else None
        pixels = jpeg8_decode(stream, colorspace=space, outcolorspace=space)
        return bytearray(np.ascontiguousarray(pixels, dtype=f"<u{runner.bits_allocated // 8}").data.cast("B"))
    is_jpeg_ls = runner.transfer_syntax in JPEGLSTransferSyntaxes
    pixels = _interleaved(jpegls_decode(stream) if is_jpeg_ls else jpeg2k_decode(stream, numthreads=1), runner)
    runner.set_option("bits_allocated", 8 * pixels.dtype.itemsize)
    if runner.samples_per_pixel > 1:
        runner.set_option("planar_configuration", 0)
    if runner.photometric_interpretation in ("YBR_ICT", "YBR_RCT"):
        runner.set_option("photometric_interpretation", "RGB")  # OpenJPEG has undone the transformation
    return bytearray(pixels.data.cast("B"))


def _interleaved(pixels: NDArray[Any], runner: DecodeRunner) -> NDArray[Any]:
    """(j, i) or (j, i, sample), C-contiguous; JPEG-LS may come as (sample, j, i)."""
    if pixels.ndim == 3 and pixels.shape == (runner.samples_per_pixel, runner.rows, runner.columns):
        pixels = np.moveaxis(pixels, 0, -1)
    return np.ascontiguousarray(pixels)


for _uid in sorted(SYNTAXES):
    if PLUGIN not in get_decoder(_uid).available_plugins:
        get_decoder(_uid).add_plugin(PLUGIN, (__name__, decode_frame.__name__))
