"""Real scans, and segmentations that other programs wrote."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom import dcmread

from medview.core.errors import InputError, UnreadableFileError
from medview.core.geometry import Floats, Geometry
from medview.core.segmentation import Labels, Segment, Segmentation
from medview.core.volume import Modality, Volume, VolumeId
from medview.formats import dicom_seg


def nrrd(path: Path) -> tuple[NDArray[np.uint8], Geometry]:
    image = SimpleITK.ReadImage(str(path))
    affine = np.eye(4)
    steps = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, :3], affine[:3, 3] = steps[:, ::-1], image.GetOrigin()
    labels: NDArray[np.uint8] = SimpleITK.GetArrayFromImage(image).astype(np.uint8)
    return labels, Geometry((labels.shape[0], labels.shape[1], labels.shape[2]), affine)


def geometry_of(files: list[Path]) -> Geometry:
    headers = sorted(
        (dcmread(path, stop_before_pixels=True) for path in files), key=lambda one: float(one.InstanceNumber)
    )
    first = np.array(headers[0].ImagePositionPatient, dtype=float)
    last = np.array(headers[-1].ImagePositionPatient, dtype=float)
    across, down = np.array(headers[0].ImageOrientationPatient, dtype=float).reshape(2, 3)
    affine: Floats = np.eye(4)
    affine[:3, 0] = (last - first) / (len(headers) - 1)
    affine[:3, 1], affine[:3, 2] = down * headers[0].PixelSpacing[0], across * headers[0].PixelSpacing[1]
    affine[:3, 3] = first
    return Geometry((len(headers), headers[0].Rows, headers[0].Columns), affine, str(headers[0].FrameOfReferenceUID))


def on_grid(labels: Labels, of: Geometry, grid: Geometry) -> Labels:
    """Labels voxel by voxel on another grid, through the patient."""
    found = np.zeros(grid.shape, dtype=np.uint8)
    where = np.argwhere(labels)
    k, j, i = np.rint(grid.to_index(of.to_patient(where.astype(float)))).astype(int).T
    found[k, j, i] = labels[tuple(where.T)]
    return found


@pytest.mark.parametrize(
    ("seg", "truth", "images"),
    [
        ("liver.dcm", "liver_seg.nrrd", "ct-3slice"),
        ("24x38x3/seg/label.seg", "24x38x3/nrrd/label.nrrd", "24x38x3/image"),
        ("23x38x3/seg/label.seg", "23x38x3/nrrd/label.nrrd", "23x38x3/image"),
    ],
)
def test_segmentations_of_dcmqi_equal_its_own_labels(real_data: Path, seg: str, truth: str, images: str) -> None:
    folder = real_data / "seg-dcmqi"
    grid = geometry_of(sorted((folder / images).iterdir()))
    labels, of = nrrd(folder / truth)
    found = dicom_seg.read(folder / seg, grid)
    assert labels.any()
    np.testing.assert_array_equal(found.labels != 0, on_grid(labels, of, grid) != 0)
    assert [segment.name for segment in found.segments] == ["Liver"]


@pytest.mark.parametrize("name", ["sparse-labelmap-noppv.dcm", "sparse-labelmap-ppv5.dcm"])
def test_label_maps_of_dcmqi(real_data: Path, name: str) -> None:
    folder = real_data / "seg-dcmqi"
    grid = geometry_of(sorted((folder / "24x38x3/image").iterdir()))
    labels, of = nrrd(folder / (name.replace("-", "_").removesuffix(".dcm") + "_seg.nrrd"))
    found = dicom_seg.read(folder / name, grid)
    assert (labels == 1).any()
    np.testing.assert_array_equal(found.labels == 1, on_grid(labels, of, grid) == 1)
    assert set(np.unique(found.labels)) == {0, 1}


@pytest.mark.parametrize("name", ["liver.dcm", "liver_j2k.dcm"])
def test_compressed_segmentations_equal_the_plain_one(real_data: Path, name: str) -> None:
    folder = real_data / "seg-dcmqi"
    plain = dicom_seg.read(folder / "liver.dcm")
    packed = dicom_seg.read(folder / "pydicom-variants" / name)
    assert plain.labels.any()
    np.testing.assert_array_equal(packed.labels, plain.labels)


@pytest.mark.parametrize("name", ["liver_rle.dcm", "liver_deflate.dcm"])
def test_a_compression_without_a_decoder_is_a_clear_error(real_data: Path, name: str) -> None:
    with pytest.raises(UnreadableFileError, match=name):
        dicom_seg.read(real_data / "seg-dcmqi" / "pydicom-variants" / name)


def test_overlapping_segments_become_layers(real_data: Path) -> None:
    folder = real_data / "seg-dcmqi"
    with pytest.raises(InputError, match="overlap"):
        dicom_seg.read(folder / "partial_overlaps.dcm")
    layers = dicom_seg.read_layers(folder / "partial_overlaps.dcm")
    found = sorted(
        (segment.name, int(np.count_nonzero(layer.labels == segment.label)))
        for layer in layers
        for segment in layer.segments
    )
    meant: dict[int, int] = {}
    for number in (1, 2, 3):
        labels, _ = nrrd(folder / f"partial_overlaps-{number}.nrrd")
        for label in np.unique(labels[labels > 0]):
            meant[int(label)] = int(np.count_nonzero(labels == label))
    assert sorted(count for _, count in found) == sorted(meant.values())


@pytest.mark.parametrize(
    "name", ["seg_image_ct_binary", "seg_image_ct_binary_fractional", "seg_image_ct_true_fractional"]
)
def test_segmentations_of_highdicom(real_data: Path, name: str) -> None:
    folder = real_data / "seg-sr-highdicom"
    dataset = dcmread(folder / f"{name}.dcm")
    found = dicom_seg.read(folder / f"{name}.dcm")
    stack = dataset.pixel_array.reshape(-1, 16, 16)
    half = dataset.get("MaximumFractionalValue", 1) / 2
    assert int(np.count_nonzero(found.labels)) == int(np.count_nonzero(stack >= half)) > 0


def test_part_of_a_chest_ct_round_trips(real_data: Path, tmp_path: Path) -> None:
    everything = sorted(path for path in (real_data / "ct-chest-lidc-0314").rglob("*") if path.suffix == ".dcm")
    files = sorted(everything, key=lambda path: int(dcmread(path, specific_tags=["InstanceNumber"]).InstanceNumber))[
        60:72
    ]
    grid = geometry_of(files)
    voxels = np.zeros(grid.shape, dtype=np.int16)
    volume = Volume(VolumeId("v"), grid, voxels, Modality.CT, "HU", str(dcmread(files[0]).SeriesInstanceUID))
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[2:5, 100:220, 300:380] = 1
    labels[7:, 250:300, 90:200] = 2
    drawn = Segmentation(grid, labels, (Segment(1, "Left lung", (9, 9, 200)), Segment(2, "Right lung", (9, 200, 9))))
    target = tmp_path / "seg.dcm"
    assert dicom_seg.write(drawn, volume, files[::-1], target).ok
    np.testing.assert_array_equal(dicom_seg.read(target, grid).labels, labels)
    source, written = dcmread(files[0], stop_before_pixels=True), dcmread(target)
    assert written.StudyInstanceUID == source.StudyInstanceUID
    if shutil.which("dciodvfy"):
        answer = subprocess.run(["dciodvfy", target], capture_output=True, text=True, check=False)
        assert [line for line in answer.stderr.splitlines() if line.startswith("Error")] == []


def test_the_hippocampus_scan_that_lacks_attributes(real_data: Path, tmp_path: Path) -> None:
    files = sorted((real_data / "mr-hippocampus-crop-dicom" / "dicom").rglob("*.dcm"))
    grid = geometry_of(files)
    volume = Volume(VolumeId("v"), grid, np.zeros(grid.shape, dtype=np.int16), Modality.MR, "", "1.2.3")
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[4:9, 10:14, 7:20] = 1
    labels[10:12, 20:25, 7:9] = 2
    drawn = Segmentation(
        grid, labels, (Segment(1, "Anterior hippocampus", (9, 9, 9)), Segment(2, "Posterior hippocampus", (9, 9, 8)))
    )
    assert dicom_seg.write(drawn, volume, files, tmp_path / "seg.dcm").ok
    np.testing.assert_array_equal(dicom_seg.read(tmp_path / "seg.dcm", grid).labels, labels)
