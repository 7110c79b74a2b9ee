"""Structure sets, against masks that other programs made of them, a validator, and themselves on odd series."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pydicom import dcmread

from medview.core.errors import GridMismatchError, StorageError, UnreadableFileError
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.core.segmentation import ModelRef, Provenance, Segment, Segmentation
from medview.formats import (
    contours,
    dicom_files,
    dicom_series,
    dicom_volume,
    itk_geometry,
    rtstruct_proof,
    rtstruct_reader,
    rtstruct_writer,
)
from medview.formats.dicom_series import DicomSeries
from medview.phantom.chest import Phantom
from tests.support.phantom_study import series_in
from tests.unit.formats.test_corrected_grid import ODD, odd_series

SEGMENTS = (Segment(1, "Ring", (250, 10, 120)), Segment(2, "Block", (10, 200, 30)))


def volumes_in(folder: Path) -> list[DicomSeries]:
    found = dicom_series.group(dicom_files.scan([folder], NoProgress()).headers)
    return [one for one in found if one.facts.geometry is not None]


def with_holes(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A ring with an island in its hole, a block that touches it, and pixels that meet at corners."""
    k, j, i = (size // 2 for size in shape)
    row, column = np.mgrid[: shape[1], : shape[2]]
    distance = np.hypot(row - j, column - i)
    plane = np.zeros(shape[1:], dtype=np.uint8)
    size = min(j, i) * 0.8
    plane[(distance < size) & (distance > 0.5 * size)] = 1
    plane[distance < 0.2 * size] = 1
    plane[0:3, 0:3] = 2
    plane[3, 3] = 2
    labels = np.zeros(shape, dtype=np.uint8)
    labels[k : k + 2] = plane
    return labels


@settings(max_examples=200, deadline=None)
@given(arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_outlines_give_their_mask_back(mask: NDArray[np.bool_]) -> None:
    assert np.array_equal(contours.filled(contours.outlines(mask), (mask.shape[0], mask.shape[1])), mask)


@pytest.mark.parametrize(
    ("name", "least_dice"),
    [("CT", 0.999), ("PET", 0.99), ("MR_T1", 0.99)],
)
def test_a_real_structure_set_is_the_mask_that_came_with_it(name: str, least_dice: float, real_data: Path) -> None:
    """The masks were made by another program from the same contours; pixels whose centres lie on a line may differ."""
    folder = real_data / "rtstruct-sarcoma-ct-pet-mr" / "STS_025"
    (series,) = volumes_in(folder / "dicom" / name)
    geometry = series.facts.geometry
    assert geometry is not None
    (path,) = (folder / "dicom" / name / "mask").iterdir()
    (found,) = rtstruct_reader.read_layers(path, geometry)
    image = SimpleITK.ReadImage(str(folder / "nifti" / f"{name}_mask.nii.gz"))
    theirs = SimpleITK.GetArrayFromImage(image) > 0
    there = itk_geometry.from_itk(image)
    index = np.argwhere(theirs).astype(np.float64)
    k, j, i = np.rint(geometry.to_index(there.to_patient(index))).astype(int).T
    meant = np.zeros(geometry.shape, dtype=bool)
    meant[k, j, i] = True
    assert meant.sum() == theirs.sum()
    both = np.count_nonzero(meant & (found.labels > 0))
    assert 2 * both / (meant.sum() + np.count_nonzero(found.labels)) >= least_dice


def test_holes_islands_and_corners_come_back(small_series_folder: Path, small_phantom: Phantom, tmp_path: Path) -> None:
    geometry, files = small_phantom.volume.geometry, series_in(small_series_folder).facts.files
    labels = with_holes(geometry.shape)
    provenance = Provenance(ModelRef("rings", "2.0"))
    mask = Segmentation(geometry, labels, SEGMENTS, title="Two", provenance=provenance)
    path = tmp_path / "rs.dcm"
    assert rtstruct_writer.write(mask, small_phantom.volume, files, path).ok
    (back,) = rtstruct_reader.read_layers(path, geometry)
    assert np.array_equal(back.labels, labels)
    assert [(one.name, one.color) for one in back.segments] == [(one.name, one.color) for one in SEGMENTS]
    written = dcmread(path)
    assert {one.ROIGenerationAlgorithm for one in written.StructureSetROISequence} == {"AUTOMATIC"}
    uids = {str(dcmread(one).SOPInstanceUID) for one in files}
    for region in written.ROIContourSequence:
        assert all(str(one.ContourImageSequence[0].ReferencedSOPInstanceUID) in uids for one in region.ContourSequence)


@pytest.mark.parametrize("options", ODD.values(), ids=ODD.keys())
def test_contours_lie_on_the_original_slices_of_odd_series(options: object, tmp_path: Path) -> None:
    series = odd_series(tmp_path / "series", options, None)  # type: ignore[arg-type]
    volume = dicom_volume.read(series, NoProgress())
    labels = with_holes(volume.geometry.shape)
    mask = Segmentation(volume.geometry, labels, SEGMENTS)
    path = tmp_path / "rs.dcm"
    assert rtstruct_writer.write(mask, volume, series.facts.files, path).ok
    positions = {
        str(one.SOPInstanceUID): np.array(one.ImagePositionPatient, dtype=float)
        for one in map(dcmread, series.facts.files)
    }
    normal = volume.geometry.direction[:, 0]
    seen = 0
    for region in dcmread(path).ROIContourSequence:
        for item in region.get("ContourSequence", []):
            points = np.array(item.ContourData, dtype=float).reshape(-1, 3)
            position = positions[str(item.ContourImageSequence[0].ReferencedSOPInstanceUID)]
            assert np.abs((points - position) @ normal).max() < 1e-2
            seen += 1
    assert seen > 0
    back = rtstruct_reader.read_layers(path, volume.geometry)[0]
    assert volume.geometry.slices is not None
    index = volume.geometry.to_index(volume.geometry.slices.positions)
    own = np.floor(index[:, 0] + 0.5 + 1e-6).astype(int)
    rows, columns = volume.geometry.slices.shape
    for plane, (j, i) in zip(own, np.floor(index[:, 1:] + 0.5 + 1e-6).astype(int), strict=True):
        here = np.s_[plane, j : j + rows, i : i + columns]
        differing = np.count_nonzero(back.labels[here] != labels[here])
        # a slice lies up to half a pixel beside the grid: pixels along the outlines may fall to either side
        assert differing <= 0.25 * np.count_nonzero(labels[plane])


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
@pytest.mark.parametrize(
    "name", ["mr-hippocampus-crop-dicom", "enhanced-multiframe/philips-anatomical", "ct-head-tilt-variable-spacing"]
)
def test_a_validator_finds_no_error(name: str, real_data: Path, tmp_path: Path) -> None:
    series = volumes_in(real_data / name)[0]
    volume = dicom_volume.read(series, NoProgress())
    mask = Segmentation(volume.geometry, with_holes(volume.geometry.shape), SEGMENTS)
    path = tmp_path / "rs.dcm"
    assert rtstruct_writer.write(mask, volume, series.facts.files, path).ok
    told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
    assert [line for line in told.splitlines() if line.startswith("Error")] == []


@pytest.mark.parametrize(
    "fault", ["flipped", "hole lost", "renamed", "reference lost", "other maker", "shifted", "swapped"]
)
def test_a_wrong_file_is_not_proved(
    fault: str, small_series_folder: Path, small_phantom: Phantom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    geometry, files = small_phantom.volume.geometry, series_in(small_series_folder).facts.files
    mask = Segmentation(geometry, with_holes(geometry.shape), SEGMENTS)
    real = rtstruct_proof.prove

    def spoiled(path: Path, *others: object) -> object:
        dataset = dcmread(path)
        items = dataset.ROIContourSequence[0].ContourSequence
        if fault == "flipped":
            for item in items:
                item.ContourData = [-float(v) if n % 3 == 0 else float(v) for n, v in enumerate(item.ContourData)]
        elif fault == "hole lost":
            dataset.ROIContourSequence[0].ContourSequence = [max(items, key=lambda one: one.NumberOfContourPoints)]
        elif fault == "renamed":
            dataset.StructureSetROISequence[0].ROIName = "Other"
        elif fault == "other maker":
            dataset.StructureSetROISequence[0].ROIGenerationAlgorithm = "AUTOMATIC"
        elif fault == "shifted":
            for item in items:
                item.ContourData = [float(v) + 6.0 * (n % 3 == 0) for n, v in enumerate(item.ContourData)]
        elif fault == "swapped":
            one, two = dataset.ROIContourSequence
            one.ContourSequence, two.ContourSequence = two.ContourSequence, one.ContourSequence
        else:
            study = dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
            del study.RTReferencedSeriesSequence[0].ContourImageSequence[0]
        dataset.save_as(path)
        return real(path, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(rtstruct_writer, "prove", spoiled)
    with pytest.raises(StorageError, match="written wrongly"):
        rtstruct_writer.write(mask, small_phantom.volume, files, tmp_path / "rs.dcm")
    assert list(tmp_path.iterdir()) == []


def test_another_patient_space_is_refused(real_data: Path, small_phantom: Phantom) -> None:
    path = real_data / "rtstruct-rt-utils-phantom" / "rt.dcm"
    with pytest.raises(GridMismatchError):
        rtstruct_reader.read_layers(path, Geometry(small_phantom.volume.geometry.shape, np.eye(4), "1.2.3"))
    with pytest.raises(UnreadableFileError):
        rtstruct_reader.read_layers(real_data / "rtstruct-rt-utils-phantom" / "ct_1.dcm", small_phantom.volume.geometry)


@pytest.mark.parametrize(
    "data",
    [["1"], ["1", "2", "3", "4"], ["nan"] * 9, ["1e30"] * 9, [], ["99999"] * 9],
)
def test_damaged_contours_are_passed_over(
    data: list[str], small_series_folder: Path, small_phantom: Phantom, tmp_path: Path
) -> None:
    geometry, files = small_phantom.volume.geometry, series_in(small_series_folder).facts.files
    path = tmp_path / "rs.dcm"
    rtstruct_writer.write(
        Segmentation(geometry, with_holes(geometry.shape), SEGMENTS), small_phantom.volume, files, path
    )
    dataset = dcmread(path)
    for region in dataset.ROIContourSequence:
        for item in region.ContourSequence:
            item["ContourData"].value = data
    dataset.save_as(path)
    with pytest.raises(GridMismatchError, match="None of the contours"):
        rtstruct_reader.read_layers(path, geometry)
