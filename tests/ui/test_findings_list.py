"""Findings in the panel, by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from medview.core.finding import Verdict
from medview.ui.analysis_panel import AnalysisPanel
from medview.ui.finding_row import FindingRow
from medview.ui.theme import DARK
from tests.support.bench import Bench, bench, speaking_chinese
from tests.support.finding_plugin import write_finding_plugin


@pytest.fixture
def desk(qtbot: QtBot, medview_home: Path, small_series_folder: Path) -> Iterator[Bench]:
    with bench(qtbot, medview_home) as made:
        made.open(small_series_folder)
        yield made


@pytest.fixture
def panel(desk: Bench, tmp_path: Path) -> Iterator[AnalysisPanel]:
    made = AnalysisPanel(desk.station)
    desk.show(made, 300, 900)
    plugin = desk.station.shelf.lend(write_finding_plugin(tmp_path / "verdicts")).id
    desk.finish(desk.station.analysis.run(plugin))
    desk.until(lambda: len(made.findings.rows) == 4)
    yield made
    made.close_down()


def rows(panel: AnalysisPanel) -> list[FindingRow]:
    return list(panel.findings.rows.values())


def click(desk: Bench, button: QAbstractButton) -> None:
    assert button.isVisible()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    desk.qtbot.wait(5)


def test_a_finding_is_accepted_and_taken_back(desk: Bench, panel: AnalysisPanel) -> None:
    row = rows(panel)[0]
    assert row.name.text() == "Nodule"
    assert row.share.text() == "75 % (62 to 81 %)"
    drawn = row.bar.grab().toImage()
    line, accent = drawn.height() // 2, QColor(DARK.accent)
    assert drawn.pixelColor(round(0.3 * drawn.width()), line) == accent
    assert drawn.pixelColor(round(0.95 * drawn.width()), line) == QColor(DARK.line)
    assert drawn.pixelColor(round(0.7 * drawn.width()), line) not in (accent, QColor(DARK.line))  # the interval
    assert drawn.pixelColor(round(0.6 * drawn.width()), 0) == QColor(DARK.warning)  # the threshold
    assert "above the threshold of 60 %" in row.details.text()
    assert "sensitivity of 0.90" in row.details.text()
    assert "Unlike what it knows." in panel.findings.groups[0].notes.text()
    assert panel.findings.groups[0].title.text() == "Verdicts"
    click(desk, row.confirm_button)
    assert "accepted by" in row.details.text()
    assert not row.confirm_button.isVisible()
    click(desk, row.reopen_button)
    assert "accepted by" not in row.details.text()
    assert desk.station.findings.shown[0].finding.verdict is Verdict.OPEN


def test_it_is_rejected_with_a_reason_or_corrected(desk: Bench, panel: AnalysisPanel) -> None:
    row = rows(panel)[0]
    words = [action.text() for action in row.menu.actions() if action.text()]
    assert words == ["Nothing there", "Artefact", "Normal variant", "Poor image", "It is: Normal"]
    row.menu.actions()[1].trigger()
    desk.until(lambda: "Artefact" in row.details.text())
    second = rows(panel)[1]
    second.menu.actions()[-1].trigger()
    desk.until(lambda: len(panel.findings.rows) == 5)
    assert rows(panel)[-1].name.text() == "Nodule"
    assert "accepted by" in rows(panel)[-1].details.text()


def test_a_click_goes_there(desk: Bench, panel: AnalysisPanel) -> None:
    boxed = desk.station.findings.shown[2]
    QTest.mouseClick(panel.findings.rows[boxed.id], Qt.MouseButton.LeftButton)
    assert desk.station.viewing.state.cursor == pytest.approx(boxed.finding.place)


def test_a_finding_of_ones_own_and_a_file(desk: Bench, panel: AnalysisPanel, tmp_path: Path) -> None:
    QTest.keyClicks(panel.findings.new_name, "Old fracture")
    QTest.keyClick(panel.findings.new_name, Qt.Key.Key_Return)
    desk.until(lambda: len(panel.findings.rows) == 5)
    assert panel.findings.new_name.text() == ""
    panel.findings.save(tmp_path / "findings.csv")
    desk.until(lambda: panel.banner.message is not None)
    assert "findings.csv was written" in str(panel.banner.message.what)  # type: ignore[union-attr]
    assert "Old fracture" in (tmp_path / "findings.csv").read_text(encoding="utf-8")
    (tmp_path / "file").write_bytes(b"")
    panel.findings.save(tmp_path / "file" / "findings.csv")
    desk.until(lambda: panel.banner.message is not None and "was written" not in str(panel.banner.message.what))


def test_decisions_are_kept_for_training(desk: Bench, panel: AnalysisPanel) -> None:
    assert not panel.findings.keep_button.isEnabled()
    click(desk, rows(panel)[0].confirm_button)
    desk.until(panel.findings.keep_button.isEnabled)
    click(desk, panel.findings.keep_button)
    desk.until(lambda: panel.banner.message is not None)
    assert "saved, revision 1" in str(panel.banner.message.what)  # type: ignore[union-attr]
    (example,) = desk.station.teaching.examples()
    assert example.names == ("Nodule",)


def test_a_box_is_accepted_and_used_and_the_list_follows_the_slider(
    desk: Bench, panel: AnalysisPanel, tmp_path: Path
) -> None:
    boxed = next(one for one in rows(panel) if "6 × 8 × 10 mm" in one.details.text())
    assert not boxed.box_button.isVisible()
    click(desk, boxed.confirm_button)
    click(desk, boxed.box_button)
    assert desk.station.analysis.search.box is not None
    several = write_finding_plugin(tmp_path / "several", id="several", name="Several", boxes=((0.9, 0.0), (0.4, 9.0)))
    desk.station.analysis.search.clear()
    desk.finish(desk.station.analysis.run(desk.station.shelf.lend(several).id))
    # Nodule and Normal of both models stand together now, and the boxes and points under each model
    desk.until(lambda: len(panel.findings.rows) == 9)
    together = panel.findings.groups[0]
    assert (together.title.text(), together.when.text()) == ("Nodule", "2 models")
    assert not together.card_button.isVisible()
    own = [one for one in rows(panel) if one.card_button.isVisible()]
    assert {one.name.text() for one in own} == {"Verdicts", "Several"}
    boxes = next(one for one in panel.findings.groups if one.isVisible() and one.title.text() == "Several")
    assert boxes.listed.text() == "From 0 % on: 3 of 3"
    boxes.least.setValue(50)
    desk.until(lambda: len(panel.findings.rows) == 8)
    assert boxes.listed.text() == "From 50 % on: 2 of 3"


def test_it_speaks_chinese_and_stays_inside(desk: Bench, panel: AnalysisPanel) -> None:
    with speaking_chinese():
        desk.until(lambda: "高于阈值 60 %" in rows(panel)[0].details.text())
        for row in rows(panel):
            right = row.reject_button.mapTo(panel, row.reject_button.rect().topRight()).x()
            assert right < panel.width()
