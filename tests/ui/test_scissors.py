"""Scissors in a slice view and in the 3D view of a real window."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from medview.core.segmentation import Segment, Segmentation
from medview.ui.correction_panel import CorrectionPanel
from medview.ui.reading_room import ReadingRoom
from medview.workstation.edit_tools import EditTool
from medview.workstation.view_state import Mode, ViewName
from tests.support.grids import centers
from tests.ui.conftest import LEFT, NO_KEYS, RIGHT, Screen, move
from tests.ui.test_edit_tools import corners, rectangle, slice_number, trace


@pytest.fixture
def editor(screen: Screen, small_series_folder: Path) -> Screen:
    """A window with a block as segment 1 of the small phantom, and scissors in the hand."""
    volume = screen.open(small_series_folder)
    case = screen.station.workspace.active_case
    assert case is not None
    labels = np.zeros(volume.geometry.shape, np.uint8)
    labels[5:35, 15:50, 15:50] = 1
    segmentation = Segmentation(volume.geometry, labels, (Segment(1, "Block", (0, 200, 0)),))
    case.add_segmentation(segmentation, on=volume.id)
    screen.station.workspace.activate(case, volume, segmentation)
    screen.station.correction.adopt(segmentation)
    screen.station.viewing.update(mode=Mode.EDIT, segmentation_id=segmentation.id, annotations_shown=False)
    screen.wait(lambda: not screen.station.jobs.open_jobs)
    screen.key(Qt.Key.Key_S)
    assert screen.station.tools.tool is EditTool.SCISSORS
    return screen


def finished(screen: Screen) -> np.ndarray:
    screen.wait(lambda: not screen.station.jobs.open_jobs)
    screen.app.processEvents()
    return np.asarray(screen.segmentation.labels == 1)


def test_a_curve_on_a_slice_cuts_through_all_slices_or_a_slab(editor: Screen) -> None:
    block = editor.segmentation.labels == 1
    one, other = (-30, -32), (35, 41)
    inside = rectangle(editor, one, other)
    trace(editor, corners(one, other))
    np.testing.assert_array_equal(finished(editor), block & ~inside)
    editor.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    trace(editor, corners(one, other), RIGHT)
    np.testing.assert_array_equal(finished(editor), block & inside)
    editor.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)

    panel = editor.window.findChild(CorrectionPanel)
    assert isinstance(panel, CorrectionPanel)
    options = panel.tools.scissors
    QTest.mouseClick(options.outside, LEFT)
    QTest.mouseClick(options.slab, LEFT, NO_KEYS, QPoint(8, options.slab.height() // 2))
    options.thickness.selectAll()
    QTest.keyClicks(options.thickness, "41")
    QTest.keyClick(options.thickness, Qt.Key.Key_Return)
    assert editor.station.tools.options.scissors.slab_mm == 41
    trace(editor, corners(one, other))
    number = slice_number(editor)
    expected = block.copy()
    expected[number - 2 : number + 3] &= inside
    np.testing.assert_array_equal(finished(editor), expected)


def test_a_curve_in_the_3d_view_cuts_into_the_depth(editor: Screen) -> None:
    room = editor.window.findChild(ReadingRoom)
    assert isinstance(room, ReadingRoom)
    block = editor.segmentation.labels == 1
    view = editor.view(ViewName.VOLUME)
    middle = view.rect().center()
    places = [middle + QPoint(x, y) for x, y in ((0, -400), (500, -400), (500, 400), (0, 400))]
    QTest.mousePress(view, LEFT, NO_KEYS, middle + QPoint(0, -40))
    for one, other in pairwise([middle + QPoint(0, -40), *places, middle + QPoint(0, 40)]):
        for step in range(1, 9):
            move(view, one + (other - one) * step / 8, LEFT, NO_KEYS)
    QTest.mouseRelease(view, LEFT, NO_KEYS, middle + QPoint(0, 40))
    left = finished(editor)
    # the camera looks from the front at the middle: what is right in the picture is the patient's left
    x = centers(editor.volume.geometry)[..., 0] - editor.volume.geometry.center_mm[0]
    clear = np.abs(x) > 2 * editor.volume.geometry.spacing_mm[2]
    np.testing.assert_array_equal(left[clear], (block & (x < 0))[clear])
    assert str(editor.station.correction.undo_name) == "Scissors"


def test_the_right_button_turns_the_3d_view_while_scissors_are_in_hand(editor: Screen) -> None:
    room = editor.window.findChild(ReadingRoom)
    assert isinstance(room, ReadingRoom)
    camera = room.grid[ViewName.VOLUME].renderer.GetActiveCamera()
    before = camera.GetPosition()
    block = editor.segmentation.labels == 1
    editor.drag((0, 0), (60, 10), RIGHT, name=ViewName.VOLUME)
    assert np.linalg.norm(np.subtract(camera.GetPosition(), before)) > 1
    np.testing.assert_array_equal(finished(editor), block)
