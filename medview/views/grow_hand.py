"""Growing a region in the hand: press on the seed, drag away from it, release."""

from __future__ import annotations

import math
from dataclasses import replace

from medview.core.geometry import Index, Point
from medview.core.segmentation import Color
from medview.core.text import Text
from medview.views.edit_hand import EditKey, ToolHand, takes_away
from medview.views.edit_preview import REMOVED_COLOR, EditPreview
from medview.views.pointer import Pointer
from medview.views.slice_view import SliceView
from medview.workstation.editing import Editing

_CLICK_PX = 3.0
"""A press that moves less, in logical pixels, is a click."""
_SHARE = 0.0025
"""How much of the width between black and white one logical pixel away from the seed is worth."""
_RESIZED = 1.12
_SMALLEST = 1e-6


class GrowHand(ToolHand):
    """Grows regions in one slice view, and shows them while the tolerance is dragged.

    Args:
        view: The view.
        editing: Holds the tolerance, and finds the regions.
    """

    def __init__(self, view: SliceView, editing: Editing) -> None:
        self._view = view
        self._editing = editing
        self._start: Pointer | None = None
        self._seed: Point = (0.0, 0.0, 0.0)
        self._shown: tuple[Index | None, float, Color, int] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether the tolerance is being dragged."""
        return self._start is not None

    def press(self, pointer: Pointer) -> None:
        """Set the seed."""
        self._editing.check()
        self._start, self._seed = pointer, self._view.point_at(pointer.x, pointer.y)

    def drag(self, pointer: Pointer) -> None:
        """The farther from the seed, the more the values may differ."""
        start = self._start
        if start is None:
            return
        far = math.dist((start.x, start.y), (pointer.x, pointer.y)) / self._view.scale
        if far > _CLICK_PX:
            self._set_tolerance(max(far * _SHARE * self._editing.viewing.state.window.width, _SMALLEST))

    def release(self, pointer: Pointer) -> None:
        """Take the region."""
        start = self._start
        if start is None:
            return
        options = self._editing.tools.options.grow
        self.put_down()
        axis = None if options.in_3d else self._view.cut.axis
        self._editing.growing.grow(self._seed, axis, options.tolerance, adds=not takes_away(start))

    def hover(self, pointer: Pointer) -> None:
        """Fill what would be taken."""
        volume = self._view.volume
        if volume is None:
            return
        start = self._start
        point = self._seed if start is not None else self._view.point_at(pointer.x, pointer.y)
        tolerance = self._editing.tools.options.grow.tolerance
        color = REMOVED_COLOR if takes_away(start or pointer) else self._editing.color()
        wanted = (volume.geometry.voxel_at(point), tolerance, color, self._view.index)
        if wanted == self._shown:
            return
        self._shown = wanted
        mask = self._editing.growing.found_in_slice(volume, point, self._view.cut.axis, tolerance)
        text = Text.of("± {amount} {unit}", amount=_short(tolerance), unit=volume.unit)
        at = self._view.point_at(pointer.x, pointer.y) if start is not None else None
        self._view.show_preview(EditPreview(color, self._view.index, mask=mask, text=text, at=at))

    def leave(self) -> None:
        """Show nothing, unless the tolerance is being dragged."""
        if self._start is None:
            self.put_down()

    def resize(self, steps: int) -> None:
        """Raise the tolerance, or lower it."""
        self._set_tolerance(self._editing.tools.options.grow.tolerance * _RESIZED**steps)

    def key(self, key: EditKey) -> bool:
        """Esc gives up."""
        if self._start is None or key is not EditKey.CANCEL:
            return False
        self.put_down()
        return True

    def put_down(self) -> None:
        """Give up."""
        self._start = self._shown = None
        self._view.show_preview(None)

    def _set_tolerance(self, tolerance: float) -> None:
        options = self._editing.tools.options
        self._editing.tools.set_options(replace(options, grow=replace(options.grow, tolerance=tolerance)))


def _short(value: float) -> str:
    """Three figures, and no more than are worth saying."""
    return f"{value:.0f}" if value >= 10 else f"{value:.3g}"
