"""Checking a mask by mouse and keyboard: what differs from how it came, and where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QListWidget

from medview.core.review import Judgement, SegmentState
from medview.core.segmentation import ModelRef, Provenance, Segment, Segmentation
from medview.ui.changes_list import ChangesList
from medview.ui.checking_sections import CheckingSections
from medview.ui.correction_panel import CorrectionPanel
from medview.ui.difference_bar import DifferenceBar
from medview.workstation.view_state import Compared
from tests.support import event_loop
from tests.support.bench import speaking_chinese
from tests.ui.conftest import LEFT, RIGHT, Screen

CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def adopted(screen: Screen, folder: Path) -> Segmentation:
    """A model's answer: a block of 20 x 30 x 30 voxels around the middle."""
    volume = screen.open(folder)
    labels = np.zeros(volume.geometry.shape, np.uint8)
    labels[10:30, 17:47, 17:47] = 1
    segmentation = Segmentation(
        volume.geometry, labels, (Segment(1, "Liver", (200, 90, 60)),), provenance=Provenance(ModelRef("organs", "1"))
    )
    case = screen.station.workspace.active_case
    assert case is not None
    case.add_segmentation(segmentation, on=volume.id)
    screen.station.workspace.activate(case, volume, segmentation)
    screen.station.viewing.update(segmentation_id=segmentation.id)
    screen.station.correction.adopt(segmentation)
    return segmentation


def sections(screen: Screen) -> CheckingSections:
    found = screen.window.findChild(CheckingSections)
    assert found is not None
    return found


def rows(of: QListWidget) -> list[str]:
    return [of.item(number).text() for number in range(of.count())]


def compared(screen: Screen) -> Compared:
    return screen.station.viewing.state.compared


def click_row(of: QListWidget, number: int) -> None:
    place = of.visualItemRect(of.item(number)).center()
    QTest.mouseClick(of.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, place)
    event_loop.run_for(0.02)


def test_a_key_turns_to_the_model_and_the_difference(screen: Screen, small_series_folder: Path) -> None:
    segmentation = adopted(screen, small_series_folder)
    bar = screen.window.findChild(DifferenceBar)
    assert bar is not None
    assert not bar.isVisible()
    before = segmentation.labels.copy()
    screen.key(Qt.Key.Key_E)
    screen.drag((-10, -10), (10, 10), RIGHT)
    screen.wheel(-3)
    screen.wheel(0)
    screen.drag((-150, -60), (-150, 60))
    removed, added = (int(((before == a) & (segmentation.labels == b)).sum()) for a, b in ((1, 0), (0, 1)))
    assert removed
    assert added
    screen.view().setFocus()
    screen.key(Qt.Key.Key_G, SHIFT)
    assert compared(screen) is Compared.MODEL
    screen.wait(bar.isVisible)
    assert bar.title.text() == "Model"
    assert not bar.legend[0].isVisible()
    screen.key(Qt.Key.Key_G, SHIFT)
    screen.wait(lambda: bar.legend[0].isVisible())
    ml = 10 * 6 * 6 / 1000
    expected = [f"{number * ml:.1f} ml" if number * ml < 10 else f"{number * ml:.0f} ml" for number in (added, removed)]
    assert [words.text() for words in bar.legend[:2]] == [f"added  {expected[0]}", f"removed  {expected[1]}"]
    assert bar.place.text() == "changed slice 1 of 2"
    start = screen.volume.geometry.nearest_voxel(screen.station.viewing.state.cursor)[0]
    screen.key(Qt.Key.Key_PageDown, CONTROL)
    there = screen.volume.geometry.nearest_voxel(screen.station.viewing.state.cursor)[0]
    assert there == start + 3
    screen.key(Qt.Key.Key_PageUp, CONTROL)
    assert screen.volume.geometry.nearest_voxel(screen.station.viewing.state.cursor)[0] == start
    QTest.mouseClick(bar.back, LEFT)
    assert compared(screen) is Compared.MINE
    screen.wait(lambda: not bar.isVisible())


def test_changes_are_listed_by_segment_and_slice(screen: Screen, small_series_folder: Path) -> None:
    segmentation = adopted(screen, small_series_folder)
    screen.key(Qt.Key.Key_E)
    screen.drag((-150, -60), (-150, 60))
    screen.wheel(2)
    screen.drag((-150, -60), (-150, 60))
    part = sections(screen)
    changes = part.changes
    assert isinstance(changes, ChangesList)
    assert not changes.isVisible()
    QTest.mouseClick(part.changes_fold.button, LEFT)
    screen.wait(lambda: changes.slices.count() == 2)
    ml = int((segmentation.labels != 0).sum() - 20 * 30 * 30) * 10 * 6 * 6 / 1000
    shown = f"{ml:.1f}" if ml < 10 else f"{ml:.0f}"
    assert changes.amounts.text() == f"Liver: {shown} ml added, 0.0 ml removed"
    lower, upper = rows(changes.slices)
    here = screen.volume.geometry.nearest_voxel(screen.station.viewing.state.cursor)[0]
    count = screen.volume.geometry.shape[0]
    assert upper.startswith(f"Slice {count - here}:")
    assert lower.startswith(f"Slice {count - here + 2}:")
    assert changes.slices.currentRow() == 1
    click_row(changes.slices, 0)
    assert screen.volume.geometry.nearest_voxel(screen.station.viewing.state.cursor)[0] == here - 2
    assert changes.slices.currentRow() == 0
    QTest.mouseClick(changes.choices[Compared.DIFFERENCE], LEFT)
    assert compared(screen) is Compared.DIFFERENCE
    with speaking_chinese():
        event_loop.run_for(0.3)
        assert part.changes_fold.button.text() != "Changes"
        assert "ml" in changes.amounts.text()
        assert "added" not in changes.amounts.text()
    screen.key(Qt.Key.Key_Z, CONTROL)
    screen.key(Qt.Key.Key_Z, CONTROL)
    screen.wait(lambda: changes.slices.count() == 0)
    assert changes.amounts.text() == "Nothing differs"


def test_a_click_in_the_history_goes_to_that_moment(screen: Screen, small_series_folder: Path) -> None:
    segmentation = adopted(screen, small_series_folder)
    history, fold = sections(screen).history, sections(screen).history_fold
    screen.key(Qt.Key.Key_E)
    states = [segmentation.labels.copy()]
    for row in (-120, -60, 60, 120):
        screen.drag((-150, row), (-100, row))
        states.append(segmentation.labels.copy())
    QTest.mouseClick(fold.button, LEFT)
    model = history.rows.model()
    screen.wait(lambda: model.rowCount() == 5)

    def text(row: int) -> str:
        return str(model.index(row, 0).data())

    assert text(0) == "Beginning"
    assert text(1).endswith("Brush: Liver")
    assert history.rows.currentIndex().row() == 4
    for row in (2, 0, 4, 3):
        place = history.rows.visualRect(model.index(row, 0)).center()
        QTest.mouseClick(history.rows.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, place)
        np.testing.assert_array_equal(segmentation.labels, states[row])
        screen.wait(lambda wanted=row: history.rows.currentIndex().row() == wanted)  # type: ignore[misc]
    screen.drag((-150, 0), (-100, 0))
    screen.wait(lambda: model.rowCount() == 5)
    screen.drag((-150, 0), (-100, 0))
    event_loop.run_for(0.05)
    assert model.rowCount() == 5, "what changes nothing costs no step"
    with speaking_chinese():
        assert text(0) == "起点"


def test_the_state_of_a_segment_is_shown_and_set_in_its_row(screen: Screen, small_series_folder: Path) -> None:
    adopted(screen, small_series_folder)
    screen.key(Qt.Key.Key_E)
    event_loop.run_for(0.05)
    panel = screen.window.findChild(CorrectionPanel)
    assert panel is not None
    row = panel.segments.rows[1]
    assert row.state.toolTip() == "State: not started"
    screen.drag((-150, -60), (-150, 60))
    screen.wait(lambda: row.state.toolTip() == "State: in progress")
    menu = row.state.menu()
    assert menu is not None

    def choose() -> None:
        done = next(action for action in menu.actions() if action.text() == "done")
        QTest.mouseClick(menu, LEFT, Qt.KeyboardModifier.NoModifier, menu.actionGeometry(done).center())

    QTimer.singleShot(200, choose)
    QTest.mouseClick(row.state, LEFT)
    screen.wait(lambda: row.state.toolTip() == "State: done")
    assert screen.station.reviewing.states() == {1: SegmentState.DONE}


def test_the_whole_is_judged_and_commented_on(screen: Screen, small_series_folder: Path) -> None:
    adopted(screen, small_series_folder)
    screen.station.settings.update(reader="B. Reader")
    screen.key(Qt.Key.Key_E)
    part = sections(screen)
    review = part.review
    QTest.mouseClick(part.review_fold.button, LEFT)
    screen.wait(review.isVisible)
    QTest.mouseClick(review.judgements[Judgement.REJECTED], LEFT)
    event_loop.run_for(0.05)
    assert screen.station.reviewing.review.signed is None, "a rejection needs a reason"
    assert not review.judgements[Judgement.REJECTED].isChecked()
    QTest.keyClicks(review.reason, "breathing")
    QTest.mouseClick(review.judgements[Judgement.REJECTED], LEFT)
    screen.wait(lambda: review.said.text().startswith("Rejected by B. Reader, today"))
    screen.view().setFocus()
    screen.key(Qt.Key.Key_Return, CONTROL)
    screen.wait(lambda: review.said.text().startswith("Accepted by B. Reader"))
    assert screen.station.reviewing.review.judgement is Judgement.ACCEPTED

    screen.key(Qt.Key.Key_C, SHIFT)
    screen.wait(review.words.hasFocus)
    cursor = screen.station.viewing.state.cursor
    QTest.keyClicks(review.words, "leak here")
    QTest.keyClick(review.words, Qt.Key.Key_Return)
    screen.wait(lambda: review.comments.count() == 1)
    assert rows(review.comments) == ["leak here"]
    screen.view().setFocus()
    screen.wheel(-4)
    assert screen.station.viewing.state.cursor != cursor
    click_row(review.comments, 0)
    assert screen.station.viewing.state.cursor == cursor
    QTest.mouseClick(review.take_back, LEFT)
    screen.wait(lambda: review.comments.count() == 0)
    assert review.clock.text().startswith("Time on task 0:")
    with speaking_chinese():
        event_loop.run_for(0.1)
        assert part.review_fold.button.text() == "审阅"
        assert review.judgements[Judgement.ACCEPTED].text() == "接受"
