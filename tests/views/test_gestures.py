"""Every gesture that the Help lists does what the list says, on a real correction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from medview.core.errors import MedViewError
from medview.core.geometry import Box, Point
from medview.core.planes import Plane
from medview.views.box_hand import BoxHand, BoxInViews
from medview.views.edit_hands import edit_hand
from medview.views.gestures import GESTURES, Gesture
from medview.views.interaction import SliceInteraction
from medview.views.linking import LinkedViews
from medview.views.measure_hand import MeasureHand, MeasurementsInViews
from medview.views.pointer import Button, Pointer
from medview.views.slice_view import SliceView
from medview.workstation.edit_tools import EditTool
from medview.workstation.measuring import Measuring
from medview.workstation.measuring_tools import Tool
from medview.workstation.search_box import SearchBox
from medview.workstation.stroke import BrushOptions
from medview.workstation.view_state import Mode, ViewName
from tests.support import editing_run
from tests.support.editing_run import Station
from tests.support.grids import centers, distance_to_line
from tests.support.screens import Screen, point, screen
from tests.support.volumes import volume

SLICE = 20
RADIUS_MM = 4.0


@dataclass
class Desk:
    """A station with an axial view and a mouse over it."""

    station: Station
    screen: Screen
    view: SliceView
    links: LinkedViews
    hand: SliceInteraction
    errors: list[MedViewError]
    measuring: Measuring
    search: SearchBox

    def pixel(self, j: float, i: float, k: float = SLICE) -> tuple[float, float]:
        return self.view.pixel_of(self.station.at(k, j, i))

    def drag(
        self, start: tuple[float, float], stop: tuple[float, float], button: Button, *, ctrl: bool = False
    ) -> None:
        self.hand.press(Pointer(*start, button, ctrl=ctrl))
        for share in (0.25, 0.5, 0.75, 1.0):
            x, y = (a + share * (b - a) for a, b in zip(start, stop, strict=True))
            self.hand.move(Pointer(x, y, button, ctrl=ctrl))
        self.hand.release(Pointer(*stop, button, ctrl=ctrl))

    def labels(self) -> np.ndarray:
        return self.station.labels.copy()

    def label(self, k: int, j: int, i: int) -> int:
        return int(self.station.labels[k, j, i])

    def use(self, tool: EditTool) -> None:
        self.station.tools.use(tool)
        self.station.correction.set_options(BrushOptions(radius_mm=RADIUS_MM))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    one = editing_run.station(tmp_path / "journals")
    with screen(320, 260) as window:
        view = SliceView(window.renderer, Plane.AXIAL, window.request)
        links = LinkedViews(one.workspace, one.viewing, one.jobs, one.correction)
        links.attach(ViewName.AXIAL, view)
        one.viewing.update(cursor=one.at(SLICE, 35, 45))
        errors: list[MedViewError] = []
        measuring = Measuring(one.workspace, one.viewing, one.jobs, tmp_path / "measurements", lambda: "reader")
        measured = MeasurementsInViews(measuring)
        measured.attach(view)
        search = SearchBox(one.workspace)
        boxed = BoxInViews(search, one.workspace)
        boxed.attach(view)
        edit = edit_hand(view, one.editing, errors.append)
        hand = SliceInteraction(
            view, one.viewing, edit, measure=MeasureHand(view, measuring), box=BoxHand(view, search)
        )
        window.frame()
        yield Desk(one, window, view, links, hand, errors, measuring, search)
        hand.close()
        boxed.close()
        measured.close()
        links.close()
        measuring.close()
        one.close()


def near(one: Point | tuple[float, ...], other: Point | tuple[float, ...], tolerance: float = 1e-6) -> bool:
    return bool(np.allclose(one, other, rtol=0, atol=tolerance))


def windows(desk: Desk) -> None:
    viewing = desk.station.viewing
    before = viewing.state.window
    desk.drag((100, 100), (180, 100), Button.LEFT)
    wider = viewing.state.window
    assert wider.width > before.width
    assert wider.center == before.center
    desk.drag((180, 100), (180, 60), Button.LEFT)
    assert viewing.state.window.center > wider.center
    assert viewing.state.window.width == wider.width
    desk.drag((180, 60), (20, 60), Button.LEFT)
    assert viewing.state.window.width < before.width


def puts_the_crosshair(desk: Desk) -> None:
    x, y = desk.pixel(12, 70)
    desk.hand.press(Pointer(x, y, Button.LEFT))
    desk.hand.move(Pointer(x + 1, y, Button.LEFT))
    desk.hand.release(Pointer(x + 1, y, Button.LEFT))
    cursor = desk.station.viewing.state.cursor
    assert desk.station.volume.geometry.voxel_at(cursor) == (SLICE, 12, 70)
    outside = desk.pixel(-3, 70)
    desk.drag(outside, outside, Button.LEFT)
    assert desk.station.viewing.state.cursor == cursor


def windows_from_a_region(desk: Desk) -> None:
    values = np.random.default_rng(5).integers(-500, 900, editing_run.SHAPE).astype(np.int16)
    textured = volume(values, spacing_mm=(2.0, 1.0, 1.0))
    desk.view.show(textured)
    index = desk.view.index
    one, other = (desk.view.pixel_of(point(textured.geometry, index, *place)) for place in ((10, 15), (40, 60)))
    desk.drag(one, other, Button.LEFT, ctrl=True)
    low, high = np.percentile(values[index, 10:41, 15:61], (1, 99))
    window = desk.station.viewing.state.window
    assert near((window.lower, window.upper), (low, high), 1e-3)


def zooms(desk: Desk) -> None:
    before, fixed = desk.view.camera.mm_per_pixel, desk.view.point_at(90, 80)
    desk.drag((90, 80), (90, 140), Button.RIGHT)
    assert desk.view.camera.mm_per_pixel < before
    assert near(desk.view.point_at(90, 80), fixed)
    desk.drag((90, 140), (90, 20), Button.RIGHT)
    assert desk.view.camera.mm_per_pixel > before


def stroke(desk: Desk, *, button: Button, ctrl: bool = False) -> np.ndarray:
    """(k, j, i): the voxels in a brush's way between two voxels of the slice."""
    start, stop = (30, 20), (40, 60)
    desk.drag(desk.pixel(*start), desk.pixel(*stop), button, ctrl=ctrl)
    assert not desk.errors
    geometry = desk.station.volume.geometry
    where = centers(geometry)
    ends = (geometry.to_patient((SLICE, *start)), geometry.to_patient((SLICE, *stop)))
    path = distance_to_line(where, *ends) <= RADIUS_MM
    path[:SLICE] = path[SLICE + 1 :] = False
    return path


def same_but_for_the_rim(desk: Desk, path: np.ndarray, filled: np.ndarray) -> None:
    """Rounding may decide otherwise about the voxels whose centre is on the brush's rim."""
    assert path.sum() > 300
    assert (path != filled).sum() <= 0.03 * path.sum()


def paints(desk: Desk) -> None:
    desk.use(EditTool.BRUSH)
    path = stroke(desk, button=Button.LEFT)
    same_but_for_the_rim(desk, path, desk.labels() == 1)


def erases(desk: Desk) -> None:
    paints(desk)
    desk.drag(desk.pixel(35, 40), desk.pixel(36, 40), Button.RIGHT)
    assert desk.label(SLICE, 35, 40) == 0
    assert desk.label(SLICE, 30, 20) == 1


def inverts(desk: Desk) -> None:
    paints(desk)
    desk.drag(desk.pixel(35, 40), desk.pixel(36, 40), Button.LEFT, ctrl=True)
    assert desk.label(SLICE, 35, 40) == 0
    desk.use(EditTool.ERASER)
    desk.drag(desk.pixel(35, 40), desk.pixel(36, 40), Button.LEFT, ctrl=True)
    assert desk.label(SLICE, 35, 40) == 1
    assert desk.station.tools.tool is EditTool.ERASER
    desk.drag(desk.pixel(35, 40), desk.pixel(36, 40), Button.LEFT)
    assert desk.label(SLICE, 35, 40) == 0


def grows_the_brush(desk: Desk) -> None:
    desk.use(EditTool.BRUSH)
    desk.hand.wheel(Pointer(100, 100, shift=True), 2)
    larger = desk.station.correction.options.radius_mm
    assert larger > RADIUS_MM
    desk.hand.wheel(Pointer(100, 100, shift=True), -3)
    assert desk.station.correction.options.radius_mm < RADIUS_MM
    assert desk.view.index == SLICE


def gives_hints(desk: Desk) -> None:
    desk.use(EditTool.HINT)
    hinting = desk.station.editing.hinting
    inside, outside = desk.pixel(30, 20), desk.pixel(10, 70)
    desk.drag(inside, inside, Button.LEFT)
    desk.drag(desk.pixel(30, 30), desk.pixel(36, 40), Button.LEFT)
    desk.drag(outside, outside, Button.RIGHT)
    desk.drag(desk.pixel(12, 75), desk.pixel(20, 80), Button.LEFT, ctrl=True)
    said = [(str(one.kind), one.positive) for one in hinting.hints]
    assert said == [("point", True), ("scribble", True), ("point", False), ("scribble", False)]
    assert near(hinting.hints[0].points[0], desk.station.at(SLICE, 30, 20), tolerance=0.6)
    assert not desk.labels().any()
    hinting.reject()


def pans(desk: Desk) -> None:
    fixed = desk.view.point_at(100, 90)
    desk.drag((100, 90), (131, 52), Button.MIDDLE)
    assert near(desk.view.point_at(131, 52), fixed)


def scrolls(desk: Desk) -> None:
    desk.hand.wheel(Pointer(100, 100), -1)
    assert desk.view.index == SLICE - 1, "towards oneself is towards the feet"
    desk.hand.wheel(Pointer(100, 100), 3)
    assert desk.view.index == SLICE + 2
    desk.hand.wheel(Pointer(100, 100), 500)
    assert desk.view.index == editing_run.SHAPE[0] - 1


def zooms_where_the_mouse_is(desk: Desk) -> None:
    before, fixed = desk.view.camera.mm_per_pixel, desk.view.point_at(230, 40)
    desk.hand.wheel(Pointer(230, 40, ctrl=True), 2)
    assert desk.view.camera.mm_per_pixel < before
    assert near(desk.view.point_at(230, 40), fixed)
    assert desk.view.index == SLICE


def leads_the_crosshair(desk: Desk) -> None:
    desk.hand.move(Pointer(*desk.pixel(50, 30)))
    assert desk.station.volume.geometry.voxel_at(desk.station.viewing.state.cursor) == (SLICE, 35, 45)
    desk.hand.move(Pointer(*desk.pixel(50, 30), shift=True))
    assert desk.station.volume.geometry.voxel_at(desk.station.viewing.state.cursor) == (SLICE, 50, 30)


def measures(desk: Desk) -> None:
    desk.measuring.use(Tool.LENGTH)
    window, cursor = desk.station.viewing.state.window, desk.station.viewing.state.cursor
    desk.drag(desk.pixel(30, 20), desk.pixel(40, 60), Button.LEFT)
    for place in ((20.0, 20.0), (20.0, 50.0)):
        x, y = desk.pixel(*place)
        desk.hand.move(Pointer(x, y))
        desk.hand.press(Pointer(x, y, Button.LEFT))
        desk.hand.release(Pointer(x, y, Button.LEFT))
    dragged, clicked = desk.measuring.shown
    for one, ends in ((dragged, ((30, 20), (40, 60))), (clicked, ((20, 20), (20, 50)))):
        truth = [desk.station.at(SLICE, *place) for place in ends]
        assert np.allclose(one.points, truth, atol=1e-6)
        assert one.values[0].number == pytest.approx(float(np.linalg.norm(np.subtract(truth[0], truth[1]))))
    assert (desk.station.viewing.state.window, desk.station.viewing.state.cursor) == (window, cursor)


def moves_a_measurement(desk: Desk) -> None:
    measures(desk)
    desk.measuring.use(None)
    one = desk.measuring.shown[0]
    desk.drag(desk.pixel(40, 60), desk.pixel(50, 70), Button.LEFT)
    longer = desk.measuring.shown[0]
    assert np.allclose(longer.points, [one.points[0], desk.station.at(SLICE, 50, 70)], atol=1e-6)
    desk.drag(desk.pixel(40, 45), desk.pixel(43, 49), Button.LEFT)
    shift = np.subtract(desk.station.at(SLICE, 43, 49), desk.station.at(SLICE, 40, 45))
    assert np.allclose(desk.measuring.shown[0].points, longer.points + shift, atol=1e-6)


def changes_the_box(desk: Desk) -> None:
    desk.search.place(desk.station.at(SLICE, 35, 45), (21.0, 15.0, 20.0))
    assert desk.search.box == Box((16, 28, 35), (25, 43, 56))
    window = desk.station.viewing.state.window
    desk.drag(desk.pixel(31, 55.5), desk.pixel(31, 60.5), Button.LEFT)
    assert desk.search.box == Box((16, 28, 35), (25, 43, 61))
    desk.drag(desk.pixel(27.5, 34.5), desk.pixel(29.5, 37.5), Button.LEFT)
    assert desk.search.box == Box((16, 30, 38), (25, 43, 61))
    desk.drag(desk.pixel(36, 49), desk.pixel(30, 44), Button.LEFT)
    assert desk.search.box == Box((16, 24, 33), (25, 37, 56))
    assert desk.station.viewing.state.window == window
    desk.drag(desk.pixel(27, 37), desk.pixel(27, 52), Button.LEFT)  # inside, away from sides and middle
    assert desk.station.viewing.state.window != window


def maximises(desk: Desk) -> None:
    desk.hand.double_click(Pointer(100, 100, Button.LEFT))
    assert desk.station.viewing.state.maximised is ViewName.AXIAL
    desk.hand.double_click(Pointer(100, 100, Button.LEFT))
    assert desk.station.viewing.state.maximised is None


PROOFS: dict[tuple[Mode | None, str], Callable[[Desk], None]] = {
    (Mode.VIEW, "Left drag"): windows,
    (Mode.VIEW, "Click"): puts_the_crosshair,
    (Mode.VIEW, "Ctrl + left drag"): windows_from_a_region,
    (Mode.VIEW, "Right drag"): zooms,
    (Mode.VIEW, "Left drag, or clicks, with a measuring tool"): measures,
    (Mode.VIEW, "Left drag on a measurement"): moves_a_measurement,
    (Mode.VIEW, "Left drag on a side, a corner or the middle of the box"): changes_the_box,
    (Mode.VIEW, "Double click"): maximises,
    (Mode.EDIT, "Left drag"): paints,
    (Mode.EDIT, "Right drag"): erases,
    (Mode.EDIT, "Ctrl + left drag"): inverts,
    (Mode.EDIT, "Left or right, click or drag, with Scribble and click"): gives_hints,
    (Mode.EDIT, "Shift + wheel"): grows_the_brush,
    (None, "Middle drag"): pans,
    (None, "Wheel"): scrolls,
    (None, "Ctrl + wheel"): zooms_where_the_mouse_is,
    (None, "Shift + move"): leads_the_crosshair,
}


@pytest.mark.parametrize(
    ("gesture", "mode"),
    [(one, mode) for one in GESTURES for mode in ((one.mode,) if one.mode else Mode)],
    ids=lambda value: str(value.gesture) if isinstance(value, Gesture) else str(value),
)
def test_the_gesture_does_what_the_help_says(gesture: Gesture, mode: Mode, desk: Desk) -> None:
    desk.station.viewing.update(mode=mode)
    if mode is Mode.EDIT:
        desk.station.correction.new_segmentation()
    PROOFS[gesture.mode, str(gesture.gesture)](desk)


def test_the_brush_is_drawn_where_the_mouse_is_with_its_radius_and_colour(desk: Desk) -> None:
    desk.station.viewing.update(mode=Mode.EDIT, annotations_shown=False)
    segmentation = desk.station.correction.new_segmentation()
    desk.use(EditTool.BRUSH)
    color = segmentation.segments[0].color
    center = desk.pixel(35, 45)
    desk.hand.move(Pointer(*center))
    y, x = np.nonzero((np.abs(desk.screen.frame().astype(int) - color) <= 2).all(axis=-1))
    far = np.hypot(x + 0.5 - center[0], y + 0.5 - center[1])
    assert np.abs(far - RADIUS_MM / desk.view.camera.mm_per_pixel).max() <= 2
    assert x.max() > center[0] > x.min()
    assert y.max() > center[1] > y.min()
    desk.hand.leave()
    assert not (desk.screen.frame() == color).all(axis=-1).any()


def test_a_stroke_that_may_not_be_is_told_and_does_nothing(desk: Desk) -> None:
    desk.station.viewing.update(mode=Mode.EDIT)
    segmentation = desk.station.correction.new_segmentation()
    desk.station.correction.set_locked(segmentation.segments[0].label, True)
    desk.drag(desk.pixel(30, 20), desk.pixel(40, 60), Button.LEFT)
    assert len(desk.errors) == 1
    assert not desk.labels().any()


def test_a_release_that_never_came_does_not_hold_the_mouse(desk: Desk) -> None:
    desk.hand.press(Pointer(100, 100, Button.LEFT))
    desk.hand.move(Pointer(150, 100, Button.LEFT))
    before = desk.station.viewing.state.window
    desk.drag((100, 100), (180, 100), Button.LEFT)
    assert desk.station.viewing.state.window.width > before.width


def test_what_is_put_back_while_it_is_dragged_stays_there(desk: Desk) -> None:
    measures(desk)
    desk.measuring.use(None)
    before = [one.points for one in desk.measuring.shown]
    x, y = desk.pixel(40, 60)
    window = desk.station.viewing.state.window
    desk.hand.press(Pointer(x, y, Button.LEFT))
    desk.hand.move(Pointer(x + 30, y, Button.LEFT))
    assert not np.array_equal(desk.measuring.shown[0].points, before[0])
    desk.measuring.discard()
    desk.hand.move(Pointer(x + 50, y, Button.LEFT))
    desk.hand.release(Pointer(x + 50, y, Button.LEFT))
    assert all(np.array_equal(one.points, old) for one, old in zip(desk.measuring.shown, before, strict=True))
    assert desk.station.viewing.state.window == window


def test_a_measurement_deleted_in_the_hand_is_gone(desk: Desk) -> None:
    measures(desk)
    desk.measuring.use(None)
    x, y = desk.pixel(40, 60)
    desk.hand.press(Pointer(x, y, Button.LEFT))
    desk.hand.move(Pointer(x + 30, y, Button.LEFT))
    desk.measuring.delete_selected()
    desk.hand.move(Pointer(x + 50, y, Button.LEFT))
    desk.hand.release(Pointer(x + 50, y, Button.LEFT))
    assert len(desk.measuring.shown) == 1
    desk.measuring.undo()
    desk.measuring.undo()
    assert np.allclose(desk.measuring.shown[0].points[1], desk.station.at(SLICE, 40, 60), atol=1e-6)


def test_another_slice_ends_what_was_begun_and_the_wheel_waits_for_it(desk: Desk) -> None:
    desk.measuring.use(Tool.LENGTH)
    x, y = desk.pixel(30, 20)
    desk.hand.press(Pointer(x, y, Button.LEFT))
    desk.hand.release(Pointer(x, y, Button.LEFT))
    desk.hand.wheel(Pointer(x, y), -1)
    assert desk.view.index == SLICE
    desk.hand.scroll(1)
    desk.hand.move(Pointer(x + 9, y))
    assert desk.measuring.draft is None
    desk.hand.wheel(Pointer(x, y), -1)
    assert desk.view.index == SLICE - 2
    assert len(desk.measuring.shown) == 0


def test_a_double_click_with_a_tool_is_two_clicks(desk: Desk) -> None:
    desk.measuring.use(Tool.POINT)
    desk.hand.double_click(Pointer(*desk.pixel(30, 20), Button.LEFT))
    assert desk.station.viewing.state.maximised is None
    assert len(desk.measuring.shown) == 1


def test_an_empty_view_takes_every_gesture(desk: Desk) -> None:
    desk.station.workspace.activate(None, None)
    before = replace(desk.station.viewing.state)
    for button in Button:
        desk.drag((10, 10), (90, 90), button)
    desk.hand.wheel(Pointer(10, 10), 1)
    assert desk.screen.frame().max() == 0
    assert desk.station.viewing.state == before
