from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from medview.core.errors import Cancelled, UnreadableFileError, UnsupportedSeriesError
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.core.volume import Modality, Volume, VolumeId, Window
from medview.formats import dicom_files, dicom_series, dicom_volume
from medview.formats.dicom_frames import frames_of
from medview.formats.dicom_pixels import read_colors, read_slice
from medview.formats.dicom_series import DicomSeries
from medview.formats.dicom_writer import SeriesOptions, write_series
from medview.phantom.chest import Phantom
from tests.support.phantom_study import series_in

UNREADABLE_FOR_ITK = ("JLSL_08_07_0_1F.dcm",)
"""JPEG-LS of seven bits, which GDCM does not decode."""
SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
]


def read(folder: Path) -> Volume:
    return dicom_volume.read(series_in(folder), NoProgress())


def with_voxels(phantom: Phantom, voxels: NDArray[Any], modality: Modality = Modality.MR) -> Volume:
    return replace(phantom.volume, voxels=voxels, modality=modality, unit="", windows=())


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(("signed", "bits", "intercept"), [(False, 12, -1024.0), (True, 16, 0.0), (True, 13, 0.0)])
def test_every_encoding_gives_the_voxels_back(
    syntax: str, signed: bool, bits: int, intercept: float, small_phantom: Phantom, tmp_path: Path
) -> None:
    options = SeriesOptions(transfer_syntax=syntax, signed=signed, bits_stored=bits, intercept=intercept)
    write_series(small_phantom.volume, tmp_path, options)
    volume = read(tmp_path)
    assert volume.voxels.dtype == np.int16
    assert np.array_equal(volume.voxels, small_phantom.volume.voxels)
    assert volume.unit == "HU"


def test_first_slice_first_then_every_slice_once(small_series_folder: Path, small_phantom: Phantom) -> None:
    truth = small_phantom.volume.voxels
    events: list[Any] = []

    def started(volume: Volume) -> None:
        assert np.array_equal(volume.voxels[33], truth[33])
        assert (volume.voxels[0] == -1024).all()
        events.append(volume)

    def arrived(start: int, stop: int) -> None:
        assert np.array_equal(events[0].voxels[start:stop], truth[start:stop])
        events.append((start, stop))

    volume = dicom_volume.read(
        series_in(small_series_folder), NoProgress(), first_slice=33, started=started, arrived=arrived
    )
    assert events[0] is volume
    assert events[1] == (33, 34)
    assert sorted(k for start, stop in events[1:] for k in range(start, stop)) == list(range(40))


def test_each_slice_has_its_own_rescale_and_fractions_become_float(small_phantom: Phantom, tmp_path: Path) -> None:
    values = np.abs(small_phantom.volume.voxels).astype(np.float32) * np.float32(0.5)
    write_series(with_voxels(small_phantom, values), tmp_path, SeriesOptions(slope=0.5, intercept=0.0))
    for number, path in enumerate(sorted(tmp_path.iterdir())):
        dataset = pydicom.dcmread(path)
        dataset.RescaleSlope = str(0.5 * (number + 1))
        dataset.save_as(path)
    volume = read(tmp_path)
    assert volume.voxels.dtype == np.float32
    scale = np.arange(1, 41, dtype=np.float32)[:, None, None]
    assert np.allclose(volume.voxels, np.clip(values, 0, 2047.5) * scale, rtol=1e-6)


def test_mr_uses_the_smallest_type_that_is_exact(small_phantom: Phantom, tmp_path: Path) -> None:
    for bits, expected in ((12, np.int16), (16, np.uint16)):
        values = np.random.default_rng(3).integers(0, 1 << bits, small_phantom.labels.shape).astype(np.uint16)
        folder = tmp_path / str(bits)
        write_series(with_voxels(small_phantom, values), folder, SeriesOptions(bits_stored=bits, intercept=0.0))
        volume = read(folder)
        assert volume.voxels.dtype == expected
        assert np.array_equal(volume.voxels, values)
        assert volume.unit == ""


def test_a_large_slope_needs_more_than_sixteen_bits(small_phantom: Phantom, tmp_path: Path) -> None:
    values = (small_phantom.labels.astype(np.int32) * 100) * 20
    write_series(
        with_voxels(small_phantom, values), tmp_path, SeriesOptions(bits_stored=16, slope=20.0, intercept=-40.0)
    )
    volume = read(tmp_path)
    assert volume.voxels.dtype == np.int32
    assert np.array_equal(volume.voxels, values)


def test_monochrome1_is_turned_round_with_its_window_but_hounsfield_is_not(
    small_phantom: Phantom, tmp_path: Path
) -> None:
    values = np.clip(small_phantom.volume.voxels + 1024, 0, 4095)
    mr = replace(with_voxels(small_phantom, values), windows=(Window(1000.0, 500.0),))
    write_series(mr, tmp_path / "mr", SeriesOptions(monochrome1=True, intercept=0.0))
    write_series(small_phantom.volume, tmp_path / "ct", SeriesOptions(monochrome1=True))
    read_mr = read(tmp_path / "mr")
    assert np.array_equal(read_mr.voxels, values)
    assert read_mr.windows == (Window(4095.0 - 1000.0, 500.0),)
    assert np.array_equal(read(tmp_path / "ct").voxels, small_phantom.volume.voxels)


def test_bits_above_the_stored_ones_are_no_value(
    small_series_folder: Path, small_phantom: Phantom, tmp_path: Path
) -> None:
    for path in small_series_folder.iterdir():
        dataset = pydicom.dcmread(path)
        pixels = np.frombuffer(dataset.PixelData, np.uint16) | np.uint16(0x8000)
        dataset.PixelData = pixels.tobytes()
        dataset.save_as(tmp_path / path.name)
    assert np.array_equal(read(tmp_path).voxels, small_phantom.volume.voxels)


def test_hounsfield_units_beyond_int16_are_cut_not_wrapped(small_phantom: Phantom, tmp_path: Path) -> None:
    volume = replace(small_phantom.volume, voxels=np.full((40, 64, 64), 60000, dtype=np.int32))
    write_series(volume, tmp_path, SeriesOptions(bits_stored=16))
    assert np.array_equal(np.unique(read(tmp_path).voxels), [32767])


def test_a_file_that_was_cut_after_the_scan_is_named(small_phantom: Phantom, tmp_path: Path) -> None:
    paths = write_series(small_phantom.volume, tmp_path)
    series = series_in(tmp_path)
    paths[3].write_bytes(paths[3].read_bytes()[:-10])
    with pytest.raises(UnreadableFileError, match=r"00004\.dcm"):
        dicom_volume.read(series, NoProgress())
    paths[3].unlink()
    with pytest.raises(UnreadableFileError, match=r"00004\.dcm"):
        dicom_volume.read(series, NoProgress())


def test_damaged_compressed_pixels_are_named(small_phantom: Phantom, tmp_path: Path) -> None:
    paths = write_series(small_phantom.volume, tmp_path, SeriesOptions(transfer_syntax=JPEG2000Lossless))
    data = paths[0].read_bytes()
    stream = data.index(b"\xff\x4f\xff\x51")
    paths[0].write_bytes(data[: stream + 4] + bytes(60) + data[stream + 64 :])
    with pytest.raises(UnreadableFileError, match=r"00001\.dcm"):
        dicom_volume.read(series_in(tmp_path), NoProgress())


def test_a_refused_series_is_not_read(small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path, SeriesOptions(tilt_degrees=80))
    with pytest.raises(UnsupportedSeriesError, match="too far"):
        dicom_volume.read(series_in(tmp_path), NoProgress())


def test_reading_can_be_cancelled(small_series_folder: Path) -> None:
    class Stop(NoProgress):
        def raise_if_cancelled(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        dicom_volume.read(series_in(small_series_folder), Stop())


def real_series(folder: Path) -> list[DicomSeries]:
    found = dicom_series.group(dicom_files.scan([folder], NoProgress()).headers)
    return [
        one
        for one in found
        if one.facts.geometry is not None
        and one.facts.geometry.slices is None
        and not one.facts.phases
        and one.frames[0].header.samples_per_pixel == 1
        and one.frames[0].header.photometric.startswith("MONOCHROME")
    ]


@pytest.mark.parametrize(
    "name",
    [
        "orientation-phantom",
        "rtstruct-sarcoma-ct-pet-mr",
        "geometry-traps-small",
        "compressed-syntaxes/jpeg-lossless-fragmented-96-slices",
        *(f"compressed-syntaxes/same-4-slice-volume/{one}" for one in ("rle", "jpeg-ls", "jpeg-lossless", "jpeg2000")),
        "compressed-syntaxes/single-files-pydicom",
    ],
)
def test_real_series_equal_simpleitk(name: str, real_data: Path) -> None:
    found = real_series(real_data / name)
    assert found
    for series in found:
        volume = dicom_volume.read(series, NoProgress())
        first = series.headers[0]
        if first.frames > 1 or first.has_modality_lut or first.path.name in UNREADABLE_FOR_ITK:
            continue
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames([str(header.path) for header in series.headers])
        image = reader.Execute()
        array = SimpleITK.GetArrayFromImage(image).reshape(volume.voxels.shape)
        assert np.allclose(array, volume.voxels, rtol=1e-6, atol=1e-6)
        if not volume.is_spatial:
            continue
        last = tuple(float(size - 1) for size in volume.geometry.shape)
        for k, j, i in ((0.0, 0.0, 0.0), last):
            there = image.TransformContinuousIndexToPhysicalPoint((i, j, k))
            assert np.abs(volume.geometry.to_patient((k, j, i)) - there).max() < 0.01


@pytest.mark.parametrize(
    "name", ["mr-hippocampus-crop-dicom", "orientation-phantom", "mr-brain-t1-studyforrest", "ct-chest-lidc-0314"]
)
def test_real_series_equal_dcm2niix(name: str, real_data: Path) -> None:
    (reference,) = (real_data / name / "reference").glob("*.geometry.json")
    truth = json.loads(reference.read_text())
    (series,) = real_series(real_data / name)
    volume = dicom_volume.read(series, NoProgress())
    theirs = np.diag([-1.0, -1.0, 1.0, 1.0]) @ np.array(truth["affine_RAS_mm"])
    shape = truth["shape"]
    array = volume.voxels.transpose(2, 1, 0)
    assert list(array.shape) == shape
    ends = [np.zeros(3), *(np.eye(3)[axis] * (shape[axis] - 1) for axis in range(3))]
    mine = np.array([volume.geometry.to_index((theirs @ [*end, 1])[:3])[::-1] for end in ends])
    for axis in range(3):
        if mine[0, axis] > mine[axis + 1, axis]:
            array = np.flip(array, axis)
            mine[:, axis] = shape[axis] - 1 - mine[:, axis]
    assert np.abs(mine - np.array(ends)).max() < 0.02
    digest = hashlib.sha256(array.astype(np.float32).tobytes(order="F")).hexdigest()
    assert digest == truth["sha256_of_values_float32_fortran_order"]


def test_raw_pixels_equal_pydicom(real_data: Path) -> None:
    for series in real_series(real_data / "rtstruct-sarcoma-ct-pet-mr"):
        volume = dicom_volume.read(series, NoProgress())
        for k in (0, len(series.headers) - 1):
            dataset = pydicom.dcmread(series.headers[k].path)
            slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
            assert np.allclose(dataset.pixel_array * slope + intercept, volume.voxels[k], rtol=1e-6)


def test_what_a_real_chest_ct_says_of_itself(real_data: Path) -> None:
    (series,) = real_series(real_data / "ct-chest-lidc-0314")
    volume = dicom_volume.read(series, NoProgress())
    assert (volume.unit, volume.modality) == ("HU", Modality.CT)
    assert volume.windows == (Window(-450.0, 2000.0),)


def test_geometry_is_made_once(small_series_folder: Path) -> None:
    series = series_in(small_series_folder)
    volume = dicom_volume.read(series, NoProgress())
    assert isinstance(series.facts.geometry, Geometry)
    assert volume.geometry is series.facts.geometry
    assert VolumeId(volume.id) != dicom_volume.read(series, NoProgress()).id


def test_ct_that_is_no_measurement_keeps_its_large_values(small_phantom: Phantom, tmp_path: Path) -> None:
    values = np.random.default_rng(3).integers(0, 60000, small_phantom.labels.shape).astype(np.uint16)
    options = SeriesOptions(bits_stored=16, intercept=0.0, left_out=("RescaleSlope", "RescaleIntercept", "RescaleType"))
    write_series(with_voxels(small_phantom, values, Modality.CT), tmp_path, options)
    volume = read(tmp_path)
    assert volume.unit == ""
    assert np.array_equal(volume.voxels, values)


def test_every_real_grey_image_equals_simpleitk(real_data: Path) -> None:
    """ITK also turns MONOCHROME1 round; what it cannot read itself is checked with pydicom."""
    folders = ["compressed-syntaxes/single-files-pydicom", "radiographs-cr-dx", "mammography"]
    compared = set()
    for header in dicom_files.scan([real_data / folder for folder in folders], NoProgress()).headers:
        if header.frames != 1 or header.samples_per_pixel != 1 or not header.photometric.startswith("MONOCHROME"):
            continue
        values = np.empty((header.rows, header.columns), dtype=np.float32)
        read_slice(frames_of(header)[0], values)
        if header.has_modality_lut:
            # GDCM, and so ITK, passes the table over
            dataset = pydicom.dcmread(header.path)
            table = dataset.ModalityLUTSequence[0]
            data = table.LUTData
            entries = np.array(np.frombuffer(data, "<u2") if isinstance(data, bytes) else data, dtype=np.float32)
            first = int(np.int16(table.LUTDescriptor[1])) if header.is_signed else int(table.LUTDescriptor[1])
            theirs = entries[np.clip(dataset.pixel_array.astype(int) - first, 0, len(entries) - 1)]
            theirs = 65535 - theirs if header.photometric == "MONOCHROME1" else theirs
        elif header.path.name in UNREADABLE_FOR_ITK:
            theirs = pydicom.dcmread(header.path).pixel_array
        else:
            theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(header.path))).reshape(values.shape)
        assert np.allclose(values, theirs, rtol=1e-6), header.path.name
        compared.add(header.transfer_syntax)
    assert len(compared) >= 10


def test_real_pictures_in_colour_equal_simpleitk(real_data: Path) -> None:
    """Lossy pictures within what two JPEG decoders differ by; palettes are checked by hand."""
    folders = ["compressed-syntaxes/single-files-pydicom", "cine-multiframe-us-mr-xa"]
    compared = 0
    for header in dicom_files.scan([real_data / folder for folder in folders], NoProgress()).headers:
        if header.samples_per_pixel != 3 or header.bits_allocated != 8:
            continue
        colors = np.zeros((header.rows, header.columns, 3), dtype=np.uint8)
        read_colors(frames_of(header)[-1], colors)
        theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(header.path))).reshape(-1, *colors.shape)[-1]
        assert np.abs(colors.astype(int) - theirs).mean() < 2, header.path.name
        compared += 1
    assert compared >= 8


def test_a_palette_is_looked_up(real_data: Path) -> None:
    checked = 0
    folder = real_data / "compressed-syntaxes/single-files-pydicom"
    for header in dicom_files.scan([folder], NoProgress()).headers:
        dataset = pydicom.dcmread(header.path, force=True)
        if header.photometric != "PALETTE COLOR" or "SegmentedRedPaletteColorLookupTableData" in dataset:
            continue
        colors = np.zeros((header.rows, header.columns, 3), dtype=np.uint8)
        read_colors(frames_of(header)[0], colors)
        stored = dataset.pixel_array.reshape(-1, header.rows, header.columns)[0].astype(int)
        for channel, name in enumerate(("Red", "Green", "Blue")):
            count, first, bits = dataset[f"{name}PaletteColorLookupTableDescriptor"].value
            table = np.frombuffer(dataset[f"{name}PaletteColorLookupTableData"].value, "<u2" if bits == 16 else "u1")
            entries = table[np.clip(stored - first, 0, (count or 65536) - 1)] >> (bits - 8)
            assert np.array_equal(colors[..., channel], entries), header.path.name
        checked += 1
    assert checked >= 1


@pytest.mark.parametrize("name", ["examples_ybr_color.dcm", "HasFragmentSequence.dcm", "MOVEKNEE.dcm"])
def test_every_frame_of_a_cine_is_its_own(name: str, real_data: Path) -> None:
    found = dicom_series.group(dicom_files.scan([real_data / "cine-multiframe-us-mr-xa" / name], NoProgress()).headers)
    (series,) = found
    stack = pydicom.dcmread(real_data / "cine-multiframe-us-mr-xa" / name).pixel_array
    phases = max(1, len(series.facts.phases))
    volumes = [dicom_volume.read(series, NoProgress(), phase=phase) for phase in range(phases)]
    if volumes[0].colors is not None:
        mine = np.concatenate([one.colors for one in volumes if one.colors is not None])
        assert np.array_equal(mine, stack)
    else:
        first = frames_of(series.headers[0])[0]
        values = stack.astype(np.float64) * first.slope + first.intercept
        assert np.allclose(np.concatenate([one.voxels for one in volumes]), values, rtol=1e-5)
