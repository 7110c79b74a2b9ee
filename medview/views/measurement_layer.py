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
from medview.views.measurement_shapes import crossings, is_drawn_on, outline, turn_handle
from medview.views.picking import SliceCamera
from medview.views.screen_actors import Pixel, ScreenLines, ScreenText, circle, shows_whole, text_width

LINE_COLOR: Color = (110, 230, 255)
STRONG_COLOR: Color = (255, 178, 66)
_WARNING_COLOR: Color = (255, 206, 92)
_RIM_COLOR: Color = (0, 0, 0)
_TEXT_PX = 13
_LINE_HEIGHT = 1.35
_TEXT_GAP_PX = 12
_TICK_PX = 5
_HANDLE_PX = 4
TURN_PX = 22
"""How far outside of an ellipse or a rectangle the handle lies that turns it, logical pixels."""
_MARK_PX = 4
_LEAST_PIECE_PX = 8
_BETWEEN = 24
_COVERED_TEXT = 1000
"""How many points of lines a text would rather cover than another text."""
Box2 = tuple[float, float, float, float]
"""Left, bottom, right and top, device pixels."""


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
        for actor in self._actors():
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
            words = _words(here.one, translate)
            if words:
                texts.append((here, words, np.vstack([*(_dense(line) for line in drawn), places])))
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
        size = _TEXT_PX * scale
        lines = np.vstack([pixels for _, _, pixels in texts]) if texts else np.empty((0, 2))
        taken: list[Box2] = []
        for actor, (here, words, pixels) in zip(self._texts, texts, strict=False):
            color = _WARNING_COLOR if here.one.doubtful is not None else LINE_COLOR
            actor.recolour(STRONG_COLOR if here.strong else color)
            wide = max(text_width(line) for line in words) * size
            box = _free_place(pixels, (wide, len(words) * _LINE_HEIGHT * size), lines, taken, camera, scale)
            taken.append(box)
            actor.draw(words, (box[0], (box[1] + box[3]) / 2), size)


def _words(one: Measurement, translate: Callable[[str], str]) -> list[str]:
    """The lines beside a measurement; without its label where no font has that together with the numbers."""
    words = [line.render(translate) for line in lines_of(one)]
    return words if not one.label or shows_whole("\n".join(words)) else words[1:]


def _free_place(
    pixels: Floats,
    size: tuple[float, float],
    lines: Floats,
    taken: Sequence[Box2],
    camera: SliceCamera,
    scale: float,
) -> Box2:
    """Where a text covers least: right of what it belongs to, left, below, above; never outside the view.

    Args:
        pixels: (n, 2) of what it belongs to.
        size: Of the text, width and height.
        lines: (n, 2) of everything drawn.
        taken: The boxes of the texts before it.
        camera: For the size of the view.
        scale: Device pixels for each logical pixel.
    """
    gap, margin = _TEXT_GAP_PX * scale, 4 * scale
    wide, high = size
    right, left = pixels[int(np.argmax(pixels[:, 0]))], pixels[int(np.argmin(pixels[:, 0]))]
    low, top = pixels[int(np.argmin(pixels[:, 1]))], pixels[int(np.argmax(pixels[:, 1]))]
    places = (
        (right[0] + gap, right[1] - high / 2),
        (left[0] - gap - wide, left[1] - high / 2),
        (low[0] - wide / 2, low[1] - gap - high),
        (top[0] - wide / 2, top[1] + gap),
    )
    best, least = (0.0, 0.0, 0.0, 0.0), float("inf")
    for x, y in places:
        x = min(max(float(x), margin), max(camera.width - wide - margin, margin))
        y = min(max(float(y), margin), max(camera.height - high - margin, margin))
        box = (x, y, x + wide, y + high)
        cost = _COVERED_TEXT * sum(_meet(box, other) for other in taken) + _points_in(box, lines)
        if cost < least:
            best, least = box, cost
    return best


def _meet(one: Box2, other: Box2) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _points_in(box: Box2, points: Floats) -> int:
    inside = (points > (box[0], box[1])) & (points < (box[2], box[3]))
    return int(inside.all(axis=1).sum())


def _ends(here: _Here, drawn: list[Floats], places: Floats, scale: float) -> list[list[Pixel]]:
    """What marks the points: handles where the mouse is, else small ticks across the ends of a line."""
    marks: list[list[Pixel]] = []
    if here.one.kind is MeasurementKind.POINT:
        x, y = places[0]
        reach, gap = 7 * scale, 2 * scale
        marks += [[(x - reach, y), (x - gap, y)], [(x + gap, y), (x + reach, y)]]
        marks += [[(x, y - reach), (x, y - gap)], [(x, y + gap), (x, y + reach)]]
    if here.strong:
        marks += [circle((x, y), _HANDLE_PX * scale, 16) for x, y in places]
        turn = turn_handle(here.one.kind, places, TURN_PX * scale)
        if turn is not None:
            x, y = (float(value) for value in turn)
            marks += [circle((x, y), _HANDLE_PX * scale, 16), circle((x, y), _HANDLE_PX * scale / 2, 8)]
        return marks
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


def _dense(line: Floats) -> Floats:
    """A polyline with some points between its own, so that one sees what would cover it."""
    shares = np.linspace(0, 1, _BETWEEN)[:, None, None]
    if len(line) > _BETWEEN:
        return line
    between: Floats = (line[:-1] + shares * (line[1:] - line[:-1])).reshape(-1, 2)
    return between


def _polyline(pixels: Floats) -> list[Pixel]:
    return [(float(x), float(y)) for x, y in pixels]


def _around(line: Sequence[Pixel], width: int) -> list[list[Pixel]]:
    """A line's dark rim: many OpenGL drivers draw no lines thicker than a pixel, to lie behind."""
    shifts = ((-width, -width), (width, width), (-width, width), (width, -width), (2 * width, 0), (0, -2 * width))
    return [[(x + dx, y + dy) for x, y in line] for dx, dy in shifts]


def _thick(line: Sequence[Pixel], width: int) -> list[list[Pixel]]:
    return [[(x + dx, y + dy) for x, y in line] for dx, dy in ((0, 0), (width, 0), (0, -width))]
