"""A finding's evidence, by hand: asked in the row, shown in the strip, hidden again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import SimpleITK
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from medview.formats.image_files import write_volume
from medview.ui.analysis_panel import AnalysisPanel
from medview.ui.finding_row import FindingRow
from tests.support import blob_classifier, radiographs
from tests.support.bench import Bench, bench, speaking_chinese


@pytest.fixture
def desk(qtbot: QtBot, medview_home: Path, tmp_path: Path) -> Iterator[Bench]:
    image, _ = blob_classifier.scan(((0.7, 0.3, 0.65), 1.0))
    write_volume(image, tmp_path / "scan.nii.gz")
    with bench(qtbot, medview_home) as made:
        made.open(tmp_path / "scan.nii.gz")
        yield made


@pytest.fixture
def panel(desk: Bench, tmp_path: Path) -> Iterator[AnalysisPanel]:
    made = AnalysisPanel(desk.station)
    desk.show(made, 320, 900)
    folder = blob_classifier.write(tmp_path / "blobs", blob_classifier.SHOWN_3D, modalities='["CT", "MR", "OT"]')
    desk.finish(desk.station.analysis.run(desk.station.shelf.lend(folder).id))
    desk.until(lambda: len(made.findings.rows) == 2)
    yield made
    made.close_down()


def row(panel: AnalysisPanel, name: str) -> FindingRow:
    return next(one for one in panel.findings.rows.values() if one.name.text() == name)


def test_it_is_asked_with_its_cost_drawn_saved_and_hidden(desk: Bench, panel: AnalysisPanel, tmp_path: Path) -> None:
    findings, strip = panel.findings, panel.findings.evidence
    assert not strip.isVisible()
    found = row(panel, "Blob")
    words = [action.text() for action in found.evidence_menu.actions()]
    assert [one.split(":")[0] for one in words] == ["Grad-CAM", "Grad-CAM++", "Occlusion"]
    assert "passes of the model, about" in words[2]
    found.evidence_menu.actions()[0].trigger()
    desk.until(strip.hide_button.isVisible)
    assert strip.title.text() == "Evidence for Blob, Grad-CAM"
    assert strip.caution.text() == "Where the model looked, not where the disease is"
    strip.opacity.setValue(35)
    assert desk.station.viewing.state.map_opacity == 0.35
    assert strip.save_button.isVisible()
    panel.save_evidence(tmp_path)
    desk.until(lambda: panel.banner.message is not None)
    assert "evidence-1.nii.gz" in str(panel.banner.message.what)  # type: ignore[union-attr]
    saved = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "evidence-1.nii.gz")))
    assert saved.max() == 1
    QTest.mouseClick(strip.hide_button, Qt.MouseButton.LeftButton)
    desk.until(lambda: not strip.isVisible())
    assert desk.station.viewing.state.map_id is None
    assert len(findings.rows) == 2


def test_it_can_be_cancelled_and_speaks_chinese(desk: Bench, panel: AnalysisPanel) -> None:
    strip = panel.findings.evidence
    with speaking_chinese():
        desk.until(lambda: "遮挡法" in row(panel, "Blob").evidence_menu.actions()[2].text())
        row(panel, "Blob").evidence_menu.actions()[2].trigger()
        desk.until(strip.cancel_button.isVisible)
        assert strip.title.text() == "“Blob”的依据，遮挡法"
        QTest.mouseClick(strip.cancel_button, Qt.MouseButton.LeftButton)
        desk.until(lambda: not strip.isVisible())
    assert desk.station.evidence.shown is None


def test_the_model_card_is_a_click_away(desk: Bench, panel: AnalysisPanel) -> None:
    card = panel.card("blobs")
    assert card is not None
    card.model.button.setChecked(False)
    QTest.mouseClick(panel.findings.groups[0].card_button, Qt.MouseButton.LeftButton)
    assert card.model.is_open


def test_one_picture_of_a_film_is_a_choice_of_the_run(qtbot: QtBot, medview_home: Path, tmp_path: Path) -> None:
    picture, _ = blob_classifier.radiograph(((0, 0.25, 0.8), 1.0))
    film = radiographs.write_film(tmp_path / "film.dcm", [picture.voxels[0]] * 3)
    blob_classifier.write(medview_home / "plugins" / "blobs", blob_classifier.SHOWN_2D)
    with bench(qtbot, medview_home) as made:
        made.open(film)  # which shows the middle picture
        shown = AnalysisPanel(made.station)
        made.show(shown, 320, 900)
        made.until(lambda: shown.card("blobs") is not None)
        card = shown.card("blobs")
        assert card is not None
        card.options.button.setChecked(True)
        assert card.choices.one_picture.text() == "Only the picture shown, of 3"
        card.choices.one_picture.click()
        assert made.station.analysis.options("blobs").one_picture
        made.finish(made.station.analysis.run("blobs"))
        made.until(lambda: len(shown.findings.rows) == 2)
        assert "It saw picture 2 alone" in shown.findings.groups[0].when.text()
        shown.close_down()
