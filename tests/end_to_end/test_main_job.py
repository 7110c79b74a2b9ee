"""The main job without a window: a folder is dropped, a model answers, a stroke corrects, and the case leaves as files.

Truth: the phantom's own labels, and readers that MedView did not write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from medview.core.planes import Plane
from medview.core.segmentation import Segmentation
from medview.core.volume import Volume
from medview.editing import measure
from medview.learning.exporters import ExportKind
from medview.phantom.chest import Phantom
from medview.workstation.station import Workstation
from medview.workstation.waiting import wait_for, wait_for_all


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workstation]:
    station = Workstation(tmp_path_factory.mktemp("home"))
    yield station
    station.close()


@pytest.fixture(scope="module")
def volume(station: Workstation, coarse_series_folder: Path) -> Volume:
    wait_for(station.queue, station.importing.open_paths([coarse_series_folder]))
    wait_for_all(station.queue, station.jobs)
    volume = station.workspace.active_volume
    assert volume is not None
    return volume


@pytest.fixture(scope="module")
def answer(station: Workstation, volume: Volume) -> Segmentation:
    wait_for(station.queue, station.analysis.run("ct_lungs"))
    wait_for_all(station.queue, station.jobs)
    answer = station.workspace.active_segmentation
    assert answer is not None
    return answer


def test_the_dropped_folder_is_open_as_it_was_made(volume: Volume, coarse_phantom: Phantom) -> None:
    assert volume.geometry.same_grid(coarse_phantom.volume.geometry)
    assert np.array_equal(volume.voxels, coarse_phantom.volume.voxels)


def test_the_model_finds_the_lungs_of_the_phantom(answer: Segmentation, coarse_phantom: Phantom) -> None:
    truth = {segment.name: coarse_phantom.labels == segment.label for segment in coarse_phantom.segments}
    lungs = [segment for segment in answer.segments if "lung" in segment.name.lower()]
    assert {segment.name for segment in lungs} == {"Left lung", "Right lung"}
    for segment in lungs:
        found = (answer.labels == segment.label).astype(np.uint8)
        assert measure.dice(found, truth[segment.name].astype(np.uint8), 1) > 0.95


def test_a_corrected_case_is_kept_and_leaves_in_every_form(
    station: Workstation, volume: Volume, answer: Segmentation, tmp_path: Path
) -> None:
    proposed = answer.labels.copy()
    lung = next(segment for segment in answer.segments if segment.name == "Left lung")
    inside = np.argwhere(proposed == lung.label)
    x, y, z = volume.geometry.to_patient(inside[len(inside) // 2].astype(float))
    station.correction.select_segment(lung.label)
    station.correction.begin_stroke((x, y, z), Plane.AXIAL, erase=True)
    station.correction.stroke_to((x + 12.0, y, z))
    station.correction.end_stroke()
    wait_for_all(station.queue, station.jobs)
    corrected = answer.labels.copy()
    assert (proposed != corrected).any()
    assert set(np.unique(proposed[proposed != corrected])) == {lung.label}

    station.correction.undo()
    assert np.array_equal(answer.labels, proposed)
    station.correction.redo()
    assert np.array_equal(answer.labels, corrected)

    saved = wait_for(station.queue, station.save_example())
    assert saved is not None
    assert saved.proof.ok
    assert saved.example.model is not None
    assert saved.example.model.plugin_id == "ct_lungs"
    assert saved.example.edit is not None
    assert saved.example.edit.voxels == np.count_nonzero(proposed != corrected)

    folders = {
        kind: tmp_path / ("Dataset501_Lungs" if kind is ExportKind.NNUNET else kind.value) for kind in ExportKind
    }
    for kind, folder in folders.items():
        exported = wait_for(station.queue, station.teaching.export(kind, (), folder))
        assert exported is not None
        assert exported.proof.ok
        assert exported.count == 1
    counts = np.bincount(corrected.ravel(), minlength=len(answer.segments) + 1)[1:]
    _check_seg(folders[ExportKind.DICOM_SEG], counts, volume)
    _check_nifti(folders[ExportKind.NIFTI], volume, corrected)
    _check_monai(folders[ExportKind.MONAI], counts)
    _check_nnunet(folders[ExportKind.NNUNET], counts)


def _check_seg(folder: Path, counts: np.ndarray, volume: Volume) -> None:
    (path,) = folder.rglob("*.dcm")
    seg = pydicom.dcmread(path)
    assert seg.Modality == "SEG"
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == volume.series_uid
    assert all("SegmentedPropertyTypeCodeSequence" in item for item in seg.SegmentSequence)
    per_segment = np.zeros(len(seg.SegmentSequence), dtype=int)
    for group, frame in zip(seg.PerFrameFunctionalGroupsSequence, seg.pixel_array, strict=True):
        per_segment[group.SegmentIdentificationSequence[0].ReferencedSegmentNumber - 1] += int(frame.sum())
    assert per_segment.tolist() == counts.tolist()


def _check_nifti(folder: Path, volume: Volume, corrected: np.ndarray) -> None:
    paths = sorted(folder.rglob("*.nii.gz"))
    assert len(paths) == 2
    images = [nibabel.nifti1.Nifti1Image.from_filename(path) for path in paths]
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    expected = to_ras @ volume.geometry.affine[:, [2, 1, 0, 3]]
    for image in images:
        assert np.allclose(image.affine, expected, atol=1e-3)
    arrays = [np.asarray(image.dataobj).transpose(2, 1, 0) for image in images]
    assert any(np.array_equal(array, volume.voxels) for array in arrays)
    assert any(np.array_equal(array, corrected) for array in arrays)


def _check_monai(folder: Path, counts: np.ndarray) -> None:
    from monai.data import load_decathlon_datalist

    (listed,) = folder.glob("*.json")
    parts = [name for name in ("training", "validation", "test") if json.loads(listed.read_text()).get(name)]
    (item,) = [one for part in parts for one in load_decathlon_datalist(str(listed), data_list_key=part)]
    labels = np.asarray(nibabel.nifti1.Nifti1Image.from_filename(item["label"]).dataobj)
    assert np.bincount(labels.astype(int).ravel(), minlength=counts.size + 1)[1:].tolist() == counts.tolist()


def _check_nnunet(folder: Path, counts: np.ndarray) -> None:
    described = json.loads((folder / "dataset.json").read_text())
    assert described["labels"]["background"] == 0
    (labels,) = [path for path in folder.rglob("*.nii.gz") if "labels" in path.parent.name]
    image = next(path for path in folder.rglob("*.nii.gz") if "images" in path.parent.name)
    assert image.name == labels.name.replace(".nii.gz", "_0000.nii.gz")
    values = np.asarray(nibabel.nifti1.Nifti1Image.from_filename(labels).dataobj).astype(int)
    found = np.bincount(values.ravel(), minlength=counts.size + 1)[1:]
    assert sorted(found.tolist()) == sorted(counts.tolist())
