from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medview.core.case import CaseChange, SeriesFound, SlicesArrived, VolumeAdded, VolumeComplete, VolumeRemoved
from medview.core.events import Connection
from medview.core.progress import NoProgress
from medview.core.volume import Modality, Volume
from medview.formats import image_files
from medview.formats.dicom_series import DicomSeries
from medview.formats.dicom_writer import SAMPLE_STUDY, SeriesOptions, write_series
from medview.phantom.chest import Phantom
from medview.workstation import sample_study
from medview.workstation.importing import Importing
from medview.workstation.jobs import JobQueue, JobState
from medview.workstation.main_queue import MainQueue
from medview.workstation.view_state import Viewing
from medview.workstation.workspace import CaseOpened, Workspace, WorkspaceChange


class Desk:
    """A workspace with an importer, and everything that was said."""

    def __init__(self) -> None:
        self.workspace, self.viewing, self.queue = Workspace(), Viewing(), MainQueue()
        self.jobs = JobQueue(self.queue)
        self.importing = Importing(self.workspace, self.viewing, self.jobs, self.queue)
        self.said: list[CaseChange] = []
        self._connections: list[Connection] = [self.workspace.changed.connect(self._listen)]

    def _listen(self, change: WorkspaceChange) -> None:
        if isinstance(change, CaseOpened):
            self._connections.append(self.workspace.cases[-1].changed.connect(self.said.append))

    def wait(self, until: Callable[[], bool] | None = None) -> None:
        deadline = time.monotonic() + 30
        while not until() if until is not None else self.jobs.open_jobs:
            assert time.monotonic() < deadline
            self.queue.drain(0.05)

    @property
    def shown(self) -> Volume:
        volume = self.workspace.active_volume
        assert volume is not None
        return volume

    def open(self, *paths: Path) -> Any:
        job = self.importing.open_paths(paths)
        self.wait()
        return job


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.jobs.close()


def test_a_dropped_folder_is_open_at_once(desk: Desk, small_series_folder: Path, small_phantom: Phantom) -> None:
    job = desk.open(small_series_folder)
    assert job.state is JobState.DONE
    (case,) = desk.workspace.cases
    volume = desk.shown
    assert desk.workspace.active_case is case
    assert np.array_equal(volume.voxels, small_phantom.volume.voxels)
    assert case.is_complete(volume.id)
    state = desk.viewing.state
    assert state.volume_id == volume.id
    assert state.cursor == pytest.approx(volume.geometry.center_mm)
    assert state.window == small_phantom.volume.windows[0]
    assert case.thumbnails[volume.series_uid].shape == (96, 96)
    source = desk.importing.source(volume.series_uid)
    assert isinstance(source, DicomSeries)
    assert len(source.headers) == 40


def test_the_order_of_what_is_said(desk: Desk, small_series_folder: Path) -> None:
    desk.open(small_series_folder)
    kinds = [type(change) for change in desk.said]
    assert (
        kinds.index(SeriesFound) < kinds.index(VolumeAdded) < kinds.index(SlicesArrived) < kinds.index(VolumeComplete)
    )
    arrived = [change for change in desk.said if isinstance(change, SlicesArrived)]
    assert (arrived[0].start, arrived[0].stop) == (20, 21)
    assert sorted(k for one in arrived for k in range(one.start, one.stop)) == list(range(40))


def test_the_first_slice_is_shown_before_the_last_is_read(desk: Desk, chest_series_folder: Path) -> None:
    complete_at_start: list[bool] = []

    def listen(change: CaseChange) -> None:
        if isinstance(change, VolumeAdded):
            complete_at_start.append(desk.workspace.cases[0].is_complete(change.volume_id))

    def on_workspace(change: WorkspaceChange) -> None:
        if isinstance(change, CaseOpened):
            desk.workspace.cases[-1].changed.connect(listen)

    connection = desk.workspace.changed.connect(on_workspace)
    desk.open(chest_series_folder)
    connection.close()
    assert complete_at_start == [False]


def test_the_others_are_read_when_the_first_slice_is_on_screen(desk: Desk, chest_series_folder: Path) -> None:
    to_tell: list[Callable[[], None]] = []
    desk.importing.when_on_screen = to_tell.append
    desk.importing.open_paths([chest_series_folder])
    desk.wait(lambda: bool(to_tell))
    outside = desk.shown.voxels.min()
    assert np.any(desk.shown.voxels != outside, axis=(1, 2)).sum() == 1
    to_tell.pop()()
    desk.wait()
    assert np.any(desk.shown.voxels != outside, axis=(1, 2)).all()


def test_a_slice_that_never_comes_on_screen_does_not_keep_a_job_alive(desk: Desk, chest_series_folder: Path) -> None:
    desk.importing.when_on_screen = lambda call: None
    desk.importing.open_paths([chest_series_folder])
    desk.wait(lambda: desk.workspace.active_volume is not None)
    job = desk.importing.load(desk.shown.series_uid)
    assert job is not None
    job.cancel()
    desk.wait()
    assert job.state is JobState.CANCELLED


def test_a_single_file_opens_its_series(desk: Desk, small_series_folder: Path) -> None:
    desk.open(small_series_folder / "00003.dcm")
    volume = desk.shown
    assert volume.geometry.shape == (40, 64, 64)


def test_the_largest_volume_opens_and_the_others_on_demand(desk: Desk, small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path / "a", SeriesOptions(series_uid="1.2.3"))
    write_series(small_phantom.volume, tmp_path / "b", SeriesOptions(series_uid="1.2.4", missing=(0, 1)))
    write_series(small_phantom.volume, tmp_path / "c", SeriesOptions(series_uid="1.2.5", tilt_degrees=80))
    desk.open(tmp_path)
    (case,) = desk.workspace.cases
    assert len(case.series) == 3
    first = desk.shown
    assert first.series_uid == "1.2.3"
    job = desk.importing.load("1.2.4")
    assert job is not None
    assert desk.importing.load("1.2.4") is job
    desk.wait()
    assert desk.workspace.active_volume is job.result
    assert desk.importing.load("1.2.3") is None
    assert desk.workspace.active_volume is first
    refused = desk.importing.load("1.2.5")
    assert refused is not None
    desk.wait()
    assert refused.state is JobState.FAILED
    assert "too far" in str(refused.error)
    assert desk.workspace.active_volume is first
    assert desk.importing.load("unknown") is None


def test_another_volume_of_the_same_space_keeps_the_place(desk: Desk, small_phantom: Phantom, tmp_path: Path) -> None:
    for name in ("1.2.3", "1.2.4"):
        write_series(small_phantom.volume, tmp_path / name, SeriesOptions(series_uid=name))
    desk.open(tmp_path)
    desk.viewing.update(cursor=(10.0, 20.0, 30.0))
    desk.importing.load("1.2.4" if desk.shown.series_uid == "1.2.3" else "1.2.3")
    desk.wait()
    assert desk.viewing.state.cursor == (10.0, 20.0, 30.0)


def test_dropping_it_again_changes_nothing(desk: Desk, small_series_folder: Path) -> None:
    desk.open(small_series_folder)
    volume = desk.workspace.active_volume
    desk.viewing.update(cursor=(1.0, 2.0, 3.0))
    desk.open(small_series_folder)
    assert len(desk.workspace.cases) == 1
    assert desk.workspace.active_volume is volume
    assert desk.viewing.state.cursor == (1.0, 2.0, 3.0)
    assert len(desk.workspace.cases[0].volumes) == 1


def test_the_second_half_of_a_series_joins_the_first(desk: Desk, small_series_folder: Path, tmp_path: Path) -> None:
    for path in sorted(small_series_folder.iterdir()):
        folder = tmp_path / ("a" if int(path.stem) <= 20 else "b")
        folder.mkdir(exist_ok=True)
        shutil.copy(path, folder)
    desk.open(tmp_path / "a")
    desk.open(tmp_path / "b")
    (series,) = desk.workspace.cases[0].series
    assert series.slices == 40


def test_a_second_drop_adds(desk: Desk, small_series_folder: Path, small_phantom: Phantom, tmp_path: Path) -> None:
    desk.open(small_series_folder)
    study = replace(SAMPLE_STUDY, uid="1.2.9", patient=replace(SAMPLE_STUDY.patient, name="Phantom^Other"))
    write_series(small_phantom.volume, tmp_path, SeriesOptions(missing=(0,)), study=study)
    desk.open(tmp_path)
    assert [case.study.patient.name for case in desk.workspace.cases] == ["Phantom, Chest", "Phantom, Other"]
    assert all(len(case.volumes) == 1 for case in desk.workspace.cases)


def test_what_cannot_be_opened_is_said_in_one_sentence(desk: Desk, small_phantom: Phantom, tmp_path: Path) -> None:
    for name in ("empty", "text", "refused"):
        (tmp_path / name).mkdir()
    (tmp_path / "text" / "a.txt").write_text("only words")
    write_series(small_phantom.volume, tmp_path / "refused", SeriesOptions(tilt_degrees=80))
    assert "no files" in str(desk.open(tmp_path / "empty").error)
    assert "a.txt" in str(desk.open(tmp_path / "text").error)
    assert "too far" in str(desk.open(tmp_path / "refused").error)
    assert [reject.path.name for reject in desk.workspace.rejects] == ["a.txt"]
    (case,) = desk.workspace.cases
    (series,) = case.series
    assert series.refusal is not None
    assert series.uid in case.thumbnails
    assert desk.workspace.active_volume is None


def test_a_damaged_slice_fails_the_load_and_returns_to_what_was_shown(
    desk: Desk, small_series_folder: Path, small_phantom: Phantom, tmp_path: Path
) -> None:
    desk.open(small_series_folder)
    shown = desk.shown
    paths = write_series(small_phantom.volume, tmp_path, SeriesOptions(series_uid="1.2.3", missing=(0, 1)))
    desk.open(tmp_path)
    (series_uid,) = {one.uid for one in desk.workspace.cases[0].series} - {shown.series_uid}
    loaded = desk.workspace.cases[0].volume_of_series(series_uid)
    assert loaded is not None
    desk.importing.load(shown.series_uid)
    desk.workspace.cases[0].remove_volume(loaded.id)
    paths[-1].write_bytes(paths[-1].read_bytes()[:-10])
    job = desk.importing.load(series_uid)
    desk.wait()
    assert job is not None
    assert job.state is JobState.FAILED
    assert paths[-1].name in str(job.error)
    assert desk.workspace.active_volume is shown
    assert desk.viewing.state.volume_id == shown.id
    assert desk.workspace.cases[0].volume_of_series(series_uid) is None
    assert any(isinstance(change, VolumeRemoved) for change in desk.said)


def test_closing_a_case_cancels_its_load(desk: Desk, chest_series_folder: Path) -> None:
    desk.importing.open_paths([chest_series_folder])
    desk.wait(lambda: desk.workspace.active_volume is not None)
    desk.workspace.close_case(desk.workspace.cases[0])
    desk.wait()
    assert desk.workspace.cases == ()
    assert desk.workspace.active_volume is None
    assert desk.viewing.state.volume_id is None


def test_a_search_can_be_cancelled(desk: Desk, chest_series_folder: Path) -> None:
    job = desk.importing.open_paths([chest_series_folder])
    job.cancel()
    desk.wait()
    assert job.state is JobState.CANCELLED
    assert desk.workspace.active_volume is None


def test_a_stopped_search_leaves_no_series_that_seems_whole(desk: Desk, real_data: Path) -> None:
    job = desk.importing.open_paths([real_data])
    desk.wait(lambda: bool(desk.workspace.cases))
    job.cancel()
    desk.wait()
    assert job.state is JobState.CANCELLED
    found = [one for case in desk.workspace.cases for one in case.series]
    assert found
    assert {one.refusal.code if one.refusal else "" for one in found} == {"search-stopped"}


def test_an_image_file_opens_with_its_guess(desk: Desk, small_phantom: Phantom, tmp_path: Path) -> None:
    image_files.write_volume(small_phantom.volume, tmp_path / "scan.nii.gz")
    desk.open(tmp_path / "scan.nii.gz")
    volume = desk.shown
    assert volume.modality is Modality.CT
    assert np.array_equal(volume.voxels, small_phantom.volume.voxels)
    (case,) = desk.workspace.cases
    (series,) = case.series
    assert series.modality is Modality.CT
    assert [remark.code for remark in series.remarks] == ["modality-guessed"]
    assert series.uid in case.thumbnails
    assert desk.importing.source(series.uid) == tmp_path / "scan.nii.gz"


def test_the_sample_study_is_made_once_and_opens(desk: Desk, tmp_path: Path) -> None:
    folder = sample_study.ensure(tmp_path / "home", NoProgress())
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert sample_study.ensure(tmp_path / "home", NoProgress()) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["sample-study"]
    desk.open(folder)
    volume = desk.shown
    assert volume.geometry.shape == (160, 256, 256)


def test_real_ct_mr_and_pet(desk: Desk, real_data: Path) -> None:
    desk.open(real_data / "rtstruct-sarcoma-ct-pet-mr" / "STS_025" / "dicom")
    readable = [one for case in desk.workspace.cases for one in case.series if one.geometry is not None]
    assert sorted(one.modality for one in readable) == ["CT", "MR", "PT"]
    volume = desk.shown
    assert volume.modality is Modality.CT
