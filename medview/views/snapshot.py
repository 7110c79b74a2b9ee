"""The four views as a picture, off screen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow, vtkWindowToImageFilter

from medview.core.case import Series
from medview.core.geometry import Box
from medview.core.progress import NoProgress
from medview.core.segmentation import Segmentation
from medview.core.volume import Volume, Window
from medview.views.slice_view import SliceView
from medview.views.surfaces import LabelCopy, make_surfaces
from medview.views.volume_view import VolumeView
from medview.workstation.view_state import ViewName, ViewState
from medview.workstation.windowing import initial_window

_PLACES = {
    ViewName.AXIAL: (0.0, 0.5, 0.5, 1.0),
    ViewName.CORONAL: (0.5, 0.5, 1.0, 1.0),
    ViewName.SAGITTAL: (0.0, 0.0, 0.5, 0.5),
    ViewName.VOLUME: (0.5, 0.0, 1.0, 0.5),
}


def four_views(
    volume: Volume,
    segmentation: Segmentation | None = None,
    *,
    series: Series | None = None,
    size: tuple[int, int] = (1600, 1200),
    window: Window | None = None,
) -> NDArray[np.uint8]:
    """Axial, coronal and sagittal slices through the middle, of the labels where there are some, and the 3D view.

    Args:
        volume: What to show.
        segmentation: Labels over it.
        series: What the corners say.
        size: Width and height, pixels.
        window: Black and white; the volume's own when not given.

    Returns:
        (row, column, 3) uint8, sRGB, top row first.
    """
    state = ViewState(
        volume_id=volume.id,
        segmentation_id=segmentation.id if segmentation is not None else None,
        cursor=_middle(volume, segmentation),
        window=window or initial_window(volume),
    )
    screen = vtkRenderWindow()
    screen.SetOffScreenRendering(True)
    screen.SetMultiSamples(0)
    screen.SetSize(*size)
    views = []
    for name, place in _PLACES.items():
        renderer = vtkRenderer()
        renderer.SetViewport(*place)
        screen.AddRenderer(renderer)
        view = _view(name, renderer, volume, segmentation, series)
        view.apply(state)
        views.append(view)
    screen.Render()
    grab = vtkWindowToImageFilter()
    grab.SetInput(screen)
    grab.SetInputBufferTypeToRGB()
    grab.ReadFrontBufferOff()
    grab.ShouldRerenderOff()
    grab.Update()
    image = grab.GetOutput()
    columns, rows, _ = image.GetDimensions()
    picture: NDArray[np.uint8] = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, 3)[::-1].copy()
    for view in views:
        view.close()
    screen.Finalize()
    return picture


def _view(
    name: ViewName,
    renderer: vtkRenderer,
    volume: Volume,
    segmentation: Segmentation | None,
    series: Series | None,
) -> SliceView | VolumeView:
    plane = name.plane
    if plane is not None:
        slices = SliceView(renderer, plane, _nothing, framed=True)
        slices.show(volume, series)
        slices.set_segmentation(segmentation)
        return slices
    space = VolumeView(renderer, _nothing)
    space.show(volume)
    space.set_segmentation(segmentation)
    if segmentation is not None:
        wanted = (segment.label for segment in segmentation.segments)
        whole = Box.whole(volume.geometry.shape)
        space.set_surfaces(
            make_surfaces(LabelCopy.of(segmentation.labels, volume.geometry, whole, wanted), NoProgress())
        )
    return space


def _middle(volume: Volume, segmentation: Segmentation | None) -> tuple[float, float, float]:
    box = Box.around(segmentation.labels) if segmentation is not None else Box((0, 0, 0), (0, 0, 0))
    if box.is_empty:
        return volume.geometry.center_mm
    middle = (np.asarray(box.start, dtype=np.float64) + np.asarray(box.stop) - 1) / 2
    x, y, z = (float(value) for value in volume.geometry.to_patient(middle))
    return x, y, z


def _nothing() -> None:
    """Off screen there is nobody to ask for a frame."""
