"""The pixels of one DICOM image, as values in the unit of its series."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_modality_lut
from pydicom.uid import UID, ExplicitVRBigEndian

from medview.core.errors import UnreadableFileError
from medview.core.text import Text
from medview.formats import pixel_decoding
from medview.formats.dicom_frames import Frame
from medview.formats.dicom_header import Header
from medview.formats.pixel_decoding import Form, Picture, dataset_of, decoded
from medview.formats.raw_elements import Storage

_BITS_OF_A_SUM = 30
"""Of numbers whose sums and differences fit into 32 bits."""
_LARGEST_IN_A_TABLE = (1 << 16) - 1


def is_hounsfield(frame: Frame) -> bool:
    """Whether the values are Hounsfield units: CT with a rescale, unless it says that they are something else."""
    return frame.header.modality == "CT" and frame.header.has_rescale and frame.rescale_type in ("", "HU")


def is_inverted(frame: Frame) -> bool:
    """Whether values are turned round, so that larger is brighter: MONOCHROME1 whose values are no measurement."""
    header = frame.header
    return header.photometric == "MONOCHROME1" and not is_float(header) and not is_hounsfield(frame)


def stored_range(header: Header) -> tuple[int, int]:
    """The smallest and the largest value that the pixels can hold."""
    if header.has_modality_lut:
        return 0, _LARGEST_IN_A_TABLE
    if header.is_signed:
        return -(1 << (header.bits_stored - 1)), (1 << (header.bits_stored - 1)) - 1
    return 0, (1 << header.bits_stored) - 1


def values_range(frame: Frame) -> tuple[float, float]:
    """The smallest and the largest value that the image can hold after rescaling."""
    low, high = (frame.slope * value + frame.intercept for value in stored_range(frame.header))
    return min(low, high), max(low, high)


def is_color(header: Header) -> bool:
    """Whether pixels are colours, and no values."""
    return header.samples_per_pixel > 1 or header.photometric == "PALETTE COLOR"


def is_compressed(header: Header) -> bool:
    """Whether pixels have to be decoded."""
    return header.pixels is not None and header.pixels.storage is Storage.FRAGMENTS


def is_float(header: Header) -> bool:
    """Whether pixels are stored as floating-point numbers."""
    return header.pixels is not None and header.pixels.is_float


def read_slice(frame: Frame, out: NDArray[Any]) -> None:
    """Read one grey image.

    Args:
        frame: The image: a file, a frame of a file, or a tile of a mosaic.
        out: (j, i), C-contiguous; gets the values: rescaled, and turned round where `is_inverted`.

    Raises:
        UnreadableFileError: The pixels are damaged or missing.
    """
    if not _read_in_place(frame, out):
        _put(frame, _stored(frame), out)


def read_colors(frame: Frame, out: NDArray[np.uint8]) -> None:
    """Read one picture in colour.

    Args:
        frame: The picture; in any colour space of DICOM, or coloured by a palette.
        out: (j, i, 3) uint8, sRGB.

    Raises:
        UnreadableFileError: The pixels are damaged or missing.
    """
    header = frame.header
    try:
        has_palette = header.photometric == "PALETTE COLOR"
        colors = decoded(_picture(frame, Form.PALETTE if has_palette else Form.COLORS))
        deepest = 8 * colors.dtype.itemsize if has_palette else header.bits_stored
        if deepest > 8:
            colors = colors >> (deepest - 8)
        if colors.shape != out.shape:
            raise _cut_off(header)
    except UnreadableFileError:
        raise
    except Exception as error:  # decoders raise anything on damaged pixels
        raise _undecodable(header) from error
    out[...] = colors


def ensure_believable(frame: Frame) -> None:
    """Look at the code stream of a compressed image before room is made for what its header says.

    Raises:
        UnreadableFileError: The stream is damaged, or is a picture of another size.
    """
    if is_compressed(frame.header):
        try:
            pixel_decoding.ensure_believable(_picture(frame, Form.VALUES))
        except UnreadableFileError:
            raise
        except Exception as error:  # what holds the stream may be damaged in any way
            raise _undecodable(frame.header) from error


def _read_in_place(frame: Frame, out: NDArray[Any]) -> bool:
    """The fast way: 16-bit pixels go from the file into `out`, and need at most a number added."""
    header = frame.header
    if not (
        _is_native(header)
        and header.bits_allocated == 16
        and header.transfer_syntax != ExplicitVRBigEndian
        and frame.slope == 1
        and frame.intercept.is_integer()
        and not header.has_modality_lut
        and (frame.rows, frame.columns) == (header.rows, header.columns)
        and not is_inverted(frame)
        and out.dtype in (np.int16, np.uint16)
    ):
        return False
    pixels = out.view(np.int16 if header.is_signed else np.uint16)
    _read_bytes(header, pixels, frame.index)
    _strip(header, pixels)
    intercept = int(frame.intercept)
    if not intercept and pixels.dtype == out.dtype:
        return True
    limits = np.iinfo(out.dtype)
    if int(pixels.min()) + intercept < limits.min or int(pixels.max()) + intercept > limits.max:
        np.clip(pixels.astype(np.int32) + intercept, limits.min, limits.max, out=out, casting="unsafe")
    elif intercept:
        np.add(out, out.dtype.type(intercept), out=out)
    return True


def _stored(frame: Frame) -> NDArray[Any]:
    """(j, i) stored values of any grey image, through its table of values where it has one."""
    header = frame.header
    kind = _kind(header)
    if _is_native(header) and kind is not None:
        pixels = np.empty((header.rows, header.columns), dtype=kind)
        _read_bytes(header, pixels, frame.index)
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
        if not is_float(header):
            _strip(header, pixels)
    else:
        try:
            pixels = decoded(_picture(frame, Form.VALUES))
        except UnreadableFileError:
            raise
        except Exception as error:  # decoders raise anything on damaged pixels
            raise _undecodable(header) from error
        if pixels.shape != (header.rows, header.columns):
            raise _cut_off(header)
    row, column = frame.corner
    pixels = pixels[row : row + frame.rows, column : column + frame.columns]
    if header.has_modality_lut:
        try:
            return apply_modality_lut(
                pixels, dataset_of(header.path, header.transfer_syntax, is_kept=header.frames > 1)
            )
        except Exception as error:  # tables may be damaged in any way
            raise _undecodable(header) from error
    return pixels


def _kind(header: Header) -> str | None:
    """Numpy's name for the pixels as they lie in the file; None for those that pydicom has to unpack."""
    is_big = header.transfer_syntax == ExplicitVRBigEndian
    if is_float(header):
        letter = "f"
    elif header.bits_allocated in (16, 32) or (header.bits_allocated == 8 and not is_big):
        letter = "i" if header.is_signed else "u"
    else:
        return None
    return f"{'>' if is_big else '<'}{letter}{header.bits_allocated // 8}"


def _picture(frame: Frame, form: Form) -> Picture:
    header = frame.header
    size = (header.rows, header.columns) if is_compressed(header) else None
    return Picture(header.path, header.transfer_syntax, frame.index, header.frames, size, form)


def _put(frame: Frame, stored: NDArray[Any], out: NDArray[Any]) -> None:
    values = stored
    if is_inverted(frame):
        low, high = stored_range(frame.header)
        values = low + high - values.astype(np.int64 if frame.header.bits_stored > _BITS_OF_A_SUM else np.int32)
    if frame.slope != 1 or frame.intercept != 0:
        values = values * frame.slope + frame.intercept
    if np.issubdtype(out.dtype, np.integer):
        limits = np.iinfo(out.dtype)
        if values.min() < limits.min or values.max() > limits.max:
            values = np.clip(values, limits.min, limits.max)
    out[...] = values


def _is_native(header: Header) -> bool:
    return header.pixels is not None and header.pixels.storage is Storage.NATIVE


def _read_bytes(header: Header, pixels: NDArray[Any], index: int) -> None:
    """Fill `pixels` with a frame from the place that the header remembers."""
    place = header.pixels
    target = memoryview(pixels.data).cast("B")
    read = 0
    if place is not None:
        try:
            with header.path.open("rb", buffering=0) as file:
                file.seek(place.offset + index * len(target))
                while read < len(target):
                    count = file.readinto(target[read:])
                    if not count:
                        break
                    read += count
        except OSError as error:
            raise UnreadableFileError(
                Text.of("{file} can no longer be read.", file=header.path.name),
                Text("Check that the folder or the disk is still there."),
            ) from error
    if read < len(target):
        raise _cut_off(header)


def _strip(header: Header, pixels: NDArray[Any]) -> None:
    """Take away bits that are no pixel value (overlays once lay there), and extend the sign of short signed values."""
    width = header.bits_allocated
    above, below = width - 1 - header.high_bit, header.high_bit + 1 - header.bits_stored
    if above < 0 or below < 0 or (above == 0 and below == 0):
        return
    low, high = stored_range(header)
    if below == 0 and pixels.min() >= low and pixels.max() <= high:
        return
    np.left_shift(pixels, above, out=pixels)
    np.right_shift(pixels, above + below, out=pixels)


def _cut_off(header: Header) -> UnreadableFileError:
    return UnreadableFileError(
        Text.of("{file} is cut off: its pixels are not all there.", file=header.path.name),
        Text("Copy the series again from where it came from."),
    )


def _undecodable(header: Header) -> UnreadableFileError:
    return UnreadableFileError(
        Text.of(
            "The pixels of {file} cannot be decoded ({syntax}).",
            file=header.path.name,
            syntax=UID(header.transfer_syntax).name,
        ),
        Text("Copy the series again from where it came from."),
    )
