"""Segmentations as masks and as label maps, on classic slices, frames of one file, and tiles of a mosaic."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread

from medview.core.errors import StorageError
from medview.core.progress import NoProgress
from medview.core.segmentation import ModelRef, Provenance, Segment, Segmentation
from medview.formats import dicom_files, dicom_seg, dicom_series, dicom_volume
from medview.formats.dicom_seg import SegKind
from medview.formats.dicom_series import DicomSeries
from medview.phantom.chest import Phantom
from tests.support.phantom_study import series_in

REAL = [
    "enhanced-multiframe/philips-b0map-64frames",
    "enhanced-multiframe/philips-anatomical",
    "mr-siemens-mosaic/orientation-axasc35",
    "mr-siemens-mosaic/orientation-sagdesc36",
    "geometry-traps-small/gantrytilting",
]


def blocks(shape: tuple[int, int, int], count: int) -> NDArray[np.uint8]:
    """Boxes of labels 1, 2, ..., none of which is where another would be if an axis were flipped."""
    labels = np.zeros(shape, dtype=np.uint8)
    cells = np.array_split(np.arange(shape[2] // 8, shape[2] // 2), count)
    for label, columns in enumerate(cells, start=1):
        top = shape[1] // 5 + label % 3
        labels[shape[0] // 3 : shape[0] // 3 + 2, top : top + shape[1] // 4, columns] = label
    return labels


def segments(count: int) -> tuple[Segment, ...]:
    return tuple(Segment(label, f"Structure {label}", (250 - label, label, 120)) for label in range(1, count + 1))


def first_volume(folder: Path) -> DicomSeries:
    found = dicom_series.group(dicom_files.scan([folder], NoProgress()).headers)
    return next(one for one in found if one.facts.geometry is not None)


@pytest.mark.parametrize("kind", list(SegKind))
@pytest.mark.parametrize("count", [1, 5, 14])
def test_both_kinds_come_back_as_they_went(
    kind: SegKind, count: int, small_series_folder: Path, small_phantom: Phantom, tmp_path: Path
) -> None:
    series = series_in(small_series_folder)
    geometry = small_phantom.volume.geometry
    labels = blocks(geometry.shape, count)
    mask = Segmentation(geometry, labels, segments(count), provenance=Provenance(ModelRef("model", "1.0")))
    path = tmp_path / "seg.dcm"
    proof = dicom_seg.write(mask, small_phantom.volume, series.facts.files, path, kind=kind)
    assert proof.ok
    back = dicom_seg.read(path, geometry)
    assert np.array_equal(back.labels, labels)
    assert [one.name for one in back.segments] == [one.name for one in mask.segments]
    theirs = highdicom.seg.segread(path)
    assert theirs.segmentation_type.value == kind.value.upper()
    files = sorted(series.facts.files, key=lambda one: float(dcmread(one).ImagePositionPatient[2]))
    uids = [str(dcmread(one).SOPInstanceUID) for one in files]
    combined = theirs.get_pixels_by_source_instance(uids, combine_segments=True, ignore_spatial_locations=True)
    assert np.array_equal(combined, labels)


def test_many_structures_become_a_label_map(small_series_folder: Path, small_phantom: Phantom, tmp_path: Path) -> None:
    geometry = small_phantom.volume.geometry
    files = series_in(small_series_folder).facts.files
    labels = (np.arange(np.prod(geometry.shape)).reshape(geometry.shape) % 118).astype(np.uint8)
    mask = Segmentation(geometry, np.ascontiguousarray(labels), segments(117))
    dicom_seg.write(mask, small_phantom.volume, files, tmp_path / "seg.dcm")
    assert dcmread(tmp_path / "seg.dcm").SegmentationType == "LABELMAP"
    assert np.array_equal(dicom_seg.read(tmp_path / "seg.dcm", geometry).labels, labels)


@pytest.mark.parametrize("kind", list(SegKind))
@pytest.mark.parametrize("name", REAL)
def test_masks_of_real_series_refer_to_the_frames_that_they_lie_on(
    name: str, kind: SegKind, real_data: Path, tmp_path: Path
) -> None:
    series = first_volume(real_data / name)
    volume = dicom_volume.read(series, NoProgress())
    labels = blocks(volume.geometry.shape, 3)
    mask = Segmentation(volume.geometry, labels, segments(3))
    path = tmp_path / "seg.dcm"
    assert dicom_seg.write(mask, volume, series.facts.files, path, kind=kind).ok
    back = dicom_seg.read(path, volume.geometry)
    assert np.array_equal(back.labels, labels)
    written = dcmread(path)
    frames = {(str(one.header.sop_instance_uid), one.index + 1): one for one in series.frames}
    for group in written.PerFrameFunctionalGroupsSequence:
        item = group.DerivationImageSequence[0].SourceImageSequence[0]
        number = int(item.get("ReferencedFrameNumber", 1))
        here = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=float)
        if "mosaic" in name:
            assert any(str(item.ReferencedSOPInstanceUID) == uid for uid, _ in frames)
        else:
            there = frames[str(item.ReferencedSOPInstanceUID), number]
            assert str(item.ReferencedSOPClassUID) == there.header.sop_class_uid
            assert np.abs(here - there.position).max() < 1e-3
    listed = [
        str(one.ReferencedSOPInstanceUID) for one in written.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    ]
    assert len(listed) == len(set(listed))
    assert set(listed) <= {uid for uid, _ in frames}


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
@pytest.mark.parametrize("name", [*REAL, "ct-head-tilt-variable-spacing"])
def test_a_validator_finds_no_error(name: str, real_data: Path, tmp_path: Path) -> None:
    series = first_volume(real_data / name)
    assert series.facts.geometry is not None
    labels = blocks(series.facts.geometry.shape, 3)
    path = tmp_path / "seg.dcm"
    dicom_seg.write_labels(
        labels, series.facts.geometry, segments(3), Provenance(), series.facts.files, path, kind=SegKind.BINARY
    )
    told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
    assert [line for line in told.splitlines() if line.startswith("Error")] == []


def test_a_wrong_label_map_is_not_proved(
    small_series_folder: Path, small_phantom: Phantom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that flips the slices is caught, and nothing is left behind."""
    geometry, files = small_phantom.volume.geometry, series_in(small_series_folder).facts.files
    real = highdicom.seg.Segmentation

    def flipped(**arguments: Any) -> highdicom.seg.Segmentation:
        return real(**{**arguments, "pixel_array": arguments["pixel_array"][:, ::-1]})

    monkeypatch.setattr(highdicom.seg, "Segmentation", flipped)
    mask = Segmentation(geometry, blocks(geometry.shape, 3), segments(3))
    with pytest.raises(StorageError, match="written wrongly"):
        dicom_seg.write(mask, small_phantom.volume, files, tmp_path / "seg.dcm", kind=SegKind.LABELMAP)
    assert list(tmp_path.iterdir()) == []
