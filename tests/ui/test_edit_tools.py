"""The tools that correct masks, with the mouse and the keys of a real window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from scipy import ndimage

from medview.core.volume import Window
from medview.editing import adaptive, brush, level_trace, outline
from medview.editing.brush import BrushShape
from medview.editing.live_wire import Wire
from medview.ui.correction_panel import CorrectionPanel
from medview.ui.reading_room import ReadingRoom
from medview.views.slice_view import SliceView
from medview.workstation.edit_tools import EditTool
from medview.workstation.stroke import BrushOptions
from medview.workstation.view_state import Mode, ViewName
from tests.ui.conftest import LEFT, NO_KEYS, RIGHT, Screen, move

Place = tuple[int, int]
"""From the middle of a view, logical pixels, y down."""
CONTROL = Qt.KeyboardModifier.ControlModifier


@pytest.fixture
def editor(screen: Screen, small_series_folder: Path) -> Screen:
    """A window with a small phantom, in the mode of correcting."""
    screen.open(small_series_folder)
    screen.station.viewing.update(mode=Mode.EDIT)
    screen.app.processEvents()
    return screen


def press(screen: Screen, place: Place, button: Qt.MouseButton = LEFT, keys: Qt.KeyboardModifier = NO_KEYS) -> None:
    """A click."""
    view = screen.view()
    at = view.rect().center() + QPoint(*place)
    move(view, at, Qt.MouseButton.NoButton, keys)
    QTest.mouseClick(view, button, keys, at)
    screen.app.processEvents()


def trace(
    screen: Screen, places: Sequence[Place], button: Qt.MouseButton = LEFT, keys: Qt.KeyboardModifier = NO_KEYS
) -> None:
    """A line with the button held, from place to place."""
    view = screen.view()
    middle = view.rect().center()
    QTest.mousePress(view, button, keys, middle + QPoint(*places[0]))
    for one, other in pairwise(places):
        for share in np.linspace(0, 1, 12)[1:]:
            x, y = (round(a + share * (b - a)) for a, b in zip(one, other, strict=True))
            move(view, middle + QPoint(x, y), button, keys)
    QTest.mouseRelease(view, button, keys, middle + QPoint(*places[-1]))
    screen.app.processEvents()


def axial(screen: Screen) -> SliceView:
    room = screen.window.findChild(ReadingRoom)
    assert isinstance(room, ReadingRoom)
    return room.slice_view(ViewName.AXIAL)


def at(screen: Screen, place: Place) -> tuple[float, float]:
    """(row, column) of the slice under a place, as a continuous index."""
    view = screen.view()
    ratio = view.devicePixelRatioF()
    middle = view.rect().center()
    height = round(view.height() * ratio)
    x, y = (middle.x() + place[0]) * ratio, height - 1 - (middle.y() + place[1]) * ratio
    _, j, i = screen.volume.geometry.to_index(axial(screen).point_at(x, y))
    return float(j), float(i)


def rectangle(screen: Screen, one: Place, other: Place) -> NDArray[np.bool_]:
    """(j, i) bool: voxels of the slice with their centre between two places."""
    (top, left), (bottom, right) = at(screen, one), at(screen, other)
    j, i = np.indices(screen.volume.geometry.shape[1:])
    inside: NDArray[np.bool_] = (j > top) & (j < bottom) & (i > left) & (i < right)
    return inside


def painted(screen: Screen) -> NDArray[np.bool_]:
    """(k, j, i) bool: what any segment has."""
    segmentation = screen.station.workspace.active_segmentation
    shape = screen.volume.geometry.shape
    return np.zeros(shape, bool) if segmentation is None else np.asarray(segmentation.labels != 0)


def slice_number(screen: Screen) -> int:
    return axial(screen).index


def corners(one: Place, other: Place) -> list[Place]:
    (left, top), (right, bottom) = one, other
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def only_on_slice(screen: Screen, expected: NDArray[np.bool_]) -> None:
    """(j, i) bool is what the slice has, and no other slice has anything."""
    found, number = painted(screen), slice_number(screen)
    np.testing.assert_array_equal(found[number], expected)
    assert not np.delete(found, number, axis=0).any()


def test_an_outline_is_traced_to_add_and_to_take_away(editor: Screen) -> None:
    editor.key(Qt.Key.Key_L)
    assert editor.station.tools.tool is EditTool.OUTLINE
    one, other = (-61, -52), (47, 58)
    trace(editor, corners(one, other))
    large = rectangle(editor, one, other)
    assert large.sum() > 50
    only_on_slice(editor, large)
    inner = (-20, -21), (19, 22)
    trace(editor, corners(*inner), RIGHT)
    only_on_slice(editor, large & ~rectangle(editor, *inner))
    corner = (-80, -80), (-30, -31)
    trace(editor, corners(*corner), keys=CONTROL)
    only_on_slice(editor, large & ~rectangle(editor, *inner) & ~rectangle(editor, *corner))
    assert str(editor.station.correction.undo_name) == "Outline"
    for _ in range(2):
        editor.key(Qt.Key.Key_Z, CONTROL)
    only_on_slice(editor, large)


def test_the_corners_of_an_outline_are_clicked_taken_back_and_closed(editor: Screen) -> None:
    editor.key(Qt.Key.Key_L)
    one, other = (-61, -52), (47, 58)
    first, second, third, fourth = corners(one, other)
    for place in (first, second, (90, 90)):
        press(editor, place)
    editor.key(Qt.Key.Key_Backspace)
    for place in (third, fourth):
        press(editor, place)
    number = slice_number(editor)
    editor.wheel(-1)
    assert slice_number(editor) == number, "the wheel waits for the outline"
    assert not painted(editor).any()
    editor.key(Qt.Key.Key_Return)
    only_on_slice(editor, rectangle(editor, one, other))
    assert editor.station.viewing.state.maximised is None

    for place in (first, second, third):
        press(editor, place, RIGHT)
    editor.key(Qt.Key.Key_Escape)
    only_on_slice(editor, rectangle(editor, one, other))
    assert editor.station.tools.tool is EditTool.OUTLINE
    for place in (first, second, third, fourth, first):
        press(editor, place, RIGHT)
    assert not painted(editor).any()


def test_a_double_click_closes_an_outline(editor: Screen) -> None:
    editor.key(Qt.Key.Key_L)
    one, other = (-61, -52), (47, 58)
    for place in corners(one, other):
        press(editor, place)
    view = editor.view()
    QTest.mouseDClick(view, LEFT, NO_KEYS, view.rect().center() + QPoint(*corners(one, other)[-1]))
    editor.app.processEvents()
    only_on_slice(editor, rectangle(editor, one, other))


def test_another_tool_mode_or_locked_segment_ends_an_outline(editor: Screen) -> None:
    places = corners((-61, -52), (47, 58))
    for end in (Qt.Key.Key_B, Qt.Key.Key_V):
        editor.key(Qt.Key.Key_L)
        for place in places:
            press(editor, place)
        editor.key(end)
        editor.key(Qt.Key.Key_L)
        editor.key(Qt.Key.Key_Return)
        assert not painted(editor).any()
        editor.station.viewing.update(maximised=None)
    segment = editor.station.correction.add_segment()
    editor.station.correction.set_locked(segment.label, True)
    trace(editor, places)
    assert not painted(editor).any()


def region(screen: Screen, place: Place, tolerance: float, axis: int | None) -> NDArray[np.bool_]:
    """(k, j, i) bool: what hangs together with a place and has similar values, by scipy."""
    j, i = (round(value) for value in at(screen, place))
    number, voxels = slice_number(screen), screen.volume.voxels
    similar = np.abs(voxels - float(voxels[number, j, i])) <= tolerance
    if axis == 0:
        similar[np.arange(len(similar)) != number] = False
    parts, _ = ndimage.label(similar)
    found: NDArray[np.bool_] = parts == parts[number, j, i]
    return found


def test_a_region_grows_with_the_distance_from_its_seed(editor: Screen) -> None:
    editor.key(Qt.Key.Key_W)
    seed = (-60, 10)
    trace(editor, [seed, (-60, 70)])
    far = editor.station.editing.growing.tolerance
    width = editor.station.viewing.state.window.width
    assert far == pytest.approx(60 * 0.0025 * width, rel=0.02)
    np.testing.assert_array_equal(painted(editor), region(editor, seed, far, 0))
    editor.key(Qt.Key.Key_Z, CONTROL)
    trace(editor, [seed, (-60, 40)])
    near = editor.station.editing.growing.tolerance
    assert near < far
    np.testing.assert_array_equal(painted(editor), region(editor, seed, near, 0))
    small = painted(editor)
    editor.wheel(3, keys=Qt.KeyboardModifier.ShiftModifier)
    wider = editor.station.editing.growing.tolerance
    assert wider > near
    press(editor, seed, RIGHT)
    np.testing.assert_array_equal(painted(editor), small & ~region(editor, seed, wider, 0))


def test_a_region_grows_through_all_slices_in_the_background(editor: Screen) -> None:
    editor.key(Qt.Key.Key_W)
    options = editor.station.tools.options
    editor.station.tools.set_options(replace(options, grow=replace(options.grow, in_3d=True, tolerance=400.0)))
    seed = (-60, 10)
    press(editor, seed)
    assert editor.station.jobs.open_jobs
    editor.wait(lambda: bool(painted(editor).any()))
    expected = region(editor, seed, 400.0, None)
    assert expected.any(axis=(1, 2)).sum() > 3
    np.testing.assert_array_equal(painted(editor), expected)


def test_a_threshold_takes_its_range_from_the_mouse_and_fills_all_slices(editor: Screen) -> None:
    editor.key(Qt.Key.Key_T)
    assert editor.station.tools.tool is EditTool.THRESHOLD
    window = editor.station.viewing.state.window
    threshold = editor.station.editing.threshold
    assert threshold.range == (window.center, window.upper)
    way = [(-66, 0), (-54, 12)]
    trace(editor, way)
    lowest, highest = threshold.range
    number, voxels = slice_number(editor), editor.volume.voxels
    for place in way:
        j, i = (round(value) for value in at(editor, place))
        assert lowest <= voxels[number, j, i] <= highest
    trace(editor, [(40, 0), (44, 4)], keys=CONTROL)
    wider = threshold.range
    assert wider[0] <= lowest
    assert wider[1] >= highest
    editor.wheel(-2)
    editor.key(Qt.Key.Key_Return)
    editor.wait(lambda: bool(painted(editor).any()))
    np.testing.assert_array_equal(painted(editor), (voxels >= wider[0]) & (voxels <= wider[1]))
    threshold.set_range(highest, lowest)
    editor.wait(lambda: not editor.station.jobs.open_jobs)
    job = threshold.keep()
    assert job is not None
    editor.wait(lambda: job.state.is_final)
    np.testing.assert_array_equal(painted(editor), (voxels >= lowest) & (voxels <= highest))


def test_the_brush_takes_its_range_from_under_the_mouse(editor: Screen) -> None:
    view = editor.view()
    place = (-60, 10)
    move(view, view.rect().center() + QPoint(*place), Qt.MouseButton.NoButton, NO_KEYS)
    radius = 30.0
    editor.station.correction.set_options(BrushOptions(radius_mm=radius))
    editor.key(Qt.Key.Key_T, Qt.KeyboardModifier.ShiftModifier)
    geometry = editor.volume.geometry
    j, i = at(editor, place)
    rows, columns = np.indices(geometry.shape[1:])
    far = np.hypot((rows - j) * geometry.spacing_mm[1], (columns - i) * geometry.spacing_mm[2])
    values = editor.volume.voxels[slice_number(editor)][far <= radius].astype(float)
    expected = (values.mean() - 2 * values.std(), values.mean() + 2 * values.std())
    assert editor.station.correction.rules.values == pytest.approx(expected)


def test_segments_grow_from_seeds_are_shown_and_then_taken_or_put_away(editor: Screen) -> None:
    correction, seeding = editor.station.correction, editor.station.editing.seeding
    editor.key(Qt.Key.Key_W, Qt.KeyboardModifier.ShiftModifier)
    assert editor.station.tools.tool is EditTool.SEEDS
    correction.set_options(BrushOptions(radius_mm=12.0))
    trace(editor, [(-66, 0), (-54, 12)])
    correction.add_segment()
    trace(editor, [(0, -20), (6, -14)])
    drawn = editor.segmentation.labels.copy()
    assert set(np.unique(drawn)) == {0, 1, 2}

    editor.key(Qt.Key.Key_Return)
    editor.wait(lambda: seeding.is_offering)
    shown = editor.station.workspace.drawn_segmentation
    assert shown is not None
    assert shown is not editor.segmentation
    np.testing.assert_array_equal(editor.segmentation.labels, drawn)
    assert (shown.labels[drawn != 0] == drawn[drawn != 0]).all()
    assert np.count_nonzero(shown.labels) > 2 * np.count_nonzero(drawn)
    editor.key(Qt.Key.Key_Escape)
    assert not seeding.is_offering
    assert editor.station.workspace.drawn_segmentation is editor.segmentation
    np.testing.assert_array_equal(editor.segmentation.labels, drawn)

    correction.set_locked(1, True)
    editor.key(Qt.Key.Key_Return)
    editor.wait(lambda: seeding.is_offering)
    grown = shown.labels.copy()
    editor.key(Qt.Key.Key_Return)
    np.testing.assert_array_equal(editor.segmentation.labels == 1, drawn == 1)
    np.testing.assert_array_equal(editor.segmentation.labels == 2, grown == 2)
    editor.key(Qt.Key.Key_Z, CONTROL)
    np.testing.assert_array_equal(editor.segmentation.labels, drawn)

    editor.key(Qt.Key.Key_Return)
    editor.wait(lambda: seeding.is_offering)
    trace(editor, [(20, 30), (24, 30)])
    assert not seeding.is_offering, "a stroke puts it away"


def test_a_live_wire_follows_edges_between_clicks(editor: Screen) -> None:
    editor.key(Qt.Key.Key_M)
    assert editor.station.tools.tool is EditTool.WIRE
    places = [(-80, -40), (-10, -40), (90, 90), (-20, 40), (-80, 40)]
    for place in places[:3]:
        press(editor, place)
    editor.key(Qt.Key.Key_Backspace)
    for place in places[3:]:
        press(editor, place)
    editor.key(Qt.Key.Key_Return)
    number, geometry = slice_number(editor), editor.volume.geometry

    def point(place: Place) -> NDArray[np.float64]:
        return np.asarray(geometry.to_patient((number, *at(editor, place))))

    def voxel(place: Place) -> tuple[int, int, int]:
        j, i = (round(value) for value in at(editor, place))
        return number, j, i

    kept = [places[0], places[1], places[3], places[4]]
    line = [point(kept[0])[None]]
    for one, other in pairwise(kept):
        wire = Wire(editor.volume.voxels, geometry, voxel(one), 0)
        line += [wire.to(voxel(other)), point(other)[None]]
    box, mask = outline.inside(geometry, np.vstack(line), 0, number)
    expected = np.zeros(geometry.shape, bool)
    expected[box.slices] = mask
    assert expected.sum() > 30
    np.testing.assert_array_equal(painted(editor), expected)
    assert str(editor.station.correction.undo_name) == "Live wire"

    editor.key(Qt.Key.Key_Z, CONTROL)
    for place in (*kept, kept[0]):
        press(editor, place)
    line += [Wire(editor.volume.voxels, geometry, voxel(kept[-1]), 0).to(voxel(kept[0]))]
    box, mask = outline.inside(geometry, np.vstack(line), 0, number)
    closed = np.zeros(geometry.shape, bool)
    closed[box.slices] = mask
    np.testing.assert_array_equal(painted(editor), closed)


def test_the_line_of_equal_values_under_the_mouse_is_taken(editor: Screen) -> None:
    editor.key(Qt.Key.Key_K)
    assert editor.station.tools.tool is EditTool.LEVEL
    number, geometry = slice_number(editor), editor.volume.geometry
    place = (-40, 0)
    line = level_trace.traced(editor.volume.voxels, geometry, np.array([number, *at(editor, place)]), 0)
    assert line is not None
    press(editor, place)
    box, mask = outline.inside(geometry, line, 0, number)
    expected = np.zeros(geometry.shape, bool)
    expected[box.slices] = mask
    assert expected.any()
    np.testing.assert_array_equal(painted(editor), expected)
    press(editor, place, RIGHT)
    assert not painted(editor).any()


def test_a_square_brush_and_one_that_stops_at_edges(editor: Screen) -> None:
    panel = editor.window.findChild(CorrectionPanel)
    assert isinstance(panel, CorrectionPanel)
    options = panel.tools.brush
    editor.key(Qt.Key.Key_B)
    QTest.mouseClick(options.shapes[BrushShape.SQUARE], LEFT)
    editor.station.correction.set_options(replace(editor.station.correction.options, radius_mm=31.0))
    place = (-66, 0)
    press(editor, place)
    geometry, number = editor.volume.geometry, slice_number(editor)
    j, i = at(editor, place)
    rows, columns = np.indices(geometry.shape[1:])
    square = (np.abs(rows - j) * geometry.spacing_mm[1] <= 31) & (np.abs(columns - i) * geometry.spacing_mm[2] <= 31)
    only_on_slice(editor, square)
    editor.key(Qt.Key.Key_Z, CONTROL)

    QTest.mouseClick(options.adaptive, LEFT, NO_KEYS, QPoint(8, options.adaptive.height() // 2))
    deviations = editor.station.correction.options.deviations
    assert deviations == 2.5
    press(editor, place)
    x, y, z = (float(value) for value in geometry.to_patient((number, j, i)))
    box, mask = brush.square(geometry, (x, y, z), (x, y, z), 31.0, 0)
    expected = np.zeros(geometry.shape, bool)
    expected[box.slices] = adaptive.taken(editor.volume.voxels, geometry, box, mask, (x, y, z), 31.0, 0, deviations)
    np.testing.assert_array_equal(painted(editor), expected)
    assert 0 < expected.sum() < square.sum()


def test_a_tolerance_begins_as_a_part_of_the_window_and_is_typed_as_fine_as_values_are(editor: Screen) -> None:
    editor.key(Qt.Key.Key_W)
    panel = editor.window.findChild(CorrectionPanel)
    assert isinstance(panel, CorrectionPanel)
    box, growing = panel.tools.grow.tolerance, editor.station.editing.growing
    editor.station.viewing.update(window=Window(1.0, 2.0))
    assert growing.tolerance == pytest.approx(0.08)
    editor.wait(lambda: box.text() == "0.08")
    box.setFocus()
    box.selectAll()
    QTest.keyClicks(box, "0.125")
    QTest.keyClick(box, Qt.Key.Key_Return)
    assert growing.tolerance == 0.125
    editor.station.viewing.update(window=Window(40.0, 400.0))
    assert growing.tolerance == 0.125
    growing.set_tolerance(16.0)
    assert box.text() == "16"
