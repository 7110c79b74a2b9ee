from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medview.core.errors import GridMismatchError, InputError
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.core.segmentation import Segmentation
from medview.formats import dicom_seg, image_files
from medview.learning.exporters import ExportKind
from medview.workstation import dataset
from tests.support import drafts, source_series


def test_a_dicom_series_with_its_segmentation_is_added(tmp_path: Path) -> None:
    volume, files = source_series.make(tmp_path / "ct", drafts.geometry())
    drawn = Segmentation(drafts.geometry(), drafts.labels(), (drafts.LEFT_LUNG, drafts.RIGHT_LUNG))
    dicom_seg.write(drawn, volume, files, tmp_path / "seg.dcm")
    saved = dataset.add(tmp_path / "store", tmp_path / "ct", tmp_path / "seg.dcm", "Reader One", NoProgress())
    assert saved.proof.ok
    (example,) = dataset.list_examples(tmp_path / "store")
    assert [segment.name for segment in example.segments] == ["Left lung", "Right lung"]
    assert example.modality == "CT"
    stats = dataset.stats(tmp_path / "store")
    assert (stats.examples, stats.revisions, stats.patients) == (1, 1, 1)
    assert dict(stats.segments) == {"Left lung": 1, "Right lung": 1}
    assert stats.size_bytes > 0
    assert dataset.verify(tmp_path / "store", NoProgress()) == ()
    done = dataset.export(
        tmp_path / "store", ExportKind.DICOM_SEG, [example.example_id], tmp_path / "out", NoProgress()
    )
    (path,) = done.folder.iterdir()
    np.testing.assert_array_equal(dicom_seg.read(path, drafts.geometry()).labels, drafts.labels())


def test_image_files_are_added_and_named(tmp_path: Path) -> None:
    case = drafts.draft()
    image_files.write_volume(case.volume, tmp_path / "image.nii.gz")
    image_files.write_labels(drafts.labels(), case.volume.geometry, tmp_path / "labels.nii.gz")
    paths = tmp_path / "store", tmp_path / "image.nii.gz", tmp_path / "labels.nii.gz"
    saved = dataset.add(*paths, "Reader One", NoProgress(), names=("Left lung", "Thing"))
    assert [(one.name, one.code and one.code.value) for one in saved.example.segments] == [
        ("Left lung", "39607008"),
        ("Thing", "85756007"),
    ]


def test_labels_of_another_grid_are_refused(tmp_path: Path) -> None:
    case = drafts.draft()
    image_files.write_volume(case.volume, tmp_path / "image.nii.gz")
    affine = case.volume.geometry.affine.copy()
    affine[2, 3] += 1
    image_files.write_labels(drafts.labels(), Geometry(drafts.SHAPE, affine), tmp_path / "labels.nii.gz")
    with pytest.raises(GridMismatchError, match="grid"):
        dataset.add(
            tmp_path / "store", tmp_path / "image.nii.gz", tmp_path / "labels.nii.gz", "Reader One", NoProgress()
        )


def test_two_series_need_a_choice(tmp_path: Path) -> None:
    volume, files = source_series.make(tmp_path / "ct" / "one", drafts.geometry())
    source_series.make(tmp_path / "ct" / "two", drafts.geometry())
    drawn = Segmentation(drafts.geometry(), drafts.labels(), (drafts.LEFT_LUNG, drafts.RIGHT_LUNG))
    dicom_seg.write(drawn, volume, files, tmp_path / "seg.dcm")
    arguments = tmp_path / "store", tmp_path / "ct", tmp_path / "seg.dcm", "Reader One", NoProgress()
    with pytest.raises(InputError, match="2 series"):
        dataset.add(*arguments)
    assert dataset.add(*arguments, series_uid=volume.series_uid).example.revision == 1
    with pytest.raises(InputError, match="no image series"):
        dataset.add(*arguments, series_uid="9.9.9")
