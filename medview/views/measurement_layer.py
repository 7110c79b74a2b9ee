"""The measurements on a slice: lines with a dark rim, handles, and numbers in a box, on dark and on bright ground."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from vtkmodules.vtkRenderingCore import vtkRenderer

from medview.core.geometry import Floats, Geometry
from medview.core.measurement import Measurement, MeasurementId, MeasurementKind
from medview.core.segmentation import Color
from medview.views.measured_text import lines_of
from medview.views.measurement_shapes import crossings, is_drawn_on, outline
from medview.views.picking import SliceCamera
from medview.views.screen_actors import Pixel, ScreenLines, ScreenText, circle, text_width

LINE_COLOR: Color = (110, 230, 255)
STRONG_COLOR: Color = (255, 178, 66)
_WARNING_COLOR: Color = (255, 206, 92)
_RIM_COLOR: Color = (0, 0, 0)
_TEXT_PX = 13
_LINE_HEIGHT = 1.35
_TEXT_GAP_PX = 12
_TICK_PX = 5
_HANDLE_PX = 4
_MARK_PX = 4
_LEAST_PIECE_PX = 8


@dataclass(frozen=True, slots=True)
class Shown:
    """What a view is told to draw.

    Attributes:
        measurements: All of the volume.
        draft: What is being drawn; None when nothing is.
        strong: Those that stand out: the selected one, and the one under the mouse.
    """

    measurements: tuple[Measurement, ...] = ()
    draft: Measurement | None = None
    strong: frozenset[MeasurementId] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class _Here:
    """A measurement as one slice has it: whole where it was drawn, in pieces where it crosses."""

    one: Measurement
    strong: bool
    pieces: tuple[Floats, ...] | None


class MeasurementLayer:
    """The screen actors of the measurements of one slice view."""

    def __init__(self, renderer: vtkRenderer) -> None:
        self._renderer = renderer
        self._rims = ScreenLines(_RIM_COLOR, 0.75)
        self._lines = ScreenLines(LINE_COLOR)
        self._strong = ScreenLines(STRONG_COLOR)
        self._texts: list[ScreenText] = []
        self._shown = Shown()
        self._here: tuple[_Here, ...] = ()
        self._drawn_for: object = None
        for actor in (self._rims, self._lines, self._strong):
            renderer.AddViewProp(actor.actor)
            actor.hide()

    def close(self) -> None:
        """Take everything out of the scene."""
        for actor in self._actors():
            self._renderer.RemoveViewProp(actor.actor)

    def show(self, shown: Shown) -> None:
        """Take what there is; `cut` says what of it a slice has."""
        self._shown = shown

    def cut(self, geometry: Geometry, axis: int, index: int) -> bool:
        """Look what of the measurements a slice has; whether that is something else than before."""
        everything = (*self._shown.measurements, *((self._shown.draft,) if self._shown.draft is not None else ()))
        here = []
        for one in everything:
            strong = one is self._shown.draft or one.id in self._shown.strong
            if is_drawn_on(one, geometry, axis, index):
                here.append(_Here(one, strong, None))
            elif one.drawn_on is not None and one.drawn_on.axis != axis:
                pieces = crossings(one, geometry, axis, index)
                if pieces:
                    here.append(_Here(one, strong, tuple(pieces)))
        before, self._here = self._here, tuple(here)
        if [(id(one.one), one.strong) for one in before] == [(id(one.one), one.strong) for one in here]:
            return False
        self._drawn_for = None
        return True

    @property
    def whole(self) -> tuple[Measurement, ...]:
        """The finished measurements that were drawn on this slice: those that the mouse can take hold of."""
        return tuple(one.one for one in self._here if one.pieces is None and one.one is not self._shown.draft)

    def hide(self) -> None:
        """Draw nothing."""
        self._drawn_for = None
        for actor in self._actors():
            actor.hide()

    def draw(self, camera: SliceCamera, scale: float, translate: Callable[[str], str]) -> None:
        """Put everything where the camera of the frame needs it; costs nothing when that is where it is."""
        wanted = (camera, scale, translate("Mean"))
        if wanted == self._drawn_for:
            return
        self._drawn_for = wanted
        plain: list[Sequence[Pixel]] = []
        strong: list[Sequence[Pixel]] = []
        texts: list[tuple[_Here, list[str], Floats]] = []
        for here in self._here:
            lines = strong if here.strong else plain
            if here.pieces is not None:
                lines.extend(_crossing(here.pieces, camera, scale))
                continue
            drawn = [_pixels(line, camera) for line in outline(here.one.kind, here.one.points)]
            places = _pixels(here.one.points, camera)
            lines.extend(_polyline(line) for line in drawn)
            lines.extend(_ends(here, drawn, places, scale))
            words = [line.render(translate) for line in lines_of(here.one)]
            if words:
                texts.append((here, words, np.vstack([*drawn, places])))
        width = max(1, round(scale))
        self._rims.draw([shifted for line in (*plain, *strong) for shifted in _around(line, width)], width)
        self._lines.draw(plain, width)
        self._strong.draw([shifted for line in strong for shifted in _thick(line, width)], width)
        self._write(texts, camera, scale)

    def _actors(self) -> tuple[ScreenLines | ScreenText, ...]:
        return (self._rims, self._lines, self._strong, *self._texts)

    def _write(self, texts: list[tuple[_Here, list[str], Floats]], camera: SliceCamera, scale: float) -> None:
        while len(self._texts) < len(texts):
            text = ScreenText("left", "center", LINE_COLOR, boxed=True)
            self._texts.append(text)
            self._renderer.AddViewProp(text.actor)
        for text in self._texts[len(texts) :]:
            text.hide()
        for actor, (here, words, pixels) in zip(self._texts, texts, strict=False):
            doubtful = here.one.doubtful is not None
            color = STRONG_COLOR if here.strong else _WARNING_COLOR if doubtful else LINE_COLOR
            actor.recolour(color)
            size = _TEXT_PX * scale
            wide = max(text_width(line) for line in words) * size
            high = len(words) * _LINE_HEIGHT * size
            actor.draw(words, _beside(pixels, wide, high, camera, scale), size)


def _beside(pixels: Floats, wide: float, high: float, camera: SliceCamera, scale: float) -> Pixel:
    """The middle of a text's left edge: right of what it belongs to, left where there is no room, never outside."""
    gap, margin = _TEXT_GAP_PX * scale, 4 * scale
    rightmost = pixels[int(np.argmax(pixels[:, 0]))]
    x = float(rightmost[0]) + gap
    if x + wide > camera.width - margin:
        x = float(pixels[:, 0].min()) - gap - wide
    x = min(max(x, margin), max(camera.width - wide - margin, margin))
    y = min(max(float(rightmost[1]), high / 2 + margin), max(camera.height - high / 2 - margin, high / 2 + margin))
    return x, y


def _ends(here: _Here, drawn: list[Floats], places: Floats, scale: float) -> list[list[Pixel]]:
    """What marks the points: handles where the mouse is, else small ticks across the ends of a line."""
    marks: list[list[Pixel]] = []
    if here.one.kind is MeasurementKind.POINT:
        x, y = places[0]
        reach, gap = 7 * scale, 2 * scale
        marks += [[(x - reach, y), (x - gap, y)], [(x + gap, y), (x + reach, y)]]
        marks += [[(x, y - reach), (x, y - gap)], [(x, y + gap), (x, y + reach)]]
    if here.strong:
        return marks + [circle((x, y), _HANDLE_PX * scale, 16) for x, y in places]
    if here.one.kind in (MeasurementKind.LENGTH, MeasurementKind.ANGLE):
        for line in drawn:
            for end, inner in ((line[0], line[1]), (line[-1], line[-2])):
                way = inner - end
                length = float(np.hypot(*way))
                if length > 0:
                    across = np.array([-way[1], way[0]]) / length * _TICK_PX * scale
                    marks.append(_polyline(np.array([end - across, end + across])))
    return marks


def _crossing(pieces: Sequence[Floats], camera: SliceCamera, scale: float) -> list[list[Pixel]]:
    """Where a measurement of another plane comes through: a lozenge, and the piece itself where it is long enough."""
    lines = []
    reach = _MARK_PX * scale
    pixels = [_pixels(piece, camera) for piece in pieces]
    long = [line for line in pixels if float(np.hypot(*(line[1] - line[0]))) >= _LEAST_PIECE_PX * scale]
    for line in pixels if not long else ():
        x, y = line.mean(axis=0)
        lines.append([(x - reach, y), (x, y + reach), (x + reach, y), (x, y - reach), (x - reach, y)])
    return lines + [_polyline(line) for line in long]


def _pixels(points: Floats, camera: SliceCamera) -> Floats:
    """(n, 3) LPS, mm -> (n, 2) device pixels."""
    return np.array([camera.pixel_of(point) for point in points])


def _polyline(pixels: Floats) -> list[Pixel]:
    return [(float(x), float(y)) for x, y in pixels]


def _around(line: Sequence[Pixel], width: int) -> list[list[Pixel]]:
    """A line's dark rim: many OpenGL drivers draw no lines thicker than a pixel, to lie behind."""
    shifts = ((-width, -width), (width, width), (-width, width), (width, -width), (2 * width, 0), (0, -2 * width))
    return [[(x + dx, y + dy) for x, y in line] for dx, dy in shifts]


def _thick(line: Sequence[Pixel], width: int) -> list[list[Pixel]]:
    return [[(x + dx, y + dy) for x, y in line] for dx, dy in ((0, 0), (width, 0), (0, -width))]
