"""Brush and eraser in the hand: press, drag, release."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from medview.core.geometry import Point
from medview.core.planes import Plane
from medview.core.segmentation import Color
from medview.editing import adaptive, brush, thresholding
from medview.editing.brush import BrushShape
from medview.editing.rules import PaintRules
from medview.views.edit_hand import EditKey, ToolHand, takes_away
from medview.views.edit_preview import EditPreview
from medview.views.pointer import Button, Pointer
from medview.views.slice_view import SliceView
from medview.workstation.edit_tools import EditTool, EditTools
from medview.workstation.stroke import BrushOptions

_RESIZED = 1.12


class Painting(Protocol):
    """Who makes the strokes."""

    options: BrushOptions

    @property
    def rules(self) -> PaintRules:
        """What may be changed."""

    def set_rules(self, rules: PaintRules) -> None:
        """Choose what may be changed."""

    @property
    def is_painting(self) -> bool:
        """Whether a stroke is under way."""

    def set_options(self, options: BrushOptions) -> None:
        """Choose how strokes are made."""

    def begin_stroke(self, point: Point, plane: Plane, *, erase: bool = False) -> None:
        """Press the brush down."""

    def stroke_to(self, point: Point) -> None:
        """Go on with the stroke."""

    def end_stroke(self) -> None:
        """Lift the brush."""

    def abort_stroke(self) -> None:
        """Put everything back as it was before the stroke."""


class BrushHand(ToolHand):
    """Paints and erases in one slice view.

    Args:
        view: The view.
        tools: Says whether brush or eraser is in hand.
        painting: Makes the strokes.
        color: Of the segment in work.
    """

    def __init__(self, view: SliceView, tools: EditTools, painting: Painting, color: Callable[[], Color]) -> None:
        self._view = view
        self._tools = tools
        self._painting = painting
        self._color = color
        self._mouse: Point | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a stroke is under way, in any view."""
        return self._painting.is_painting

    def press(self, pointer: Pointer) -> None:
        """Press the brush down. The right button erases with either tool; Ctrl turns the left one round."""
        erase = takes_away(pointer)
        if self._tools.tool is EditTool.ERASER:
            erase = not (pointer.ctrl and pointer.button is Button.LEFT)
        self._painting.begin_stroke(self._view.point_at(pointer.x, pointer.y), self._view.plane, erase=erase)

    def drag(self, pointer: Pointer) -> None:
        """Go on with the stroke."""
        self._painting.stroke_to(self._view.point_at(pointer.x, pointer.y))

    def release(self, pointer: Pointer) -> None:
        """Lift the brush."""
        self._painting.end_stroke()

    def hover(self, pointer: Pointer) -> None:
        """Draw the brush where the mouse is."""
        self._mouse = point = self._view.point_at(pointer.x, pointer.y)
        options = self._painting.options
        self._view.show_brush(point, options.radius_mm, self._color(), square=options.shape is BrushShape.SQUARE)
        self._view.show_preview(self._adapted(point) if options.deviations is not None else None)

    def key(self, key: EditKey) -> bool:
        """Paint from now on only values like those under the brush."""
        volume = self._view.volume
        if key is not EditKey.PICK or self._mouse is None or volume is None:
            return False
        options = self._painting.options
        box, mask = brush.disk(volume.geometry, self._mouse, self._mouse, options.radius_mm, self._view.cut.axis)
        found = thresholding.usual_range(volume.voxels[box.slices][mask])
        if found is not None:
            self._painting.set_rules(replace(self._painting.rules, values=found))
        return True

    def leave(self) -> None:
        """Draw no brush."""
        self._mouse = None
        self._view.show_brush(None)
        self._view.show_preview(None)

    def _adapted(self, point: Point) -> EditPreview | None:
        """What a brush that stops at edges takes of the slice; nothing while it paints, for that is seen."""
        volume, options = self._view.volume, self._painting.options
        if volume is None or options.deviations is None or self._painting.is_painting:
            return None
        axis, index = self._view.cut.axis, self._view.index
        shape = brush.square if options.shape is BrushShape.SQUARE else brush.disk
        box, mask = shape(volume.geometry, point, point, options.radius_mm, axis)
        if box.is_empty:
            return None
        found = adaptive.taken(
            volume.voxels, volume.geometry, box, mask, point, options.radius_mm, axis, options.deviations
        )
        return EditPreview(self._color(), index, mask=(box, found))

    def resize(self, steps: int) -> None:
        """Make the brush larger or smaller."""
        options = self._painting.options
        self._painting.set_options(replace(options, radius_mm=options.radius_mm * _RESIZED**steps))
