"""Scribbles and clicks with the mouse of a real window: answered, taken back, rejected, accepted, refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from medview.core.hint import HintKind
from medview.ui.hint_options import HintOptions
from medview.workstation.edit_tools import EditTool
from medview.workstation.hint_parts import AcceptPart
from medview.workstation.view_state import Mode, ViewName
from tests.ui.conftest import LEFT, RIGHT, Screen

CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def hinted(screen: Screen, small_series_folder: Path) -> Screen:
    """A window with a small phantom, and the tool for hints in the hand."""
    screen.open(small_series_folder)
    screen.key(Qt.Key.Key_Q)
    assert screen.station.tools.tool is EditTool.HINT
    assert screen.station.viewing.state.mode is Mode.EDIT
    return screen


def painted(screen: Screen) -> NDArray[np.bool_]:
    segmentation = screen.station.workspace.active_segmentation
    shape = screen.volume.geometry.shape
    return np.zeros(shape, bool) if segmentation is None else np.asarray(segmentation.labels != 0)


def answered(screen: Screen) -> None:
    screen.wait(lambda: screen.station.hinting.running is None)
    screen.app.processEvents()


def options(screen: Screen) -> HintOptions:
    found = screen.window.findChild(HintOptions)
    assert isinstance(found, HintOptions)
    return found


def test_scribbles_are_answered_taken_back_and_accepted(hinted: Screen) -> None:
    hinting = hinted.station.hinting
    before = hinted.view().grab().toImage()
    hinted.drag((-70, 10), (-55, -20))  # in the right lung
    assert [one.kind for one in hinting.hints] == [HintKind.SCRIBBLE]
    assert hinting.hints[0].positive
    answered(hinted)
    first = hinting.preview
    assert first is not None
    assert first.inside.sum() > 50
    assert not painted(hinted).any(), "it is a preview"
    assert hinted.view().grab().toImage() != before
    hinted.drag((0, 0), (3, 20), RIGHT)
    assert not hinting.hints[-1].positive
    hinted.drag((60, 60), (62, 62), keys=CONTROL)
    assert not hinting.hints[-1].positive
    answered(hinted)
    hinted.wait(lambda: hinting.is_current)
    for count in (2, 1):
        hinted.key(Qt.Key.Key_Z, CONTROL)
        assert len(hinting.hints) == count
    assert hinting.preview is first
    view = hinted.view()
    view.setFocus()
    hinted.key(Qt.Key.Key_Return)
    assert not hinting.is_active
    whole = np.zeros(hinted.volume.geometry.shape, dtype=bool)
    whole[first.box.slices] = first.inside
    np.testing.assert_array_equal(painted(hinted), whole)
    hinted.key(Qt.Key.Key_Z, CONTROL)
    assert not painted(hinted).any(), "accepting is one step"


def test_escape_rejects_and_the_view_is_as_it_was(hinted: Screen) -> None:
    view = hinted.view()
    hinted.drag((-70, 10), (-55, -20))
    answered(hinted)
    assert hinted.station.hinting.preview is not None
    view.setFocus()
    hinted.key(Qt.Key.Key_Escape)
    assert not hinted.station.hinting.is_active
    assert not painted(hinted).any()


def test_a_box_and_the_buttons_of_the_panel(hinted: Screen) -> None:
    hinting, panel = hinted.station.hinting, options(hinted)
    assert not panel.accept_button.isEnabled()
    panel.shapes.setCurrentIndex(panel.shapes.findData(HintKind.BOX))
    panel.shapes.activated.emit(panel.shapes.currentIndex())
    hinted.drag((-100, -60), (-20, 70))
    assert [one.kind for one in hinting.hints] == [HintKind.BOX]
    assert hinting.shape is HintKind.SCRIBBLE, "after the box come scribbles"
    hinted.drag((-70, 10), (-55, -20))
    answered(hinted)
    hinted.wait(lambda: hinting.is_current)
    assert "ml" in panel.state.text()
    panel.parts[AcceptPart.SLICE].trigger()
    number = hinted.volume.geometry.nearest_voxel(hinted.station.viewing.state.cursor)[0]
    found = painted(hinted)
    assert found[number].any()
    assert not np.delete(found, number, axis=0).any()
    QTest.mouseClick(panel.accept_button, LEFT)
    assert painted(hinted).sum() > found.sum()
    assert not hinting.is_active
    hinted.drag((-70, 10), (-55, -20))
    QTest.mouseClick(panel.undo_button, LEFT)
    assert not hinting.is_active
    hinted.drag((-70, 10), (-55, -20))
    QTest.mouseClick(panel.reject_button, LEFT)
    assert not hinting.is_active


def test_a_contradiction_is_told_and_not_taken(hinted: Screen) -> None:
    hinted.drag((-70, 10), (-50, 10))
    hinted.drag((-60, 0), (-60, 20), RIGHT)
    assert len(hinted.station.hinting.hints) == 1
    banners = [one.text() for one in hinted.window.findChildren(type(options(hinted).state)) if one.isVisible()]
    assert any("contrary" in text for text in banners)


def test_hints_wait_while_another_tool_is_in_hand(hinted: Screen) -> None:
    hinted.drag((-70, 10), (-55, -20))
    answered(hinted)
    hinted.key(Qt.Key.Key_B)
    hinted.drag((0, 0), (5, 5))
    assert painted(hinted).any()
    hinted.key(Qt.Key.Key_Z, CONTROL)
    assert not painted(hinted).any(), "the stroke was taken back, not the hint"
    hinted.key(Qt.Key.Key_Q)
    assert hinted.station.hinting.preview is not None


def test_a_click_in_another_view(hinted: Screen) -> None:
    hinted.drag((-60, 0), (-60, 0), name=ViewName.CORONAL)
    assert [one.kind for one in hinted.station.hinting.hints] == [HintKind.POINT]
    answered(hinted)
    assert hinted.station.hinting.preview is not None
