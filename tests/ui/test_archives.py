"""Searching, retrieving and sending in the window, with mouse and keys and a real Orthanc."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from medview.network.address import Address, Kind
from medview.phantom.chest import Phantom
from medview.ui.archive_dialog import ArchiveDialog
from medview.ui.archive_editor import ArchiveEditor
from medview.ui.case_panel import CasePanel
from medview.ui.send_dialog import SendDialog
from tests.support.bench import Bench, bench, speaking_chinese
from tests.support.orthanc import PASSWORD, TITLE, USER, Orthanc, free_port
from tests.support.wire import wire
from tests.ui.conftest import Screen
from tests.unit.network.test_archives import files_in

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def desk(qtbot: QtBot, medview_home: Path) -> Iterator[Bench]:
    with bench(qtbot, medview_home) as made:
        yield made


@pytest.fixture
def dialog(desk: Bench) -> Iterator[ArchiveDialog]:
    made = ArchiveDialog(desk.station)
    desk.show(made, 920, 620)
    yield made
    made.close_down()


def click(button: QPushButton | QToolButton) -> None:
    assert button.isEnabled()
    QTest.mouseClick(button, LEFT)


def shown(kind: type[QWidget]) -> QWidget:
    (found,) = [one for one in QApplication.topLevelWidgets() if isinstance(one, kind) and one.isVisible()]
    return found


def editor() -> ArchiveEditor:
    found = shown(ArchiveEditor)
    assert isinstance(found, ArchiveEditor)
    return found


def test_an_archive_is_entered_tried_changed_and_removed(desk: Bench, dialog: ArchiveDialog, orthanc: Orthanc) -> None:
    assert dialog.search_button.text() == "Add an archive"
    click(dialog.search_button)
    made = editor()
    QTest.keyClicks(made.name, "Hospital")
    QTest.keyClicks(made.host, "127.0.0.1")
    made.port.setText(str(free_port()))
    QTest.keyClicks(made.called_ae, TITLE)
    click(made.try_button)
    desk.until(lambda: made.banner.message is not None)
    assert made.banner.message is not None
    assert "the connection was refused" in str(made.banner.message.what)
    made.port.setText(str(orthanc.port))
    click(made.try_button)
    desk.until(lambda: made.try_button.isEnabled())
    assert str(made.banner.message.what) == "The archive answers and lets this workstation in."
    QTest.keyClick(made.name, Qt.Key.Key_Return)
    assert dialog.archive.currentText() == "Hospital"
    desk.qtbot.wait(1)

    click(dialog.edit)
    changed = editor()
    changed.kind.setCurrentIndex(list(Kind).index(Kind.DICOMWEB))
    assert not changed.host.isVisible()
    QTest.keyClicks(changed.url, orthanc.web().url)
    QTest.keyClicks(changed.user, USER)
    changed.password.setText(PASSWORD)
    click(changed.try_button)
    desk.until(lambda: changed.banner.message is not None)
    assert changed.banner.message is not None
    assert str(changed.banner.message.what) == "The archive answers and lets this workstation in."
    click(changed.save_button)
    (address,) = desk.station.archives.list.addresses
    assert (address.kind, address.password.get_secret_value()) == (Kind.DICOMWEB, PASSWORD)
    desk.qtbot.wait(1)

    click(dialog.remove)
    assert not desk.station.archives.list.addresses
    (back,) = [one for one in dialog.banner.findChildren(QPushButton) if one.text() == "Put back"]
    click(back)
    assert desk.station.archives.list.addresses == (address,)


def test_a_study_is_found_unfolded_and_retrieved_with_the_keyboard(
    desk: Bench, dialog: ArchiveDialog, orthanc: Orthanc, small_series_folder: Path, small_phantom: Phantom
) -> None:
    orthanc.put(*files_in(small_series_folder))
    desk.station.archives.list.put(orthanc.dimse())
    QTest.keyClicks(dialog.name, "nobody")
    QTest.keyClick(dialog.name, Qt.Key.Key_Return)
    desk.until(lambda: dialog.status.text().startswith("No study matches"))
    dialog.name.clear()
    QTest.keyClick(dialog.name, Qt.Key.Key_Return)
    desk.until(lambda: dialog.results.topLevelItemCount() == 1)
    assert dialog.status.text() == "1 study"
    study = dialog.results.topLevelItem(0)
    assert study is not None
    assert study.text(5) == "40"

    QTest.keyClick(dialog.results, Qt.Key.Key_Right)
    desk.until(lambda: study.childCount() == 1)
    QTest.keyClick(dialog.results, Qt.Key.Key_Down)
    QTest.keyClick(dialog.results, Qt.Key.Key_Return)
    (row,) = dialog.rows
    desk.until(lambda: row.job.state.is_final)
    workspace = desk.station.workspace
    desk.until(lambda: workspace.active_volume is not None and not desk.station.jobs.open_jobs)

    assert row.words.text().startswith("40 images are here; 40 of them came now")
    assert workspace.active_volume is not None
    assert np.array_equal(workspace.active_volume.voxels, small_phantom.volume.voxels)


def test_a_transfer_is_stopped_and_goes_on(
    desk: Bench, dialog: ArchiveDialog, orthanc: Orthanc, small_series_folder: Path
) -> None:
    orthanc.put(*files_in(small_series_folder))
    with wire(orthanc.port) as relay:
        desk.station.archives.list.put(orthanc.dimse(port=relay.port))
        click(dialog.search_button)
        desk.until(lambda: dialog.results.topLevelItemCount() == 1)
        relay.hold_after = relay.carried + 200_000
        click(dialog.retrieve_button)
        (row,) = dialog.rows
        inbox = desk.station.archives.inbox_folder
        desk.until(lambda: len(files_in(inbox)) > 3)
        click(row.stop)
        desk.until(lambda: row.job.state.is_final)
        assert row.words.text() == "Stopped. What has moved stays."
        before = len(files_in(inbox))
        assert before < 40
        relay.hold_after = None
        click(row.again)
        desk.until(lambda: row.job.state.is_final)
    assert row.words.text().startswith(f"40 images are here; {40 - before} of them came now")


def test_a_wrong_host_is_told_where_it_was_asked(desk: Bench, dialog: ArchiveDialog) -> None:
    desk.station.archives.list.put(Address(name="Away", host="archive.invalid", called_ae="AWAY"))
    click(dialog.search_button)
    desk.until(lambda: dialog.banner.message is not None)
    assert dialog.banner.message is not None
    assert str(dialog.banner.message.what) == "There is no machine of the name archive.invalid."
    assert dialog.banner.message.remedy
    assert dialog.search_button.text() == "Search"


def test_series_and_segmentations_are_sent_from_the_list_of_cases(
    screen: Screen, orthanc: Orthanc, small_series_folder: Path
) -> None:
    screen.open(small_series_folder)
    screen.station.archives.list.put(orthanc.web())
    panel = screen.window.findChild(CasePanel)
    assert isinstance(panel, CasePanel)
    patient = panel.tree.topLevelItem(0)
    assert patient is not None
    series = patient.child(0).child(0)  # type: ignore[union-attr]
    assert series is not None
    menu = panel.menu_of(series)
    assert menu is not None
    (entry,) = [one for one in menu.actions() if one.text().startswith("Send")]
    entry.trigger()
    sending = shown(SendDialog)
    assert isinstance(sending, SendDialog)

    QTest.mouseClick(sending.send_button, LEFT)
    row = sending.row
    assert row is not None
    screen.wait(lambda: row.job.state.is_final)

    assert row.words.text() == "40 sent: the archive was asked afterwards, and has them."
    assert len(orthanc.held()) == 40
    (close,) = [one for one in sending.findChildren(QPushButton) if one.text() == "Close"]
    click(close)
    assert not sending.isVisible()


def test_the_archive_opens_from_the_keyboard_and_speaks_chinese(screen: Screen) -> None:
    screen.key(Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    dialog = shown(ArchiveDialog)
    assert isinstance(dialog, ArchiveDialog)
    assert not dialog.isModal()
    with speaking_chinese():
        QTest.qWait(1)
        assert dialog.windowTitle() == "存档"
        assert dialog.search_button.text() == "添加存档"
        assert dialog.status.text() == "尚未添加存档。"
    QTest.qWait(1)
    assert dialog.windowTitle() == "Archive"
