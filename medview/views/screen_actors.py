"""Lines and text that lie on the screen, not in the patient."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType

from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor2D, vtkPolyDataMapper2D, vtkTextActor

from medview.core.segmentation import Color
from medview.views.fonts import Spelling, spelled

Pixel = tuple[float, float]
_FONT_FROM_FILE = 4
"""VTK_FONT_FILE."""
_HORIZONTAL = MappingProxyType({"left": 0, "center": 1, "right": 2})
_VERTICAL = MappingProxyType({"bottom": 0, "center": 1, "top": 2})
"""VTK's numbers of the ways to align."""
_BOX_OPACITY, _FRAME_SHARE = 0.78, 0.55
_NARROW_SHARE, _WIDE_SHARE = 0.51, 1.0
"""Mean width of a character, as a share of the font's size; wide ones are those of East Asian scripts."""
_FACTS = re.compile(r"(\s{2,}|^)((?:\S|\s(?!\s))+)")
"""A gap, and what stands behind it up to the next one."""


class ScreenLines:
    """Open or closed polylines in one colour, in device pixels from the bottom left corner of the view."""

    def __init__(self, color: Color, opacity: float = 1.0) -> None:
        self.actor = vtkActor2D()
        self._data = vtkPolyData()
        mapper = vtkPolyDataMapper2D()
        mapper.SetInputData(self._data)
        self.actor.SetMapper(mapper)
        self.actor.PickableOff()
        self.actor.GetProperty().SetOpacity(opacity)
        self.recolour(color)

    def recolour(self, color: Color) -> None:
        """Take another colour."""
        self.actor.GetProperty().SetColor(*(value / 255 for value in color))

    def draw(self, lines: Sequence[Sequence[Pixel]], width: float = 1.0) -> None:
        """Draw these polylines and no others."""
        points, cells = vtkPoints(), vtkCellArray()
        for line in lines:
            ids = [points.InsertNextPoint(x, y, 0.0) for x, y in line]
            cells.InsertNextCell(len(ids), ids)
        self._data.SetPoints(points)
        self._data.SetLines(cells)
        self._data.Modified()
        self.actor.GetProperty().SetLineWidth(max(1.0, width))
        self.actor.SetVisibility(bool(lines))

    def hide(self) -> None:
        """Draw nothing."""
        self.actor.VisibilityOff()


class ScreenText:
    """A block of text that hangs on a point of the view: left, centre or right; top, centre or bottom.

    A boxed one has a dark ground and a frame in its colour, so that it can be read on any picture.
    """

    def __init__(
        self, horizontal: str, vertical: str, color: Color, *, bold: bool = False, boxed: bool = False
    ) -> None:
        self.actor = vtkTextActor()
        self.actor.SetTextScaleModeToNone()
        self.actor.PickableOff()
        look = self.actor.GetTextProperty()
        look.SetFontFamilyToArial()
        look.SetBold(bold)
        look.ShadowOn()
        look.SetShadowOffset(1, -1)
        look.SetLineSpacing(1.2)
        look.SetBackgroundColor(0.0, 0.0, 0.0)
        look.SetBackgroundOpacity(_BOX_OPACITY if boxed else 0.4)
        look.SetFrame(boxed)
        look.SetJustification(_HORIZONTAL[horizontal])
        look.SetVerticalJustification(_VERTICAL[vertical])
        self._font: Path | None = None
        self.recolour(color)

    def recolour(self, color: Color) -> None:
        """Take another colour."""
        look = self.actor.GetTextProperty()
        look.SetColor(*(value / 255 for value in color))
        look.SetFrameColor(*(value / 255 * _FRAME_SHARE for value in color))

    def draw(self, lines: Sequence[str], at: Pixel, size_px: float, longest_px: float = math.inf) -> None:
        """Put lines at a point; lines longer than `longest_px` are cut off with an ellipsis."""
        whole = "\n".join(line for line in map(drawable, lines) if line)
        spelling = spelled(whole) or Spelling(whole)
        text = "\n".join(elided(line, longest_px / size_px) for line in spelling.text.split("\n"))
        self.actor.SetVisibility(bool(text))
        if not text:
            return
        self._use(spelling.font)
        self.actor.GetTextProperty().SetFontSize(max(6, round(size_px)))
        self.actor.SetInput(text)
        self.actor.SetPosition(round(at[0]), round(at[1]))

    def hide(self) -> None:
        """Draw nothing."""
        self.actor.VisibilityOff()

    def _use(self, font: Path | None) -> None:
        if font == self._font:
            return
        look = self.actor.GetTextProperty()
        if font is None:
            look.SetFontFamilyToArial()
        else:
            look.SetFontFile(str(font))
            look.SetFontFamily(_FONT_FROM_FILE)
        self._font = font


def legible(translate: Callable[[str], str]) -> Callable[[str], str]:
    """Like `translate`, but in English where no font at hand draws a translation together with figures."""

    def told(template: str) -> str:
        other = translate(template)
        return other if shows_whole(other) else template

    return told


def shows_whole(text: str) -> bool:
    """Whether some font draws all of a text."""
    spelling = spelled(text)
    return spelling is not None and spelling.is_whole


def drawable(text: str) -> str:
    """The text if some font has it, else its letters without marks, else nothing."""
    text = "".join(letter for letter in text if letter.isprintable())
    if spelled(text) is not None:
        return text
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return plain if any(letter.isalnum() for letter in plain) else ""


def elided(text: str, longest: float) -> str:
    """A text of at most `longest` times the font's size, by the usual width of its characters."""
    used = 0.0
    for number, letter in enumerate(text):
        used += _WIDE_SHARE if unicodedata.east_asian_width(letter) in "WF" else _NARROW_SHARE
        if used > longest and number < len(text) - 1:
            return text[: max(number - 1, 0)].rstrip() + "..."
    return text


def broken(text: str, longest: float) -> list[str]:
    """A line of facts with wide gaps between them, as the lines that it takes so that no fact is cut.

    Args:
        text: Facts, two spaces or more apart.
        longest: The width that there is, in sizes of the font.
    """
    lines: list[str] = []
    for gap, fact in _FACTS.findall(text):
        if lines and text_width(lines[-1] + gap + fact) <= longest:
            lines[-1] += gap + fact
        else:
            lines.append(fact)
    return lines or [text]


def text_width(text: str) -> float:
    """How wide a text is, in times the font's size, by the usual width of its characters."""
    spelling = spelled(text)
    text = spelling.text if spelling is not None else text
    return sum(_WIDE_SHARE if unicodedata.east_asian_width(letter) in "WF" else _NARROW_SHARE for letter in text)


def circle(center: Pixel, radius_px: float, steps: int = 96) -> list[Pixel]:
    """A closed polyline around a point."""
    angles = (2 * math.pi * number / steps for number in range(steps + 1))
    return [(center[0] + radius_px * math.cos(a), center[1] + radius_px * math.sin(a)) for a in angles]


def rectangle(one: Pixel, other: Pixel) -> list[Pixel]:
    """A closed polyline through two opposite corners."""
    (x, y), (u, v) = one, other
    return [(x, y), (u, y), (u, v), (x, v), (x, y)]
