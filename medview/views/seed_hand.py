"""Painting seeds: the brush, and Enter to grow them and to take what was found."""

from __future__ import annotations

from medview.views.brush_hand import BrushHand
from medview.views.edit_hand import EditKey
from medview.views.slice_view import SliceView
from medview.workstation.editing import Editing


class SeedHand(BrushHand):
    """Paints seeds in one slice view."""

    def __init__(self, view: SliceView, editing: Editing) -> None:
        super().__init__(view, editing.tools, editing.correction, editing.color)
        self._seeding = editing.seeding

    def key(self, key: EditKey) -> bool:
        """Enter grows, and once more takes what was found; Esc puts it away."""
        if key is EditKey.CONFIRM:
            if self._seeding.is_offering:
                self._seeding.accept()
            else:
                self._seeding.grow()
            return True
        if key is EditKey.CANCEL and self._seeding.is_offering:
            self._seeding.discard()
            return True
        return super().key(key)

    def put_down(self) -> None:
        """Put away what was found."""
        self._seeding.discard()
