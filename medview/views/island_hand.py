"""Picking a part of a segment with the mouse."""

from __future__ import annotations

from medview.views.edit_hand import ToolHand, takes_away
from medview.views.edit_preview import REMOVED_COLOR, EditPreview
from medview.views.pointer import Pointer
from medview.views.slice_view import SliceView
from medview.workstation.edit_tools import IslandAction
from medview.workstation.editing import Editing

_PICKED = (255, 255, 255)


class IslandHand(ToolHand):
    """Fills the part of a segment under the mouse, and does with it what was chosen when it is clicked.

    Args:
        view: The view.
        editing: Picks the parts.
    """

    def __init__(self, view: SliceView, editing: Editing) -> None:
        self._view = view
        self._editing = editing
        self._shown: object = None

    def press(self, pointer: Pointer) -> None:
        """Pick the part; the right button, or Ctrl, always takes it away."""
        self._editing.islands.pick(self._view.point_at(pointer.x, pointer.y), self._action(pointer))
        self._shown = None

    def hover(self, pointer: Pointer) -> None:
        """Fill the part, as far as it lies in this slice."""
        segmentation, volume = self._editing.workspace.active_segmentation, self._view.volume
        if segmentation is None or volume is None:
            self.leave()
            return
        point = self._view.point_at(pointer.x, pointer.y)
        removes = self._action(pointer) is IslandAction.REMOVE
        wanted = (segmentation.id, segmentation.revision, volume.geometry.voxel_at(point), self._view.index, removes)
        if wanted == self._shown:
            return
        self._shown = wanted
        part = self._editing.islands.in_slice(point, self._view.cut.axis)
        color = REMOVED_COLOR if removes else _PICKED
        self._view.show_preview(EditPreview(color, self._view.index, mask=part) if part is not None else None)

    def leave(self) -> None:
        """Fill nothing."""
        self._shown = None
        self._view.show_preview(None)

    def put_down(self) -> None:
        """Fill nothing."""
        self.leave()

    def _action(self, pointer: Pointer) -> IslandAction:
        return IslandAction.REMOVE if takes_away(pointer) else self._editing.tools.options.island
