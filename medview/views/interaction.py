"""What mouse and wheel do in the views. Positions are device pixels with their origin at the bottom left of the view.

The table is the one that readers know from other workstations: left drag windows, right drag zooms, middle drag pans,
the wheel scrolls; while correcting, left paints and right erases, and everything else stays as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

import numpy as np

from medview.core.errors import MedViewError
from medview.core.events import Event
from medview.core.geometry import Box, Point
from medview.core.planes import Plane, stepped
from medview.core.text import Text
from medview.core.volume import Window
from medview.views.box_hand import BoxHand
from medview.views.measure_hand import MeasureHand
from medview.views.slice_view import SliceView
from medview.views.volume_view import VolumeView
from medview.workstation.stroke import BrushOptions, BrushTool
from medview.workstation.view_state import Mode, Viewing, ViewName
from medview.workstation.work_in_hand import Edited
from medview.workstation.workspace import Workspace

_CLICK_PX = 3.0
"""A press that moves less, in logical pixels, is a click."""
_WINDOW_SHARE = 0.005
"""How much of the window's width one logical pixel is worth."""
_ZOOM_SHARE = 0.006
_WHEEL_ZOOM = 1.15
_WHEEL_RADIUS = 1.12
_REGION_PERCENTILES = (1.0, 99.0)


class Button(StrEnum):
    """Which button is pressed, or held while the mouse moves."""

    NONE = "none"
    LEFT = "left"
    MIDDLE = "middle"
    RIGHT = "right"


@dataclass(frozen=True, slots=True)
class Pointer:
    """Where the mouse is, and what is held."""

    x: float
    y: float
    button: Button = Button.NONE
    shift: bool = False
    ctrl: bool = False
    alt: bool = False


@dataclass(frozen=True, slots=True)
class Gesture:
    """One row of the table that the Help shows; `mode` is None where both modes do the same."""

    mode: Mode | None
    gesture: Text
    action: Text


GESTURES = (
    Gesture(Mode.VIEW, Text("Left drag"), Text("Window: sideways the width, up and down the level")),
    Gesture(Mode.VIEW, Text("Click"), Text("Put the crosshair here, in all views")),
    Gesture(Mode.VIEW, Text("Ctrl + left drag"), Text("Window from the region")),
    Gesture(Mode.VIEW, Text("Right drag"), Text("Zoom")),
    Gesture(Mode.VIEW, Text("Left drag, or clicks, with a measuring tool"), Text("Measure")),
    Gesture(Mode.VIEW, Text("Left drag on a measurement"), Text("Move it, or the point under the mouse")),
    Gesture(
        Mode.VIEW,
        Text("Left drag on a side, a corner or the middle of the box"),
        Text("Change where plugins look, or move all of it"),
    ),
    Gesture(Mode.EDIT, Text("Left drag"), Text("Paint with the tool")),
    Gesture(Mode.EDIT, Text("Right drag"), Text("Erase")),
    Gesture(
        Mode.EDIT, Text("Ctrl + left drag"), Text("The other way round: erase with the brush, paint with the eraser")
    ),
    Gesture(Mode.EDIT, Text("Shift + wheel"), Text("Radius of the brush")),
    Gesture(None, Text("Middle drag"), Text("Pan")),
    Gesture(None, Text("Wheel"), Text("Slice by slice")),
    Gesture(None, Text("Ctrl + wheel"), Text("Zoom where the mouse is")),
    Gesture(None, Text("Shift + move"), Text("The crosshair follows, in all views")),
    Gesture(Mode.VIEW, Text("Double click"), Text("One view large, or all four")),
)


class Painting(Protocol):
    """Who makes the strokes."""

    options: BrushOptions
    edited: Event[Edited]

    @property
    def active_label(self) -> int:
        """The segment in work; 0 when there is none."""

    @property
    def is_painting(self) -> bool:
        """Whether a stroke is under way."""

    def set_options(self, options: BrushOptions) -> None:
        """Choose how strokes are made."""

    def begin_stroke(self, point: Point, plane: Plane, *, erase: bool = False) -> None:
        """Press the brush down."""

    def stroke_to(self, point: Point) -> None:
        """Go on with the stroke."""

    def end_stroke(self) -> None:
        """Lift the brush."""


@dataclass
class _Drag:
    """A button that is held: where it went down, where the mouse was last, and what it does."""

    start: Pointer
    last: Pointer
    act: Callable[[Pointer], None] | None
    moved: bool = False


class SliceInteraction:
    """Mouse and wheel in one slice view.

    Args:
        view: The view.
        workspace: Says what is shown.
        viewing: Changed by what the mouse does.
        painting: Makes the strokes.
        tell: Gets what went wrong, to be shown to the user.
        down_to_feet: Whether turning the wheel towards oneself goes to the feet.
        measure: Measures with the left button, where that is possible.
        box: Changes the box inside which plugins look, where that is possible.
    """

    def __init__(
        self,
        view: SliceView,
        workspace: Workspace,
        viewing: Viewing,
        painting: Painting,
        tell: Callable[[MedViewError], None],
        down_to_feet: Callable[[], bool] = lambda: True,
        measure: MeasureHand | None = None,
        box: BoxHand | None = None,
    ) -> None:
        self._view = view
        self._box = box
        self._measure = measure
        self._workspace = workspace
        self._viewing = viewing
        self._painting = painting
        self._tell = tell
        self._down_to_feet = down_to_feet
        self._drag: _Drag | None = None

    def press(self, pointer: Pointer) -> None:
        """A button went down."""
        self._viewing.update(active_view=self._view.name)
        if self._drag is not None and pointer.button is self._drag.start.button:
            # Its release went to another window.
            self.release(self._drag.last)
        if self._drag is not None or self._view.volume is None:
            return
        if self._takes_box(pointer) and self._box is not None and self._box.press(pointer.x, pointer.y):
            return
        if self._measures(pointer) and self._measure is not None and self._measure.press(pointer.x, pointer.y):
            return
        self._drag = _Drag(pointer, pointer, self._action(pointer))

    def move(self, pointer: Pointer) -> None:
        """The mouse moved, with or without a button."""
        if self._view.volume is None:
            return
        drag = self._drag
        if drag is None:
            held = pointer.button is not Button.NONE
            busy = self._measure is not None and self._measure.takes_clicks
            if self._reads and not busy and self._box is not None and self._box.move(pointer.x, pointer.y, held=held):
                return
            if self._reads and self._measure is not None and self._measure.move(pointer.x, pointer.y, held=held):
                return
            if pointer.shift and pointer.button is Button.NONE:
                self._put_cursor(pointer)
        else:
            far = math.hypot(pointer.x - drag.start.x, pointer.y - drag.start.y)
            drag.moved = drag.moved or self._painting.is_painting or far >= _CLICK_PX * self._view.scale
            if drag.moved and drag.act is not None:
                drag.act(pointer)
            drag.last = pointer if drag.moved else drag.last
        self.show_brush(pointer)

    def release(self, pointer: Pointer) -> None:
        """The button went up."""
        drag = self._drag
        if drag is None and self._box is not None and self._box.release():
            return
        if drag is None and self._measures(pointer) and self._measure is not None:
            self._measure.release(pointer.x, pointer.y)
            return
        if drag is None or pointer.button is not drag.start.button:
            return
        self._drag = None
        if self._painting.is_painting:
            self._painting.end_stroke()
        elif drag.act == self._draw_region:
            self._view.show_region(None)
            if drag.moved:
                self._window_from(drag.start, pointer)
        elif not drag.moved and drag.start.button is Button.LEFT and self._viewing.state.mode is Mode.VIEW:
            self._put_cursor(pointer)

    def wheel(self, pointer: Pointer, steps: int) -> None:
        """The wheel turned by notches; positive away from the user."""
        volume, state = self._view.volume, self._viewing.state
        self._viewing.update(active_view=self._view.name)
        if volume is None:
            return
        if pointer.ctrl:
            self._view.look(self._view.camera.zoomed(_WHEEL_ZOOM**steps, pointer.x, pointer.y))
        elif pointer.shift and state.mode is Mode.EDIT:
            self.grow_brush(steps)
        elif not self._painting.is_painting and not (self._measure is not None and self._measure.is_busy):
            self.scroll(-steps if self._down_to_feet() else steps)
        self.show_brush(pointer)

    def scroll(self, slices: int) -> None:
        """Go some slices further: positive towards the feet, the front or the right; of pictures, to later ones."""
        volume = self._view.volume
        if volume is None:
            return
        slices = slices if volume.is_spatial else -slices
        geometry, cursor = volume.geometry, self._viewing.state.cursor
        index = geometry.to_index(cursor)
        voxel = geometry.nearest_voxel(cursor)
        target = stepped(geometry, self._view.plane, voxel, slices)
        if target != voxel:
            moved = np.where(np.asarray(target) == np.asarray(voxel), index, np.asarray(target, dtype=np.float64))
            x, y, z = (float(value) for value in geometry.to_patient(moved))
            self._viewing.update(cursor=(x, y, z))

    def grow_brush(self, steps: int) -> None:
        """Make the brush larger by some steps, or with negative ones smaller."""
        options = self._painting.options
        self._painting.set_options(replace(options, radius_mm=options.radius_mm * _WHEEL_RADIUS**steps))

    def double_click(self, pointer: Pointer) -> None:
        """A button was pressed twice: one view large, or all four again. While correcting, the brush goes on."""
        busy = self._measure is not None and self._measure.takes_clicks
        if self._viewing.state.mode is Mode.EDIT or (busy and pointer.button is Button.LEFT):
            self.press(pointer)
        elif pointer.button is Button.LEFT:
            self._drag = None
            maximise(self._viewing, self._view.name)

    def leave(self) -> None:
        """The mouse left the view."""
        self._view.show_brush(None)
        if self._box is not None:
            self._box.leave()
        if self._measure is not None:
            self._measure.leave()

    def show_brush(self, pointer: Pointer) -> None:
        """Draw the brush where the mouse is, while correcting."""
        if self._viewing.state.mode is not Mode.EDIT or self._view.volume is None:
            self._view.show_brush(None)
            return
        segmentation = self._workspace.active_segmentation
        segment = segmentation.segment(self._painting.active_label) if segmentation is not None else None
        color = segment.color if segment is not None else (255, 255, 255)
        self._view.show_brush(self._view.point_at(pointer.x, pointer.y), self._painting.options.radius_mm, color)

    @property
    def _reads(self) -> bool:
        return self._viewing.state.mode is Mode.VIEW

    def _measures(self, pointer: Pointer) -> bool:
        """Whether a button may be meant for a measurement: the plain left one, while reading."""
        return self._reads and pointer.button is Button.LEFT and not pointer.ctrl

    def _takes_box(self, pointer: Pointer) -> bool:
        """Whether a button may be meant for the box: as for a measurement, but while no tool is in hand."""
        return self._measures(pointer) and not (self._measure is not None and self._measure.takes_clicks)

    def _action(self, pointer: Pointer) -> Callable[[Pointer], None] | None:
        editing = self._viewing.state.mode is Mode.EDIT
        if pointer.button is Button.MIDDLE:
            return self._pan
        if editing and pointer.button in (Button.LEFT, Button.RIGHT):
            return self._begin_stroke(pointer)
        if pointer.button is Button.RIGHT:
            return self._zoom
        if pointer.button is Button.LEFT:
            return self._draw_region if pointer.ctrl else self._window
        return None

    def _begin_stroke(self, pointer: Pointer) -> Callable[[Pointer], None] | None:
        options = self._painting.options
        inverted = pointer.ctrl and pointer.button is Button.LEFT
        painting = self._painting
        try:
            if inverted and options.tool is BrushTool.ERASER:
                painting.set_options(replace(options, tool=BrushTool.BRUSH))
                try:
                    painting.begin_stroke(self._view.point_at(pointer.x, pointer.y), self._view.plane)
                finally:
                    painting.set_options(options)
            else:
                erase = pointer.button is Button.RIGHT or inverted
                painting.begin_stroke(self._view.point_at(pointer.x, pointer.y), self._view.plane, erase=erase)
        except MedViewError as error:
            self._tell(error)
            return None
        return self._paint

    def _paint(self, pointer: Pointer) -> None:
        self._painting.stroke_to(self._view.point_at(pointer.x, pointer.y))

    def _pan(self, pointer: Pointer) -> None:
        last = self._last()
        self._view.look(self._view.camera.panned(pointer.x - last.x, pointer.y - last.y))

    def _zoom(self, pointer: Pointer) -> None:
        last, start = self._last(), self._drag.start if self._drag is not None else pointer
        factor = math.exp(_ZOOM_SHARE * (pointer.y - last.y) / self._view.scale)
        self._view.look(self._view.camera.zoomed(factor, start.x, start.y))

    def _window(self, pointer: Pointer) -> None:
        last, window = self._last(), self._viewing.state.window
        across, down = ((pointer.x - last.x) / self._view.scale, (last.y - pointer.y) / self._view.scale)
        width = max(window.width * math.exp(_WINDOW_SHARE * across), 1e-3)
        self._viewing.update(window=Window(window.center + _WINDOW_SHARE * down * window.width, width))

    def _draw_region(self, pointer: Pointer) -> None:
        if self._drag is not None:
            self._view.show_region(((self._drag.start.x, self._drag.start.y), (pointer.x, pointer.y)))

    def _window_from(self, start: Pointer, stop: Pointer) -> None:
        """Black and white from the voxels of the slice inside a rectangle."""
        volume = self._view.volume
        if volume is None:
            return
        corners = [
            volume.geometry.nearest_voxel(self._view.point_at(x, y))
            for x in (start.x, stop.x)
            for y in (start.y, stop.y)
        ]
        low, high = np.min(corners, axis=0), np.max(corners, axis=0) + 1
        box = Box((int(low[0]), int(low[1]), int(low[2])), (int(high[0]), int(high[1]), int(high[2])))
        values = volume.voxels[box.slices]
        values = values[np.isfinite(values)]
        if values.size:
            lower, upper = np.percentile(values, _REGION_PERCENTILES)
            if upper > lower:
                self._viewing.update(window=Window.between(float(lower), float(upper)))

    def _put_cursor(self, pointer: Pointer) -> None:
        """The crosshair goes to the voxel under the mouse; outside the grid it stays where it is."""
        point = self._view.point_at(pointer.x, pointer.y)
        if self._view.volume is not None and self._view.volume.geometry.voxel_at(point) is not None:
            self._viewing.update(cursor=point)

    def _last(self) -> Pointer:
        assert self._drag is not None
        return self._drag.last


class VolumeInteraction:
    """Mouse and wheel in the 3D view: left turns, middle pans, right and wheel zoom."""

    def __init__(self, view: VolumeView, viewing: Viewing) -> None:
        self._view = view
        self._viewing = viewing
        self._last: Pointer | None = None

    def press(self, pointer: Pointer) -> None:
        """A button went down."""
        self._viewing.update(active_view=ViewName.VOLUME)
        if self._last is None:
            self._last = pointer
            self._view.begin_motion()

    def move(self, pointer: Pointer) -> None:
        """The mouse moved."""
        last = self._last
        if last is None:
            return
        dx, dy = pointer.x - last.x, pointer.y - last.y
        if last.button is Button.LEFT and not last.shift:
            self._view.turn(dx, dy)
        elif last.button is Button.RIGHT:
            self._view.zoom(math.exp(_ZOOM_SHARE * dy / self._view.scale))
        else:
            self._view.pan(dx, dy)
        self._last = replace(last, x=pointer.x, y=pointer.y)

    def release(self, pointer: Pointer) -> None:
        """The button went up."""
        if self._last is not None and pointer.button is self._last.button:
            self._last = None
            self._view.end_motion()

    def wheel(self, pointer: Pointer, steps: int) -> None:
        """The wheel turned by notches; positive away from the user."""
        self._viewing.update(active_view=ViewName.VOLUME)
        self._view.zoom(_WHEEL_ZOOM**steps)

    def double_click(self, pointer: Pointer) -> None:
        """A button was pressed twice."""
        if pointer.button is Button.LEFT:
            maximise(self._viewing, ViewName.VOLUME)

    def leave(self) -> None:
        """The mouse left the view."""


def maximise(viewing: Viewing, name: ViewName) -> None:
    """Show one view alone, or all four again."""
    viewing.update(maximised=None if viewing.state.maximised is name else name)
