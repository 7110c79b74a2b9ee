from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from medview.core.case import Case, Series
from medview.core.errors import InputError, StorageError
from medview.core.geometry import Box
from medview.core.segmentation import Provenance, Segmentation
from medview.formats import dicom_seg
from medview.learning.exporters import ExportKind
from medview.phantom.chest import Phantom
from medview.workstation.importing import Importing
from medview.workstation.jobs import JobQueue, JobState
from medview.workstation.main_queue import MainQueue
from medview.workstation.teaching import Teaching
from medview.workstation.view_state import Viewing
from medview.workstation.workspace import Workspace
from tests.support import drafts
from tests.support.drafts import draft_from_dicom


class Unknown:
    """An importing that has read nothing."""

    def source(self, series_uid: str) -> None:
        return None


@dataclass
class Desk:
    queue: MainQueue
    jobs: JobQueue
    workspace: Workspace
    teaching: Teaching
    case: Case

    def finish(self, done: Callable[[], bool] | None = None) -> None:
        deadline = time.monotonic() + 20
        while self.jobs.open_jobs if done is None else not done():
            assert time.monotonic() < deadline
            self.queue.drain(0.05)

    def open(self, folder: Path, provenance: Provenance = drafts.MODEL) -> Segmentation:
        made = draft_from_dicom(folder)
        volume = made.volume
        case = self.workspace.case_of(made.study)
        facts = Series(
            volume.series_uid, made.study, volume.modality, "Chest", 3, "CHEST", made.source_files, 4, volume.geometry
        )
        case.put_series(facts)
        case.add_volume(volume)
        drawn = Segmentation(volume.geometry, drafts.labels(), made.segments, provenance=provenance)
        case.add_segmentation(drawn, on=volume.id)
        self.workspace.activate(case, volume, drawn)
        self.case = case
        return drawn


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    queue = MainQueue()
    jobs, workspace = JobQueue(queue), Workspace()
    teaching = Teaching(workspace, jobs, Unknown(), tmp_path / "store", lambda: "Reader One")
    yield Desk(queue, jobs, workspace, teaching, Case.__new__(Case))
    jobs.close()


def erase(segmentation: Segmentation) -> None:
    segmentation.write(Box((0, 1, 2), (1, 2, 3)), np.zeros((1, 1, 1), dtype=np.uint8))


def test_a_corrected_answer_becomes_an_example(desk: Desk, tmp_path: Path) -> None:
    drawn = desk.open(tmp_path / "ct")
    desk.finish()
    erase(drawn)
    told: list[Segmentation] = []
    heard: list[None] = []
    desk.teaching.changed.connect(heard.append)
    job = desk.teaching.save_example(saved=told.append)
    desk.finish()
    assert job.state is JobState.DONE
    assert job.result is not None
    assert job.result.proof.ok
    assert (told, len(heard)) == ([drawn], 1)
    (example,) = desk.teaching.examples()
    assert example.edit is not None
    assert (example.edit.since, example.edit.voxels) == ("proposal", 1)
    assert example.reader == "Reader One"
    assert desk.teaching.is_saved(drawn)
    source = desk.teaching.store.source(example)
    assert source is not None
    assert len(source.files) == 4


def test_labels_are_those_of_the_moment_of_saving(desk: Desk, tmp_path: Path) -> None:
    drawn = desk.open(tmp_path / "ct")
    told: list[Segmentation] = []
    desk.teaching.save_example(saved=told.append)
    erase(drawn)
    desk.finish()
    (example,) = desk.teaching.examples()
    np.testing.assert_array_equal(desk.teaching.store.labels(example), drafts.labels())
    assert told == []
    assert not desk.teaching.is_saved(drawn)
    desk.teaching.save_example(drawn, saved=told.append)
    desk.finish()
    assert told == [drawn]
    assert [one.revision for one in desk.teaching.store.examples(every_revision=True)] == [1, 2]


def test_two_segmentations_of_one_image_are_two_examples(desk: Desk, tmp_path: Path) -> None:
    first = desk.open(tmp_path / "ct", Provenance())
    volume = desk.case.volume_under(first.id)
    second = Segmentation(volume.geometry, drafts.labels(), first.segments)
    desk.case.add_segmentation(second, on=volume.id)
    for segmentation in (first, second, first):
        desk.teaching.save_example(segmentation)
        desk.finish()
    assert sorted(one.revision for one in desk.teaching.examples()) == [1, 2]


def test_what_cannot_be_saved_says_why(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no segmentation"):
        desk.teaching.save_example()
    drawn = desk.open(tmp_path / "ct")
    stray = Segmentation(drafts.geometry(), drafts.labels(), drawn.segments)
    with pytest.raises(InputError, match="no open case"):
        desk.teaching.save_example(stray)
    volume = desk.case.volume_under(drawn.id)
    desk.case.add_volume(volume, complete=False)
    desk.case.add_segmentation(drawn, on=volume.id)
    with pytest.raises(InputError, match="still loading"):
        desk.teaching.save_example(drawn)


@pytest.mark.parametrize("kind", list(ExportKind))
def test_examples_are_exported(desk: Desk, tmp_path: Path, kind: ExportKind) -> None:
    desk.open(tmp_path / "ct")
    desk.teaching.save_example()
    desk.finish()
    (example,) = desk.teaching.examples()
    job = desk.teaching.export(kind, [example.example_id[:8]], tmp_path / "Dataset501_Lungs")
    desk.finish()
    assert job.result is not None
    assert (job.result.count, job.result.proof.ok) == (1, True)
    assert any(path.is_file() for path in (tmp_path / "Dataset501_Lungs").rglob("*"))
    again = desk.teaching.export(kind, [], tmp_path / "Dataset501_Lungs")
    desk.finish()
    assert isinstance(again.error, StorageError)
    with pytest.raises(InputError, match="nobody"):
        desk.teaching.export(kind, ["nobody"], tmp_path / "Dataset502_Lungs")


def test_from_opened_files_to_a_segmentation_in_their_study(
    small_series_folder: Path, small_phantom: Phantom, tmp_path: Path
) -> None:
    queue = MainQueue()
    jobs, workspace = JobQueue(queue), Workspace()
    importing = Importing(workspace, Viewing(), jobs, queue)
    teaching = Teaching(workspace, jobs, importing, tmp_path / "store", lambda: "Reader One")
    desk = Desk(queue, jobs, workspace, teaching, Case.__new__(Case))
    importing.open_paths([small_series_folder])
    desk.finish()
    case, volume = workspace.active_case, workspace.active_volume
    assert case is not None
    assert volume is not None
    truth = Segmentation(
        volume.geometry, small_phantom.labels.copy(), small_phantom.segments, provenance=Provenance(drafts.MODEL.model)
    )
    case.add_segmentation(truth, on=volume.id)
    desk.finish()
    teaching.save_example(truth)
    desk.finish()
    job = teaching.export(ExportKind.DICOM_SEG, (), tmp_path / "segs")
    desk.finish()
    assert job.result is not None
    assert (job.result.skipped, job.result.proof.ok) == ((), True)
    (path,) = (tmp_path / "segs").iterdir()
    again = dicom_seg.read(path, volume.geometry)
    np.testing.assert_array_equal(again.labels != 0, small_phantom.labels != 0)
    (example,) = teaching.examples()
    assert example.edit is not None
    assert (example.edit.since, example.edit.voxels) == ("proposal", 0)
    jobs.close()
