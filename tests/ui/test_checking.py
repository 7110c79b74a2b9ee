"""Checking a mask by mouse and keyboard: what differs from how it came, and where."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QListWidget
from scipy import ndimage

from medview.core.review import Judgement, SegmentState
from medview.core.segmentation import ModelRef, Provenance, Segment, Segmentation
from medview.editing.doubts import DoubtKind
from medview.ui import quantities
from medview.ui.changes_list import ChangesList
from medview.ui.checking_sections import CheckingSections
from medview.ui.correction_panel import CorrectionPanel
from medview.ui.difference_bar import DifferenceBar
from medview.ui.live_line import LiveLine
from medview.workstation.stroke import BrushOptions
from medview.workstation.view_state import Compared, ViewName
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


def judged(screen: Screen) -> Judgement:
    return screen.station.reviewing.review.judgement


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
    assert judged(screen) is Judgement.OPEN, "a rejection needs a reason"
    assert not review.judgements[Judgement.REJECTED].isChecked()
    QTest.keyClicks(review.reason, "breathing")
    QTest.mouseClick(review.judgements[Judgement.REJECTED], LEFT)
    screen.wait(lambda: review.said.text().startswith("Rejected by B. Reader, today"))
    screen.view().setFocus()
    screen.key(Qt.Key.Key_Return, CONTROL)
    screen.wait(lambda: review.said.text().startswith("Accepted by B. Reader"))
    assert judged(screen) is Judgement.ACCEPTED

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


def test_a_key_goes_to_the_next_doubtful_place(screen: Screen, small_series_folder: Path) -> None:
    volume = screen.open(small_series_folder)
    labels = np.zeros(volume.geometry.shape, np.uint8)
    labels[10:30, 17:47, 17:47] = 1
    labels[20:23, 30:33, 30:33] = 0
    labels[4:6, 55:58, 55:58] = 1
    segmentation = Segmentation(volume.geometry, labels, (Segment(1, "Mass", (200, 90, 60)),))
    case = screen.station.workspace.active_case
    assert case is not None
    case.add_segmentation(segmentation, on=volume.id)
    screen.station.workspace.activate(case, volume, segmentation)
    screen.station.viewing.update(segmentation_id=segmentation.id)
    screen.station.correction.adopt(segmentation)
    part = sections(screen)
    screen.key(Qt.Key.Key_E)
    screen.view().setFocus()

    def here() -> tuple[int, int, int]:
        return volume.geometry.nearest_voxel(screen.station.viewing.state.cursor)

    screen.key(Qt.Key.Key_N)
    screen.wait(lambda: screen.station.doubts.here == 0)
    kinds = [place.doubt.kind for place in screen.station.doubts.places]
    assert {DoubtKind.ISLAND, DoubtKind.HOLE} <= set(kinds)
    seen = {kinds[0]: here()}
    for number in range(1, len(kinds)):
        screen.key(Qt.Key.Key_N)
        seen[kinds[number]] = here()
    assert seen[DoubtKind.HOLE] == (21, 31, 31)
    assert segmentation.labels[seen[DoubtKind.ISLAND]] == 1
    assert seen[DoubtKind.ISLAND][0] in (4, 5)
    screen.key(Qt.Key.Key_N, SHIFT)
    assert screen.station.doubts.here == len(kinds) - 2

    screen.key(Qt.Key.Key_E)
    QTest.mouseClick(part.doubts_fold.button, LEFT)
    screen.wait(lambda: part.doubts.rows.count() == len(kinds))
    hole = kinds.index(DoubtKind.HOLE)
    assert part.doubts.rows.item(hole).text() == f"Mass: Hole, {27 * 0.36:.1f} ml"
    click_row(part.doubts.rows, hole)
    assert here() == (21, 31, 31)
    screen.drag((-150, -60), (-150, 60))
    screen.wait(lambda: part.doubts.hint.text() == "The masks were changed since.")
    QTest.mouseClick(part.doubts.look, LEFT)
    screen.wait(lambda: not part.doubts.hint.isVisible())
    with speaking_chinese():
        event_loop.run_for(0.1)
        assert "孔洞" in "".join(rows(part.doubts.rows))


def test_volume_and_mean_follow_the_brush_while_the_button_is_down(screen: Screen, small_series_folder: Path) -> None:
    segmentation = adopted(screen, small_series_folder)
    screen.key(Qt.Key.Key_E)
    line = screen.window.findChild(LiveLine)
    assert line is not None

    def expected() -> str:
        under = segmentation.labels == 1
        ml, mean = int(under.sum()) * 0.36, float(screen.volume.voxels[under].mean())
        return f"In work: {quantities.millilitres(ml)}, mean {mean:.0f} HU"

    screen.wait(lambda: line.text() == expected())
    before = line.text()
    view = screen.view()
    place = view.rect().center() + QPoint(-150, -60)
    QTest.mousePress(view, LEFT, Qt.KeyboardModifier.NoModifier, place)
    for step in range(8):
        QTest.mouseMove(view, place + QPoint(0, 15 * step))
        event_loop.run_for(0.02)
    assert screen.station.correction.is_painting
    screen.wait(lambda: line.text() == expected())
    assert line.text() != before
    QTest.mouseRelease(view, LEFT, Qt.KeyboardModifier.NoModifier, place + QPoint(0, 105))
    screen.key(Qt.Key.Key_Z, CONTROL)
    screen.wait(lambda: line.text() == before)


def test_a_hand_as_fast_as_5000_pixels_a_second_leaves_no_gaps(screen: Screen, small_series_folder: Path) -> None:
    """The mouse tells of itself 60 times a second at least: some 83 pixels from one move to the next."""
    volume = screen.open(small_series_folder)
    screen.station.viewing.update(maximised=ViewName.AXIAL)
    event_loop.run_for(0.1)
    view = screen.view()
    middle = view.rect().center()
    corners = []
    for corner in (QPoint(-200, -200), QPoint(200, 200)):
        QTest.mouseClick(view, LEFT, Qt.KeyboardModifier.NoModifier, middle + corner)
        corners.append(np.array(screen.station.viewing.state.cursor))
    mm = (corners[1] - corners[0])[:2] / 400

    screen.key(Qt.Key.Key_E)
    screen.station.correction.set_options(BrushOptions(radius_mm=4.0))
    way = [(-200, -100), (-117, -100), (-34, -100), (49, -60), (100, 10), (60, 85), (-20, 85), (-103, 85), (-150, 20)]
    places = [middle + QPoint(*one) for one in way]
    QTest.mousePress(view, LEFT, Qt.KeyboardModifier.NoModifier, places[0])
    for place in places[1:]:
        QTest.mouseMove(view, place)
    QTest.mouseRelease(view, LEFT, Qt.KeyboardModifier.NoModifier, places[-1])
    screen.app.processEvents()

    painted = screen.segmentation.labels
    number = int(np.flatnonzero(painted.any(axis=(1, 2)))[0])
    _, count = ndimage.label(painted[number], structure=np.ones((3, 3)))
    assert count == 1, "the stroke is one piece"
    points = [corners[0][:2] + (np.array(one) + 200) * mm for one in way]
    rows, columns = np.indices(volume.geometry.shape[1:])
    centers = volume.geometry.to_patient(np.stack([np.full_like(rows, number), rows, columns], axis=-1))[..., :2]
    away = np.full(rows.shape, np.inf)
    for a, b in pairwise(points):
        along = np.clip(((centers - a) @ (b - a)) / ((b - a) @ (b - a)), 0, 1)
        away = np.minimum(away, np.linalg.norm(centers - (a + along[..., None] * (b - a)), axis=-1))
    pixel_mm = float(np.abs(mm).max())
    assert painted[number][away <= 4.0 - pixel_mm].all(), "all that the brush went over is painted"
    assert not painted[number][away > 4.0 + pixel_mm].any(), "and nothing else"
