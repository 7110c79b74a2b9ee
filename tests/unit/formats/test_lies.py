"""Headers and code streams that promise more than there is get a sentence that says what is wrong."""

from __future__ import annotations

import io
import random
import struct
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from medview.core.errors import UnreadableFileError
from medview.core.progress import NoProgress
from medview.formats import codestream, dicom_files, dicom_series, dicom_volume
from medview.formats.dicom_writer import SeriesOptions, write_series
from tests.fuzz import mutations, seeds


def written(folder: Path, syntax: str) -> Path:
    return write_series(seeds.volume(), folder, SeriesOptions(transfer_syntax=syntax))[0]


def reason(path: Path) -> str:
    """Why a file is refused, beside others of its series that are not."""
    found = dicom_files.scan([path.parent], NoProgress())
    assert len(found.headers) == 3
    ((rejected, text),) = [(one.path, str(one.reason)) for one in found.rejects]
    assert rejected == path
    return text


def changed(path: Path, **values: object) -> Path:
    dataset = dcmread(path)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_an_image_larger_than_any_is_not_unpacked(syntax: str, tmp_path: Path) -> None:
    path = changed(written(tmp_path, syntax), Rows=60000, Columns=60000)
    assert "60000 x 60000 pixels" in reason(path)


def test_more_pixels_than_run_lengths_can_give_are_not_there(tmp_path: Path) -> None:
    path = changed(written(tmp_path, RLELossless), Rows=8000, Columns=8000)
    assert reason(path) == "The file is cut off: its pixels are not all there."


def test_a_million_frames_in_a_small_file_are_not_believed(tmp_path: Path) -> None:
    path = changed(written(tmp_path, RLELossless), NumberOfFrames=1_000_000)
    assert reason(path) == "It says that it holds 1000000 images: no file does."


def test_a_thousand_frames_in_a_small_file_are_not_there(tmp_path: Path) -> None:
    path = changed(written(tmp_path, JPEG2000Lossless), NumberOfFrames=1000)
    assert reason(path) == "The file is cut off: its pixels are not all there."


def test_a_deflated_file_without_end_is_damaged(tmp_path: Path) -> None:
    path = written(tmp_path, RLELossless)
    path.write_bytes(mutations.deflate_bomb(path.read_bytes(), random.Random(0)))
    assert path.stat().st_size < 16 << 20
    assert "damaged" in reason(path)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_a_stream_of_another_size_is_refused_before_it_is_decoded(syntax: str, tmp_path: Path) -> None:
    path = written(tmp_path, syntax)
    data = bytearray(path.read_bytes())
    marker, form = (b"\xff\x51", ">LL") if syntax == JPEG2000Lossless else (b"\xff\xf7", ">HH")
    at = data.index(marker) + (6 if syntax == JPEG2000Lossless else 5)
    assert struct.unpack_from(form, data, at) == (32, 32)
    struct.pack_into(form, data, at, 60000, 60000)
    if syntax == JPEG2000Lossless:
        struct.pack_into(form, data, at + 16, 60000, 60000)  # of one tile
    path.write_bytes(data)
    (series,) = dicom_series.group(dicom_files.scan([tmp_path], NoProgress()).headers)
    with pytest.raises(UnreadableFileError, match="a picture of 60000 x 60000, and its header says 32 x 32"):
        dicom_volume.read(series, NoProgress())


def test_every_real_stream_has_the_size_of_its_header(real_data: Path) -> None:
    from pydicom.encaps import get_frame

    compared = 0
    for path in sorted((real_data / "compressed-syntaxes").rglob("*.dcm")):
        dataset = dcmread(path, force=True)
        syntax = dataset.file_meta.get("TransferSyntaxUID")
        if syntax is None or not syntax.is_encapsulated or "PixelData" not in dataset:
            continue
        frame = get_frame(dataset.PixelData, 0, number_of_frames=int(dataset.get("NumberOfFrames", 1) or 1))
        size = codestream.size_of(frame)
        if size is not None:
            assert (size.columns, size.rows, size.samples) == (
                dataset.Columns, dataset.Rows, dataset.SamplesPerPixel,
            ), path.name  # fmt: skip
            compared += 1
    assert compared > 40


def test_pillow_agrees_on_the_size_of_a_jpeg() -> None:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (37, 23)).save(buffer, "JPEG", progressive=True)
    assert codestream.size_of(buffer.getvalue()) == codestream.StreamSize(37, 23, 3)
