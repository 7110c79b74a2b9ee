"""The box inside which plugins look, on a slice: a rectangle with handles, quieter on slices that it does not reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from vtkmodules.vtkRenderingCore import vtkRenderer

from medview.core.geometry import Box, Geometry
from medview.core.planes import SlicePlane
from medview.core.segmentation import Color
from medview.views.picking import SliceCamera
from medview.views.screen_actors import Pixel, ScreenLines, rectangle

BOX_COLOR: Color = (196, 148, 255)
STRONG_BOX_COLOR: Color = (255, 178, 66)
_RIM_COLOR: Color = (0, 0, 0)
_OUTSIDE_OPACITY = 0.45
_HANDLE_PX = 3.0
_CROSS_PX = 6.0


@dataclass(frozen=True, slots=True)
class BoxOnSlice:
    """Where the box is drawn, device pixels.

    Attributes:
        across: x of its two sides, that of the smaller index first.
        upward: y of its other two sides, that of the smaller index first.
        reached: Whether the slice goes through it.
    """

    across: tuple[float, float]
    upward: tuple[float, float]
    reached: bool

    @property
    def center(self) -> Pixel:
        """Its middle."""
        return sum(self.across) / 2, sum(self.upward) / 2


def box_on_slice(box: Box, geometry: Geometry, cut: SlicePlane, index: int, camera: SliceCamera) -> BoxOnSlice:
    """Where a box of voxels, which reach half a voxel around their centres, is drawn on a slice."""
    faces = np.array([box.start, box.stop], dtype=np.float64) - 0.5
    faces[:, cut.axis] = index
    first, last = (camera.pixel_of(point) for point in geometry.to_patient(faces))
    reached = box.start[cut.axis] <= index < box.stop[cut.axis]
    return BoxOnSlice((first[0], last[0]), (first[1], last[1]), reached)


class SearchBoxLayer:
    """Draws the box."""

    def __init__(self, renderer: vtkRenderer) -> None:
        self._renderer = renderer
        self._rims = ScreenLines(_RIM_COLOR, 0.7)
        self._lines = ScreenLines(BOX_COLOR)
        for one in (self._rims, self._lines):
            renderer.AddViewProp(one.actor)
            one.hide()

    def close(self) -> None:
        """Take everything out of the scene."""
        for one in (self._rims, self._lines):
            self._renderer.RemoveViewProp(one.actor)

    def hide(self) -> None:
        """Draw nothing."""
        self._rims.hide()
        self._lines.hide()

    def draw(self, place: BoxOnSlice | None, scale: float, *, strong: bool) -> None:
        """Draw the box there; None: there is none.

        Args:
            place: Where.
            scale: Device pixels for each logical pixel.
            strong: Whether the mouse can take hold of it.
        """
        if place is None:
            self.hide()
            return
        lines = [rectangle((place.across[0], place.upward[0]), (place.across[1], place.upward[1]))]
        if place.reached:
            lines += _handles(place, scale)
        width = max(1, round(scale))
        self._rims.draw([[(x + dx, y + dy) for x, y in line] for line in lines for dx, dy in _AROUND], width)
        self._lines.draw(lines, width)
        self._lines.recolour(STRONG_BOX_COLOR if strong else BOX_COLOR)
        opacity = 1.0 if place.reached else _OUTSIDE_OPACITY
        self._lines.actor.GetProperty().SetOpacity(opacity)
        self._rims.actor.GetProperty().SetOpacity(0.7 * opacity)


_AROUND = ((-1, -1), (1, 1), (-1, 1), (1, -1))


def _handles(place: BoxOnSlice, scale: float) -> list[list[Pixel]]:
    """Small squares on corners and sides, and a cross in the middle by which all of it is moved."""
    x, y = place.center
    size, reach = _HANDLE_PX * scale, _CROSS_PX * scale
    spots = [(a, b) for a in (*place.across, x) for b in (*place.upward, y) if (a, b) != (x, y)]
    squares = [rectangle((a - size, b - size), (a + size, b + size)) for a, b in spots]
    return [*squares, [(x - reach, y), (x + reach, y)], [(x, y - reach), (x, y + reach)]]
