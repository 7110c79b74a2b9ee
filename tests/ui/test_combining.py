"""The segment in work beside others, by buttons and keys of a real window."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from medview.core.segmentation import Segment, Segmentation
from medview.editing.combine import Combination
from medview.ui.correction_panel import CorrectionPanel
from medview.workstation.view_state import Mode
from tests.ui.conftest import LEFT, Screen

CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def editor(screen: Screen, small_series_folder: Path) -> Screen:
    """A window with two segmentations on the small phantom: segments 1 and 2 in work, and 7 on another one."""
    volume = screen.open(small_series_folder)
    case = screen.station.workspace.active_case
    assert case is not None
    other = np.zeros(volume.geometry.shape, np.uint8)
    other[10:30, 20:40, 20:40] = 7
    case.add_segmentation(Segmentation(volume.geometry, other, (Segment(7, "Heart", (200, 0, 0)),)), on=volume.id)
    mine = np.zeros(volume.geometry.shape, np.uint8)
    mine[18:22, 25:50, 25:50] = 1
    mine[25:30, 5:10, 5:10] = 2
    segments = (Segment(1, "Liver", (0, 200, 0)), Segment(2, "Spleen", (0, 0, 200)))
    segmentation = Segmentation(volume.geometry, mine, segments)
    case.add_segmentation(segmentation, on=volume.id)
    screen.station.workspace.activate(case, volume, segmentation)
    screen.station.correction.adopt(segmentation)
    screen.station.viewing.update(mode=Mode.EDIT, segmentation_id=segmentation.id)
    screen.wait(lambda: panel(screen).combine.choice.count() == 2)
    return screen


def panel(screen: Screen) -> CorrectionPanel:
    found = screen.window.findChild(CorrectionPanel)
    assert isinstance(found, CorrectionPanel)
    return found


def choose(screen: Screen, name: str) -> None:
    choice = panel(screen).combine.choice
    names = [choice.itemText(n) for n in range(choice.count())]
    choice.setCurrentIndex(next(n for n, one in enumerate(names) if one.startswith(name)))


def press(screen: Screen, how: Combination) -> None:
    QTest.mouseClick(panel(screen).combine.buttons[how], LEFT)
    screen.wait(lambda: not screen.station.jobs.open_jobs)
    screen.app.processEvents()


def test_segments_are_combined_by_their_buttons(editor: Screen) -> None:
    before = editor.segmentation.labels.copy()
    heart = np.zeros(before.shape, bool)
    heart[10:30, 20:40, 20:40] = True
    truth = {
        Combination.UNION: (before == 1) | heart,
        Combination.SUBTRACT: (before == 1) & ~heart,
        Combination.INTERSECT: (before == 1) & heart,
    }
    for how, expected in truth.items():
        choose(editor, "Heart")
        press(editor, how)
        np.testing.assert_array_equal(editor.segmentation.labels == 1, expected)
        editor.station.correction.undo()
        np.testing.assert_array_equal(editor.segmentation.labels, before)
    choose(editor, "Spleen")
    press(editor, Combination.SUBTRACT)
    message = panel(editor).banner.message
    assert message is not None
    assert "do not overlap" in str(message.what)
    press(editor, Combination.UNION)
    np.testing.assert_array_equal(editor.segmentation.labels == 1, before != 0)


def test_a_slice_is_copied_to_its_neighbours_by_keys(editor: Screen) -> None:
    geometry, viewing = editor.volume.geometry, editor.station.viewing
    x, y, z = (float(value) for value in geometry.to_patient((18, 30, 30)))
    viewing.update(cursor=(x, y, z))
    before = editor.segmentation.labels.copy()
    editor.view().setFocus()
    for _ in range(2):
        editor.key(Qt.Key.Key_Down, CONTROL)
    assert geometry.nearest_voxel(viewing.state.cursor)[0] == 16
    expected = before.copy()
    expected[16:18] = np.where(before[18] == 1, 1, before[16:18])
    np.testing.assert_array_equal(editor.segmentation.labels, expected)
    editor.key(Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(editor.segmentation.labels[16], before[16])


def test_an_image_of_what_is_inside_is_made(editor: Screen) -> None:
    case = editor.station.workspace.active_case
    assert case is not None
    known = set(case.volumes)
    QTest.mouseClick(panel(editor).combine.mask_button, LEFT)
    editor.wait(lambda: len(case.volumes) == len(known) + 1)
    (new,) = (volume for id, volume in case.volumes.items() if id not in known)
    voxels = editor.volume.voxels
    expected = np.where(editor.segmentation.labels == 1, voxels, voxels.min())
    np.testing.assert_array_equal(new.voxels, expected)
    assert new.unit == "HU"
    assert "inside Liver" in new.description
