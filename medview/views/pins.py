"""Remarks at places, on a slice: a pin with its point there, and the first words beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vtkmodules.vtkRenderingCore import vtkRenderer

from medview.core.geometry import Geometry, Point
from medview.core.planes import SlicePlane
from medview.core.segmentation import Color
from medview.views.picking import SliceCamera
from medview.views.screen_actors import Pixel, ScreenLines, ScreenText

PIN_COLOR: Color = (255, 214, 10)
_RIM_COLOR: Color = (0, 0, 0)
_HEAD_PX, _HEIGHT_PX = 5.0, 15.0
_WORDS_PX, _LONGEST_PX = 12.0, 220.0
_CORNERS = 12


@dataclass(frozen=True, slots=True)
class Pin:
    """A remark and its place: x, y, z, LPS, mm."""

    point: Point
    words: str


class PinLayer:
    """Draws the pins of a slice."""

    def __init__(self, renderer: vtkRenderer) -> None:
        self._renderer = renderer
        self._rims = ScreenLines(_RIM_COLOR, 0.8)
        self._lines = ScreenLines(PIN_COLOR)
        self._words: list[ScreenText] = []
        for one in (self._rims, self._lines):
            renderer.AddViewProp(one.actor)
            one.hide()

    def close(self) -> None:
        """Take everything out of the scene."""
        for actor in (self._rims.actor, self._lines.actor, *(words.actor for words in self._words)):
            self._renderer.RemoveViewProp(actor)

    def hide(self) -> None:
        """Draw nothing."""
        for lines in (self._rims, self._lines):
            lines.hide()
        for words in self._words:
            words.hide()

    def draw(self, pins: Sequence[Pin], camera: SliceCamera, scale: float) -> None:
        """Draw these pins.

        Args:
            pins: Those whose points lie on the slice.
            camera: What the view looks at.
            scale: Device pixels for each logical pixel.
        """
        places = [camera.pixel_of(pin.point) for pin in pins]
        lines = [line for place in places for line in _pin(place, scale)]
        self._rims.draw(lines, 3.5 * scale)
        self._lines.draw(lines, 1.7 * scale)
        while len(self._words) < len(pins):
            self._words.append(ScreenText("left", "center", PIN_COLOR, boxed=True))
            self._renderer.AddViewProp(self._words[-1].actor)
        for words in self._words[len(pins) :]:
            words.hide()
        for words, pin, (x, y) in zip(self._words, pins, places, strict=False):
            beside = (x + (_HEAD_PX + 5) * scale, y + _HEIGHT_PX * scale)
            words.draw([pin.words.splitlines()[0]], beside, _WORDS_PX * scale, _LONGEST_PX * scale)


def on_slice(pins: Sequence[Pin], geometry: Geometry, cut: SlicePlane, index: int) -> tuple[Pin, ...]:
    """The pins whose points lie on a slice: nearer to it than to the next one."""
    return tuple(pin for pin in pins if round(float(geometry.to_index(pin.point)[cut.axis])) == index)


def _pin(tip: Pixel, scale: float) -> list[list[Pixel]]:
    """A needle, and a ring at its upper end."""
    x, y = tip
    radius, middle = _HEAD_PX * scale, y + _HEIGHT_PX * scale
    turns = [2 * math.pi * n / _CORNERS for n in range(_CORNERS + 1)]
    ring = [(x + radius * math.sin(turn), middle - radius * math.cos(turn)) for turn in turns]
    return [[(x, y), (x, middle - radius)], ring]
