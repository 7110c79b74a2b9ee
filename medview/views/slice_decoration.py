"""Everything on a slice view that is not the picture: text, letters, scale bar, crosshair, frame, brush."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from vtkmodules.vtkRenderingCore import vtkRenderer

from medview.core.geometry import Geometry, Point
from medview.core.planes import Plane, slice_plane
from medview.core.segmentation import Color
from medview.views.annotations import Corners, edge_letters, scale_bar
from medview.views.picking import SliceCamera
from medview.views.screen_actors import Pixel, ScreenLines, ScreenText, broken, circle, rectangle

PLANE_COLORS = MappingProxyType(
    {Plane.AXIAL: (255, 92, 80), Plane.SAGITTAL: (245, 205, 70), Plane.CORONAL: (95, 207, 128)}
)
"""sRGB of a plane's frame, and of its line in the other planes' crosshairs."""
TEXT_COLOR: Color = (230, 232, 235)
QUIET_COLOR: Color = (178, 186, 196)
LETTER_COLOR: Color = (255, 214, 130)

_TEXT_PX = 13
_SMALL_TEXT_PX = 11
_SMALL_WIDTH_PX = 420
_LETTER_PX = 16
_MARGIN_PX = 9
_GAP_PX = 14
_LEAST_WIDTH_FOR_TEXT_PX = 240
_LEAST_LINES = 3
_BAR_SHARE = 0.28
_WIDTH_BESIDE_BAR = 0.5 * (1 - _BAR_SHARE) + 0.04
"""The letters of a text are narrower than it is reckoned with, as a rule."""
_TEXT_SHARE = 0.15
"""How much of the height a block of text may take up; its last lines are the least important ones."""
_FRAME_OPACITY = 0.6


@dataclass(frozen=True, slots=True)
class BrushCursor:
    """Where the brush is: a circle or a square around a point of the patient."""

    center: Point
    radius_mm: float
    color: Color
    is_square: bool = False


class SliceDecoration:
    """The screen actors of one slice view; `draw_*` puts them where the camera of the frame needs them."""

    def __init__(self, renderer: vtkRenderer, plane: Plane, *, framed: bool) -> None:
        self._renderer = renderer
        self._plane = plane
        self._framed = framed
        self._frame = ScreenLines(PLANE_COLORS[plane], _FRAME_OPACITY)
        others = [other for other in Plane if other is not plane]
        self._cross = {other: ScreenLines(PLANE_COLORS[other], 0.75) for other in others}
        self._bar_ground = ScreenLines((0, 0, 0), 0.6)
        self._bar = ScreenLines(TEXT_COLOR)
        self._bar_text = ScreenText("center", "bottom", TEXT_COLOR)
        self._corners = (
            ScreenText("left", "top", TEXT_COLOR),
            ScreenText("right", "top", QUIET_COLOR),
            ScreenText("left", "bottom", QUIET_COLOR),
            ScreenText("right", "bottom", TEXT_COLOR),
        )
        self._letters = (
            ScreenText("left", "center", LETTER_COLOR, bold=True),
            ScreenText("right", "center", LETTER_COLOR, bold=True),
            ScreenText("center", "top", LETTER_COLOR, bold=True),
            ScreenText("center", "bottom", LETTER_COLOR, bold=True),
        )
        self._brush = ScreenLines((255, 255, 255))
        self._region = ScreenLines((74, 163, 255))
        for actor in self._actors():
            renderer.AddViewProp(actor.actor)
            actor.hide()

    def close(self) -> None:
        """Take everything out of the scene."""
        for actor in self._actors():
            self._renderer.RemoveViewProp(actor.actor)

    def hide(self) -> None:
        """Draw nothing but the frame."""
        for actor in self._actors():
            if actor is not self._frame:
                actor.hide()

    def draw_frame(self, width: int, height: int, scale: float) -> None:
        """The frame in the plane's colour, where the view has one."""
        if self._framed:
            line = max(1, round(scale))
            inset = line / 2
            self._frame.draw([rectangle((inset, inset), (width - inset, height - inset))], line)

    def draw_text(self, corners: Corners, camera: SliceCamera, scale: float, translate: Callable[[str], str]) -> None:
        """The four blocks of text."""
        width, height = camera.width, camera.height
        size = (_TEXT_PX if width >= _SMALL_WIDTH_PX * scale else _SMALL_TEXT_PX) * scale
        margin = _MARGIN_PX * scale
        blocks = (corners.top_left, corners.top_right, corners.bottom_left, corners.bottom_right)
        places = (
            (margin, height - margin),
            (width - margin, height - margin),
            (margin, margin),
            (width - margin, margin),
        )
        most = max(_LEAST_LINES, int(_TEXT_SHARE * height / size)) if width >= _LEAST_WIDTH_FOR_TEXT_PX * scale else 0
        # below, the scale bar stands between the two blocks
        widths = (width / 2, width / 2, _WIDTH_BESIDE_BAR * width, _WIDTH_BESIDE_BAR * width)
        for actor, block, place, room in zip(self._corners, blocks, places, widths, strict=True):
            longest = room - 2.5 * margin
            lines = [part for line in block for part in broken(line.render(translate), longest / size)]
            actor.draw(lines[:most], place, size, longest)

    def draw_letters(self, camera: SliceCamera | None, scale: float) -> None:
        """The patient's directions at the edges; None for a picture that has none."""
        if camera is None:
            for actor in self._letters:
                actor.hide()
            return
        size, margin = _LETTER_PX * scale, _MARGIN_PX * scale
        width, height = camera.width, camera.height
        edges = edge_letters(camera.right, camera.up)
        letters = (edges.left, edges.right, edges.top, edges.bottom)
        places = ((margin, height / 2), (width - margin, height / 2), (width / 2, height - margin), (width / 2, margin))
        for actor, letter, place in zip(self._letters, letters, places, strict=True):
            actor.draw([letter], place, size)

    def hide_text(self) -> None:
        """No corner text, no letters and no scale bar."""
        for actor in (*self._corners, *self._letters, self._bar_ground, self._bar, self._bar_text):
            actor.hide()

    def draw_scale_bar(self, camera: SliceCamera | None, scale: float, translate: Callable[[str], str]) -> None:
        """A bar of a round length above the bottom letter; None where nobody knows how large things are."""
        bar = (
            scale_bar(camera.mm_per_pixel, min(_BAR_SHARE * camera.width, 260 * scale)) if camera is not None else None
        )
        if camera is None or bar is None:
            self._bar_ground.hide()
            self._bar.hide()
            self._bar_text.hide()
            return
        middle, base = camera.width / 2, (_MARGIN_PX + 26) * scale
        left, right, tick = middle - bar.pixels / 2, middle + bar.pixels / 2, 4 * scale
        line = [(left, base + tick), (left, base), (right, base), (right, base + tick)]
        width = max(1, round(1.5 * scale))
        # A dark line around it: many OpenGL drivers draw no lines thicker than a pixel, to lie behind.
        out, top = float(width), base + tick + width
        self._bar_ground.draw(
            [
                [
                    *((left - out, top), (left - out, base - out), (right + out, base - out), (right + out, top)),
                    *((right - out, top), (right - out, base + out), (left + out, base + out), (left + out, top)),
                    (left - out, top),
                ]
            ],
            width,
        )
        self._bar.draw([line], width)
        self._bar_text.draw([bar.text.render(translate)], (middle, base + 5 * scale), 12 * scale)

    def draw_crosshair(self, geometry: Geometry, cursor: Point, camera: SliceCamera, scale: float) -> None:
        """The lines along which the other two slices cut this one, with a gap around the point."""
        x, y = camera.pixel_of(cursor)
        x, y = round(x - 0.5) + 0.5, round(y - 0.5) + 0.5
        gap, width, height = _GAP_PX * scale, camera.width, camera.height
        own = slice_plane(geometry, self._plane)
        upright = [[(x, 0.0), (x, y - gap)], [(x, y + gap), (x, float(height))]]
        level = [[(0.0, y), (x - gap, y)], [(x + gap, y), (float(width), y)]]
        for plane, actor in self._cross.items():
            lines = upright if slice_plane(geometry, plane).axis == own.right_axis else level
            actor.draw(lines, max(1, round(scale)))

    def hide_crosshair(self) -> None:
        """No crosshair."""
        for actor in self._cross.values():
            actor.hide()

    def draw_brush(self, brush: BrushCursor | None, camera: SliceCamera, scale: float) -> None:
        """The outline of the brush; None for no brush."""
        if brush is None:
            self._brush.hide()
            return
        self._brush.recolour(brush.color)
        (x, y), radius = camera.pixel_of(brush.center), max(brush.radius_mm / camera.mm_per_pixel, 1.5)
        corners = (x - radius, y - radius), (x + radius, y + radius)
        outline = rectangle(*corners) if brush.is_square else circle((x, y), radius)
        self._brush.draw([outline], max(1, round(1.25 * scale)))

    def draw_region(self, corners: tuple[Pixel, Pixel] | None, scale: float) -> None:
        """A rectangle that is being drawn with the mouse."""
        if corners is None:
            self._region.hide()
        else:
            self._region.draw([rectangle(*corners)], max(1, round(scale)))

    def _actors(self) -> tuple[ScreenLines | ScreenText, ...]:
        return (
            *self._cross.values(),
            self._bar_ground,
            self._bar,
            self._bar_text,
            *self._corners,
            *self._letters,
            self._brush,
            self._region,
            self._frame,
        )
