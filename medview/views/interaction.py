"""What mouse and wheel do in the views. Positions are device pixels with their origin at the bottom left of the view.

The table is the one that readers know from other workstations: left drag windows, right drag zooms, middle drag pans,
the wheel scrolls; while correcting, left and right belong to the tool in hand, and everything else stays as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from medview.core.geometry import Box
from medview.core.planes import stepped
from medview.core.volume import Window
from medview.views.box_hand import BoxHand
from medview.views.edit_hand import EditHand, EditKey
from medview.views.measure_hand import MeasureHand
from medview.views.pointer import Button, Pointer
from medview.views.slice_view import SliceView
from medview.views.volume_scissors import VolumeScissors
from medview.views.volume_view import VolumeView
from medview.workstation.view_state import Mode, Viewing, ViewName

_CLICK_PX = 3.0
"""A press that moves less, in logical pixels, is a click."""
_WINDOW_SHARE = 0.005
"""How much of the window's width one logical pixel is worth."""
_ZOOM_SHARE = 0.006
_WHEEL_ZOOM = 1.15
_REGION_PERCENTILES = (1.0, 99.0)


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
        viewing: Changed by what the mouse does.
        edit: The tool that corrects.
        down_to_feet: Whether turning the wheel towards oneself goes to the feet.
        measure: Measures with the left button, where that is possible.
        box: Changes the box inside which plugins look, where that is possible.
    """

    def __init__(
        self,
        view: SliceView,
        viewing: Viewing,
        edit: EditHand,
        down_to_feet: Callable[[], bool] = lambda: True,
        measure: MeasureHand | None = None,
        box: BoxHand | None = None,
    ) -> None:
        self._view = view
        self._box = box
        self._measure = measure
        self._viewing = viewing
        self._edit = edit
        self._down_to_feet = down_to_feet
        self._drag: _Drag | None = None

    def press(self, pointer: Pointer, *, twice: bool = False) -> None:
        """A button went down; `twice` for the second time of a double click."""
        self._viewing.update(active_view=self._view.name)
        if self._drag is not None and pointer.button is self._drag.start.button:
            # Its release went to another window.
            self.release(self._drag.last)
        if self._drag is not None or self._view.volume is None:
            return
        if not self._reads and pointer.button in (Button.LEFT, Button.RIGHT):
            self._drag = _Drag(pointer, pointer, self._edit.drag, moved=True)
            self._edit.press(pointer, twice=twice)
            self._edit.hover(pointer)
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
            drag.moved = drag.moved or far >= _CLICK_PX * self._view.scale
            if drag.moved and drag.act is not None:
                drag.act(pointer)
            drag.last = pointer if drag.moved else drag.last
        self._hover(pointer)

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
        if drag.act == self._edit.drag:
            self._edit.release(pointer)
            self._hover(pointer)
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
            self._edit.resize(steps)
        elif not self._is_busy:
            self.scroll(-steps if self._down_to_feet() else steps)
        self._hover(pointer)

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

    def resize_tool(self, steps: int) -> None:
        """Make the tool larger by some steps, or with negative ones smaller."""
        self._edit.resize(steps)

    def key(self, key: EditKey) -> bool:
        """A key that a tool may take; whether it was meant for the one in hand."""
        return not self._reads and self._view.volume is not None and self._edit.key(key)

    def put_down(self) -> None:
        """Give up what the tool has begun."""
        self._edit.put_down()

    def double_click(self, pointer: Pointer) -> None:
        """A button was pressed twice: one view large, or all four again. While correcting, it is the tool's."""
        busy = self._measure is not None and self._measure.takes_clicks
        if self._viewing.state.mode is Mode.EDIT or (busy and pointer.button is Button.LEFT):
            self.press(pointer, twice=True)
        elif pointer.button is Button.LEFT:
            self._drag = None
            maximise(self._viewing, self._view.name)

    def leave(self) -> None:
        """The mouse left the view."""
        self._edit.leave()
        if self._box is not None:
            self._box.leave()
        if self._measure is not None:
            self._measure.leave()

    def close(self) -> None:
        """Let go of the tools."""
        self._edit.close()

    def _hover(self, pointer: Pointer) -> None:
        """Let the tool draw what it would do here, while correcting."""
        if not self._reads and self._view.volume is not None:
            self._edit.hover(pointer)

    @property
    def _is_busy(self) -> bool:
        """Whether something is begun that ends with its slice."""
        measures = self._measure is not None and self._measure.is_busy
        return measures or (not self._reads and self._edit.is_busy)

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
        if pointer.button is Button.MIDDLE:
            return self._pan
        if pointer.button is Button.RIGHT:
            return self._zoom
        if pointer.button is Button.LEFT:
            return self._draw_region if pointer.ctrl else self._window
        return None

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
    """Mouse and wheel in the 3D view: left turns, middle pans, right and wheel zoom. With scissors, right turns.

    Args:
        view: The view.
        viewing: Changed by what the mouse does.
        scissors: Cut with the left button while they are in hand.
    """

    def __init__(self, view: VolumeView, viewing: Viewing, scissors: VolumeScissors | None = None) -> None:
        self._view = view
        self._viewing = viewing
        self._scissors = scissors
        self._last: Pointer | None = None

    def press(self, pointer: Pointer) -> None:
        """A button went down."""
        self._viewing.update(active_view=ViewName.VOLUME)
        if self._last is None and self._scissors is not None and self._scissors.press(pointer):
            return
        if self._last is None:
            self._last = pointer
            self._view.begin_motion()

    def move(self, pointer: Pointer) -> None:
        """The mouse moved."""
        last = self._last
        if last is None:
            if self._scissors is not None and self._scissors.is_busy:
                self._scissors.move(pointer)
            return
        dx, dy = pointer.x - last.x, pointer.y - last.y
        turning = Button.RIGHT if self._scissors is not None and self._scissors.is_in_hand else Button.LEFT
        if last.button is turning and not last.shift:
            self._view.turn(dx, dy)
        elif last.button is Button.RIGHT:
            self._view.zoom(math.exp(_ZOOM_SHARE * dy / self._view.scale))
        else:
            self._view.pan(dx, dy)
        self._last = replace(last, x=pointer.x, y=pointer.y)

    def release(self, pointer: Pointer) -> None:
        """The button went up."""
        if self._scissors is not None and self._scissors.is_busy and pointer.button is Button.LEFT:
            self._scissors.release()
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
