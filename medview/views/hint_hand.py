"""Hints in the hand: a click, a scribble, a box or an outline, and what was found, hatched, until it is taken."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medview.core.geometry import Box, Floats, Geometry, Point
from medview.core.hint import Hint, HintKind
from medview.core.hint_marks import box_of
from medview.core.segmentation import Color
from medview.views.edit_hand import EditKey, ToolHand, takes_away
from medview.views.edit_preview import EditPreview
from medview.views.pointer import Pointer
from medview.views.slice_view import SliceView
from medview.workstation.editing import Editing

_RESIZED = 1.12
_MOVED_PX = 3.0
"""What moves less, in logical pixels, is a click."""


class HintHand(ToolHand):
    """Gives hints in one slice view, and shows them and their answer.

    Args:
        view: The view.
        editing: Takes the hints.
    """

    def __init__(self, view: SliceView, editing: Editing) -> None:
        self._view = view
        self._editing = editing
        self._hinting = editing.hinting
        self._color: Callable[[], Color] = editing.color
        self._way: list[Point] = []
        self._from: Pointer | None = None
        self._positive = True
        self._in_hand = False
        self._shown: object = None
        self._connection = editing.hinting.changed.connect(self._hints_changed)

    @property
    def is_busy(self) -> bool:
        """Whether a hint is being drawn."""
        return self._from is not None

    def press(self, pointer: Pointer) -> None:
        """Begin a hint: inside with the left button, outside with the right one or Ctrl."""
        self._editing.check()
        self._positive = not takes_away(pointer)
        self._from = pointer
        self._way = [self._view.point_at(pointer.x, pointer.y)]
        self.refresh()

    def drag(self, pointer: Pointer) -> None:
        """Go on with it."""
        if self._from is None:
            return
        far = max(abs(pointer.x - self._from.x), abs(pointer.y - self._from.y))
        if len(self._way) > 1 or far >= _MOVED_PX * self._view.scale:
            self._way.append(self._view.point_at(pointer.x, pointer.y))
            self.refresh()

    def release(self, pointer: Pointer) -> None:
        """Give it."""
        way, self._way, begun, self._from = self._way, [], self._from, None
        try:
            if begun is not None and way:
                self._hinting.drawn(way, self._view.plane, positive=self._positive)
        finally:
            self.refresh()

    def hover(self, pointer: Pointer) -> None:
        """Show how far a scribble would reach."""
        if self._hinting.shape is HintKind.SCRIBBLE:
            self._view.show_brush(self._view.point_at(pointer.x, pointer.y), self._hinting.radius_mm, self._color())
        else:
            self._view.show_brush(None)

    def refresh(self) -> None:
        """Draw the hints and their answer on the slice that is shown."""
        self._in_hand = True
        volume = self._view.volume
        answer, hints, color = self._hinting.preview, self._hinting.hints, self._color()
        axis, index = self._view.cut.axis, self._view.index
        wanted = (volume, answer, hints, color, axis, index, len(self._way))
        if volume is None or wanted == self._shown:
            return
        self._shown = wanted
        lines = [(one.positive, line) for one in hints for line in _on_slice(one, volume.geometry, axis, index)]
        if self._way:
            lines.append((self._positive, self._drawn_so_far(volume.geometry)))
        if not lines and answer is None:
            self._view.show_preview(None)
            return
        mask = (answer.box, answer.inside) if answer is not None else None
        self._view.show_preview(EditPreview(color, index, mask=mask, hints=tuple(lines), hatched=True))

    def leave(self) -> None:
        """The mouse left the view."""
        self._view.show_brush(None)

    def resize(self, steps: int) -> None:
        """Let scribbles reach farther, or less far."""
        self._hinting.set_radius(self._hinting.radius_mm * _RESIZED**steps)

    def key(self, key: EditKey) -> bool:
        """Enter takes what was found; Backspace takes the last hint back; Esc gives up what is drawn, or all."""
        if key is EditKey.CONFIRM:
            return self._hinting.accept()
        if key is EditKey.BACK:
            return self._hinting.undo()
        if key is EditKey.CANCEL and self._from is not None:
            self._from, self._way = None, []
            self.refresh()
            return True
        if key is EditKey.CANCEL and self._hinting.is_active:
            self._hinting.reject()
            return True
        return False

    def put_down(self) -> None:
        """Show nothing. Hints that were given stay: they are there again when the tool is taken again."""
        self._in_hand = False
        self._from, self._way, self._shown = None, [], None
        self._view.show_preview(None)

    def _hints_changed(self, _: None) -> None:
        if self._in_hand:
            self.refresh()

    def _drawn_so_far(self, geometry: Geometry) -> Floats:
        """(n, 3) what is being drawn, as a line; a box as its sides."""
        if self._hinting.shape is not HintKind.BOX or len(self._way) == 1:
            closes = self._hinting.shape is HintKind.LASSO and len(self._way) > 1
            return np.array([*self._way, self._way[0]] if closes else self._way)
        ends = geometry.to_index(np.array([self._way[0], self._way[-1]]))
        return _sides(geometry, ends, self._view.cut.axis, float(ends[0, self._view.cut.axis]))


def _on_slice(hint: Hint, geometry: Geometry, axis: int, index: int) -> list[Floats]:
    """What of a hint lies on a slice: lines, (n, 3) x, y, z each."""
    if hint.kind is HintKind.MASK:
        return []
    if hint.kind is HintKind.BOX:
        box = box_of(hint, geometry)
        return [_outline(geometry, box, axis, index)] if box.start[axis] <= index < box.stop[axis] else []
    points = np.array(hint.points)
    if hint.kind is HintKind.LASSO:
        points = np.concatenate([points, points[:1]])
    here = np.abs(geometry.to_index(points)[:, axis] - index) <= 0.5
    runs = np.split(np.arange(len(points)), np.flatnonzero(np.diff(here.astype(np.int8))) + 1)
    return [points[run] for run in runs if here[run[0]]]


def _outline(geometry: Geometry, box: Box, axis: int, index: int) -> Floats:
    ends = np.array([box.start, box.stop], dtype=np.float64) - 0.5
    return _sides(geometry, ends, axis, float(index))


def _sides(geometry: Geometry, ends: Floats, axis: int, index: float) -> Floats:
    """(5, 3) x, y, z: the sides of a rectangle between two indices, (2, 3), in the slice `index` along an axis."""
    first, second = (one for one in range(3) if one != axis)
    corners = np.full((5, 3), index)
    corners[:, first] = ends[[0, 0, 1, 1, 0], first]
    corners[:, second] = ends[[0, 1, 1, 0, 0], second]
    return geometry.to_patient(corners)
