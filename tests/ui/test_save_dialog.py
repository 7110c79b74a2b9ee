"""The dialog that saves masks as files: what it offers, and the verdict that it shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMenu
from pytestqt.qtbot import QtBot

from medview.core.segmentation import Segment, Segmentation
from medview.formats import image_files
from medview.phantom.chest import Phantom
from medview.ui.save_dialog import SaveDialog
from medview.ui.theme import DARK, LIGHT, apply_theme
from medview.workstation.saving import SaveFormat
from tests.support.bench import Bench, bench, speaking_chinese
from tests.ui.conftest import NO_KEYS, Screen

CTRL_SHIFT = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier


@pytest.fixture
def desk(qtbot: QtBot, medview_home: Path) -> Iterator[Bench]:
    with bench(qtbot, medview_home) as made:
        yield made


def draw(desk: Bench | Screen) -> Segmentation:
    case, volume = desk.station.workspace.active_case, desk.station.workspace.active_volume
    assert case is not None
    assert volume is not None
    labels = np.zeros(volume.geometry.shape, np.uint8)
    labels[5:20, 10:30, 12:40] = 1
    labels[22:30, 10:30, 12:30] = 2
    segments = (Segment(1, "Liver", (200, 80, 60)), Segment(2, "Spleen", (20, 80, 160)))
    drawn = Segmentation(volume.geometry, labels, segments, title="Two organs")
    case.add_segmentation(drawn, on=volume.id)
    desk.station.workspace.activate(case, volume, drawn)
    desk.station.correction.adopt(drawn)
    return drawn


@pytest.fixture
def dialog(desk: Bench, small_series_folder: Path, tmp_path: Path) -> Iterator[SaveDialog]:
    desk.open(small_series_folder)
    made = SaveDialog(desk.station)
    desk.show(made, 640, 500)
    (tmp_path / "out").mkdir()
    made.offer(draw(desk), tmp_path / "out")
    yield made
    made.close_down()


def said(dialog: SaveDialog) -> list[str]:
    """The lines of the verdicts."""
    return [label.text() for label in dialog.verdicts.findChildren(QLabel) if label.text()]


def save(desk: Bench, dialog: SaveDialog) -> None:
    assert dialog.save_button.isEnabled()
    QTest.mouseClick(dialog.save_button, Qt.MouseButton.LeftButton)
    desk.until(lambda: dialog.verdicts.any and dialog.save_button.isEnabled())


def test_a_file_gets_a_green_line_that_says_what_was_compared(desk: Bench, dialog: SaveDialog, tmp_path: Path) -> None:
    save(desk, dialog)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["Two-organs-seg.dcm"]
    lines = said(dialog)
    assert "Two-organs-seg.dcm" in lines
    assert "Proved: read back, identical" in lines
    assert any(line.startswith("Compared: voxels, places, segments") for line in lines)
    good = next(one for one in dialog.verdicts.findChildren(QLabel) if one.text().startswith("Proved"))
    assert good.property("role") == "good"


def test_several_formats_at_once_and_a_segment_a_surface(desk: Bench, dialog: SaveDialog, tmp_path: Path) -> None:
    for one in (SaveFormat.REPORT, SaveFormat.NRRD, SaveFormat.STL):
        dialog.boxes[one].click()
    dialog.boxes[SaveFormat.SEG].click()  # the report brings it along all the same
    dialog.name.setText("case 7")
    save(desk, dialog)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "case-7-Liver.stl", "case-7-Spleen.stl", "case-7-report.dcm", "case-7-seg.dcm", "case-7.nrrd",
    ]  # fmt: skip
    assert said(dialog).count("Proved: read back, identical") == 5


def test_what_differs_is_red_and_comes_first(
    desk: Bench, dialog: SaveDialog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = highdicom.seg.Segmentation

    def flipped(**arguments: Any) -> Any:
        return real(**{**arguments, "pixel_array": arguments["pixel_array"][:, :, ::-1]})

    monkeypatch.setattr(highdicom.seg, "Segmentation", flipped)
    dialog.boxes[SaveFormat.NIFTI].click()
    save(desk, dialog)
    assert [one.ok for one in dialog.verdicts.shown] == [False, True]
    bad = next(one for one in dialog.verdicts.findChildren(QLabel) if one.text().startswith("Not saved."))
    assert bad.property("role") == "danger"
    assert "Liver has" in bad.text()
    assert "of them elsewhere" in bad.text()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["Two-organs.nii.gz"]


def test_nothing_chosen_saves_nothing(dialog: SaveDialog) -> None:
    dialog.boxes[SaveFormat.SEG].click()
    assert not dialog.save_button.isEnabled()
    dialog.boxes[SaveFormat.NRRD].click()
    assert dialog.save_button.isEnabled()
    dialog.folder.setText(" ")
    assert not dialog.save_button.isEnabled()


def test_files_that_would_be_replaced_are_announced(dialog: SaveDialog, tmp_path: Path) -> None:
    def announced() -> bool:
        return any("replaced: 1" in one.text() and one.isVisible() for one in dialog.findChildren(QLabel))

    assert not announced()
    (tmp_path / "out" / "older-seg.dcm").write_bytes(b"")
    dialog.name.setText("older")
    assert announced()


def test_an_image_without_dicom_offers_what_is_left(desk: Bench, small_phantom: Phantom, tmp_path: Path) -> None:
    image_files.write_volume(small_phantom.volume, tmp_path / "ct.nii.gz")
    desk.open(tmp_path / "ct.nii.gz")
    dialog = SaveDialog(desk.station)
    desk.show(dialog, 640, 500)
    dialog.offer(draw(desk), tmp_path)
    assert {one for one, box in dialog.boxes.items() if not box.isEnabled()} == {
        one for one in SaveFormat if one.needs_dicom
    }
    assert not dialog.save_button.isEnabled()
    dialog.boxes[SaveFormat.NRRD].click()
    save(desk, dialog)
    assert "Proved: read back, identical" in said(dialog)
    dialog.close_down()


def test_it_speaks_chinese(desk: Bench, dialog: SaveDialog) -> None:
    with speaking_chinese():
        desk.qtbot.wait(5)
        assert dialog.windowTitle() == "把掩膜存为文件"
        save(desk, dialog)
        assert "已验证：读回后一致" in said(dialog)
    desk.qtbot.wait(5)
    assert "Proved: read back, identical" in said(dialog)


def test_verdicts_follow_the_theme(desk: Bench, dialog: SaveDialog, qapp: QApplication) -> None:
    save(desk, dialog)
    for theme in (LIGHT, DARK, LIGHT, DARK):
        apply_theme(qapp, theme)
        desk.qtbot.wait(5)
    assert "Proved: read back, identical" in said(dialog)


# In the window


def test_the_key_the_button_and_the_menu_open_it(screen: Screen, small_series_folder: Path) -> None:
    screen.open(small_series_folder)
    screen.key(Qt.Key.Key_S, CTRL_SHIFT)
    assert screen.window._banner.isVisible()  # there is nothing to save yet
    drawn = draw(screen)
    QTest.qWait(50)
    screen.window.activateWindow()
    screen.window._room.take_keys()
    screen.key(Qt.Key.Key_S, CTRL_SHIFT)
    dialog = screen.window._dialogs[SaveDialog]
    assert isinstance(dialog, SaveDialog)
    assert dialog.isVisible()
    assert "Two-organs" in dialog.name.text()
    dialog.close()
    assert not dialog.isVisible()
    screen.window._tabs.setCurrentWidget(screen.window._correction)
    screen.wait(screen.window._correction.save_button.isEnabled)
    QTest.mouseClick(screen.window._correction.save_button, Qt.MouseButton.LeftButton, NO_KEYS)
    assert dialog.isVisible()
    dialog.close()
    cases = screen.window._cases
    item = next(item for key, item in cases._items.items() if key.id == drawn.id)
    menu = cases.menu_of(item)
    assert isinstance(menu, QMenu)
    next(action for action in menu.actions() if action.text() == "Save masks as ...").trigger()
    assert dialog.isVisible()
    menu.deleteLater()
