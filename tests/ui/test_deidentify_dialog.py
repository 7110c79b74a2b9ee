"""The dialog that saves copies without names, with a real mouse."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton
from pytestqt.qtbot import QtBot

from medview.ui.banner import Kind
from medview.ui.case_panel import CasePanel
from medview.ui.case_tree import ROW_ROLE
from medview.ui.deidentify_dialog import DeidentifyDialog
from tests.support.bench import Bench, bench, speaking_chinese
from tests.support.named_files import named, names_in

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def desk(qtbot: QtBot, medview_home: Path) -> Iterator[Bench]:
    with bench(qtbot, medview_home) as made:
        yield made


@pytest.fixture
def folder(small_series_folder: Path, tmp_path: Path) -> Path:
    """A series full of names."""
    made = tmp_path / "study"
    made.mkdir()
    for number, path in enumerate(sorted(small_series_folder.iterdir())):
        dataset = named(path)
        dataset.SOPInstanceUID = dcmread(path, stop_before_pixels=True).SOPInstanceUID
        dataset.save_as(made / f"{number:03}.dcm")
    return made


def dialog_on(desk: Bench, files: list[Path]) -> DeidentifyDialog:
    dialog = DeidentifyDialog(desk.station, "CT chest", files)
    desk.qtbot.addWidget(dialog)
    dialog.show()
    desk.qtbot.waitExposed(dialog)
    return dialog


def press(desk: Bench, button: QPushButton) -> None:
    QTest.mouseClick(button, LEFT)
    desk.qtbot.wait(1)


def test_a_study_is_copied_from_its_menu(desk: Bench, folder: Path, tmp_path: Path) -> None:
    panel = CasePanel(desk.station)
    desk.show(panel)
    desk.open(folder)
    desk.until(lambda: panel.tree.topLevelItemCount() == 1)
    patient = panel.tree.topLevelItem(0)
    assert patient is not None
    study = patient.child(0)
    assert study is not None
    menu = panel.menu_of(study)
    assert menu is not None
    (action,) = [one for one in menu.actions() if one.text() == "Save a copy without names ..."]
    action.trigger()
    (dialog,) = panel.window().findChildren(DeidentifyDialog)
    assert not dialog.isModal()
    assert dialog.windowTitle() == "Save a copy without names"
    dialog.folder.setText(str(tmp_path / "out"))
    box = dialog.boxes["shift_dates"]
    QTest.mouseClick(box, LEFT, pos=QPoint(10, box.height() // 2))
    press(desk, dialog.start_button)
    assert not dialog.start_button.isEnabled()
    desk.until(lambda: dialog.banner.message is not None)
    message = dialog.banner.message
    assert message is not None
    assert message.kind is Kind.DONE
    assert str(message.what) == "Written without names: 40; held back: 0"
    assert [str(one.text) for one in message.answers] == ["Show report", "Show folder"]
    report = json.loads((tmp_path / "out" / "deidentification.json").read_text())
    assert report["options"]["shift_dates"] is True
    copies = sorted((tmp_path / "out").rglob("*.dcm"))
    assert len(copies) == 40
    assert all(names_in(path) == [] for path in copies)
    assert row_title(panel) not in str(copies[0])
    dialog.close()
    panel.close_down()


def row_title(panel: CasePanel) -> str:
    item = panel.tree.topLevelItem(0)
    assert item is not None
    return str(item.data(0, ROW_ROLE).title)


def test_what_was_held_back_is_said_with_its_reason(
    desk: Bench, folder: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "letter.txt").write_text("Zebulon")
    files = [*sorted(folder.iterdir())[:2], tmp_path / "letter.txt"]
    dialog = dialog_on(desk, files)
    dialog.folder.setText(str(tmp_path_factory.mktemp("elsewhere") / "out"))
    press(desk, dialog.start_button)
    desk.until(lambda: dialog.banner.message is not None)
    assert dialog.verdict.isVisible()
    assert dialog.verdict.text() == "1 held back: It is no DICOM file, or does not say what it is."
    assert dialog.verdict.toolTip() == "letter.txt"
    dialog.close()


def test_a_folder_among_the_originals_is_refused_and_nothing_is_written(desk: Bench, folder: Path) -> None:
    dialog = dialog_on(desk, sorted(folder.iterdir()))
    for place in (folder, folder / "out"):
        dialog.folder.setText(str(place))
        press(desk, dialog.start_button)
        message = dialog.banner.message
        assert message is not None
        assert message.kind is Kind.ERROR
        assert str(message.what) == "The copies cannot lie among the originals."
    dialog.folder.setText("")
    press(desk, dialog.start_button)
    assert dialog.banner.message is not None
    assert str(dialog.banner.message.what) == "Name a folder for the copies."
    assert len(list(folder.iterdir())) == 40
    dialog.close()


def test_it_can_be_stopped(desk: Bench, folder: Path, tmp_path: Path) -> None:
    dialog = dialog_on(desk, sorted(folder.iterdir()))
    dialog.folder.setText(str(tmp_path / "out"))
    press(desk, dialog.start_button)
    assert dialog.cancel_button.isVisible()
    press(desk, dialog.cancel_button)
    desk.until(lambda: dialog.banner.message is not None)
    assert dialog.banner.message is not None
    assert str(dialog.banner.message.what) == "Stopped."
    assert dialog.start_button.isEnabled()
    assert not (tmp_path / "out" / "deidentification.json").exists()
    dialog.close()


def test_closing_it_stops_its_job(desk: Bench, folder: Path, tmp_path: Path) -> None:
    dialog = dialog_on(desk, sorted(folder.iterdir()))
    dialog.folder.setText(str(tmp_path / "out"))
    press(desk, dialog.start_button)
    dialog.close()
    desk.until(lambda: not desk.station.jobs.open_jobs)
    assert not (tmp_path / "out" / "deidentification.json").exists()


def test_it_speaks_chinese_and_every_line_has_its_room(desk: Bench, folder: Path) -> None:
    with speaking_chinese():
        dialog = dialog_on(desk, sorted(folder.iterdir()))
        desk.qtbot.wait(50)
        assert dialog.windowTitle() == "另存一份无姓名的副本"
        layout = dialog.layout()
        assert layout is not None
        assert dialog.height() >= layout.totalHeightForWidth(dialog.width())
        for box in dialog.boxes.values():
            assert box.width() >= box.sizeHint().width()
        dialog.close()
