"""Taking hold of the box inside which plugins look: by a side, by a corner, or by its middle, in any slice view."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medview.core.events import Connection
from medview.core.geometry import Floats, Index
from medview.views.slice_view import SliceView
from medview.workstation.search_box import SearchBox
from medview.workstation.workspace import ActiveChanged, Workspace, WorkspaceChange

_NEAR_PX = 6.0
_MIDDLE_PX = 9.0


@dataclass(frozen=True, slots=True)
class _Grip:
    """What the mouse holds.

    Attributes:
        sides: Axis of the grid and whether it is the side of the larger indices; none: the whole box.
        from_index: (3,) where the mouse took it, an index.
        start: The box's first voxel then.
    """

    sides: tuple[tuple[int, bool], ...]
    from_index: Floats
    start: Index


class BoxHand:
    """Changes the box with the mouse in one slice view. Positions are device pixels, origin bottom left.

    Args:
        view: The view.
        search: Holds the box.
    """

    def __init__(self, view: SliceView, search: SearchBox) -> None:
        self._view = view
        self._search = search
        self._grip: _Grip | None = None

    @property
    def is_busy(self) -> bool:
        """Whether the box is being changed in this view."""
        return self._grip is not None

    def press(self, x: float, y: float) -> bool:
        """The left button went down; whether it was meant for the box."""
        sides = self._sides(x, y)
        box = self._search.box
        if sides is None or box is None:
            return False
        self._grip = _Grip(sides, self._index(x, y), box.start)
        return True

    def move(self, x: float, y: float, *, held: bool) -> bool:
        """The mouse moved; whether that was meant for the box."""
        if self._grip is not None and not held:
            self._grip = None  # the release may have gone to another window
        if self._grip is None:
            self._view.point_at_box(not held and self._sides(x, y) is not None)
            return False
        index = self._index(x, y)
        for axis, upper in self._grip.sides:
            self._search.move_side(axis, upper=upper, to=float(index[axis]))
        if not self._grip.sides:
            way = np.rint(index - self._grip.from_index)
            way[self._view.cut.axis] = 0
            k, j, i = (int(value) for value in self._grip.start + way)
            self._search.move_to((k, j, i))
        return True

    def release(self) -> bool:
        """The left button went up; whether that was meant for the box."""
        held, self._grip = self._grip is not None, None
        return held

    def leave(self) -> None:
        """The mouse left the view."""
        self._view.point_at_box(False)

    def _sides(self, x: float, y: float) -> tuple[tuple[int, bool], ...] | None:
        """What is under a pixel: the sides there, none of them for the middle; None where there is nothing to hold."""
        place = self._view.box_here
        if place is None or not place.reached:
            return None
        near, cut = _NEAR_PX * self._view.scale, self._view.cut
        found: list[tuple[int, bool]] = []
        ways = ((cut.right_axis, x, place.across, y, place.upward), (cut.up_axis, y, place.upward, x, place.across))
        for axis, at, ends, other, span in ways:
            distances = [abs(at - end) for end in ends]
            if min(distances) <= near and min(span) - near <= other <= max(span) + near:
                found.append((axis, distances[1] < distances[0]))
        if found:
            return tuple(found)
        middle = _MIDDLE_PX * self._view.scale
        return () if max(abs(x - place.center[0]), abs(y - place.center[1])) <= middle else None

    def _index(self, x: float, y: float) -> Floats:
        assert self._view.volume is not None
        return self._view.volume.geometry.to_index(self._view.point_at(x, y))


class BoxInViews:
    """Shows the box in slice views. Main thread only."""

    def __init__(self, search: SearchBox, workspace: Workspace) -> None:
        self._search = search
        self._views: list[SliceView] = []
        self._connections: list[Connection] = [
            search.changed.connect(self._show),
            workspace.changed.connect(self._workspace_changed),
        ]

    def attach(self, view: SliceView) -> None:
        """Drive a view from now on."""
        self._views.append(view)
        view.show_box(self._search.box)

    def close(self) -> None:
        """Let go of everything."""
        for connection in self._connections:
            connection.close()
        self._views.clear()

    def _workspace_changed(self, change: WorkspaceChange) -> None:
        if isinstance(change, ActiveChanged):
            self._show()

    def _show(self, _: None = None) -> None:
        for view in self._views:
            view.show_box(self._search.box)
