"""Picking parts of segments with the mouse of a real window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from scipy import ndimage

from medview.core.segmentation import Segment, Segmentation
from medview.ui.correction_panel import CorrectionPanel
from medview.workstation.edit_tools import EditTool, IslandAction
from medview.workstation.view_state import Mode
from tests.ui.conftest import LEFT, RIGHT, Screen
from tests.ui.test_edit_tools import axial, press

CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def editor(screen: Screen, small_series_folder: Path) -> Screen:
    """A window with two segments of random blocks, in several parts each, and the tool in hand."""
    volume = screen.open(small_series_folder)
    case = screen.station.workspace.active_case
    assert case is not None
    rng = np.random.default_rng(7)
    labels = np.zeros(volume.geometry.shape, np.uint8)
    for number in range(90):
        k, j, i = rng.integers(0, (34, 56, 56))
        labels[k : k + 7, j : j + 7, i : i + 7] = 1 + number % 2
    segments = (Segment(1, "Blocks", (0, 200, 0)), Segment(2, "Bricks", (0, 0, 200)))
    segmentation = Segmentation(volume.geometry, labels, segments)
    case.add_segmentation(segmentation, on=volume.id)
    screen.station.workspace.activate(case, volume, segmentation)
    screen.station.correction.adopt(segmentation)
    screen.station.viewing.update(mode=Mode.EDIT, segmentation_id=segmentation.id)
    screen.wait(lambda: not screen.station.jobs.open_jobs)
    screen.key(Qt.Key.Key_J)
    assert screen.station.tools.tool is EditTool.ISLAND
    return screen


def place_of(screen: Screen, label: int) -> tuple[tuple[int, int], NDArray[np.bool_]]:
    """Where to click on a small part of a segment in the slice that is shown, and (k, j, i) bool: that part."""
    view, labels = axial(screen), screen.segmentation.labels
    parts, count = ndimage.label(labels == label)
    sizes = ndimage.sum_labels(labels == label, parts, np.arange(1, count + 1))
    for number in np.argsort(sizes):
        part = parts == number + 1
        inner = ndimage.binary_erosion(part[view.index])
        if inner.any():
            j, i = np.argwhere(inner)[0]
            x, y, z = (float(value) for value in screen.volume.geometry.to_patient((view.index, j, i)))
            px, py = view.pixel_of((x, y, z))
            widget = screen.view()
            ratio, middle = widget.devicePixelRatioF(), widget.rect().center()
            height = round(widget.height() * ratio)
            return (round(px / ratio) - middle.x(), round((height - 1 - py) / ratio) - middle.y()), part
    raise AssertionError("no part of this segment is in the slice")


def finished(screen: Screen) -> NDArray[np.uint8]:
    screen.wait(lambda: not screen.station.jobs.open_jobs)
    screen.app.processEvents()
    return screen.segmentation.labels.copy()


def test_a_part_is_kept_removed_or_made_a_segment(editor: Screen) -> None:
    before = editor.segmentation.labels.copy()
    place, part = place_of(editor, 2)
    assert 0 < part.sum() < (before == 2).sum()
    press(editor, place)
    np.testing.assert_array_equal(finished(editor), np.where((before == 2) & ~part, 0, before))
    assert editor.station.correction.active_label == 2
    editor.key(Qt.Key.Key_Z, CONTROL)
    press(editor, place, RIGHT)
    np.testing.assert_array_equal(finished(editor), np.where(part, 0, before))
    editor.key(Qt.Key.Key_Z, CONTROL)

    panel = editor.window.findChild(CorrectionPanel)
    assert isinstance(panel, CorrectionPanel)
    QTest.mouseClick(panel.tools.islands.buttons[IslandAction.APART], LEFT)
    press(editor, place)
    np.testing.assert_array_equal(finished(editor), np.where(part, 3, before))
    assert [one.name for one in editor.segmentation.segments] == ["Blocks", "Bricks", "Bricks 2"]
    editor.key(Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(finished(editor), before)
    assert len(editor.segmentation.segments) == 2


def test_a_locked_segment_keeps_its_parts_and_background_has_none(editor: Screen) -> None:
    before = editor.segmentation.labels.copy()
    place, _ = place_of(editor, 1)
    editor.station.correction.set_locked(1, True)
    press(editor, place, RIGHT)
    np.testing.assert_array_equal(finished(editor), before)
    empty = np.argwhere(before[axial(editor).index] == 0)[0]
    x, y, z = (float(value) for value in editor.volume.geometry.to_patient((axial(editor).index, *empty)))
    assert editor.station.editing.islands.pick((x, y, z), IslandAction.REMOVE) is None
