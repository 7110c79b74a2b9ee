"""Findings: a plugin's answer, the reader's words, and a record that only grows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest

from medview.core.errors import InputError, MedViewError
from medview.core.finding import Interval, Verdict
from medview.core.volume import VolumeId
from medview.workstation.finding_groups import GroupKind, groups
from medview.workstation.findings_desk import alternatives
from medview.workstation.jobs import Job
from tests.support.finding_plugin import write_finding_plugin
from tests.support.reader import Reader


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    return write_finding_plugin(tmp_path / "verdicts")


@pytest.fixture
def reader(medview_home: Path, small_series_folder: Path) -> Iterator[Reader]:
    made = Reader(medview_home, small_series_folder)
    yield made
    made.close()


def test_an_answer_becomes_findings_with_codes_places_and_thresholds(reader: Reader, plugin: Path) -> None:
    reader.ask(plugin)
    assert [(one.finding.name, one.finding.probability) for one in reader.entries] == [
        ("Nodule", 0.75), ("Normal", 0.25), ("Nodule", 0.5), ("Normal", None),
    ]  # fmt: skip
    whole, boxed = reader.named("Nodule"), reader.named("Nodule", placed=True)
    volume = reader.station.workspace.active_volume
    assert volume is not None
    assert whole.finding.code is not None
    assert whole.finding.code.value == "27925004"
    assert whole.finding.is_positive
    assert whole.finding.interval == Interval(0.62, 0.81, 8)
    assert boxed.finding.is_positive is False
    assert boxed.finding.size_mm == (6.0, 8.0, 10.0)
    assert boxed.finding.place == pytest.approx(tuple(volume.geometry.to_patient((7, 11, 13))))
    assert whole.notes == ("Unlike what it knows.",)
    assert all(one.finding.verdict is Verdict.OPEN for one in reader.entries)
    reader.station.findings.go_to(boxed.id)
    assert reader.station.viewing.state.cursor == pytest.approx(boxed.finding.place)


def test_words_of_the_reader_are_kept_and_come_back(
    reader: Reader, plugin: Path, medview_home: Path, small_series_folder: Path
) -> None:
    reader.ask(plugin)
    desk = reader.station.findings
    desk.confirm(reader.named("Nodule").id)
    desk.reject(reader.named("Nodule", placed=True).id, "Artefact")
    desk.add("Old fracture")
    desk.reopen(reader.named("Nodule", placed=True).id)
    desk.reject(reader.named("Nodule", placed=True).id, "Nothing there")
    before = reader.entries
    reader.close()

    again = Reader(medview_home, small_series_folder)
    again.until(lambda: len(again.entries) == len(before))
    assert again.entries == before
    assert again.named("Nodule").finding.verdict is Verdict.CONFIRMED
    assert again.named("Nodule", placed=True).reason == "Nothing there"
    assert again.named("Nodule", placed=True).reader == "A. Reader"
    own = again.named("Old fracture")
    assert own.finding.algorithm is None
    assert own.finding.verdict is Verdict.CONFIRMED
    uid = again.station.workspace.active_volume.series_uid  # type: ignore[union-attr]
    lines = again.station.findings.record.path_of(uid).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["found"] * 4 + ["decided"] * 2 + ["found"] + [
        "decided"
    ] * 3
    again.close()


def test_something_else_is_rejected_and_replaced(reader: Reader, plugin: Path) -> None:
    reader.ask(plugin)
    wrong = reader.named("Normal")
    assert alternatives(reader.entries)[wrong.id] == ("Nodule",)
    reader.station.findings.correct(wrong.id, "Nodule")
    (right,) = [one for one in reader.entries if one.corrects == wrong.id]
    assert right.finding.name == "Nodule"
    assert right.finding.code is not None
    assert right.finding.verdict is Verdict.CONFIRMED
    assert reader.named("Normal").finding.verdict is Verdict.REJECTED


def test_of_a_model_the_latest_answer_is_shown_and_what_was_decided(reader: Reader, plugin: Path) -> None:
    reader.ask(plugin)
    kept = reader.named("Nodule")
    reader.station.findings.confirm(kept.id)
    first = {one.id for one in reader.entries}
    reader.ask(plugin)
    now = {one.id for one in reader.entries}
    assert now & first == {kept.id}
    assert len(now) == 5


def test_an_answer_for_a_series_that_is_not_shown_stands_behind_what_was_known_of_it(
    reader: Reader, plugin: Path, medview_home: Path, small_series_folder: Path
) -> None:
    reader.station.findings.add("Known")
    reader.close()
    again = Reader(medview_home, small_series_folder)
    volume = again.station.workspace.active_volume
    assert volume is not None
    other = replace(volume, id=VolumeId("other"), series_uid="1.2.826.0.1.3680043.10.999.77")
    case = again.station.workspace.active_case
    assert case is not None
    case.add_volume(other)
    again.station.analysis.run(again.station.shelf.lend(plugin).id)
    again.station.workspace.activate(case, other)
    again.until(lambda: not again.station.jobs.open_jobs)
    assert list(again.entries) == []
    again.station.workspace.activate(case, volume)
    again.until(lambda: len(again.entries) == 5)
    assert again.entries[0].finding.name == "Known"
    again.close()


def test_a_line_whose_writing_was_cut_off_costs_itself_alone(
    reader: Reader, medview_home: Path, small_series_folder: Path
) -> None:
    desk = reader.station.findings
    desk.add("First")
    uid = reader.station.workspace.active_volume.series_uid  # type: ignore[union-attr]
    reader.close()
    path = desk.record.path_of(uid)
    with path.open("ab") as file:
        file.write(b'{"event": "found", "id": "x", "fin')

    again = Reader(medview_home, small_series_folder)
    told: list[MedViewError] = []
    again.station.findings.record.failed.connect(told.append)
    again.until(lambda: len(again.entries) == 1)
    again.station.findings.add("Second")
    again.close()
    third = Reader(medview_home, small_series_folder)
    third.until(lambda: len(third.entries) == 2)
    assert [one.finding.name for one in third.entries] == ["First", "Second"]
    assert path.stat().st_mode & 0o777 == 0o600
    third.close()


def test_a_disk_that_takes_nothing_is_told_and_what_was_said_stays_on_the_screen(
    reader: Reader, medview_home: Path
) -> None:
    told: list[MedViewError] = []
    reader.station.findings.record.failed.connect(told.append)
    (medview_home / "findings").write_bytes(b"a file where the folder should be")
    reader.station.findings.add("Nodule")
    reader.until(lambda: bool(told))
    assert "was not kept" in str(told[0].what)
    assert [one.finding.name for one in reader.entries] == ["Nodule"]
    (medview_home / "findings").unlink()


@pytest.mark.parametrize("ending", [".dcm", ".csv", ".json"])
def test_findings_leave_as_files(reader: Reader, plugin: Path, tmp_path: Path, ending: str) -> None:
    reader.ask(plugin)
    reader.station.findings.confirm(reader.named("Nodule").id)
    reader.station.findings.add("=1+1")
    path, done, failed = tmp_path / f"findings{ending}", list[str](), list[MedViewError]()
    reader.finish(reader.station.save_findings(path, done.append, failed.append))
    assert done
    assert not failed
    if ending == ".dcm":
        report = highdicom.sr.srread(path)
        text = str(report)
        assert "Nodule" in text
        assert "A. Reader" in text
        assert "The middle 95 % of 8 answers of the model: 62.0 % to 81.0 %" in report.to_json()
        return
    if ending == ".csv":
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))
    else:
        rows = json.loads(path.read_text(encoding="utf-8"))["findings"]
    assert len(rows) == 5
    by_name = {row["name"]: row for row in rows if row["verdict"] == "confirmed"}
    assert by_name["Nodule"]["reader"] == "A. Reader"
    assert float(by_name["Nodule"]["probability"]) == 0.75
    assert [float(by_name["Nodule"][name]) for name in ("low", "high", "answers")] == [0.62, 0.81, 8]
    assert float(by_name["Nodule"]["threshold"]) == 0.6
    assert by_name["Nodule"]["code"] == "27925004"
    assert ("'=1+1" if ending == ".csv" else "=1+1") in by_name


def _ended(job: Job[Any]) -> bool:
    return job.state.is_final


def test_nothing_and_unknown_endings_are_refused(reader: Reader, tmp_path: Path) -> None:
    for name, word in (("a.csv", "no findings"), ("a.doc", "cannot be written")):
        failed: list[MedViewError] = []
        job = reader.station.save_findings(tmp_path / name, lambda _: None, failed.append)
        reader.until(partial(_ended, job))
        assert isinstance(failed[0], InputError)
        assert word in str(failed[0].what)
        reader.station.findings.add("Something")
    assert list(tmp_path.glob("a.*")) == []


def test_an_accepted_box_is_where_plugins_look(reader: Reader, plugin: Path) -> None:
    reader.ask(plugin)
    boxed, volume = reader.named("Nodule", placed=True), reader.station.workspace.active_volume
    assert volume is not None
    found = []
    for id in (reader.named("Nodule").id, boxed.id):  # the first has no box
        reader.station.findings.use_as_box(id)
        found.append(reader.station.analysis.search.box)
    none, box = found
    assert none is None
    assert box is not None
    assert boxed.finding.place is not None
    # the voxels whose middle lies within 3, 4 and 5 mm of the place, by counting them
    middles = volume.geometry.to_patient(np.argwhere(np.ones(volume.geometry.shape, bool)).astype(float))
    inside = (np.abs(middles - boxed.finding.place) <= np.array([3.0, 4.0, 5.0]) + 1e-6).all(axis=1)
    index = np.argwhere(np.ones(volume.geometry.shape, bool))[inside]
    assert (box.start, box.stop) == (tuple(index.min(axis=0)), tuple(index.max(axis=0) + 1))


def test_boxes_are_listed_from_a_probability_on(reader: Reader, tmp_path: Path) -> None:
    boxes = ((0.9, 0.0), (0.5, 20.0), (0.2, 40.0))
    reader.ask(write_finding_plugin(tmp_path / "several", boxes=boxes))
    desk = reader.station.findings

    def listed() -> list[float | None]:
        (group,) = groups(reader.entries, desk.least)
        assert group.count == 6
        return [one.finding.probability for one in group.entries if one.finding.size_mm is not None]

    assert listed() == [0.9, 0.5, 0.2]
    desk.list_from("verdicts", 0.5)
    assert listed() == [0.9, 0.5]
    low = next(one for one in reader.entries if one.finding.probability == 0.2)
    desk.confirm(low.id)
    assert listed() == [0.9, 0.5, 0.2]  # what was decided on stays
    desk.reopen(low.id)
    desk.list_from("verdicts", 0.95)
    assert listed() == []
    assert len(reader.entries) == 6  # the record has them all


def test_what_several_models_say_of_one_class_stands_together(reader: Reader, plugin: Path, tmp_path: Path) -> None:
    reader.ask(plugin)
    assert [(one.kind, one.title) for one in groups(reader.entries)] == [(GroupKind.ANSWER, "Verdicts")]
    reader.ask(write_finding_plugin(tmp_path / "second", id="second", name="Second"))
    reader.station.findings.add("Old fracture")
    found = groups(reader.entries)
    assert [(one.kind, one.title) for one in found] == [
        (GroupKind.CLASS, "Nodule"), (GroupKind.CLASS, "Normal"), (GroupKind.ANSWER, "Verdicts"),
        (GroupKind.ANSWER, "Second"), (GroupKind.READER, "A. Reader"),
    ]  # fmt: skip
    assert [one.source for one in found[0].entries] == ["Verdicts", "Second"]
    # boxes and points are places of their own
    assert [one.finding.place is not None for one in found[2].entries] == [True, True]
    assert sum(len(one.entries) for one in found) == len(reader.entries)
