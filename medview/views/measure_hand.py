"""What the left button does while measuring: it draws with the tool in hand, and takes hold of what is drawn.

Both habits work: press, drag and release; or click, move and click. A polygon is traced with the button held, or its
corners are clicked; a click on the first one, or a double click, closes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from medview.core.geometry import Floats
from medview.core.measurement import Measurement, MeasurementId, MeasurementKind
from medview.views.measurement_layer import TURN_PX, Shown
from medview.views.measurement_shapes import boxed, distance_to, outline, reshaped, simplified, turn_handle, turned
from medview.views.screen_actors import Pixel
from medview.views.slice_view import SliceView
from medview.workstation.measuring import Measuring
from medview.workstation.measuring_tools import MeasuringChange, Sought, Tool, ToolChanged

_HANDLE_PX = 8.0
_LINE_PX = 5.0
_TRACE_PX = 4.0
"""How far apart, in logical pixels, the corners are that a held button leaves."""
_TRACE_TOLERANCE_PX = 1.0
_LEAST_PX = 3.0
"""A press that moves less, in logical pixels, is a click; and nothing smaller is kept."""


@dataclass(frozen=True, slots=True)
class _Grip:
    """What the mouse holds: one point of a measurement, or with None all of it, since when it lay where.

    One point more than there are is the handle that turns it.
    """

    one: Measurement
    handle: int | None
    start: Floats

    @property
    def turns(self) -> bool:
        """Whether it is the handle that turns."""
        return self.handle == len(self.one.points)


class MeasureHand:
    """Measuring with the mouse in one slice view. Positions are device pixels, origin bottom left.

    Args:
        view: The view.
        measuring: Gets what is drawn.
    """

    def __init__(self, view: SliceView, measuring: Measuring) -> None:
        self._view = view
        self._measuring = measuring
        self._placed: list[Floats] = []
        self._pressed_at: Pixel | None = None
        self._grip: _Grip | None = None
        self._moved = False
        self._may_trace = self._is_traced = False

    @property
    def is_busy(self) -> bool:
        """Whether something is being drawn or moved in this view."""
        return self._grip is not None or (bool(self._placed) and self._has_draft)

    @property
    def takes_clicks(self) -> bool:
        """Whether every press is meant for the tool in hand."""
        return self._measuring.tool is not None

    def press(self, x: float, y: float) -> bool:
        """The left button went down; whether it was meant for a measurement."""
        self._forget_lost()
        self._let_go()
        if self._view.volume is None:
            return False
        if not self._placed:
            hit = self._hit(x, y)
            if hit is not None and (self._measuring.tool is None or hit.handle is not None):
                self._grip, self._moved = hit, False
                self._measuring.select(hit.one.id)
                return True
            if self._measuring.tool is None:
                self._measuring.select(None)
                return False
        self._pressed_at = (x, y)
        # only the first press traces: who clicks corners may let the mouse slip
        self._may_trace, self._is_traced = not self._placed, self._is_traced and bool(self._placed)
        tool = self._measuring.tool
        assert tool is not None
        if tool is Tool.POLYGON and self._closes(x, y):
            self._finish()
            return True
        if not self._placed or self._starts_line(tool) or tool is Tool.POLYGON:
            self._placed.append(self._point(x, y))
            if len(self._placed) == tool.places:
                self._finish()
                return True
        self._sketch(x, y)
        return True

    def move(self, x: float, y: float, *, held: bool) -> bool:
        """The mouse moved; whether that was meant for a measurement."""
        self._forget_lost()
        if not held:
            # The release may have gone to another window.
            self._let_go()
        if self._grip is not None:
            self._drag(self._grip, x, y)
            return True
        if held and self._moved:
            # What was held has been put back; nothing else happens until the button goes up.
            return True
        if self._placed:
            if held and self._may_trace and self._measuring.tool is Tool.POLYGON:
                self._trace(x, y)
            self._sketch(x, y)
            return True
        if not held:
            self.hover(x, y)
        return False

    def release(self, x: float, y: float) -> bool:
        """The left button went up; whether that was meant for a measurement."""
        self._moved = False
        if self._grip is not None:
            self._let_go()
            return True
        start, self._pressed_at = self._pressed_at, None
        tool = self._measuring.tool
        if start is None or tool is None:
            return False
        if not self._placed:
            # The press has finished it.
            return True
        if tool is Tool.POLYGON:
            if self._is_traced and len(self._placed) > 2:
                self._finish()
            return True
        last = self._view.pixel_of(_tuple(self._placed[-1]))
        if math.dist(last, (x, y)) >= _LEAST_PX * self._view.scale:
            self._placed.append(self._point(x, y))
            if len(self._placed) == tool.places:
                self._finish()
            else:
                self._sketch(x, y)
        return True

    def hover(self, x: float, y: float) -> None:
        """Mark what is under the mouse."""
        hit = self._hit(x, y)
        takes = hit is not None and (hit.handle is not None or self._measuring.tool is None)
        self._measuring.point_at(hit.one.id if hit is not None and takes else None)

    def leave(self) -> None:
        """The mouse left the view."""
        self._measuring.point_at(None)

    # Drawing

    def _starts_line(self, tool: Tool) -> bool:
        """Whether the next place begins a line of its own, which nothing leads to."""
        return tool is Tool.TWO_LINES and len(self._placed) == 2

    def _sketch(self, x: float, y: float) -> None:
        tool = self._measuring.tool
        if tool is None:
            return
        at = [] if self._starts_line(tool) else [self._point(x, y)]
        points = np.array(self._placed + at)
        whole = len(points) == tool.places or (tool is Tool.POLYGON and len(points) > 2)
        axis, index = self._view.cut.axis, self._view.index
        if whole:
            self._measuring.sketch(tool.kind, self._shaped(tool, points), axis, index)
        else:
            self._measuring.sketch(MeasurementKind.LENGTH, points, axis, index, finished=False)

    def _finish(self) -> None:
        tool, points = self._measuring.tool, np.array(self._placed)
        is_traced, self._is_traced = self._is_traced, False
        self._placed, self._pressed_at = [], None
        if tool is None:
            return
        if is_traced:
            points = simplified(points, _TRACE_TOLERANCE_PX * self._view.scale * self._view.camera.mm_per_pixel)
        shaped = self._shaped(tool, points)
        if self._is_too_small(tool, points):
            self._measuring.discard()
            return
        self._measuring.sketch(tool.kind, shaped, self._view.cut.axis, self._view.index)
        self._measuring.keep()

    def _shaped(self, tool: Tool, points: Floats) -> Floats:
        if tool in (Tool.ELLIPSE, Tool.RECTANGLE):
            return boxed(tool.kind, points[0], points[1], self._view.cut.right, self._view.cut.up)
        return points

    def _is_too_small(self, tool: Tool, points: Floats) -> bool:
        """Whether it is so small on the screen that nobody can have meant it."""
        pixels = np.array([self._view.pixel_of(_tuple(point)) for point in points])
        least = _LEAST_PX * self._view.scale
        if tool in (Tool.ELLIPSE, Tool.RECTANGLE):
            return bool(np.abs(pixels[1] - pixels[0]).min() < least)
        if tool is Tool.POLYGON:
            return bool(np.ptp(pixels, axis=0).min() < least)
        lines = (pixels[0:2], pixels[2:4]) if tool is Tool.TWO_LINES else (pixels,)
        return any(bool((np.linalg.norm(np.diff(line, axis=0), axis=1) < least).any()) for line in lines)

    def _closes(self, x: float, y: float) -> bool:
        """Whether a press closes the polygon: on its first corner, or on its last one again."""
        if len(self._placed) < 3:
            return False
        first, last = (self._view.pixel_of(_tuple(self._placed[n])) for n in (0, -1))
        scale = self._view.scale
        return math.dist(first, (x, y)) <= _HANDLE_PX * scale or math.dist(last, (x, y)) < _LEAST_PX * scale

    def _trace(self, x: float, y: float) -> None:
        """Leave a corner behind where the held button has come far enough."""
        last = self._view.pixel_of(_tuple(self._placed[-1]))
        if math.dist(last, (x, y)) >= _TRACE_PX * self._view.scale:
            self._placed.append(self._point(x, y))
            self._is_traced = True

    @property
    def _has_draft(self) -> bool:
        """Whether what is being drawn is drawn here."""
        draft = self._measuring.draft
        return draft is not None and draft.drawn_on is not None and draft.drawn_on.axis == self._view.cut.axis

    def _forget_lost(self) -> None:
        """What was begun ends with its slice, or when somebody else has put it away."""
        draft = self._measuring.draft
        drawn_on = draft.drawn_on if draft is not None else None
        if self._placed and not self._has_draft:
            self._placed, self._pressed_at = [], None
        elif self._placed and drawn_on is not None and drawn_on.index != self._view.index:
            self._placed, self._pressed_at = [], None
            self._measuring.discard()
        grip = self._grip
        if grip is None:
            return
        if self._moved and not self._measuring.is_reshaping:
            self._grip = None
        elif all(one.id != grip.one.id for one in self._view.measurements_here):
            self._let_go()

    def _let_go(self) -> None:
        if self._grip is not None:
            self._grip = None
            self._measuring.settle()

    # Taking hold

    def _hit(self, x: float, y: float) -> _Grip | None:
        """What is under a pixel: a point first, then a line; of several the one that was made last."""
        point = self._point(x, y)
        here = list(reversed(self._view.measurements_here))
        for one in here:
            places = [self._view.pixel_of(_tuple(place)) for place in one.points]
            turn = turn_handle(one.kind, np.array(places), TURN_PX * self._view.scale)
            if turn is not None and one.id == self._measuring.selected:
                places.append((float(turn[0]), float(turn[1])))
            distances = [math.dist(place, (x, y)) for place in places]
            nearest = int(np.argmin(distances))
            if distances[nearest] <= _HANDLE_PX * self._view.scale:
                return _Grip(one, nearest, point)
        for one in here:
            lines = [
                np.array([self._view.pixel_of(_tuple(place)) for place in line])
                for line in outline(one.kind, one.points)
            ]
            if distance_to(lines, (x, y)) <= _LINE_PX * self._view.scale:
                return _Grip(one, None, point)
        return None

    def _drag(self, grip: _Grip, x: float, y: float) -> None:
        to = self._point(x, y)
        if grip.handle is None:
            points = grip.one.points + (to - grip.start)
        elif grip.turns:
            points = turned(grip.one.points, grip.start, to, self._view.cut.right, self._view.cut.up)
        else:
            points = reshaped(grip.one, grip.handle, grip.one.points[grip.handle] + (to - grip.start))
        self._measuring.reshape(grip.one.id, points)
        self._moved = True

    def _point(self, x: float, y: float) -> Floats:
        return np.array(self._view.point_at(x, y))


class MeasurementsInViews:
    """Shows the measurements of the workstation in slice views. Main thread only."""

    def __init__(self, measuring: Measuring) -> None:
        self._measuring = measuring
        self._views: list[SliceView] = []
        self._connection = measuring.changed.connect(self._changed)

    def attach(self, view: SliceView) -> None:
        """Drive a view from now on."""
        self._views.append(view)
        view.show_measurements(self._shown())

    def close(self) -> None:
        """Let go of everything."""
        self._connection.close()
        self._views.clear()

    def _changed(self, change: MeasuringChange) -> None:
        if isinstance(change, Sought):
            for view in self._views:
                for one in view.measurements_here:
                    if one.id == change.id:
                        view.bring_into_view(one.points)
        elif not isinstance(change, ToolChanged):
            shown = self._shown()
            for view in self._views:
                view.show_measurements(shown)

    def _shown(self) -> Shown:
        measuring = self._measuring
        strong: frozenset[MeasurementId] = frozenset(
            id for id in (measuring.selected, measuring.pointed) if id is not None
        )
        return Shown(measuring.shown, measuring.draft, strong)


def _tuple(point: Floats) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in point)
    return x, y, z
