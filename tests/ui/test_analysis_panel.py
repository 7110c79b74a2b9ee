from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from medview.catalog.plugins import PluginState
from medview.catalog.trust import TrustBook, files_sha256
from medview.core.geometry import Geometry
from medview.core.volume import Modality, Volume, VolumeId
from medview.phantom.chest import Phantom
from medview.ui.analysis_panel import AnalysisPanel
from medview.ui.plugin_card import PluginCard
from medview.workstation.jobs import JobState
from tests.support.bench import Bench, bench, speaking_chinese

_SLOW = """schema = 1
id = "{id}"
version = "0.1.0"
name = "{id}"
task = "segment"
summary = "For tests."
license = {{ code = "MIT" }}
intended-use = {{ level = "research", text = "Tests", not-for = ["People"] }}

[engine]
kind = "python"
entry = "it:run"

[[input]]
name = "image"
modality = ["{modality}"]

[[label]]
value = 1
name = "Thing"
color = "#ffffff"
"""
_FINDS = """def run(case, context):
    context.note("Look at the edges.")
    return case["image"].voxels > 0
"""
_WAITS = """import time


def run(case, context):
    while True:
        context.progress(0.25, "Thinking")
        time.sleep(0.01)
"""
_FAILS = """def run(case, context):
    raise ValueError("something inside")
"""


def install(home: Path, plugin_id: str, code: str, modality: str = "CT", *, trusted: bool = True) -> None:
    folder = home / "plugins" / plugin_id
    folder.mkdir(parents=True)
    (folder / "plugin.toml").write_text(_SLOW.format(id=plugin_id, modality=modality))
    (folder / "it.py").write_text(code)
    if trusted:
        TrustBook(home / "trusted-plugins.json").trust(folder, plugin_id, files_sha256(folder))


@pytest.fixture
def desk(qtbot: QtBot, medview_home: Path) -> Iterator[Bench]:
    install(medview_home, "finds", _FINDS)
    install(medview_home, "waits", _WAITS)
    install(medview_home, "fails", _FAILS)
    install(medview_home, "for_mr", _FAILS, modality="MR")
    install(medview_home, "stranger", _FINDS, trusted=False)
    broken = medview_home / "plugins" / "broken"
    broken.mkdir()
    (broken / "plugin.toml").write_text("schema = ")
    with bench(qtbot, medview_home) as made:
        yield made


@pytest.fixture
def panel(desk: Bench) -> Iterator[AnalysisPanel]:
    made = AnalysisPanel(desk.station)
    desk.show(made)
    yield made
    made.close_down()


def card(desk: Bench, panel: AnalysisPanel, plugin_id: str) -> PluginCard:
    desk.qtbot.wait(5)
    found = panel.card(plugin_id)
    assert found is not None
    return found


def click_run(desk: Bench, panel: AnalysisPanel, plugin_id: str) -> PluginCard:
    clicked = card(desk, panel, plugin_id)
    desk.until(clicked.run_button.isEnabled)
    QTest.mouseClick(clicked.run_button, Qt.MouseButton.LeftButton)
    return clicked


def test_plugins_that_fit_come_first_and_the_others_say_why(
    desk: Bench, panel: AnalysisPanel, small_series_folder: Path
) -> None:
    desk.open(small_series_folder)
    assert card(desk, panel, "ct_lungs").run_button.isVisible()
    other = card(desk, panel, "for_mr")
    assert not other.isVisible()

    QTest.mouseClick(panel.others.button, Qt.MouseButton.LeftButton)

    assert other.isVisible()
    assert not other.run_button.isVisible()
    assert "MR" in other.reason.text()
    assert "plugin.toml" in card(desk, panel, "broken").reason.text()
    volume = desk.station.workspace.active_volume
    assert volume is not None
    unfit = [record for record, fit in desk.station.analysis.fitting(volume) if not fit.ok]
    unfit = [record for record in unfit if record.id != "stranger"]  # it waits for a word only, and stands in front
    assert f"({len(unfit)})" in panel.others.button.text()


def test_the_cards_follow_the_series(
    desk: Bench, panel: AnalysisPanel, small_series_folder: Path, small_phantom: Phantom
) -> None:
    assert not card(desk, panel, "ct_lungs").run_button.isVisible()
    case, volume = desk.open(small_series_folder)
    assert card(desk, panel, "ct_lungs").run_button.isVisible()
    geometry: Geometry = volume.geometry
    brain = Volume(VolumeId("mr"), geometry, np.zeros(geometry.shape, np.int16), Modality.MR, "", "1.2.3")
    case.add_volume(brain)
    desk.station.workspace.activate(case, brain)
    assert not card(desk, panel, "ct_lungs").run_button.isVisible()
    assert card(desk, panel, "for_mr").run_button.isVisible()


def test_a_run_ends_in_a_segmentation_and_says_so(desk: Bench, panel: AnalysisPanel, small_series_folder: Path) -> None:
    desk.open(small_series_folder)
    with desk.qtbot.waitSignal(panel.finished, timeout=30_000):
        clicked = click_run(desk, panel, "finds")
    last = desk.station.analysis.last
    assert last is not None
    assert desk.station.workspace.active_segmentation is last.segmentation
    desk.until(clicked.outcome.isVisible)
    assert f"{last.result.seconds:.1f} s" in clicked.outcome.text()
    assert clicked.notes.text() == "Look at the edges."
    assert clicked.run_button.isVisible()


def test_a_run_shows_how_far_it_is_and_can_be_cancelled(
    desk: Bench, panel: AnalysisPanel, small_series_folder: Path
) -> None:
    desk.open(small_series_folder)
    clicked = click_run(desk, panel, "waits")
    job = desk.station.analysis.running
    assert job is not None
    desk.until(lambda: clicked.bar.isVisible() and job.fraction is not None)
    desk.until(lambda: clicked.bar.value() > 0)
    assert not card(desk, panel, "ct_lungs").run_button.isEnabled()

    QTest.mouseClick(clicked.cancel_button, Qt.MouseButton.LeftButton)
    desk.finish(job)

    assert job.state is JobState.CANCELLED
    desk.until(lambda: not clicked.bar.isVisible())
    assert card(desk, panel, "ct_lungs").run_button.isEnabled()
    assert panel.banner.message is None


def test_a_failed_run_is_explained_in_place(desk: Bench, panel: AnalysisPanel, small_series_folder: Path) -> None:
    desk.open(small_series_folder)
    click_run(desk, panel, "fails")
    desk.until(panel.banner.isVisible)
    message = panel.banner.message
    assert message is not None
    assert message.remedy


def test_what_cannot_run_is_told_in_place(desk: Bench, panel: AnalysisPanel) -> None:
    panel.run("ct_lungs")
    assert panel.banner.isVisible()


def test_nothing_is_wider_than_the_panel_in_either_language(
    desk: Bench, panel: AnalysisPanel, small_series_folder: Path
) -> None:
    desk.open(small_series_folder)
    QTest.mouseClick(panel.others.button, Qt.MouseButton.LeftButton)
    shown = card(desk, panel, "ct_lungs")
    assert shown.model.is_open
    with speaking_chinese():
        desk.until(lambda: shown.run_button.text() == "运行")
        panel.resize(280, 700)
        desk.qtbot.wait(5)
        assert shown.mapTo(panel, shown.rect().bottomRight()).x() < 280
    desk.until(lambda: shown.run_button.text() == "Run")
    desk.qtbot.wait(5)
    assert shown.mapTo(panel, shown.rect().bottomRight()).x() < 280


def test_a_plugin_of_a_stranger_says_what_trusting_means_and_runs_afterwards(
    desk: Bench, panel: AnalysisPanel, small_series_folder: Path
) -> None:
    desk.open(small_series_folder)
    stranger = card(desk, panel, "stranger")
    assert stranger.isVisible()
    assert not stranger.run_button.isVisible()
    assert "Python program" in stranger.reason.text()
    panel.run("stranger")
    assert panel.banner.message is not None
    assert "cannot run before you trust it" in str(panel.banner.message.what)

    QTest.mouseClick(stranger.trust_button, Qt.MouseButton.LeftButton)
    assert stranger.trust_box.isVisible()
    QTest.mouseClick(stranger.trust_box.no, Qt.MouseButton.LeftButton)
    assert not stranger.trust_box.isVisible()
    assert not stranger.run_button.isVisible()

    QTest.mouseClick(stranger.trust_button, Qt.MouseButton.LeftButton)
    QTest.mouseClick(stranger.trust_box.yes, Qt.MouseButton.LeftButton)
    desk.until(stranger.run_button.isVisible)
    assert not stranger.trust_button.isVisible()
    with desk.qtbot.waitSignal(panel.finished, timeout=30_000):
        click_run(desk, panel, "stranger")


def test_what_a_plugin_is_for_is_shown_before_its_first_run(
    desk: Bench, panel: AnalysisPanel, small_series_folder: Path
) -> None:
    desk.open(small_series_folder)
    finds = card(desk, panel, "finds")
    assert finds.model.is_open
    with desk.qtbot.waitSignal(panel.finished, timeout=30_000):
        click_run(desk, panel, "finds")
    desk.until(lambda: not finds.model.is_open)


def test_a_plugin_shows_that_it_failed(desk: Bench, panel: AnalysisPanel, small_series_folder: Path) -> None:
    desk.open(small_series_folder)
    clicked = click_run(desk, panel, "fails")
    desk.until(lambda: "something inside" in clicked.reason.text())
    states = {record.id: record.state for record in desk.station.analysis.plugins()}
    assert states["fails"] is PluginState.FAILED
    assert clicked.run_button.isVisible()


def answer(desk: Bench, panel: AnalysisPanel, words: str) -> None:
    button = next(one for one in panel.banner.findChildren(QPushButton) if one.text() == words)
    desk.until(button.isVisible)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def test_an_installed_plugin_is_removed_after_a_question_and_what_came_with_medview_stays(
    desk: Bench, panel: AnalysisPanel, medview_home: Path, small_series_folder: Path
) -> None:
    desk.open(small_series_folder)
    shipped, own = card(desk, panel, "ct_lungs"), card(desk, panel, "finds")
    assert shipped.model.is_open
    assert not shipped.remove_button.isVisible()
    assert own.remove_button.isVisible()
    QTest.mouseClick(own.remove_button, Qt.MouseButton.LeftButton)
    assert panel.banner.message is not None
    assert str(panel.banner.message.what) == "Remove the plugin finds?"
    answer(desk, panel, "Keep it")
    assert (medview_home / "plugins" / "finds" / "it.py").is_file()
    QTest.mouseClick(own.remove_button, Qt.MouseButton.LeftButton)
    answer(desk, panel, "Remove it")
    desk.until(lambda: panel.card("finds") is None)
    assert not (medview_home / "plugins" / "finds").exists()
    assert TrustBook(medview_home / "trusted-plugins.json").pinned_sha256("finds") == ""
    broken = next(one for one in panel.findChildren(PluginCard) if "broken" in one.reason.text())
    panel.others.button.setChecked(True)
    desk.until(broken.remove_button.isVisible)
