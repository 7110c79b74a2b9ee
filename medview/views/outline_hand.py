"""An outline in the hand: traced with the button held, or clicked corner by corner."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from medview.core.geometry import Floats
from medview.core.segmentation import Color
from medview.editing.brush import Stamp
from medview.views.edit_hand import EditKey, ToolHand, takes_away
from medview.views.edit_preview import EditPreview
from medview.views.pointer import Pointer
from medview.views.slice_view import SliceView

_TRACE_PX = 3.0
"""How far apart, in logical pixels, the corners are that a held button leaves."""
_CLOSE_PX = 8.0
_SAME_PX = 3.0

Finish = Callable[[Floats, int, int, bool], object]
"""Gets the corners, (n, 3) LPS mm, the axis that the slice stands on, its index, and whether to add."""
Show = Callable[[Floats, int, int, bool], tuple[Color, Stamp | None]]
"""Of the same: the colour of the outline, and what is filled."""


class OutlineHand(ToolHand):
    """Draws an outline in one slice view, and hands it on when it is closed.

    A press and a drag trace it, and the release closes it. Clicks set corners; a click on the first one, a double click
    or Enter closes it. The button of the first press says whether it adds or takes away.

    Args:
        view: The view.
        check: Asked before anything is drawn; raises where nothing may be changed.
        finish: Gets the outline.
        show: Says how it looks meanwhile.
    """

    def __init__(self, view: SliceView, check: Callable[[], None], finish: Finish, show: Show) -> None:
        self._view = view
        self._check = check
        self._finish_with = finish
        self._show_as = show
        self._placed: list[Floats] = []
        self._adds = True
        self._index = 0
        self._may_trace = self._traced = False

    @property
    def is_busy(self) -> bool:
        """Whether an outline is begun."""
        return bool(self._placed)

    def press(self, pointer: Pointer) -> None:
        """Set a corner; on the first one, close the outline."""
        if not self._placed:
            self._check()
            self._adds, self._index = not takes_away(pointer), self._view.index
            self._may_trace, self._traced = True, False
        elif self._closes(pointer):
            self._finish()
            return
        else:
            self._may_trace = False
        self._placed.append(self._point(pointer))
        self._draw(pointer)

    def double_click(self, pointer: Pointer) -> None:
        """Close the outline; the first of the two clicks has set its last corner."""
        if len(self._placed) > 2:
            self._finish()
        else:
            self.press(pointer)

    def drag(self, pointer: Pointer) -> None:
        """Leave corners behind, where the first press went on."""
        if self._placed and self._may_trace and not self._is_near(pointer, self._placed[-1], _TRACE_PX):
            self._placed.append(self._point(pointer))
            self._traced = True

    def release(self, pointer: Pointer) -> None:
        """Close what was traced."""
        if self._traced:
            self._traced = False
            self._finish()

    def hover(self, pointer: Pointer) -> None:
        """Draw the outline as it would be with a corner here."""
        if self._placed:
            self._draw(pointer)

    def refresh(self) -> None:
        """What was begun ends with its slice."""
        if self._placed and self._view.index != self._index:
            self.put_down()

    def key(self, key: EditKey) -> bool:
        """Enter closes, Backspace takes the last corner back, Esc gives up."""
        if not self._placed:
            return False
        if key is EditKey.CONFIRM:
            self._finish()
        elif key is EditKey.BACK and len(self._placed) > 1:
            self._placed.pop()
            self._show(None)
        else:
            self.put_down()
        return True

    def put_down(self) -> None:
        """Give the outline up."""
        self._placed, self._traced = [], False
        self._view.show_preview(None)

    def _finish(self) -> None:
        points, adds, index = self._line(None), self._adds, self._index
        self.put_down()
        if len(points) > 2:
            self._finish_with(points, self._view.cut.axis, index, adds)

    def _draw(self, pointer: Pointer) -> None:
        self._show(None if self._is_near(pointer, self._placed[-1], _SAME_PX) else self._point(pointer))

    def _line(self, here: Floats | None) -> Floats:
        """(n, 3): the outline so far, or to a further corner; a straight line closes it."""
        return np.array(self._placed if here is None else [*self._placed, here])

    def _show(self, here: Floats | None) -> None:
        points = self._line(here)
        ring = np.vstack([points, points[:1]])
        marked = None if self._traced else np.array(self._placed)
        color, mask = self._show_as(points, self._view.cut.axis, self._index, self._adds)
        self._view.show_preview(EditPreview(color, self._index, (ring,), marked, mask))

    def _closes(self, pointer: Pointer) -> bool:
        return len(self._placed) > 2 and self._is_near(pointer, self._placed[0], _CLOSE_PX)

    def _is_near(self, pointer: Pointer, point: Floats, pixels: float) -> bool:
        x, y, z = (float(value) for value in point)
        return math.dist(self._view.pixel_of((x, y, z)), (pointer.x, pointer.y)) < pixels * self._view.scale

    def _point(self, pointer: Pointer) -> Floats:
        return np.array(self._view.point_at(pointer.x, pointer.y))
