from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medview.catalog.trust import TrustBook
from medview.core.case import Case, Patient, Study
from medview.core.errors import PluginUnavailableError
from medview.core.progress import NoProgress
from medview.core.segmentation import Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference.earlier_runs import EarlierRuns
from medview.workstation import results
from medview.workstation.analysis import Analysis
from medview.workstation.jobs import JobQueue, JobState
from medview.workstation.main_queue import MainQueue
from medview.workstation.plugin_inputs import PluginInputs
from medview.workstation.plugin_shelf import PluginShelf
from medview.workstation.view_state import Viewing
from medview.workstation.workspace import Workspace
from tests.support.bundles import python_plugin
from tests.support.volumes import volume

BRIGHT = "def run(case, context):\n    return case['image'].voxels > 30\n"
FAILS = "def run(case, context):\n    raise ValueError('no luck')\n"
SHOWS = """
import numpy as np
from medview.api import Box
def run(case, context):
    bright = (case["image"].voxels > 30).astype(np.uint16)
    context.preview(Box((1, 0, 0), (3, 4, 5)), bright[1:])
    while True:
        context.progress(0.5)
"""
SHOWS_NONSENSE = """
import numpy as np
from medview.api import Box
def run(case, context):
    context.preview(Box((1, 0, 0), (9, 4, 5)), np.zeros((8, 4, 5), np.uint8))
"""
ENDLESS = "def run(case, context):\n    while True:\n        context.progress(0.5)\n"


class _Journal:
    def __init__(self) -> None:
        self.adopted: list[Segmentation] = []

    def adopt(self, segmentation: Segmentation) -> None:
        self.adopted.append(segmentation)


class _Station:
    """The parts of the workstation that a run touches."""

    def __init__(self, plugins: Path) -> None:
        self.folder = plugins
        self.queue = MainQueue()
        self.jobs = JobQueue(self.queue)
        self.workspace = Workspace()
        self.viewing = Viewing()
        self.journal = _Journal()
        shelf = PluginShelf(self.jobs, [plugins], plugins / "own", TrustBook(plugins / "trusted.json", [plugins]))
        inputs = PluginInputs(plugins / "inputs.json")
        earlier = EarlierRuns(plugins.parent / "answers", 2**24)
        self.analysis = Analysis(self.workspace, self.viewing, self.jobs, self.journal, shelf, inputs, earlier)
        self.changes = 0
        self.analysis.changed.connect(self._changed)

    def _changed(self, _: None) -> None:
        self.changes += 1

    def open(self, one: Volume, *, complete: bool = True) -> Case:
        case = self.workspace.case_of(Study("1.2", Patient("p")))
        case.add_volume(one, complete=complete)
        self.workspace.activate(case, one)
        return case

    def wait(self) -> None:
        deadline = time.monotonic() + 30
        while self.jobs.open_jobs and time.monotonic() < deadline:
            self.queue.drain(0.05)
        assert not self.jobs.open_jobs


@pytest.fixture
def station(tmp_path: Path) -> Iterator[_Station]:
    plugins = tmp_path / "plugins"
    for name, source in (
        ("bright", BRIGHT),
        ("fails", FAILS),
        ("endless", ENDLESS),
        ("shows", SHOWS),
        ("nonsense", SHOWS_NONSENSE),
    ):
        python_plugin(plugins / name, source, id=name)
    (plugins / "broken").mkdir()
    (plugins / "broken" / "plugin.toml").write_text("schema = 1\n", encoding="utf-8")
    station = _Station(plugins)
    yield station
    station.jobs.close()


@pytest.fixture
def image() -> Volume:
    return volume(np.arange(60, dtype=np.int16).reshape(3, 4, 5))


def test_a_run_is_named_in_the_language_of_the_reader(station: _Station, image: Volume) -> None:
    station.open(image)
    job = station.analysis.run("bright")
    name = next(record.name for record in station.analysis.plugins() if record.id == "bright")
    words = {"{name} is running": "正在运行{name}", name: "明亮"}
    assert isinstance(job.title, Text)
    assert job.title.render(lambda text: words.get(text, text)) == "正在运行明亮"
    station.wait()


def test_a_result_is_shown_and_opened_for_correction(station: _Station, image: Volume) -> None:
    case = station.open(image)
    job = station.analysis.run("bright")
    assert station.analysis.running is job
    station.wait()
    assert job.state is JobState.DONE
    assert not station.analysis.running
    segmentation = station.workspace.active_segmentation
    assert segmentation is not None
    assert case.segmentations_on(image.id) == (segmentation,)
    assert station.journal.adopted == [segmentation]
    assert station.viewing.state.segmentation_id == segmentation.id
    np.testing.assert_array_equal(segmentation.labels, image.voxels > 30)
    model = segmentation.provenance.model
    assert model is not None
    assert (model.plugin_id, model.version, len(model.sha256)) == ("bright", "1.0.0", 64)
    last = station.analysis.last
    assert last is not None
    assert last.segmentation is segmentation
    (kept,) = (station.folder / "model-cards").iterdir()
    told = json.loads(kept.read_text(encoding="utf-8"))
    assert kept.name == f"bright-1.0.0-{model.sha256[:16]}.json"
    assert (told["sha256"], told["finds"], told["license"]["code"]) == (model.sha256, ["One", "Two"], "Apache-2.0")
    assert told["intended-use"]["text"] == "For a test."
    assert station.changes >= 2


def test_findings_make_no_segmentation_and_are_in_the_record(station: _Station, image: Volume, tmp_path: Path) -> None:
    source = """
from medview.api import BoxFound, ClassFound, Findings
def run(case, context):
    box = BoxFound(1, "Nodule", 0.5, (1.0, 2.0, 3.0), ((4.0, 0.0, 0.0), (0.0, 5.0, 0.0), (0.0, 0.0, 6.0)))
    return Findings(classes=(ClassFound(0, "Malignant", 0.25),), boxes=(box,))
"""
    folder = python_plugin(tmp_path / "plugins" / "finds", source, id="finds")
    text = (folder / "plugin.toml").read_text(encoding="utf-8").replace('task = "segment"', 'task = "detect"')
    named = '[[class]]\nvalue = 0\nname = "Malignant"\n[[class]]\nvalue = 1\nname = "Nodule"\n'
    (folder / "plugin.toml").write_text(text.partition("[[label]]")[0] + named, encoding="utf-8")
    case = station.open(image)
    station.analysis.run("finds")
    station.wait()
    assert case.segmentations_on(image.id) == ()
    last = station.analysis.last
    assert last is not None
    assert last.segmentation is None
    assert [str(one) for one in last.result.notes] == [
        "Malignant: 25 %",
        "Nodule: 1 found, the most probable with 50 %",
    ]
    results.write(tmp_path / "out", last, [], NoProgress())
    record = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert record["findings"]["classes"] == [
        {"value": 0, "name": "Malignant", "probability": 0.25, "slice": None, "interval": None}
    ]
    assert record["findings"]["boxes"][0]["center"] == [1, 2, 3]
    assert record["findings"]["boxes"][0]["edges"] == [[4, 0, 0], [0, 5, 0], [0, 0, 6]]
    assert record["model_card"]["task"] == "detect"
    assert record["files"] == {}


def test_pictures_without_a_place_are_segmented_shown_and_written(
    station: _Station, image: Volume, tmp_path: Path
) -> None:
    folder = python_plugin(tmp_path / "plugins" / "frames", BRIGHT, id="frames")
    text = (folder / "plugin.toml").read_text(encoding="utf-8")
    (folder / "plugin.toml").write_text(text.replace('"MR"]', '"MR"]\ndims = 2'), encoding="utf-8")
    film = replace(image, is_spatial=False)
    case = station.open(film)
    station.analysis.run("frames")
    station.wait()
    (segmentation,) = case.segmentations_on(film.id)
    np.testing.assert_array_equal(segmentation.labels, film.voxels > 30)
    last = station.analysis.last
    assert last is not None
    written = results.write(tmp_path / "out", last, [], NoProgress())
    assert written.files == ("labels.nii.gz", "result.json")


def test_a_series_that_is_still_read_is_not_analysed(station: _Station, image: Volume) -> None:
    with pytest.raises(PluginUnavailableError, match="No series is open"):
        station.analysis.run("bright")
    case = station.open(image, complete=False)
    with pytest.raises(PluginUnavailableError, match="still being read"):
        station.analysis.run("bright")
    case.complete_volume(image.id)
    station.analysis.run("bright")
    station.wait()
    assert station.workspace.active_segmentation is not None


def test_a_failure_leaves_the_case_as_it_was(station: _Station, image: Volume) -> None:
    case = station.open(image)
    job = station.analysis.run("fails")
    station.wait()
    assert job.state is JobState.FAILED
    assert "no luck" in str(job.error)
    assert not case.segmentations
    assert not station.analysis.running


def test_one_run_at_a_time_and_cancel(station: _Station, image: Volume) -> None:
    case = station.open(image)
    job = station.analysis.run("endless")
    with pytest.raises(PluginUnavailableError, match="running already"):
        station.analysis.run("bright")
    job.cancel()
    station.wait()
    assert job.state is JobState.CANCELLED
    assert not case.segmentations
    station.analysis.run("bright")
    station.wait()
    assert len(case.segmentations) == 1


def test_what_is_found_so_far_is_drawn_until_the_run_ends(station: _Station, image: Volume) -> None:
    case = station.open(image)
    job = station.analysis.run("shows")
    deadline = time.monotonic() + 30
    while station.workspace.drawn_segmentation is None and time.monotonic() < deadline:
        station.queue.drain(0.05)
    drawn = station.workspace.drawn_segmentation
    assert drawn is not None
    assert station.workspace.active_segmentation is None
    assert not case.segmentations
    wanted = (image.voxels > 30).astype(int)
    wanted[0] = 0
    np.testing.assert_array_equal(drawn.labels, wanted)
    assert {one.label for one in drawn.segments} == {1, 2}
    job.cancel()
    station.wait()
    assert station.workspace.drawn_segmentation is None


def test_a_preview_outside_the_image_is_the_plugins_failure(station: _Station, image: Volume) -> None:
    station.open(image)
    job = station.analysis.run("nonsense")
    station.wait()
    assert job.state is JobState.FAILED
    assert "do not fit the image" in str(job.error)


def test_a_result_for_a_closed_volume_is_kept_out(station: _Station, image: Volume) -> None:
    case = station.open(image)
    station.analysis.run("bright")
    station.workspace.close_case(case)
    station.wait()
    assert not case.segmentations
    assert station.analysis.last is not None
    assert station.analysis.last.segmentation is None


def test_a_result_does_not_take_the_reader_away_from_another_series(station: _Station, image: Volume) -> None:
    case = station.open(image)
    station.analysis.run("bright")
    station.workspace.activate(None, None)
    other = volume(np.zeros((3, 4, 5), np.int16))
    case.add_volume(other)
    station.workspace.activate(case, other)
    station.wait()
    assert station.workspace.active_volume is other


def test_plugins_that_do_not_fit_are_listed_with_the_reason(station: _Station, image: Volume) -> None:
    station.open(image)
    judged = station.analysis.fitting(image)
    assert {record.id for record, fit in judged if fit.ok} == {"bright", "fails", "endless", "shows", "nonsense"}
    record, fit = judged[-1]
    assert record.id == "broken"
    assert "plugin.toml, line 1" in str(fit.reasons[0])
    with pytest.raises(PluginUnavailableError, match=r"broken cannot run.*plugin\.toml"):
        station.analysis.run("broken")
    with pytest.raises(PluginUnavailableError, match="There is no plugin “absent”"):
        station.analysis.run("absent")
