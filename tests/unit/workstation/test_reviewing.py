"""What readers say of segmentations: kept line by line, back after a restart, and in the saved example."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medview.core.errors import InputError, StorageError
from medview.core.planes import Plane
from medview.core.review import Judgement, Review, SegmentState
from medview.core.segmentation import ModelRef, Provenance, Segment, Segmentation
from medview.workstation.edit_summary import EditTally
from medview.workstation.station import Workstation


class Reader:
    """A workstation with a phantom and a model's answer on it."""

    def __init__(self, home: Path, series: Path, *, adopt: bool = True) -> None:
        self.station = Workstation(home)
        self.station.settings.update(reader="A. Reader")
        self.station.importing.open_paths([series])
        self.until(lambda: self.station.workspace.active_volume is not None and not self.station.jobs.open_jobs)
        if adopt:
            self.adopt()

    def adopt(self) -> None:
        station = self.station
        case, volume = station.workspace.active_case, station.workspace.active_volume
        assert case is not None
        assert volume is not None
        labels = np.zeros(volume.geometry.shape, np.uint8)
        labels[10:20, 20:40, 20:40] = 1
        labels[22:25, 20:40, 20:40] = 2
        segments = (Segment(1, "Liver", (200, 90, 60)), Segment(2, "Spleen", (1, 2, 3)))
        made = Segmentation(volume.geometry, labels, segments, provenance=Provenance(ModelRef("organs", "1")))
        case.add_segmentation(made, on=volume.id)
        station.workspace.activate(case, volume, made)
        station.correction.adopt(made)

    @property
    def review(self) -> Review:
        return self.station.reviewing.review

    def stroke(self) -> None:
        volume = self.station.workspace.active_volume
        assert volume is not None
        x, y, z = (float(one) for one in volume.geometry.to_patient((15, 50, 50)))
        self.station.correction.begin_stroke((x, y, z), Plane.AXIAL)
        self.station.correction.end_stroke()

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not holds() and time.monotonic() < deadline:
            self.station.queue.drain(0.02)
        assert holds()

    def close(self) -> None:
        self.station.close()
        self.station.queue.drain(0)


@pytest.fixture
def one(medview_home: Path, small_series_folder: Path) -> Iterator[Reader]:
    reader = Reader(medview_home, small_series_folder)
    yield reader
    reader.close()


def lines_in(home: Path) -> list[dict[str, object]]:
    (file,) = (home / "reviews").iterdir()
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_a_segment_is_not_started_until_something_is_done_to_it_and_then_what_the_reader_says(one: Reader) -> None:
    reviewing = one.station.reviewing
    assert reviewing.states() == {1: SegmentState.NOT_STARTED, 2: SegmentState.NOT_STARTED}
    one.stroke()
    assert reviewing.states() == {1: SegmentState.IN_PROGRESS, 2: SegmentState.NOT_STARTED}
    one.station.correction.undo()
    assert reviewing.states() == {1: SegmentState.NOT_STARTED, 2: SegmentState.NOT_STARTED}
    reviewing.say_state(2, SegmentState.FLAGGED)
    reviewing.say_state(1, SegmentState.DONE)
    reviewing.say_state(77, SegmentState.DONE)
    one.stroke()
    assert reviewing.states() == {1: SegmentState.DONE, 2: SegmentState.FLAGGED}
    state, signed = one.review.states[2]
    assert (state, signed.reader) == (SegmentState.FLAGGED, "A. Reader")
    assert abs((datetime.now(UTC) - signed.at).total_seconds()) < 30


def test_a_rejection_needs_a_reason_and_the_last_word_counts(one: Reader) -> None:
    reviewing = one.station.reviewing
    assert one.review == Review()
    with pytest.raises(InputError, match="Why is it rejected"):
        reviewing.judge(Judgement.REJECTED, "  ")
    assert one.review == Review()
    reviewing.judge(Judgement.REJECTED, "wrong side")
    assert (one.review.judgement, one.review.reason) == (Judgement.REJECTED, "wrong side")
    reviewing.judge(Judgement.CORRECTED)
    assert (one.review.judgement, one.review.reason) == (Judgement.CORRECTED, "")
    assert (one.review.signed.reader if one.review.signed else "") == "A. Reader"
    reviewing.judge(Judgement.OPEN)
    assert one.review == Review(seconds=one.review.seconds)
    one.station.workspace.activate(None, None)
    with pytest.raises(InputError, match="nothing to judge"):
        reviewing.judge(Judgement.ACCEPTED)
    with pytest.raises(InputError, match="nothing to comment"):
        reviewing.comment("here")


def test_a_comment_stands_at_the_crosshair_and_one_goes_to_it(one: Reader) -> None:
    reviewing, viewing = one.station.reviewing, one.station.viewing
    viewing.update(cursor=(1.5, -2.5, 3.5))
    reviewing.comment("  leak into the stomach ")
    reviewing.comment("   ")
    reviewing.comment("second", (9.0, 8.0, 7.0))
    first, second = one.review.comments
    assert (first.text, first.point, first.signed.reader) == ("leak into the stomach", (1.5, -2.5, 3.5), "A. Reader")
    reviewing.go_to(second)
    assert viewing.state.cursor == (9.0, 8.0, 7.0)
    reviewing.take_back(first.id)
    assert one.review.comments == (second,)


def test_everything_said_is_a_line_that_stays(one: Reader, medview_home: Path) -> None:
    reviewing = one.station.reviewing
    reviewing.say_state(1, SegmentState.DONE)
    reviewing.say_state(1, SegmentState.DONE)
    reviewing.comment("here")
    reviewing.take_back(one.review.comments[0].id)
    reviewing.judge(Judgement.ACCEPTED)
    reviewing.judge(Judgement.ACCEPTED)
    one.station.reviewing.record.close()
    lines = lines_in(medview_home)
    assert [line["event"] for line in lines] == ["state", "comment", "comment-taken-back", "judged"]
    assert {line["reader"] for line in lines} == {"A. Reader"}


def test_a_review_comes_back_with_the_work_after_a_restart(medview_home: Path, small_series_folder: Path) -> None:
    one = Reader(medview_home, small_series_folder)
    one.stroke()
    one.station.reviewing.say_state(2, SegmentState.FLAGGED)
    one.station.reviewing.comment("here", (1.0, 2.0, 3.0))
    one.station.reviewing.judge(Judgement.REJECTED, "motion")
    said = one.review
    one.close()
    file = next((medview_home / "reviews").iterdir())
    with file.open("ab") as cut_off:
        cut_off.write(b'{"event": "judged", "judgement": "acc')
    two = Reader(medview_home, small_series_folder, adopt=False)
    told: list[StorageError] = []
    two.station.reviewing.record.failed.connect(told.append)
    (recovery,) = two.station.correction.recovering.recoveries()
    two.station.correction.recovering.restore(recovery)
    two.until(lambda: two.review.judgement is Judgement.REJECTED)
    assert two.review == said
    assert two.station.reviewing.states() == {1: SegmentState.IN_PROGRESS, 2: SegmentState.FLAGGED}
    two.station.reviewing.judge(Judgement.ACCEPTED)
    two.close()
    last = file.read_text(encoding="utf-8").splitlines()[-1]
    assert json.loads(last)["judgement"] == "accepted", "a line that was cut off does not take the next one along"


def test_a_record_that_cannot_be_written_is_told(one: Reader, medview_home: Path) -> None:
    told: list[StorageError] = []
    one.station.reviewing.record.failed.connect(told.append)
    (medview_home / "reviews").write_text("in the way")
    one.station.reviewing.judge(Judgement.ACCEPTED)
    one.until(lambda: bool(told))
    assert str(told[0].what).startswith("The review was not kept: ")
    assert one.review.judgement is Judgement.ACCEPTED


def test_what_was_said_is_in_the_saved_example_without_the_patients_name(one: Reader) -> None:
    case = one.station.workspace.active_case
    assert case is not None
    name = case.study.patient.name.split("^")[0]
    assert name
    one.stroke()
    reviewing = one.station.reviewing
    reviewing.say_state(1, SegmentState.DONE)
    reviewing.comment(f"{name} moved here", (1.0, 2.0, 3.0))
    reviewing.judge(Judgement.CORRECTED, f"seen with {name}")
    job = one.station.save_example()
    one.until(lambda: job.state.is_final)
    (example,) = one.station.teaching.examples()
    assert example.review is not None
    assert example.review.judgement is Judgement.CORRECTED
    assert example.review.reader == "A. Reader"
    assert [(part.label, part.state) for part in example.review.segments] == [(1, SegmentState.DONE)]
    (comment,) = example.review.comments
    assert comment.point == (1.0, 2.0, 3.0)
    assert "moved here" in comment.text
    assert name not in example.model_dump_json()
    assert example.edit is not None
    assert example.edit.seconds is not None
    assert example.review.seconds == pytest.approx(example.edit.seconds, abs=2.0)


def test_time_counts_only_while_somebody_is_at_work(monkeypatch: pytest.MonkeyPatch, one: Reader) -> None:
    clock = 1000.0
    monkeypatch.setattr("medview.workstation.edit_summary.time.monotonic", lambda: clock)
    segmentation = one.station.workspace.active_segmentation
    assert segmentation is not None
    tally = EditTally(segmentation)
    for at, expected in ((1000, 0), (1010, 10), (1065, 65), (1200, 65), (1230, 95)):
        clock = float(at)
        tally.tick()
        assert tally.seconds == expected, "a pause of more than a minute does not count"
    clock = 1240.0
    tally.tick()
    tally.pause()
    clock = 1250.0
    tally.tick()
    assert tally.seconds == 105, "nor does the time in another window"
    clock = 1255.0
    tally.tick()
    assert tally.seconds == 110


def test_the_window_says_who_is_at_work(monkeypatch: pytest.MonkeyPatch, one: Reader) -> None:
    clock = 500.0
    monkeypatch.setattr("medview.workstation.edit_summary.time.monotonic", lambda: clock)
    reviewing = one.station.reviewing
    reviewing.attend()
    before = reviewing.seconds
    clock = 530.0
    reviewing.look_away()
    clock = 550.0
    reviewing.attend()
    clock = 560.0
    reviewing.attend()
    assert reviewing.seconds - before == pytest.approx(40)


def other_patient(series: Path, folder: Path, number: int) -> Path:
    """The same pictures as a study of somebody else."""
    folder.mkdir()
    for path in sorted(series.iterdir()):
        data = pydicom.dcmread(path)
        data.PatientID = f"OTHER-{number}"
        data.StudyInstanceUID = f"{data.StudyInstanceUID}.{number}"
        data.SeriesInstanceUID = f"{data.SeriesInstanceUID}.{number}"
        data.SOPInstanceUID = f"{data.SOPInstanceUID}.{number}"
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.save_as(folder / path.name)
    return folder


def test_one_goes_from_case_to_case(medview_home: Path, small_series_folder: Path, tmp_path: Path) -> None:
    one = Reader(medview_home, small_series_folder)
    station = one.station
    assert not station.worklist.go(1), "there is no other case"
    for number in (1, 2):
        job = station.importing.open_paths([other_patient(small_series_folder, tmp_path / str(number), number)])
        one.until(lambda: job.state.is_final and not station.jobs.open_jobs)  # noqa: B023
    assert (len(station.worklist.cases), station.worklist.place) == (3, 2)
    visited = []
    for step in (1, 1, 1, -1):
        assert station.worklist.go(step)
        one.until(lambda: not station.jobs.open_jobs)
        visited.append(station.worklist.place)
    assert visited == [0, 1, 2, 1]
    station.worklist.go(-1)
    assert station.workspace.active_segmentation is not None, "what was at work on is there again"
    one.close()
