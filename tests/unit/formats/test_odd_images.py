"""Enhanced objects of every modality with frames in any order, float pixels, and every depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medview.core.case import SeriesKind
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.core.volume import Volume
from medview.formats import dicom_files, dicom_series, dicom_volume
from medview.formats.dicom_series import DicomSeries
from tests.support import odd_images
from tests.support.odd_images import dataset, put_pixels, save, write_enhanced
from tests.support.volumes import oblique

GRID = Geometry.from_parts((7, 9, 11), (2.5, 1.25, 0.75), (-31.0, 12.5, 7.0), oblique())


def opened(folder: Path) -> tuple[DicomSeries, Volume]:
    (series,) = dicom_series.group(dicom_files.scan([folder], NoProgress()).headers)
    return series, dicom_volume.read(series, NoProgress())


def at_its_place(volume: Volume, values: np.ndarray) -> None:
    """Every voxel of `GRID` has its value where it lies in the patient."""
    index = np.argwhere(np.ones(GRID.shape)).astype(float)
    found = volume.geometry.to_index(GRID.to_patient(index))
    assert np.abs(found - np.rint(found)).max() < 1e-4
    k, j, i = np.rint(found).astype(int).T
    np.testing.assert_allclose(volume.voxels[k, j, i].reshape(GRID.shape), values, rtol=1e-6)


@pytest.mark.parametrize(
    ("sop_class", "modality"),
    [
        (odd_images.ENHANCED_CT, "CT"),
        (odd_images.LEGACY_CT, "CT"),
        (odd_images.ENHANCED_MR, "MR"),
        (odd_images.ENHANCED_PET, "PT"),
        (odd_images.ENHANCED_US, "US"),
    ],
)
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.uint32, np.int32])
def test_frames_in_any_order_become_one_volume(sop_class: str, modality: str, kind: type, tmp_path: Path) -> None:
    high = np.iinfo(kind).max
    values: NDArray[Any] = (np.random.default_rng(1).random(GRID.shape) * min(high, 1 << 24)).astype(kind)
    write_enhanced(tmp_path / "x.dcm", values, GRID, sop_class, modality)
    series, volume = opened(tmp_path)
    assert series.facts.kind is SeriesKind.VOLUME
    assert any(remark.code == "transducer-space" for remark in series.facts.remarks) is (modality == "US")
    at_its_place(volume, values)


def test_every_frame_of_a_pet_has_its_own_slope(tmp_path: Path) -> None:
    values = np.random.default_rng(2).integers(0, 30000, GRID.shape).astype(np.int16)
    slopes = np.linspace(0.25, 3.75, GRID.shape[0])
    write_enhanced(tmp_path / "x.dcm", values, GRID, odd_images.ENHANCED_PET, "PT", slopes=slopes)
    _, volume = opened(tmp_path)
    at_its_place(volume, values * slopes[:, None, None])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_parametric_map_of_floats_is_a_volume(kind: type, tmp_path: Path) -> None:
    values: NDArray[Any] = np.random.default_rng(3).normal(1.1e-3, 4e-4, GRID.shape).astype(kind)
    write_enhanced(tmp_path / "adc.dcm", values, GRID, odd_images.PARAMETRIC_MAP, "MR")
    series, volume = opened(tmp_path)
    assert volume.voxels.dtype == np.float32
    assert {remark.code for remark in series.facts.remarks} == {"parametric-map"}
    at_its_place(volume, values)


def test_a_real_parametric_map_has_the_values_that_highdicom_reads(real_data: Path) -> None:
    from highdicom.pm import ParametricMap
    from pydicom import dcmread

    found = dicom_series.group(dicom_files.scan([real_data / "seg-dcmqi"], NoProgress()).headers)
    (series,) = [one for one in found if one.headers[0].sop_class_uid == odd_images.PARAMETRIC_MAP]
    image = ParametricMap.from_dataset(dcmread(series.headers[0].path))
    volume = dicom_volume.read(series, NoProgress())
    theirs = image.get_frames(apply_real_world_transform=False)
    np.testing.assert_allclose(volume.voxels, theirs.reshape(volume.voxels.shape), rtol=1e-6)


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64])
def test_pictures_of_every_depth_have_their_values(kind: type, tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    plain = rng.normal(size=(5, 7)) if np.issubdtype(kind, np.floating) else rng.integers(0, 100, (5, 7))
    values: NDArray[Any] = plain.astype(kind)
    if np.issubdtype(kind, np.signedinteger):
        values -= 50
    made = dataset(odd_images.SECONDARY, "OT", values.shape)
    put_pixels(made, values)
    save(made, tmp_path / "x.dcm")
    series, volume = opened(tmp_path)
    assert series.facts.kind is SeriesKind.PICTURES
    np.testing.assert_allclose(volume.voxels[0], values, rtol=1e-6)


def test_single_bits_are_a_picture(tmp_path: Path) -> None:
    values = np.random.default_rng(5).integers(0, 2, (16, 24)).astype(np.uint8)
    made = dataset(odd_images.SECONDARY, "OT", values.shape)
    made.BitsAllocated = made.BitsStored = 1
    made.HighBit = made.PixelRepresentation = 0
    made.PixelData = np.packbits(values.ravel(), bitorder="little").tobytes()
    save(made, tmp_path / "x.dcm")
    _, volume = opened(tmp_path)
    np.testing.assert_array_equal(volume.voxels[0], values)


def test_floats_that_say_the_wrong_depth_are_refused(tmp_path: Path) -> None:
    made = dataset(odd_images.SECONDARY, "OT", (5, 7))
    put_pixels(made, np.ones((5, 7), dtype=np.float32))
    made.BitsAllocated = 16
    save(made, tmp_path / "x.dcm")
    (series,) = dicom_series.group(dicom_files.scan([tmp_path], NoProgress()).headers)
    assert series.facts.refusal is not None
    assert series.facts.refusal.code == "pixel-depth"
