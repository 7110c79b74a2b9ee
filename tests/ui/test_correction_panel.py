from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QPushButton
from pytestqt.qtbot import QtBot
from scipy import ndimage

from medview.core.geometry import Box
from medview.core.planes import Plane
from medview.editing.brush import BrushShape
from medview.editing.rules import Overwrite, PaintRules
from medview.ui.correction_panel import CorrectionPanel
from medview.workstation.edit_tools import EditTool
from medview.workstation.view_state import Mode, ViewName
from tests.support.bench import Bench, bench, speaking_chinese


@pytest.fixture
def desk(qtbot: QtBot, medview_home: Path, small_series_folder: Path) -> Iterator[Bench]:
    with bench(qtbot, medview_home) as made:
        made.open(small_series_folder)
        yield made


@pytest.fixture
def panel(desk: Bench) -> Iterator[CorrectionPanel]:
    made = CorrectionPanel(desk.station)
    desk.show(made)
    yield made
    made.close_down()


def click(desk: Bench, button: QAbstractButton) -> None:
    assert button.isEnabled()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    desk.qtbot.wait(5)


def paint(desk: Bench, k: int = 20) -> None:
    volume = desk.station.workspace.active_volume
    assert volume is not None
    centre = volume.geometry.to_patient((k, 32, 32))
    point = (float(centre[0]), float(centre[1]), float(centre[2]))
    desk.station.correction.begin_stroke(point, Plane.AXIAL)
    desk.station.correction.end_stroke()
    desk.qtbot.wait(5)


def answer(panel: CorrectionPanel, text: str) -> QPushButton:
    found = [button for button in panel.offer.findChildren(QPushButton) if button.text() == text and button.isVisible()]
    assert len(found) == 1
    return found[0]


def test_choosing_a_tool_begins_to_correct(desk: Bench, panel: CorrectionPanel) -> None:
    assert not panel.tools.buttons[EditTool.BRUSH].isChecked()
    click(desk, panel.tools.buttons[EditTool.ERASER])
    assert desk.station.tools.tool is EditTool.ERASER
    assert desk.station.viewing.state.mode is Mode.EDIT
    assert panel.tools.buttons[EditTool.ERASER].isChecked()
    click(desk, panel.tools.brush.shapes[BrushShape.SPHERE])
    assert desk.station.correction.options.shape is BrushShape.SPHERE
    assert not panel.tools.brush.shapes[BrushShape.DISK].isChecked()


def test_the_radius_is_typed_dragged_and_follows(desk: Bench, panel: CorrectionPanel) -> None:
    panel.tools.brush.radius.selectAll()
    QTest.keyClicks(panel.tools.brush.radius, "12.5")
    QTest.keyClick(panel.tools.brush.radius, Qt.Key.Key_Return)
    assert desk.station.correction.options.radius_mm == 12.5
    before = panel.tools.brush.slider.value()
    QTest.keyClick(panel.tools.brush.slider, Qt.Key.Key_Left)
    assert panel.tools.brush.slider.value() == before - 1
    assert desk.station.correction.options.radius_mm < 12.5
    assert panel.tools.brush.radius.value() == desk.station.correction.options.radius_mm


def test_a_range_of_values_begins_with_the_window_and_is_typed(desk: Bench, panel: CorrectionPanel) -> None:
    window = desk.station.viewing.state.window
    assert not panel.tools.rules.lowest.isVisible()
    QTest.mouseClick(
        panel.tools.rules.ranged, Qt.MouseButton.LeftButton, pos=QPoint(8, panel.tools.rules.ranged.height() // 2)
    )
    assert desk.station.correction.rules.values == pytest.approx((window.lower, window.upper), abs=0.1)
    panel.tools.rules.lowest.selectAll()
    QTest.keyClicks(panel.tools.rules.lowest, "-50")
    QTest.keyClick(panel.tools.rules.lowest, Qt.Key.Key_Return)
    assert desk.station.correction.rules.values == pytest.approx((-50, window.upper), abs=0.1)
    QTest.mouseClick(
        panel.tools.rules.ranged, Qt.MouseButton.LeftButton, pos=QPoint(8, panel.tools.rules.ranged.height() // 2)
    )
    assert desk.station.correction.rules.values is None


def test_volumes_follow_what_is_painted(desk: Bench, panel: CorrectionPanel) -> None:
    paint(desk)
    segmentation = desk.station.workspace.active_segmentation
    assert segmentation is not None
    (row,) = panel.segments.rows.values()
    ml = int(np.count_nonzero(segmentation.labels)) * 10 * 6 * 6 / 1000
    assert ml > 0
    desk.until(lambda: row.number.text() == f"{ml:.1f} ml")
    assert panel.state_line.text().startswith("1 edit")
    click(desk, panel.undo_button)
    desk.until(lambda: row.number.text() == "0.0 ml")


def test_segments_are_added_named_and_removed(desk: Bench, panel: CorrectionPanel) -> None:
    click(desk, panel.add_button)
    click(desk, panel.add_button)
    segmentation = desk.station.workspace.active_segmentation
    assert segmentation is not None
    first, second = segmentation.segments
    name = panel.segments.rows[second.label].name
    QTest.keyClicks(name, "Tumour bed")
    QTest.keyClick(name, Qt.Key.Key_Return)
    assert [segment.name for segment in segmentation.segments] == [first.name, "Tumour bed"]

    QTest.mouseDClick(
        panel.segments.rows[first.label],
        Qt.MouseButton.LeftButton,
        pos=panel.segments.rows[first.label].name.geometry().center(),
    )
    QTest.keyClicks(panel.segments.rows[first.label].name, "Never kept")
    QTest.keyClick(panel.segments.rows[first.label].name, Qt.Key.Key_Escape)
    assert panel.segments.rows[first.label].name.text() == first.name

    click(desk, panel.remove_button)
    assert len(segmentation.segments) == 1
    assert len(panel.segments.rows) == 1


def test_a_click_works_on_a_segment_and_its_buttons_hide_and_lock_it(desk: Bench, panel: CorrectionPanel) -> None:
    click(desk, panel.add_button)
    click(desk, panel.add_button)
    correction = desk.station.correction
    one, two = panel.segments.rows
    assert correction.active_label == two
    row = panel.segments.rows[one]
    QTest.mouseClick(row, Qt.MouseButton.LeftButton, pos=row.name.geometry().center())
    desk.qtbot.wait(5)
    assert correction.active_label == one
    assert row.is_chosen
    assert not panel.segments.rows[two].is_chosen

    segmentation = desk.station.workspace.active_segmentation
    assert segmentation is not None
    click(desk, row.eye)
    assert desk.station.viewing.state.hidden_of(segmentation.id) == {one}
    click(desk, row.eye)
    assert desk.station.viewing.state.hidden_of(segmentation.id) == frozenset()
    click(desk, row.lock)
    assert correction.locked == {one}

    click(desk, panel.remove_button)
    message = panel.banner.message
    assert message is not None
    assert "locked" in str(message.what)
    assert len(segmentation.segments) == 2


def test_the_slices_between_are_filled_in_the_plane_of_the_active_view(desk: Bench, panel: CorrectionPanel) -> None:
    paint(desk, 10)
    paint(desk, 14)
    segmentation = desk.station.workspace.active_segmentation
    assert segmentation is not None
    assert not segmentation.labels[12].any()
    desk.station.viewing.update(active_view=ViewName.VOLUME)
    click(desk, panel.shaping.fill_button)
    desk.until(lambda: bool(segmentation.labels[12].any()))
    desk.qtbot.wait(5)
    assert "Fill between slices" in panel.undo_button.toolTip()
    click(desk, panel.undo_button)
    assert not segmentation.labels[12].any()
    assert "Fill between slices" in panel.redo_button.toolTip()


def test_a_whole_segment_is_changed_by_a_number_of_millimetres(desk: Bench, panel: CorrectionPanel) -> None:
    assert not panel.shaping.apply_button.isEnabled()
    paint(desk, 10)
    segmentation = desk.station.workspace.active_segmentation
    volume = desk.station.workspace.active_volume
    assert segmentation is not None
    assert volume is not None
    before = segmentation.labels.copy()
    QTest.keyClicks(panel.shaping.choice, "Grow")
    assert panel.shaping.choice.currentText() == "Grow"
    panel.shaping.amount.selectAll()
    QTest.keyClicks(panel.shaping.amount, "12.5")
    QTest.keyClick(panel.shaping.amount, Qt.Key.Key_Return)
    desk.until(panel.shaping.apply_button.isEnabled)
    click(desk, panel.shaping.apply_button)
    desk.until(lambda: "Grow" in panel.undo_button.toolTip())
    away = ndimage.distance_transform_edt(before == 0, sampling=volume.geometry.spacing_mm)
    np.testing.assert_array_equal(segmentation.labels != 0, away <= 12.5 + 1e-5)
    grow = panel.shaping.choice.currentIndex()
    QTest.keyClick(panel.shaping.choice, Qt.Key.Key_Home)
    assert not panel.shaping.amount.isVisible()
    for _ in range(grow):
        QTest.keyClick(panel.shaping.choice, Qt.Key.Key_Down)
    assert panel.shaping.amount.isVisible()
    assert panel.shaping.amount.value() == 12.5
    desk.station.correction.set_locked(1, True)
    click(desk, panel.shaping.apply_button)
    message = panel.banner.message
    assert message is not None
    assert "locked" in str(message.what)


def test_opacity_and_outline_are_those_of_the_views(desk: Bench, panel: CorrectionPanel) -> None:
    panel.opacity.setValue(65)
    assert desk.station.viewing.state.fill_opacity == 0.65
    was = desk.station.viewing.state.outlined
    QTest.keyClick(panel.outline, Qt.Key.Key_Space)
    assert desk.station.viewing.state.outlined is not was
    desk.station.viewing.update(fill_opacity=0.1)
    desk.until(lambda: panel.opacity.value() == 10)


def test_work_of_a_program_that_ended_is_opened_and_brought_back(
    qtbot: QtBot, medview_home: Path, small_series_folder: Path
) -> None:
    with bench(qtbot, medview_home) as first:
        first.open(small_series_folder)
        paint(first)
        segmentation = first.station.workspace.active_segmentation
        assert segmentation is not None
        painted = segmentation.labels.copy()
    with bench(qtbot, medview_home) as second:
        panel = CorrectionPanel(second.station)
        second.show(panel)
        second.until(panel.offer.isVisible)
        click(second, answer(panel, "Open and bring back"))
        second.until(lambda: second.station.workspace.active_segmentation is not None)
        back = second.station.workspace.active_segmentation
        assert back is not None
        np.testing.assert_array_equal(back.labels, painted)
        second.qtbot.wait(5)
        assert not panel.offer.isVisible()
        assert "Brush" in panel.undo_button.toolTip()
        panel.close_down()


def test_work_of_a_case_that_was_closed_is_offered_at_once(desk: Bench, panel: CorrectionPanel) -> None:
    paint(desk)
    (case,) = desk.station.workspace.cases
    desk.station.workspace.close_case(case)
    desk.until(panel.offer.isVisible)
    click(desk, answer(panel, "Open and bring back"))
    desk.until(lambda: desk.station.workspace.active_segmentation is not None)
    desk.until(lambda: not panel.offer.isVisible())


def test_left_work_is_discarded_only_after_a_second_question(
    qtbot: QtBot, medview_home: Path, small_series_folder: Path
) -> None:
    with bench(qtbot, medview_home) as first:
        first.open(small_series_folder)
        paint(first)
    with bench(qtbot, medview_home) as second:
        panel = CorrectionPanel(second.station)
        second.show(panel)
        second.until(panel.offer.isVisible)
        click(second, answer(panel, "Discard ..."))
        assert len(second.station.correction.recovering.recoveries()) == 1
        click(second, answer(panel, "Discard for good"))
        assert second.station.correction.recovering.recoveries() == ()
        assert not panel.offer.isVisible()
        panel.close_down()


def test_many_segments_stay_inside_the_panel_in_either_language(desk: Bench, panel: CorrectionPanel) -> None:
    for number in range(30):
        desk.station.correction.add_segment(f"A structure with a rather long name, number {number}")
    segmentation = desk.station.workspace.active_segmentation
    assert segmentation is not None
    segmentation.write(Box((0, 0, 0), (40, 64, 64)), np.ones((40, 64, 64), np.uint8))
    panel.resize(280, 700)

    def fits() -> bool:
        rows = panel.segments.rows.values()
        return len(rows) == 30 and all(row.lock.mapTo(panel, row.lock.rect().bottomRight()).x() < 272 for row in rows)

    desk.until(fits)
    with speaking_chinese():
        desk.until(lambda: panel.shaping.fill_button.text() == "层间填充" and fits())
    desk.until(lambda: panel.shaping.fill_button.text() == "Fill between slices" and fits())


def test_what_may_be_painted_over_is_chosen(desk: Bench, panel: CorrectionPanel) -> None:
    click(desk, panel.add_button)
    click(desk, panel.add_button)
    rows, correction = panel.tools.rules, desk.station.correction
    assert not rows.chosen.isVisible()
    rows.overwrite.setFocus()
    QTest.keyClick(rows.overwrite, Qt.Key.Key_Down)
    assert correction.rules == PaintRules(Overwrite.BACKGROUND)
    QTest.keyClick(rows.overwrite, Qt.Key.Key_Down)
    assert correction.rules == PaintRules(Overwrite.CHOSEN, frozenset({0}))
    desk.until(rows.chosen.isVisible)
    segmentation = desk.station.workspace.active_segmentation
    assert segmentation is not None
    rows.menu.aboutToShow.emit()
    actions = rows.menu.actions()
    assert [one.text() for one in actions] == ["Background", *(one.name for one in segmentation.segments)]
    actions[2].trigger()
    assert correction.rules.chosen == {0, segmentation.segments[1].label}
    actions[0].trigger()
    assert correction.rules.chosen == {segmentation.segments[1].label}
    assert rows.chosen.text() == "1"
    with speaking_chinese():
        desk.until(lambda: rows.overwrite.currentText() == "所选结构")
        assert correction.rules == PaintRules(Overwrite.CHOSEN, frozenset({segmentation.segments[1].label}))


def test_painting_keeps_to_the_box_where_there_is_one(desk: Bench, panel: CorrectionPanel) -> None:
    rows, search = panel.tools.rules, desk.station.analysis.search
    assert not rows.in_box.isVisible()
    volume = desk.station.workspace.active_volume
    assert volume is not None
    x, y, z = (float(value) for value in volume.geometry.to_patient((20, 32, 34)))
    search.place((x, y, z), (30.0, 500.0, 100.0))
    desk.until(rows.in_box.isVisible)
    QTest.mouseClick(rows.in_box, Qt.MouseButton.LeftButton, pos=QPoint(8, rows.in_box.height() // 2))
    assert desk.station.correction.rules.in_box
    paint(desk)
    segmentation = desk.station.workspace.active_segmentation
    assert segmentation is not None
    box = search.box
    assert box is not None
    painted = Box.around(segmentation.labels)
    assert not painted.is_empty
    assert painted.intersection(box) == painted
    assert painted.start[2] == box.start[2]
