"""The main job by mouse and keyboard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QToolButton

from medview.core.volume import Window
from medview.formats.dicom_writer import SeriesOptions, write_series
from medview.phantom.chest import Phantom
from medview.ui.banner import Banner
from medview.ui.gl_widget import GLWidget
from medview.ui.player_bar import PlayerBar
from medview.ui.reading_room import ReadingRoom
from medview.workstation.jobs import JobState
from medview.workstation.view_state import Mode, ViewName
from tests.support import event_loop
from tests.ui.conftest import LEFT, MIDDLE, RIGHT, Screen

NOT_READ_HU = -1024
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def texts(screen: Screen) -> list[str]:
    return [label.text() for label in screen.window.findChildren(QLabel) if label.isVisible()]


def test_an_empty_window_says_what_to_do(screen: Screen) -> None:
    assert "Drop a DICOM folder here" in texts(screen)


def test_a_dropped_folder_is_read_and_shown(screen: Screen, small_series_folder: Path) -> None:
    volume = screen.open(small_series_folder)
    room = screen.window.findChild(ReadingRoom)
    assert isinstance(room, ReadingRoom)
    assert room.isVisible()
    assert volume.geometry.shape == (40, 64, 64)
    assert "Phantom" in screen.window.windowTitle()


def test_the_first_picture_is_on_screen_when_one_slice_is_read(screen: Screen, chest_series_folder: Path) -> None:
    read: list[int] = []

    def slices_read() -> int:
        volume = screen.station.workspace.active_volume
        return 0 if volume is None else int(np.any(volume.voxels != NOT_READ_HU, axis=(1, 2)).sum())

    view = screen.view()
    assert isinstance(view, GLWidget)
    view.frameSwapped.connect(lambda: read.append(slices_read()))
    volume = screen.open(chest_series_folder)
    assert next(count for count in read if count) == 1
    assert slices_read() == volume.geometry.shape[0]


def test_what_cannot_be_used_is_told_in_words(screen: Screen, tmp_path: Path) -> None:
    (tmp_path / "dropped").mkdir()
    (tmp_path / "dropped" / "letter.txt").write_text("not an image", encoding="utf-8")
    screen.drop(tmp_path / "dropped")
    banner = screen.window.findChild(Banner, "window-banner")
    assert isinstance(banner, Banner)
    screen.wait(lambda: banner.message is not None)
    assert [reject.path.name for reject in screen.station.workspace.rejects] == ["letter.txt"]
    assert screen.station.workspace.active_volume is None


def test_wheel_and_keys_go_slice_by_slice(screen: Screen, small_series_folder: Path) -> None:
    volume = screen.open(small_series_folder)
    viewing = screen.station.viewing

    def slice_number() -> int:
        return volume.geometry.nearest_voxel(viewing.state.cursor)[0]

    start = slice_number()
    screen.wheel(-1)
    assert slice_number() == start - 1
    screen.view().setFocus()
    screen.key(Qt.Key.Key_Down)
    assert slice_number() == start - 2
    screen.key(Qt.Key.Key_Up, SHIFT)
    assert slice_number() == start + 8
    screen.key(Qt.Key.Key_Home)
    assert slice_number() == volume.geometry.shape[0] - 1
    screen.key(Qt.Key.Key_End)
    assert slice_number() == 0


def test_digits_are_windows_while_reading(screen: Screen, small_series_folder: Path) -> None:
    screen.open(small_series_folder)
    viewing = screen.station.viewing
    screen.key(Qt.Key.Key_2)
    assert viewing.state.window == Window(-600, 1500)
    screen.key(Qt.Key.Key_4)
    assert viewing.state.window == Window(400, 1800)
    screen.key(Qt.Key.Key_I, SHIFT)
    assert viewing.state.inverted
    screen.key(Qt.Key.Key_I)
    assert not viewing.state.annotations_shown


def test_left_drag_windows_and_middle_drag_pans(screen: Screen, small_series_folder: Path) -> None:
    screen.open(small_series_folder)
    viewing = screen.station.viewing
    before = viewing.state.window
    screen.drag((0, 0), (60, 0))
    assert viewing.state.window.width > before.width
    assert viewing.state.window.center == pytest.approx(before.center)
    cursor, window = viewing.state.cursor, viewing.state.window
    screen.drag((0, 0), (30, 20), MIDDLE)
    assert (viewing.state.cursor, viewing.state.window) == (cursor, window)


def test_a_click_moves_the_crosshair_of_all_views(screen: Screen, small_series_folder: Path) -> None:
    volume = screen.open(small_series_folder)
    before = volume.geometry.nearest_voxel(screen.station.viewing.state.cursor)
    view = screen.view()
    QTest.mouseClick(view, LEFT, Qt.KeyboardModifier.NoModifier, view.rect().center() + QPoint(60, 40))
    after = volume.geometry.nearest_voxel(screen.station.viewing.state.cursor)
    assert after[0] == before[0]
    assert after[1] > before[1]
    assert after[2] > before[2]


def test_double_click_makes_a_view_large(screen: Screen, small_series_folder: Path) -> None:
    screen.open(small_series_folder)
    view = screen.view(ViewName.CORONAL)
    small = view.size()
    QTest.mouseDClick(view, LEFT)
    assert screen.station.viewing.state.maximised is ViewName.CORONAL
    assert not screen.view(ViewName.AXIAL).isVisible()
    QApplication.processEvents()
    assert view.width() > 1.9 * small.width()
    assert view.height() > 1.9 * small.height()
    QTest.mouseDClick(view, LEFT)
    assert screen.view(ViewName.AXIAL).isVisible()
    QApplication.processEvents()
    assert view.size() == small


def test_phases_are_played_and_stepped_through(screen: Screen, small_phantom: Phantom, tmp_path: Path) -> None:
    write_series(small_phantom.volume, tmp_path / "4d", SeriesOptions(phases=3, with_acquisitions=True))
    first = screen.open(tmp_path / "4d")
    player = screen.window.findChild(PlayerBar)
    assert player is not None
    assert player.isVisible()
    assert "1 / 3" in player.label.text()
    window = replace(screen.station.viewing.state.window, width=777.0)
    screen.station.viewing.update(window=window)
    screen.key(Qt.Key.Key_BracketRight)
    screen.wait(lambda: screen.station.workspace.active_volume is not first)
    volume = screen.station.workspace.active_volume
    assert volume is not None
    assert volume.phase == 1
    assert screen.station.viewing.state.window == window
    assert "acquisition 2" in player.label.text()
    seen: set[int] = set()

    def all_seen() -> bool:
        active = screen.station.workspace.active_volume
        seen.add(active.phase if active is not None else -1)
        return seen == {0, 1, 2}

    screen.key(Qt.Key.Key_C)
    screen.wait(all_seen)
    screen.key(Qt.Key.Key_C)
    assert not player.play.isChecked()


def test_painting_erasing_and_undo_by_hand(screen: Screen, small_series_folder: Path) -> None:
    screen.open(small_series_folder)
    screen.key(Qt.Key.Key_E)
    assert screen.station.viewing.state.mode is Mode.EDIT
    screen.drag((-40, 0), (40, 0))
    painted = screen.segmentation.labels.copy()
    assert painted.any()
    rows = np.argwhere(painted)
    assert len(np.unique(rows[:, 0])) == 1, "a disk stays in its slice"
    columns = np.unique(rows[:, 2])
    assert (np.diff(columns) == 1).all(), "a stroke has no gaps"
    screen.drag((-40, 0), (0, 0), RIGHT)
    erased = screen.segmentation.labels.copy()
    assert 0 < np.count_nonzero(erased) < np.count_nonzero(painted)
    screen.key(Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(screen.segmentation.labels, painted)
    screen.key(Qt.Key.Key_Y, CONTROL)
    np.testing.assert_array_equal(screen.segmentation.labels, erased)


def test_shift_and_wheel_change_the_brush_only_while_correcting(screen: Screen, small_series_folder: Path) -> None:
    screen.open(small_series_folder)
    correction = screen.station.correction
    screen.key(Qt.Key.Key_E)
    radius = correction.options.radius_mm
    screen.wheel(2, keys=SHIFT)
    assert correction.options.radius_mm > radius
    screen.key(Qt.Key.Key_Minus)
    screen.key(Qt.Key.Key_Minus)
    assert correction.options.radius_mm == pytest.approx(radius)


def test_a_plugin_runs_and_its_result_opens_for_correction(screen: Screen, chest_series_folder: Path) -> None:
    screen.open(chest_series_folder)
    job = screen.station.analysis.run("ct_lungs")
    screen.wait(lambda: job.state.is_final, 240)
    assert job.state is JobState.DONE, job.error
    assert {segment.name for segment in screen.segmentation.segments} >= {"Left lung", "Right lung"}
    screen.key(Qt.Key.Key_S, CONTROL)
    screen.wait(lambda: len(screen.station.teaching.examples()) == 1, 60)


def test_the_language_changes_at_once(screen: Screen, small_series_folder: Path) -> None:
    screen.open(small_series_folder)
    screen.station.settings.update(language="zh_CN")
    screen.app.processEvents()
    buttons = [button.text() for button in screen.window.findChildren(QToolButton)]
    assert "阅片" in buttons
    assert "View" not in buttons
    assert any(action.text() == "撤销" for action in screen.window.findChildren(QAction))


def test_panels_fold_away(screen: Screen, small_series_folder: Path) -> None:
    screen.open(small_series_folder)
    before = screen.view().width()
    screen.key(Qt.Key.Key_F)
    event_loop.run_for(0.02)
    assert screen.view().width() > before + 100
    screen.key(Qt.Key.Key_F)
    event_loop.run_for(0.02)
    assert screen.view().width() == before


def test_the_smallest_screen_has_room_for_the_tool_bar(screen: Screen) -> None:
    extension = screen.window.findChild(QToolButton, "qt_toolbar_ext_button")
    assert extension is None or not extension.isVisible()
