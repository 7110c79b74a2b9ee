"""Tilted, uneven and shifted slices: every slice holds a linear function of the patient's space, which interpolation
gives back exactly wherever the slices say anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread

from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.core.segmentation import Segment, Segmentation
from medview.core.volume import Modality, Volume, VolumeId
from medview.formats import dicom_seg, dicom_volume
from medview.formats.dicom_series import DicomSeries
from medview.formats.dicom_writer import SeriesOptions, write_series
from tests.support.phantom_study import series_in

SLOPES = np.array([1.7, -2.3, 3.1])
"""Of the linear function, per mm along x, y and z."""
AXIAL = None
CORONAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]).T
SAGITTAL = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]).T
UNEVEN = tuple((k, shift) for k, shift in ((3, 1.0), (4, 2.0), (5, 3.0), (9, -1.5)))
ODD = {
    "tilted": SeriesOptions(tilt_degrees=17.0),
    "tilted the other way": SeriesOptions(tilt_degrees=-9.5),
    "uneven": SeriesOptions(moved_mm=UNEVEN),
    "missing": SeriesOptions(missing=(4, 8, 9)),
    "tilted, missing and uneven": SeriesOptions(tilt_degrees=12.0, missing=(7,), moved_mm=((2, 1.2),)),
}


def linear(points: NDArray[np.float64]) -> NDArray[np.float64]:
    values: NDArray[np.float64] = points @ SLOPES + 300.0
    return values


def odd_series(folder: Path, options: SeriesOptions, direction: NDArray[np.float64] | None) -> DicomSeries:
    """A series whose every pixel has the value of the linear function at its own place in the patient."""
    shape = (12, 20, 24)
    geometry = Geometry.from_parts(shape, (5.0, 1.25, 1.0), (-11.0, 42.0, 7.5), direction)
    normal, column, _ = geometry.direction.T
    moved = dict(options.moved_mm)
    slant = np.tan(np.radians(options.tilt_degrees))
    index = np.argwhere(np.ones(shape)).astype(np.float64)
    k = index[:, 0]
    aside = np.array([moved.get(int(one), 0.0) for one in k])[:, None] * normal + (k * 5.0 * slant)[:, None] * column
    values = np.rint(linear(geometry.to_patient(index) + aside)).astype(np.int16).reshape(shape)
    volume = Volume(VolumeId("v"), geometry, values, Modality.CT, "HU", "1.2.3")
    write_series(volume, folder, replace(options, shuffled=4, signed=True, bits_stored=16, intercept=0.0))
    return series_in(folder)


def inside(geometry: Geometry) -> NDArray[np.bool_]:
    """Which voxels of a corrected grid lie between slices, and within the pixels of both; by their places alone."""
    assert geometry.slices is not None
    points = geometry.to_patient(np.argwhere(np.ones(geometry.shape)).astype(np.float64))
    normal, column, row = geometry.direction.T
    along = points @ normal
    depth = geometry.slices.positions @ normal
    upper = np.searchsorted(depth, along - 1e-6).clip(0, len(depth) - 1)
    within = (along <= depth[-1] + 1e-6) & (along >= depth[0] - 1e-6)
    for one in (upper, np.where(np.abs(depth[upper] - along) < 1e-6, upper, upper - 1).clip(0)):
        offset = points - geometry.slices.positions[one]
        for axis, count, step in zip((column, row), geometry.slices.shape, geometry.spacing_mm[1:], strict=True):
            where = np.einsum("nd,d->n", offset, axis) / step
            within &= (where > -1e-6) & (where < count - 1 + 1e-6)
    known: NDArray[np.bool_] = within.reshape(geometry.shape)
    return known


@pytest.mark.parametrize("direction", [AXIAL, CORONAL, SAGITTAL], ids=["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("options", ODD.values(), ids=ODD.keys())
def test_every_voxel_has_the_value_of_its_place(
    options: SeriesOptions, direction: NDArray[np.float64] | None, tmp_path: Path
) -> None:
    series = odd_series(tmp_path, options, direction)
    volume = dicom_volume.read(series, NoProgress())
    geometry = volume.geometry
    assert geometry.slices is not None
    assert volume.voxels.dtype == np.int16
    known = inside(geometry)
    assert known.mean() > 0.5
    expected = linear(geometry.to_patient(np.argwhere(known).astype(np.float64)))
    # slices were rounded when they were written, and once more between them
    assert np.abs(volume.voxels[known] - expected).max() <= 1.0


@pytest.mark.parametrize("options", ODD.values(), ids=ODD.keys())
def test_the_slices_arrive_one_by_one_and_give_the_same(options: SeriesOptions, tmp_path: Path) -> None:
    series = odd_series(tmp_path, options, AXIAL)
    whole = dicom_volume.read(series, NoProgress())
    arrived: list[int] = []
    started: list[Volume] = []

    def come(start: int, stop: int) -> None:
        assert np.array_equal(started[0].voxels[start:stop], whole.voxels[start:stop])
        arrived.extend(range(start, stop))

    dicom_volume.read(series, NoProgress(), first_slice=3, started=started.append, arrived=come)
    assert sorted(arrived) == list(range(whole.geometry.shape[0]))
    assert arrived[0] == 3


def ball(geometry: Geometry, center: NDArray[np.float64], radius_mm: float) -> NDArray[np.uint8]:
    points = geometry.to_patient(np.argwhere(np.ones(geometry.shape)).astype(np.float64))
    labels = (np.linalg.norm(points - center, axis=1) <= radius_mm).astype(np.uint8)
    return np.ascontiguousarray(labels.reshape(geometry.shape))


@pytest.mark.parametrize("options", ODD.values(), ids=ODD.keys())
def test_a_mask_goes_onto_the_original_slices_where_it_belongs(options: SeriesOptions, tmp_path: Path) -> None:
    series = odd_series(tmp_path / "series", options, AXIAL)
    volume = dicom_volume.read(series, NoProgress())
    geometry = volume.geometry
    center = np.asarray(geometry.center_mm)
    labels = ball(geometry, center, 9.0)
    mask = Segmentation(geometry, labels, (Segment(1, "Ball", (200, 90, 90)),))
    dicom_seg.write(mask, volume, series.facts.files, tmp_path / "seg.dcm")
    written = dcmread(tmp_path / "seg.dcm")
    frames = written.pixel_array.reshape(-1, written.Rows, written.Columns)
    sources = {str(dcmread(path).SOPInstanceUID): dcmread(path) for path in series.facts.files}
    assert len(frames) >= 2
    for frame, group in zip(frames, written.PerFrameFunctionalGroupsSequence, strict=True):
        image = sources[group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID]
        position = np.array(image.ImagePositionPatient, dtype=float)
        assert np.allclose(group.PlanePositionSequence[0].ImagePositionPatient, position)
        row, column = np.array(image.ImageOrientationPatient, dtype=float).reshape(2, 3)
        down, across = (float(value) for value in image.PixelSpacing)
        places = np.argwhere(frame)
        points = position + places[:, :1] * down * column + places[:, 1:] * across * row
        middle = points.mean(axis=0)
        # the ball is cut through its axis, so every cut is a disk around the same point of the plane
        assert abs((middle - center) @ column) <= 0.5 * down
        assert abs((middle - center) @ row) <= 0.5 * across
        # a voxel belongs to the ball where its own plane is cut, at most half a step from the slice
        distance = np.linalg.norm(points - center, axis=1)
        assert distance.max() <= 9.0 + 0.5 * geometry.spacing_mm[0] + 0.5 * down + 0.5 * across
    back = dicom_seg.read(tmp_path / "seg.dcm", geometry)
    own = np.floor(geometry.to_index(geometry.slices.positions)[:, 0] + 0.5 + 1e-6) if geometry.slices else np.array([])
    planes = own.astype(int)
    assert np.array_equal(back.labels[planes], labels[planes])
    assert back.labels.any(axis=(1, 2)).sum() >= len(frames)


def test_a_grid_from_a_store_finds_its_slices_again(tmp_path: Path) -> None:
    series = odd_series(tmp_path / "series", ODD["tilted"], AXIAL)
    volume = dicom_volume.read(series, NoProgress())
    bare = replace(volume.geometry, slices=None)
    labels = ball(volume.geometry, np.asarray(bare.center_mm), 9.0)
    segments = (Segment(1, "Ball", (200, 90, 90)),)
    for name, grid in (("bare.dcm", bare), ("full.dcm", volume.geometry)):
        dicom_seg.write(Segmentation(grid, labels, segments), volume, series.facts.files, tmp_path / name)
    bare_pixels, pixels = (dcmread(tmp_path / name).pixel_array for name in ("bare.dcm", "full.dcm"))
    assert np.array_equal(bare_pixels, pixels)
