"""Scissors in the 3D view: a curve drawn on the picture cuts the segment into the depth."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from medview.core.errors import MedViewError
from medview.views.edit_hand import takes_away
from medview.views.edit_preview import REMOVED_COLOR
from medview.views.pointer import Button, Pointer
from medview.views.screen_actors import Pixel, ScreenLines
from medview.views.volume_view import VolumeView
from medview.workstation.edit_tools import EditTool
from medview.workstation.editing import Editing
from medview.workstation.view_state import Mode

_STEP_PX = 3.0


class VolumeScissors:
    """Traces a curve with the left button, and cuts along it.

    Args:
        view: The view.
        editing: Cuts.
        tell: Gets what went wrong.
    """

    def __init__(self, view: VolumeView, editing: Editing, tell: Callable[[MedViewError], None]) -> None:
        self._view = view
        self._editing = editing
        self._tell = tell
        self._curve: list[Pixel] = []
        self._other_side = False
        self._lines = ScreenLines(REMOVED_COLOR)
        self._lines.hide()
        view.renderer.AddViewProp(self._lines.actor)

    def close(self) -> None:
        """Take the curve out of the scene."""
        self._view.renderer.RemoveViewProp(self._lines.actor)

    @property
    def is_in_hand(self) -> bool:
        """Whether the left button cuts."""
        editing = self._editing
        return editing.viewing.state.mode is Mode.EDIT and editing.tools.tool is EditTool.SCISSORS

    @property
    def is_busy(self) -> bool:
        """Whether a curve is being traced."""
        return bool(self._curve)

    def press(self, pointer: Pointer) -> bool:
        """A button went down; whether that begins a curve."""
        if not self.is_in_hand or pointer.button is not Button.LEFT or self._view.volume is None:
            return False
        try:
            self._editing.check()
        except MedViewError as error:
            self._tell(error)
            return True
        self._curve, self._other_side = [(pointer.x, pointer.y)], takes_away(pointer)
        return True

    def move(self, pointer: Pointer) -> None:
        """Go on with the curve."""
        if math.dist(self._curve[-1], (pointer.x, pointer.y)) >= _STEP_PX * self._view.scale:
            self._curve.append((pointer.x, pointer.y))
            self._lines.draw([[*self._curve, self._curve[0]]], max(1, round(1.5 * self._view.scale)))
            self._view.request_frame()

    def release(self) -> None:
        """Cut."""
        curve, other_side = np.array(self._curve), self._other_side
        self.put_down()
        if len(curve) < 3:
            return
        try:
            self._editing.cutting.cut_along_sight(self._view.to_screen(), self._view.size, curve, other_side=other_side)
        except MedViewError as error:
            self._tell(error)

    def put_down(self) -> None:
        """Give the curve up."""
        if self._curve:
            self._curve = []
            self._lines.hide()
            self._view.request_frame()
