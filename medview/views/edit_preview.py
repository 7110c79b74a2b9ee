"""What a tool is about to do, drawn on a slice: outlines, corners, a fill in the colour of the segment, a word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from vtkmodules.vtkRenderingCore import vtkProp, vtkRenderer

from medview.core.geometry import Box, Floats, Geometry, Point
from medview.core.planes import SlicePlane
from medview.core.segmentation import Color
from medview.core.text import Text
from medview.views.overlay import corners_of
from medview.views.picking import SliceCamera
from medview.views.screen_actors import Pixel, ScreenLines, ScreenText, rectangle
from medview.views.texel_sheet import TexelSheet

_RIM_COLOR: Color = (0, 0, 0)
_RIM_OPACITY = 0.75
REMOVED_COLOR: Color = (255, 92, 80)
"""Of what a tool would take away."""
_FILL_OPACITY = 0.5
_HATCH_PX = 7.0
_HATCH_OPACITY = 0.75
INSIDE_COLOR: Color = (96, 235, 130)
"""Of hints at what belongs to a structure."""
OUTSIDE_COLOR: Color = REMOVED_COLOR
_POINT_PX = 4.0
_CORNER_PX = 3.0
_TEXT_PX = 13
_TEXT_GAP_PX = 16
_AROUND = ((-1, -1), (1, 1), (-1, 1), (1, -1))
_THICK = ((0.0, 0.0), (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))


@dataclass(frozen=True, slots=True, eq=False)
class EditPreview:
    """What to draw.

    Attributes:
        color: Of the segment in work, or `REMOVED_COLOR`.
        index: The slice that it is drawn on; None: on any.
        lines: Polylines, (n, 3) x, y, z, LPS, mm each.
        corners: (n, 3): points that are marked.
        mask: A box of the grid and, (k, j, i) bool of its shape, the voxels that are filled; slices outside of the box
            have none.
        outlined: Whether the fill has an outline; one of scattered voxels would be all outline.
        text: A word beside the mouse.
        at: Where the mouse is, LPS, mm.
        hints: Where the reader says that the structure is (True), and is not: (n, 3) x, y, z each; of one place, a dot.
        hatched: Whether the fill is of lines: it is what a model proposes, and not in the segment.
    """

    color: Color
    index: int | None = None
    lines: tuple[Floats, ...] = ()
    corners: Floats | None = None
    mask: tuple[Box, NDArray[np.bool_]] | None = None
    outlined: bool = True
    text: Text | None = None
    at: Point | None = None
    hints: tuple[tuple[bool, Floats], ...] = ()
    hatched: bool = False


class EditPreviewLayer:
    """Draws it in one slice view."""

    def __init__(self, renderer: vtkRenderer) -> None:
        self._renderer = renderer
        self._sheet = TexelSheet()
        self._rims = ScreenLines(_RIM_COLOR, _RIM_OPACITY)
        self._lines = ScreenLines((255, 255, 255))
        self._inside, self._outside = ScreenLines(INSIDE_COLOR), ScreenLines(OUTSIDE_COLOR)
        self._text = ScreenText("left", "top", (255, 255, 255), boxed=True)
        self._filled: tuple[EditPreview, int] | None = None
        for actor in self._actors():
            renderer.AddViewProp(actor)
            actor.VisibilityOff()

    def close(self) -> None:
        """Take everything out of the scene."""
        for actor in self._actors():
            self._renderer.RemoveViewProp(actor)

    def hide(self) -> None:
        """Draw nothing."""
        self._filled = None
        for actor in self._actors():
            actor.VisibilityOff()

    def draw(
        self,
        preview: EditPreview | None,
        geometry: Geometry,
        cut: SlicePlane,
        index: int,
        camera: SliceCamera,
        scale: float,
        translate: Callable[[str], str],
    ) -> None:
        """Draw a preview on the slice shown; None: there is none.

        Args:
            preview: What.
            geometry: The grid.
            cut: How the slice cuts it.
            index: Which slice.
            camera: What the view looks at.
            scale: Device pixels for each logical pixel.
            translate: From an English template to another language's.
        """
        if preview is None or preview.index not in (None, index):
            self.hide()
            return
        width = max(1, round(1.25 * scale))
        lines = [_polyline(line, camera) for line in preview.lines]
        size = _CORNER_PX * scale
        for point in preview.corners if preview.corners is not None else ():
            x, y = camera.pixel_of(point)
            lines.append(rectangle((x - size, y - size), (x + size, y + size)))
        said = [(positive, _hint(points, camera, scale)) for positive, points in preview.hints]
        rims = [_moved(line, dx, dy) for line in lines for dx, dy in _AROUND]
        rims += [_moved(line, 2.0 * dx, 2.0 * dy) for _, line in said for dx, dy in _AROUND]
        self._rims.draw(rims, width)
        # wide lines are not drawn everywhere: several thin ones are
        for layer, wanted in ((self._inside, True), (self._outside, False)):
            layer.draw([_moved(line, dx, dy) for sign, line in said if sign is wanted for dx, dy in _THICK], width)
        self._lines.draw(lines, width)
        self._lines.recolour(preview.color)
        self._fill(preview, geometry, cut, index, scale)
        if preview.text is not None and preview.at is not None:
            x, y = camera.pixel_of(preview.at)
            self._text.recolour(preview.color)
            gap = _TEXT_GAP_PX * scale
            self._text.draw([preview.text.render(translate)], (x + gap, y - gap), _TEXT_PX * scale)
        else:
            self._text.hide()

    def _fill(self, preview: EditPreview, geometry: Geometry, cut: SlicePlane, index: int, scale: float) -> None:
        if (
            preview.mask is None
            or preview.mask[0].is_empty
            or not preview.mask[0].start[cut.axis] <= index < preview.mask[0].stop[cut.axis]
        ):
            self._filled = None
            self._sheet.actor.VisibilityOff()
            return
        outline_px = max(1.0, scale) if preview.outlined else 0.0
        if preview.hatched:
            self._sheet.set_look(_HATCH_OPACITY, 2 * outline_px, _HATCH_PX * scale)
        else:
            self._sheet.set_look(_FILL_OPACITY, outline_px)
        self._sheet.actor.VisibilityOn()
        if self._filled is not None and self._filled[0] is preview and self._filled[1] == index:
            return
        self._filled = preview, index
        box, mask = preview.mask
        part = np.take(mask, index - box.start[cut.axis], axis=cut.axis)
        if cut.up_axis > cut.right_axis:
            part = part.T
        self._sheet.resize(*part.shape)
        kind = np.array([(*preview.color, 255)], dtype=np.uint8).view(np.uint32)[0, 0]
        self._sheet.texels[part] = kind
        self._sheet.texels_changed()
        self._sheet.place(corners_of(geometry, box, cut, index, 0.6 * min(geometry.spacing_mm)))

    def _actors(self) -> tuple[vtkProp, ...]:
        drawn = (self._rims, self._lines, self._inside, self._outside, self._text)
        return (self._sheet.actor, *(one.actor for one in drawn))


def _polyline(points: Floats, camera: SliceCamera) -> list[Pixel]:
    return [camera.pixel_of(point) for point in points]


def _hint(points: Floats, camera: SliceCamera, scale: float) -> list[Pixel]:
    """A line of a hint; a dot for one place."""
    if len(points) > 1:
        return _polyline(points, camera)
    x, y = camera.pixel_of(points[0])
    size = _POINT_PX * scale
    return rectangle((x - size, y - size), (x + size, y + size))


def _moved(line: list[Pixel], x: float, y: float) -> list[Pixel]:
    return [(a + x, b + y) for a, b in line]
