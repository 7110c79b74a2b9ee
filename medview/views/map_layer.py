"""A map of numbers over a slice: colours that are stronger where the numbers are larger, and their legend."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonCore import vtkLookupTable, vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkRenderingCore import vtkActor2D, vtkImageSlice, vtkPolyDataMapper2D, vtkRenderer
from vtkmodules.vtkRenderingImage import vtkImageResliceMapper

from medview.core.segmentation import Color
from medview.core.volume import Volume
from medview.views.picking import SliceCamera
from medview.views.screen_actors import Pixel, ScreenText, shows_whole, text_width
from medview.views.vtk_image import SharedImage, share

_STEPS = 128
_PLASMA: tuple[Color, ...] = (
    (13, 8, 135), (84, 2, 163), (139, 10, 165), (185, 50, 137), (219, 92, 104), (244, 136, 73), (254, 188, 43),
    (240, 249, 33),
)  # fmt: skip
"""Stations of the colour map "plasma" (Smith, van der Walt, matplotlib 1.5): lightness grows evenly, also for eyes that
tell few colours apart."""
_FULL_FROM = 0.5
"""The share of the range from which on a map is as strong as it gets; below it fades out, so that the image is seen."""
_TEXT_PX, _BAR_PX, _MARGIN_PX = 12, 12, 12
_BAR_SHARE, _BAR_FROM = 0.24, 0.6
"""Of the height of the view: between the corner's text and the letter in the middle of the edge."""
_TEXT_COLOR: Color = (230, 232, 235)
_CAPTION_SHARE = 0.36


class MapLayer:
    """The map of one slice view. Draws nothing until it has a volume.

    Args:
        renderer: Where to draw. What is added later lies above it.
    """

    def __init__(self, renderer: vtkRenderer) -> None:
        self._renderer = renderer
        self._volume: Volume | None = None
        self._shared: SharedImage | None = None
        self._table = _table()
        self._picture = _picture(self._table)
        self._bar = _ColorBar()
        self._most = ScreenText("right", "center", _TEXT_COLOR)
        self._least = ScreenText("right", "center", _TEXT_COLOR)
        self._caption = ScreenText("right", "center", _TEXT_COLOR, boxed=True)
        for actor in (self._bar.actor, self._most.actor, self._least.actor, self._caption.actor):
            renderer.AddViewProp(actor)
        renderer.AddViewProp(self._picture)
        self.hide()

    @property
    def volume(self) -> Volume | None:
        """The map."""
        return self._volume

    def show(self, volume: Volume | None) -> bool:
        """Take a map on the grid of the image, or none; whether it is another one."""
        if volume is self._volume:
            return False
        self._volume = volume
        self._renderer.RemoveViewProp(self._picture)  # a mapper keeps the memory of what it has drawn
        if volume is None:
            self._shared = None
            self.hide()
            return True
        window = volume.windows[0]
        self._table.SetTableRange(window.lower, window.upper)
        self._picture = _picture(self._table)
        self._shared = share(volume.voxels, volume.geometry)
        self._picture.GetMapper().SetInputData(self._shared.image)
        self._renderer.AddViewProp(self._picture)
        return True

    def hide(self) -> None:
        """Draw nothing."""
        self._picture.VisibilityOff()
        self.hide_legend()

    def hide_legend(self) -> None:
        """Draw the map alone."""
        self._bar.actor.VisibilityOff()
        for one in (self._most, self._least, self._caption):
            one.hide()

    def draw(self, opacity: float, *, interpolated: bool) -> None:
        """Draw the map in the plane that the renderer's camera looks at.

        Args:
            opacity: 0..1, of the largest values.
            interpolated: Whether values are smoothed between voxels.
        """
        look = self._picture.GetProperty()
        look.SetOpacity(opacity)
        if interpolated:
            look.SetInterpolationTypeToLinear()
        else:
            look.SetInterpolationTypeToNearest()
        self._picture.SetVisibility(self._volume is not None and opacity > 0)

    def draw_legend(self, camera: SliceCamera, scale: float, translate: Callable[[str], str]) -> None:
        """The colours with their numbers, what the map is, and what it is not, at the right edge."""
        volume = self._volume
        if volume is None:
            return
        width, height = camera.width, camera.height
        right, bottom, length = width - _MARGIN_PX * scale, _BAR_FROM * height, _BAR_SHARE * height
        thick = _BAR_PX * scale
        self._bar.draw((right - thick, bottom), (right, bottom + length))
        window, unit = volume.windows[0], f" {volume.unit}" if volume.unit else ""
        beside = right - thick - 5 * scale
        self._most.draw([f"{window.upper:g}{unit}"], (beside, bottom + length - 5 * scale), _TEXT_PX * scale)
        self._least.draw([f"{window.lower:g}{unit}"], (beside, bottom + 5 * scale), _TEXT_PX * scale)
        size = _TEXT_PX * scale
        room = max(_CAPTION_SHARE * width, 120 * scale)
        # its name is in the language of the window, which may have letters that no font here draws
        name = [volume.description] if shows_whole(volume.description) else []
        words = [*name, *([volume.caution.render(translate)] if volume.caution is not None else [])]
        lines = [part for line in words for part in _wrapped(line, room / size)]
        self._caption.draw(lines, (beside - 2 * scale, bottom + length / 2), size, room)

    def close(self) -> None:
        """Take everything out of the scene."""
        for actor in (self._picture, self._bar.actor, self._most.actor, self._least.actor, self._caption.actor):
            self._renderer.RemoveViewProp(actor)
        self._volume, self._shared = None, None


class _ColorBar:
    """The colours, from the lowest below to the highest above."""

    def __init__(self) -> None:
        self.actor = vtkActor2D()
        self._data = vtkPolyData()
        mapper = vtkPolyDataMapper2D()
        mapper.SetInputData(self._data)
        self.actor.SetMapper(mapper)
        self.actor.PickableOff()
        cells = vtkCellArray()
        for n in range(_STEPS - 1):
            cells.InsertNextCell(4, [2 * n, 2 * n + 1, 2 * n + 3, 2 * n + 2])
        self._data.SetPolys(cells)
        colors = np.repeat(np.round(_colors() * 255).astype(np.uint8), 2, axis=0)
        self._data.GetPointData().SetScalars(numpy_to_vtk(colors, deep=True))

    def draw(self, lower_left: Pixel, upper_right: Pixel) -> None:
        """Fill a rectangle of the screen."""
        points = vtkPoints()
        for y in np.linspace(lower_left[1], upper_right[1], _STEPS):
            points.InsertNextPoint(lower_left[0], float(y), 0.0)
            points.InsertNextPoint(upper_right[0], float(y), 0.0)
        self._data.SetPoints(points)
        self._data.Modified()
        self.actor.VisibilityOn()


def _wrapped(text: str, longest: float) -> list[str]:
    """A sentence in lines of at most `longest` times the font's size; Chinese breaks between any two signs."""
    lines = [""]
    for part in re.findall(r"[\u2e80-\uffef]\s*|[^\s\u2e80-\uffef]+\s*", text):
        if lines[-1] and text_width((lines[-1] + part).rstrip()) > longest:
            lines.append("")
        lines[-1] += part
    return [line.rstrip() for line in lines]


def _colors() -> NDArray[np.float64]:
    """(step, 3), 0..1."""
    stations = np.linspace(0, 1, len(_PLASMA))
    shares = np.linspace(0, 1, _STEPS)
    return np.stack([np.interp(shares, stations, [color[n] / 255 for color in _PLASMA]) for n in range(3)], axis=1)


def _table() -> vtkLookupTable:
    table = vtkLookupTable()
    table.SetNumberOfTableValues(_STEPS)
    for number, (red, green, blue) in enumerate(_colors()):
        table.SetTableValue(number, red, green, blue, min(1.0, number / (_STEPS - 1) / _FULL_FROM))
    table.SetNanColor(0.0, 0.0, 0.0, 0.0)
    return table


def _picture(table: vtkLookupTable) -> vtkImageSlice:
    mapper = vtkImageResliceMapper()
    mapper.BorderOn()
    mapper.SliceFacesCameraOn()
    mapper.SliceAtFocalPointOn()
    mapper.AutoAdjustImageQualityOff()
    picture = vtkImageSlice()
    picture.SetMapper(mapper)
    look = picture.GetProperty()
    look.SetLookupTable(table)
    look.UseLookupTableScalarRangeOn()
    picture.ForceTranslucentOn()
    picture.PickableOff()
    picture.VisibilityOff()
    return picture
