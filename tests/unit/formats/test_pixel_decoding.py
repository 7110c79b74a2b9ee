from __future__ import annotations

import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from pydicom.pixels.utils import pixel_array
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from medview.core.errors import Cancelled, UnreadableFileError
from medview.core.progress import NoProgress
from medview.core.text import Text
from medview.formats import dicom_files, dicom_series, dicom_volume
from medview.formats.dicom_series import DicomSeries
from medview.formats.dicom_writer import SeriesOptions, write_series
from medview.formats.pixel_decoding import DecodingProcesses, Form, Picture, dataset_of, decoded
from medview.phantom.chest import Phantom


def series_in(folder: Path) -> DicomSeries:
    (series,) = dicom_series.group(dicom_files.scan([folder], NoProgress()).headers)
    return series


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_processes_decode_what_was_written(syntax: str, small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path, SeriesOptions(transfer_syntax=syntax, shuffled=3))
    arrived: list[tuple[int, int]] = []
    volume = dicom_volume.read(
        series_in(tmp_path), NoProgress(), arrived=lambda start, stop: arrived.append((start, stop)), processes=2
    )
    assert np.array_equal(volume.voxels, small_phantom.volume.voxels)
    assert arrived[0] == (20, 21)
    assert sorted(k for start, stop in arrived for k in range(start, stop)) == list(range(40))
    assert multiprocessing.active_children() == []


def test_frames_of_one_file_are_decoded_by_several_processes(small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path, SeriesOptions(transfer_syntax=JPEG2000Lossless, multi_frame=True))
    volume = dicom_volume.read(series_in(tmp_path), NoProgress(), first_slice=0, processes=2)
    assert np.array_equal(volume.voxels, small_phantom.volume.voxels)


def test_colours_come_the_same_way(real_data: Path) -> None:
    names = sorted((real_data / "cine-multiframe-us-mr-xa").rglob("*.dcm"))
    found = [one for one in dicom_series.group(dicom_files.scan(names, NoProgress()).headers) if one.facts.geometry]
    series = next(one for one in found if one.headers[0].samples_per_pixel == 3 and len(one.frames) > 4)
    here = dicom_volume.read(series, NoProgress(), processes=0)
    there = dicom_volume.read(series, NoProgress(), processes=2)
    assert here.colors is not None
    assert there.colors is not None
    assert np.array_equal(here.colors, there.colors)


def test_a_damaged_picture_gets_its_sentence(small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path, SeriesOptions(transfer_syntax=JPEG2000Lossless))
    series = series_in(tmp_path)
    content = bytearray((tmp_path / "00003.dcm").read_bytes())
    content[-600:] = b"\0" * 600
    at = content.index(b"\xff\x4f\xff\x51")
    content[at : at + 60] = b"\0" * 60
    (tmp_path / "00003.dcm").write_bytes(content)
    with pytest.raises(UnreadableFileError, match=r"00003\.dcm"):
        dicom_volume.read(series, NoProgress(), processes=2)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("processes", [0, 2])
def test_a_stream_of_another_size_is_not_decoded_in_a_process_either(
    processes: int, small_phantom: Phantom, tmp_path: Path
) -> None:
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
        dicom_volume.read(series, NoProgress(), processes=processes)
    assert caught.value.remedy == Text("Copy the series again from where it came from.")
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("processes", [0, 2])
def test_a_decoder_that_panics_gets_its_sentence(processes: int, small_phantom: Phantom, tmp_path: Path) -> None:
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
        dicom_volume.read(series, NoProgress(), processes=processes)
    assert multiprocessing.active_children() == []


def test_a_process_that_dies_is_noticed(small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path, SeriesOptions(transfer_syntax=JPEG2000Lossless))
    picture = Picture(tmp_path / "00001.dcm", JPEG2000Lossless, 0, 1, (64, 64), Form.VALUES)
    with DecodingProcesses(1) as processes:
        assert np.array_equal(processes.decode(picture), decoded(picture))
        for child in multiprocessing.active_children():
            child.kill()
            child.join()
        for _ in range(2):  # the second finds none left, and does not wait for one
            with pytest.raises(ChildProcessError):
                processes.decode(picture)


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
        dicom_volume.read(series_in(tmp_path), StopSoon(), processes=2)
    assert multiprocessing.active_children() == []
