from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import HTJ2K, JPEG2000Lossless, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSLossless, RLELossless

from medview.core.errors import Cancelled, UnreadableFileError
from medview.core.progress import NoProgress
from medview.core.text import Text
from medview.formats import dicom_files, dicom_series, dicom_volume
from medview.formats.dicom_series import DicomSeries
from medview.formats.dicom_writer import SeriesOptions, write_series
from medview.formats.pixel_decoding import Form, Picture, dataset_of, decoded
from medview.formats.stream_decoders import PLUGIN, SYNTAXES
from medview.phantom.chest import Phantom


def series_in(folder: Path) -> DicomSeries:
    (series,) = dicom_series.group(dicom_files.scan([folder], NoProgress()).headers)
    return series


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
@pytest.mark.parametrize("threads", [1, 3])
def test_threads_decode_what_was_written(syntax: str, threads: int, small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path, SeriesOptions(transfer_syntax=syntax, shuffled=3))
    arrived: list[tuple[int, int]] = []
    volume = dicom_volume.read(
        series_in(tmp_path), NoProgress(), arrived=lambda start, stop: arrived.append((start, stop)), threads=threads
    )
    assert np.array_equal(volume.voxels, small_phantom.volume.voxels)
    assert arrived[0] == (20, 21)
    assert sorted(k for start, stop in arrived for k in range(start, stop)) == list(range(40))


def test_frames_of_one_file_are_decoded_at_once(small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path, SeriesOptions(transfer_syntax=JPEG2000Lossless, multi_frame=True))
    volume = dicom_volume.read(series_in(tmp_path), NoProgress(), first_slice=0, threads=3)
    assert np.array_equal(volume.voxels, small_phantom.volume.voxels)


def test_every_compressed_picture_is_as_pydicoms_own_decoders_say(real_data: Path) -> None:
    """Values and colours, of every stream among the test data that another decoder knows too."""
    compared: Counter[str] = Counter()
    folders = ("compressed-syntaxes", "cine-multiframe-us-mr-xa", "enhanced-multiframe")
    for path in (path for name in folders for path in sorted((real_data / name).rglob("*")) if path.is_file()):
        header = dcmread(path, force=True, specific_tags=["NumberOfFrames", "SamplesPerPixel", "Rows", "Columns"])
        syntax = header.file_meta.get("TransferSyntaxUID", "")
        others = [one for one in get_decoder(syntax).available_plugins if one != PLUGIN] if syntax in SYNTAXES else []
        if not others or compared[syntax] > 6:
            continue
        dataset, frames = dcmread(path, force=True), int(header.get("NumberOfFrames") or 1)
        for form in (Form.VALUES, Form.COLORS)[: header.get("SamplesPerPixel", 1)]:
            try:
                truth = pixel_array(dataset, index=0, raw=form is not Form.COLORS, decoding_plugin=others[-1])
            except (RuntimeError, ValueError, AttributeError):
                continue  # damaged, or unknown to the other
            ours = decoded(Picture(path, syntax, 0, frames, (header.Rows, header.Columns), form))
            assert (ours.dtype, ours.shape) == (truth.dtype, truth.shape)
            assert np.array_equal(ours, truth), path.name
            compared[syntax] += 1
    assert {JPEG2000Lossless, JPEGLSLossless, JPEGBaseline8Bit, HTJ2K} <= set(compared)


def test_jpeg_of_twelve_bits_is_decoded(real_data: Path) -> None:
    """Compared with ITK's decoder, which gives rescaled values; this file has no rescale."""
    (path,) = (real_data / "compressed-syntaxes").rglob("JPGExtended.dcm")
    ours = decoded(Picture(path, JPEGExtended12Bit, 0, 1, (1024, 256), Form.VALUES))
    assert np.array_equal(ours, np.squeeze(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))))


def test_a_damaged_picture_gets_its_sentence(small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path, SeriesOptions(transfer_syntax=JPEG2000Lossless))
    series = series_in(tmp_path)
    content = bytearray((tmp_path / "00003.dcm").read_bytes())
    content[-600:] = b"\0" * 600
    at = content.index(b"\xff\x4f\xff\x51")
    content[at : at + 60] = b"\0" * 60
    (tmp_path / "00003.dcm").write_bytes(content)
    with pytest.raises(UnreadableFileError, match=r"00003\.dcm"):
        dicom_volume.read(series, NoProgress())


def test_a_stream_of_another_size_is_not_decoded(small_phantom: Phantom, tmp_path: Path) -> None:
    """Of a slice that is not the first to be read."""
    path = write_series(small_phantom.volume, tmp_path, SeriesOptions(transfer_syntax=JPEG2000Lossless))[2]
    series = series_in(tmp_path)
    content = bytearray(path.read_bytes())
    at = content.index(b"\xff\x4f\xff\x51") + 8
    for place in (at, at + 16):  # of the image, and of its one tile
        content[place : place + 8] = (60000).to_bytes(4, "big") * 2
    path.write_bytes(content)
    rows, columns = small_phantom.volume.voxels.shape[1:]
    said = f"a picture of 60000 x 60000, and its header says {columns} x {rows}"
    with pytest.raises(UnreadableFileError, match=said) as caught:
        dicom_volume.read(series, NoProgress())
    assert caught.value.remedy == Text("Copy the series again from where it came from.")


def test_a_decoder_that_panics_gets_its_sentence(small_phantom: Phantom, tmp_path: Path) -> None:
    path = write_series(small_phantom.volume, tmp_path, SeriesOptions(transfer_syntax=RLELossless))[2]
    series = series_in(tmp_path)
    content = path.read_bytes()
    at = content.index((2).to_bytes(4, "little") + (64).to_bytes(4, "little")) + 64
    runs = b"\x81" * (len(content) - at - 8)  # which end far outside of the picture
    path.write_bytes(content[:at] + runs + content[-8:])
    picture = Picture(path, RLELossless, 0, 1, None, Form.VALUES)
    with pytest.raises(BaseException) as panic:  # noqa: PT011 - the type is made inside the decoder
        pixel_array(dataset_of(path, RLELossless, is_kept=False), raw=True)
    assert not isinstance(panic.value, Exception)
    with pytest.raises(RuntimeError, match="out of bounds"):
        decoded(picture)
    with pytest.raises(UnreadableFileError, match=f"{path.name} cannot be decoded"):
        dicom_volume.read(series, NoProgress())


class StopSoon:
    """A progress that is told to stop after the first slices."""

    def __init__(self) -> None:
        self._stopped = False

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        self._stopped = True

    def raise_if_cancelled(self) -> None:
        if self._stopped:
            raise Cancelled


def test_decoding_can_be_stopped(small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path, SeriesOptions(transfer_syntax=JPEG2000Lossless))
    with pytest.raises(Cancelled):
        dicom_volume.read(series_in(tmp_path), StopSoon())
