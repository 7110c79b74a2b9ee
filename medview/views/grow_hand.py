"""Growing a region in the hand: press on the seed, drag away from it, release."""

from __future__ import annotations

import math

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
            self._editing.growing.set_tolerance(far * _SHARE * self._editing.viewing.state.window.width)

    def release(self, pointer: Pointer) -> None:
        """Take the region."""
        start = self._start
        if start is None:
            return
        self.put_down()
        axis = None if self._editing.tools.options.grow.in_3d else self._view.cut.axis
        self._editing.growing.grow(self._seed, axis, self._editing.growing.tolerance, adds=not takes_away(start))

    def hover(self, pointer: Pointer) -> None:
        """Fill what would be taken."""
        volume = self._view.volume
        if volume is None:
            return
        start = self._start
        point = self._seed if start is not None else self._view.point_at(pointer.x, pointer.y)
        tolerance = self._editing.growing.tolerance
        adds = not takes_away(start or pointer)
        color = self._editing.color() if adds else REMOVED_COLOR
        wanted = (volume.geometry.voxel_at(point), tolerance, color, self._view.index)
        if wanted == self._shown:
            return
        self._shown = wanted
        found = self._editing.growing.found_in_slice(volume, point, self._view.cut.axis, tolerance)
        mask = self._editing.effect(found, adds=adds)
        text = Text.of("± {amount} {unit}", amount=_short(tolerance), unit=volume.unit)
        at = self._view.point_at(pointer.x, pointer.y) if start is not None else None
        self._view.show_preview(EditPreview(color, self._view.index, mask=mask, text=text, at=at))

    def leave(self) -> None:
        """Show nothing, unless the tolerance is being dragged."""
        if self._start is None:
            self.put_down()

    def resize(self, steps: int) -> None:
        """Raise the tolerance, or lower it."""
        self._editing.growing.set_tolerance(self._editing.growing.tolerance * _RESIZED**steps)

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


def _short(value: float) -> str:
    """Three figures, and no more than are worth saying."""
    return f"{value:.0f}" if value >= 10 else f"{value:.3g}"
