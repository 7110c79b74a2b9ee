from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medview.core.segmentation import Segment, Segmentation
from medview.core.volume import Modality
from medview.formats import rtstruct_writer, thumbnails
from medview.formats.dicom_writer import SeriesOptions, write_series
from medview.phantom.chest import Phantom
from tests.support.phantom_study import series_in


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("modality", [Modality.CT, Modality.MR])
def test_an_independent_checker_finds_no_error(modality: Modality, small_phantom: Phantom, tmp_path: Path) -> None:
    volume = small_phantom.volume
    if modality is Modality.MR:
        volume = replace(volume, modality=modality, unit="", voxels=np.maximum(volume.voxels, 0))
    options = SeriesOptions(intercept=-1024.0 if modality is Modality.CT else 0.0)
    path = write_series(volume, tmp_path, options)[20]
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == []


def test_the_same_arguments_write_the_same_files(small_phantom: Phantom, tmp_path: Path) -> None:
    first = write_series(small_phantom.volume, tmp_path / "a")
    second = write_series(small_phantom.volume, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert sorted(tmp_path.glob("a/*")) == list(first)


def test_attributes_can_be_left_out(small_phantom: Phantom, tmp_path: Path) -> None:
    path = write_series(small_phantom.volume, tmp_path, SeriesOptions(left_out=("PatientBirthDate", "StudyID")))[0]
    dataset = pydicom.dcmread(path)
    assert "PatientBirthDate" not in dataset
    assert "PatientName" in dataset


def test_a_thumbnail_is_square_and_shows_the_middle(small_series_folder: Path, small_phantom: Phantom) -> None:
    picture = thumbnails.of_series(series_in(small_series_folder))
    assert picture is not None
    assert picture.shape == (96, 96)
    assert np.array_equal(picture, thumbnails.of_volume(small_phantom.volume))
    assert picture[48, 48] > 100  # mediastinum
    assert picture[2, 2] == 0  # air
    assert picture[50, 28] == 0  # right lung


def test_a_thumbnail_keeps_the_shape_of_the_patient(small_phantom: Phantom, tmp_path: Path) -> None:
    from medview.core.geometry import Geometry

    geometry = Geometry.from_parts((40, 64, 64), (10.0, 3.0, 6.0))
    write_series(replace(small_phantom.volume, geometry=geometry), tmp_path)
    picture = thumbnails.of_series(series_in(tmp_path))
    assert picture is not None
    assert picture.shape == (48, 96)


def test_the_thumbnail_of_a_file_with_many_frames_shows_its_middle(small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path / "one", SeriesOptions(multi_frame=True))
    write_series(small_phantom.volume, tmp_path / "many")
    many = thumbnails.of_series(series_in(tmp_path / "many"))
    assert many is not None
    assert np.ptp(many) > 100
    one = thumbnails.of_series(series_in(tmp_path / "one"))
    assert one is not None
    assert np.array_equal(one, many)


def test_a_series_that_is_no_image_has_no_thumbnail(small_phantom: Phantom, tmp_path: Path) -> None:
    volume = small_phantom.volume
    sources = write_series(volume, tmp_path / "images")
    labels = np.zeros(volume.geometry.shape, dtype=np.uint8)
    labels[10:12, 20:30, 20:30] = 1
    mask = Segmentation(volume.geometry, labels, (Segment(1, "Block", (200, 10, 10)),))
    (tmp_path / "contours").mkdir()
    rtstruct_writer.write(mask, volume, sources, tmp_path / "contours" / "rs.dcm")
    assert thumbnails.of_series(series_in(tmp_path / "contours")) is None
