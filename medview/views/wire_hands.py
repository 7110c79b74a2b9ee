"""Outlines that follow the image: the live wire, and the line of equal values under the mouse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medview.core.geometry import Floats
from medview.editing import level_trace
from medview.editing.live_wire import Wire
from medview.views.edit_hand import EditKey, ToolHand, takes_away
from medview.views.edit_preview import EditPreview
from medview.views.outline_hand import Finish, OutlineHand, Show
from medview.views.pointer import Pointer
from medview.views.slice_view import SliceView


class LiveWireHand(OutlineHand):
    """Corners are clicked, and between them the outline runs along edges. Arguments as for `OutlineHand`."""

    def __init__(self, view: SliceView, check: Callable[[], None], finish: Finish, show: Show) -> None:
        super().__init__(view, check, finish, show)
        self._ways: list[Floats] = []
        self._wire: Wire | None = None

    def press(self, pointer: Pointer) -> None:
        """Set a corner; on the first one, close the outline, along edges there, too."""
        before = len(self._placed)
        way = self._way(self._point(pointer))
        if self._closes(pointer):
            self._ways.append(self._way(self._placed[0]))
        super().press(pointer)
        if len(self._placed) > before:
            self._ways.append(way)
            self._begin_wire()

    def drag(self, pointer: Pointer) -> None:
        """A slip of the mouse sets no corners."""

    def key(self, key: EditKey) -> bool:
        """As for an outline; what is taken back is a corner with its way."""
        if key is EditKey.BACK and len(self._placed) > 1:
            self._ways.pop()
            taken = super().key(key)
            self._begin_wire()
            self._show(None)
            return taken
        return super().key(key)

    def put_down(self) -> None:
        """Give the outline up."""
        super().put_down()
        self._ways, self._wire = [], None

    def _line(self, here: Floats | None) -> Floats:
        parts = self._ways if here is None else [*self._ways, self._way(here)]
        return np.vstack(parts) if parts else np.array(self._placed)

    def _way(self, to: Floats) -> Floats:
        """(n, 3): from the last corner to a point along edges, or the point alone."""
        volume = self._view.volume
        voxel = volume.geometry.voxel_at(to) if volume is not None else None
        if self._wire is None or voxel is None:
            return to[None, :]
        return np.vstack([self._wire.to(voxel), to])

    def _begin_wire(self) -> None:
        volume = self._view.volume
        if volume is None:
            return
        voxel = volume.geometry.voxel_at(self._placed[-1])
        axis = self._view.cut.axis
        self._wire = Wire(volume.voxels, volume.geometry, voxel, axis) if voxel is not None else None


class LevelHand(ToolHand):
    """The line of equal values under the mouse is an outline; a click takes it.

    Args:
        view: The view.
        check: Asked before anything is changed; raises where nothing may be.
        finish: Gets the outline.
        show: Says how it looks meanwhile.
    """

    def __init__(self, view: SliceView, check: Callable[[], None], finish: Finish, show: Show) -> None:
        self._view = view
        self._check = check
        self._finish = finish
        self._show_as = show

    def press(self, pointer: Pointer) -> None:
        """Take what the line goes around."""
        self._check()
        line = self._traced(pointer)
        if line is not None:
            self._finish(line, self._view.cut.axis, self._view.index, not takes_away(pointer))

    def hover(self, pointer: Pointer) -> None:
        """Draw the line."""
        line = self._traced(pointer)
        if line is None:
            self._view.show_preview(None)
            return
        index = self._view.index
        color, mask = self._show_as(line, self._view.cut.axis, index, not takes_away(pointer))
        ring = np.vstack([line, line[:1]])
        self._view.show_preview(EditPreview(color, index, (ring,), mask=mask))

    def leave(self) -> None:
        """Draw no line."""
        self._view.show_preview(None)

    def put_down(self) -> None:
        """Draw no line."""
        self._view.show_preview(None)

    def _traced(self, pointer: Pointer) -> Floats | None:
        volume = self._view.volume
        if volume is None:
            return None
        place = volume.geometry.to_index(self._view.point_at(pointer.x, pointer.y))
        return level_trace.traced(volume.voxels, volume.geometry, place, self._view.cut.axis)
