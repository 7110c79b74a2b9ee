"""Views on an off-screen window, and their pictures as arrays that are indexed like the mouse: [y, x] from below."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow, vtkWindowToImageFilter

from medview.core.geometry import Floats, Geometry
from medview.core.planes import Plane
from medview.core.segmentation import Segment, Segmentation
from medview.core.volume import Volume, Window
from medview.views.slice_view import SliceView
from medview.views.volume_view import VolumeView
from medview.workstation.view_state import ViewState
from tests.support.grids import centers

Picture = NDArray[np.uint8]
"""(y, x, 3) uint8, sRGB, lowest row first."""
PLAIN = ViewState(annotations_shown=False, interpolated=False, window=Window(50.0, 100.0))
"""Voxels as they are, without anything beside them; 0 is black and 100 is white."""


class Screen:
    """A window with one renderer; counts the frames that its view asks for."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.requests = 0
        self.renderer = vtkRenderer()
        self.window = vtkRenderWindow()
        self.window.SetOffScreenRendering(True)
        self.window.SetMultiSamples(0)
        self.window.SetSize(*size)
        self.window.AddRenderer(self.renderer)

    def request(self) -> None:
        self.requests += 1

    def slices(self, plane: Plane, volume: Volume | None = None, state: ViewState = PLAIN) -> SliceView:
        view = SliceView(self.renderer, plane, self.request)
        view.show(volume)
        view.apply(state)
        return view

    def space(self, volume: Volume | None = None, state: ViewState = PLAIN) -> VolumeView:
        view = VolumeView(self.renderer, self.request)
        view.show(volume)
        view.apply(state)
        return view

    def frame(self) -> Picture:
        self.window.Render()
        grab = vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        grab.ShouldRerenderOff()
        grab.Update()
        image = grab.GetOutput()
        columns, rows, _ = image.GetDimensions()
        picture: Picture = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, 3).copy()
        return picture


@contextmanager
def screen(width: int = 160, height: int = 120) -> Iterator[Screen]:
    one = Screen((width, height))
    try:
        yield one
    finally:
        one.window.Finalize()


def point(geometry: Geometry, *index: float) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in geometry.to_patient(np.asarray(index, dtype=np.float64)))
    return x, y, z


def colors_in(picture: Picture) -> set[tuple[int, ...]]:
    return {tuple(int(value) for value in color) for color in np.unique(picture.reshape(-1, 3), axis=0)}


def sphere(geometry: Geometry, center: tuple[float, float, float], radius_mm: float) -> NDArray[np.bool_]:
    """(k, j, i): the voxels whose centre is in a sphere around a continuous index."""
    offset: Floats = centers(geometry) - geometry.to_patient(center)
    inside: NDArray[np.bool_] = np.linalg.norm(offset, axis=-1) < radius_mm
    return inside


def labelled(volume: Volume, labels: NDArray[Any], *colors: tuple[int, int, int]) -> Segmentation:
    """Labels 1, 2... in these colours; the array stays the segmentation's own memory."""
    segments = tuple(Segment(number + 1, f"Structure {number + 1}", color) for number, color in enumerate(colors))
    return Segmentation(volume.geometry, labels, segments)
