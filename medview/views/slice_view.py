"""One plane of a volume, with labels over it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from vtkmodules.vtkCommonCore import vtkCommand, vtkLookupTable
from vtkmodules.vtkRenderingCore import vtkImageSlice, vtkRenderer
from vtkmodules.vtkRenderingImage import vtkImageResliceMapper

from medview.core.case import Series
from medview.core.geometry import Box, Floats, Geometry, Index, Point
from medview.core.measurement import Measurement
from medview.core.planes import Plane, SlicePlane, slice_plane
from medview.core.segmentation import Color, Drawn, Segmentation
from medview.core.volume import Volume
from medview.views.annotations import SlicePlace, corner_text, has_scale
from medview.views.edit_preview import EditPreview, EditPreviewLayer
from medview.views.map_layer import MapLayer
from medview.views.measurement_layer import MeasurementLayer, Shown
from medview.views.overlay import LabelOverlay
from medview.views.picking import SliceCamera
from medview.views.pins import Pin, PinLayer, on_slice
from medview.views.screen_actors import Pixel, legible
from medview.views.search_box_layer import BoxOnSlice, SearchBoxLayer, box_on_slice
from medview.views.slice_decoration import BrushCursor, SliceDecoration
from medview.views.vtk_image import SharedImage, share
from medview.workstation.view_state import ViewName, ViewState

_FIT_SHARE = 0.98
_OUTLINE_PX = 2.0
_SHADES = 1024
"""More than a screen has, so that rounding twice costs nothing."""
_NO_IMAGE = Geometry.from_parts((1, 1, 1), (1.0, 1.0, 1.0))


class SliceView:
    """Shows the slice through the cursor. Everything is worked out when a frame is drawn, and once for each frame.

    Args:
        renderer: Where to draw; the view takes its camera and its background.
        plane: The plane of reading.
        request_frame: Called when the picture is out of date; may be called many times for one frame.
        translate: From an English template to another language's.
        framed: Whether to draw a frame in the plane's colour, where no widget around the view does.
    """

    def __init__(
        self,
        renderer: vtkRenderer,
        plane: Plane,
        request_frame: Callable[[], None],
        translate: Callable[[str], str] = str,
        *,
        framed: bool = False,
    ) -> None:
        self.renderer = renderer
        self.plane = plane
        self.name = ViewName(plane.value)
        self._request_frame = request_frame
        self._translate = legible(translate)
        self._scale = 1.0
        self._state = ViewState()
        self._volume: Volume | None = None
        self._series: Series | None = None
        self._segmentation: Segmentation | None = None
        self._shared: SharedImage | None = None
        self._cut: SlicePlane = slice_plane(_NO_IMAGE, plane)
        self._camera = SliceCamera(np.zeros(3), self._cut.right, self._cut.up, 1.0, 1, 1)
        self._index = 0
        self._overlay_stale = True
        self._brush: BrushCursor | None = None
        self._region: tuple[Pixel, Pixel] | None = None
        self._picture = _picture()
        self._black_to_white, self._white_to_black = _grey_table(0.0, 1.0), _grey_table(1.0, 0.0)
        self._overlay = LabelOverlay()
        renderer.SetBackground(0.0, 0.0, 0.0)
        renderer.AddViewProp(self._picture)
        self._map = MapLayer(renderer)
        renderer.AddViewProp(self._overlay.actor)
        self._decoration = SliceDecoration(renderer, plane, framed=framed)
        self._measurements = MeasurementLayer(renderer)
        self._box_layer = SearchBoxLayer(renderer)
        self._preview_layer = EditPreviewLayer(renderer)
        self._preview: EditPreview | None = None
        self._pin_layer = PinLayer(renderer)
        self._pins: tuple[Pin, ...] = ()
        self._box: Box | None = None
        self._box_pointed = False
        renderer.GetActiveCamera().ParallelProjectionOn()
        own = weakref.WeakMethod(self._prepare)
        self._observer = renderer.AddObserver(vtkCommand.StartEvent, lambda *_: (prepare := own()) and prepare())

    @property
    def volume(self) -> Volume | None:
        """What is shown."""
        return self._volume

    @property
    def camera(self) -> SliceCamera:
        """What the view looks at, at its present size."""
        self._fit_to_size()
        return self._camera

    @property
    def index(self) -> int:
        """The number of the slice along the grid's axis, from 0."""
        return self._index

    @property
    def cut(self) -> SlicePlane:
        """How the plane cuts the grid."""
        return self._cut

    @property
    def measurements_here(self) -> tuple[Measurement, ...]:
        """The measurements that were drawn on the slice shown, as far as they are drawn."""
        return self._measurements.whole if self._state.annotations_shown else ()

    @property
    def box_here(self) -> BoxOnSlice | None:
        """Where the box inside which plugins look is drawn; None where it is not."""
        volume, state = self._volume, self._state
        if volume is None or self._box is None or not (state.annotations_shown and volume.is_spatial):
            return None
        if self._box.clipped(volume.geometry.shape) != self._box:
            return None  # the box of a volume that is not shown yet
        return box_on_slice(self._box, volume.geometry, self._cut, self._index, self.camera)

    @property
    def scale(self) -> float:
        """Device pixels for each logical pixel."""
        return self._scale

    def set_scale(self, device_pixel_ratio: float) -> None:
        """Take the screen's device pixel ratio, so that text and lines keep their size."""
        self._scale = device_pixel_ratio
        self._request_frame()

    def show(self, volume: Volume | None, series: Series | None = None) -> None:
        """Show a volume, fitted to the view unless it lies on the grid shown before.

        Args:
            volume: What to show; None for an empty view.
            series: What the corners say of it.
        """
        before = self._volume
        self._volume, self._series = volume, series
        if volume is None or before is None or not volume.geometry.same_grid(before.geometry):
            self.set_segmentation(None)
            self.set_map(None)
        self._shared = None
        if volume is None:
            # A mapper that has drawn keeps the memory of the voxels for as long as it lives.
            self.renderer.RemoveViewProp(self._picture)
            self._picture = _picture()
            self.renderer.AddViewProp(self._picture)
        else:
            self._shared = share(volume.voxels if volume.colors is None else volume.colors, volume.geometry)
            self._picture.GetMapper().SetInputData(self._shared.image)
            self._picture.VisibilityOn()
            self._cut = slice_plane(volume.geometry, self.plane)
            if before is None or not volume.geometry.same_grid(before.geometry):
                self.fit()
            self._follow_cursor()
            self._cut_measurements()
        self._request_frame()

    def set_series(self, series: Series | None) -> None:
        """Take other words for the corners."""
        self._series = series
        self._request_frame()

    def set_segmentation(self, segmentation: Segmentation | None) -> None:
        """Draw a segmentation of the volume's grid, or none."""
        self._segmentation = segmentation
        self._overlay.show(segmentation, self._cut if segmentation is not None else None)
        self._overlay_stale = True
        self._request_frame()

    def draw_instead(self, drawn: Drawn | None) -> None:
        """Draw other labels in place of the segmentation's, or its own again; what was drawn is worked out anew."""
        self._overlay.draw_instead(drawn)
        self._overlay_stale = True
        self._request_frame()

    def set_map(self, volume: Volume | None) -> None:
        """Draw a map over the image, on its grid, or none."""
        if self._map.show(volume):
            self._request_frame()

    def apply(self, state: ViewState) -> None:
        """Take the state of the views: cursor, window, what is drawn."""
        if state == self._state:
            return
        self._state = state
        self._overlay_stale = True if self._follow_cursor() else self._overlay_stale
        self._request_frame()

    def segments_changed(self) -> None:
        """Names, colours or the list of segments changed."""
        self._overlay_stale = True
        self._request_frame()

    def labels_changed(self, box: Box) -> bool:
        """Labels inside a box changed; whether the slice shown is touched."""
        touched = self._overlay_stale or self._overlay.labels_changed(box)
        if touched:
            self._request_frame()
        return touched

    def slices_arrived(self, start: int, stop: int) -> bool:
        """Slices [start, stop) along k hold their values now; whether that shows."""
        if self._shared is None:
            return False
        self._shared.modified()
        shows = self._cut.axis != 0 or start <= self._index < stop
        if shows:
            self._request_frame()
        return shows

    def fit(self) -> None:
        """Show the whole slice, in the middle of the view."""
        width, height = self._size()
        if self._volume is not None:
            cut, geometry = self._cut, self._volume.geometry
            center = np.asarray(geometry.center_mm)
            self._camera = SliceCamera(center, cut.right, cut.up, self._fitting(width, height), width, height)
            self._camera = self._camera.through(self._slice_center())
        self._request_frame()

    def look(self, camera: SliceCamera) -> None:
        """Look elsewhere or closer: a camera made from `camera` by `panned` or `zoomed`."""
        self._camera = camera
        self._request_frame()

    def bring_into_view(self, points: Floats) -> None:
        """Look at the middle of some points, (n, 3) LPS, mm, unless all of them are in the view."""
        camera = self.camera
        pixels = np.array([camera.pixel_of(point) for point in points])
        size = np.array([camera.width, camera.height])
        if (pixels < 0).any() or (pixels > size).any():
            dx, dy = (float(value) for value in size / 2 - (pixels.min(axis=0) + pixels.max(axis=0)) / 2)
            self.look(camera.panned(dx, dy))

    def one_to_one(self) -> None:
        """One voxel of the screen's width on one device pixel."""
        if self._volume is not None:
            camera = self.camera
            step = self._volume.geometry.spacing_mm[self._cut.right_axis]
            self.look(camera.zoomed(camera.mm_per_pixel / step, camera.width / 2, camera.height / 2))

    def point_at(self, x: float, y: float) -> Point:
        """The point of the shown slice under a device pixel (origin bottom left), LPS, mm; may lie off the grid."""
        return self.camera.point_at(x, y)

    def voxel_at(self, x: float, y: float) -> Index | None:
        """The voxel under a device pixel; None off the grid."""
        return self._volume.geometry.voxel_at(self.point_at(x, y)) if self._volume is not None else None

    def pixel_of(self, point: Point) -> Pixel:
        """Where a point of the patient is drawn, device pixels."""
        return self.camera.pixel_of(point)

    def show_brush(
        self, center: Point | None, radius_mm: float = 0.0, color: Color = (255, 255, 255), *, square: bool = False
    ) -> None:
        """Draw the brush as a circle or a square around a point; None takes it away."""
        brush = BrushCursor(center, radius_mm, color, square) if center is not None else None
        if brush != self._brush:
            self._brush = brush
            self._request_frame()

    def show_preview(self, preview: EditPreview | None) -> None:
        """Draw what a tool is about to do; None: nothing."""
        if preview is not self._preview:
            self._preview = preview
            self._request_frame()

    def show_region(self, corners: tuple[Pixel, Pixel] | None) -> None:
        """Draw a rectangle between two device pixels; None takes it away."""
        if corners != self._region:
            self._region = corners
            self._request_frame()

    def show_measurements(self, shown: Shown) -> None:
        """Draw these measurements of the volume; a slice that has none of what changed needs no frame."""
        self._measurements.show(shown)
        if self._cut_measurements() and self._state.annotations_shown:
            self._request_frame()

    def show_pins(self, pins: tuple[Pin, ...]) -> None:
        """Draw these remarks where they lie on the slice, and no others."""
        if pins != self._pins:
            self._pins = pins
            self._request_frame()

    def show_box(self, box: Box | None) -> None:
        """Draw the box of voxels inside which plugins look, or none."""
        if box != self._box:
            self._box = box
            self._request_frame()

    def point_at_box(self, pointed: bool) -> None:
        """Mark the box as something that the mouse can take hold of."""
        if pointed != self._box_pointed:
            self._box_pointed = pointed
            self._request_frame()

    def close(self) -> None:
        """Let go of the renderer."""
        self.renderer.RemoveObserver(self._observer)
        self._box_layer.close()
        self._preview_layer.close()
        self._pin_layer.close()
        self._decoration.close()
        self._measurements.close()
        self._map.close()
        self.renderer.RemoveViewProp(self._picture)
        self.renderer.RemoveViewProp(self._overlay.actor)
        self._volume, self._shared, self._segmentation = None, None, None

    def _follow_cursor(self) -> bool:
        """Go to the slice through the cursor; whether it is another one."""
        if self._volume is None:
            return False
        index = self._volume.geometry.nearest_voxel(self._state.cursor)[self._cut.axis]
        moved = index != self._index
        self._index = index
        self._camera = self._camera.through(self._slice_center())
        if moved:
            self._cut_measurements()
        return moved

    def _cut_measurements(self) -> bool:
        """Look which measurements the slice has; whether these are others."""
        volume = self._volume
        return volume is not None and self._measurements.cut(volume.geometry, self._cut.axis, self._index)

    def _slice_center(self) -> Floats:
        assert self._volume is not None
        middle = (np.asarray(self._volume.geometry.shape, dtype=np.float64) - 1) / 2
        middle[self._cut.axis] = self._index
        return self._volume.geometry.to_patient(middle)

    def _size(self) -> tuple[int, int]:
        width, height = self.renderer.GetSize() if self.renderer.GetRenderWindow() is not None else (1, 1)
        return max(1, width), max(1, height)

    def _fitting(self, width: int, height: int) -> float:
        """The mm_per_pixel at which the whole slice fits into a view of this size."""
        extent = (self._volume.geometry if self._volume is not None else _NO_IMAGE).extent_mm
        return max(extent[self._cut.right_axis] / width, extent[self._cut.up_axis] / height) / _FIT_SHARE

    def _fit_to_size(self) -> None:
        """After a change of size, show what was shown before, as large as the view allows."""
        width, height = self._size()
        old = self._camera
        if (width, height) != (old.width, old.height):
            grown = self._fitting(width, height) / self._fitting(old.width, old.height)
            self._camera = replace(old, mm_per_pixel=old.mm_per_pixel * grown, width=width, height=height)

    def _prepare(self) -> None:
        """Bring the scene up to date; called by the renderer when a frame begins."""
        self._fit_to_size()
        camera = self._camera
        self._decoration.draw_frame(camera.width, camera.height, self._scale)
        if self._volume is None:
            self._decoration.hide()
            self._measurements.hide()
            self._box_layer.hide()
            self._preview_layer.hide()
            self._pin_layer.hide()
            self._map.hide()
            self._overlay.actor.VisibilityOff()
            return
        self._set_camera(self._volume.geometry)
        self._set_window()
        self._map.draw(self._state.map_opacity, interpolated=self._state.interpolated)
        self._set_labels()
        self._decorate(self._volume)

    def _set_camera(self, geometry: Geometry) -> None:
        camera = self._camera
        distance = 2 * max(geometry.extent_mm)
        depth = 2 * max(geometry.spacing_mm)
        vtk = self.renderer.GetActiveCamera()
        vtk.SetFocalPoint(*camera.center)
        vtk.SetPosition(*(camera.center + distance * camera.normal))
        vtk.SetViewUp(*camera.up)
        vtk.SetParallelScale(camera.mm_per_pixel * camera.height / 2)
        vtk.SetClippingRange(distance - depth, distance + depth)

    def _set_window(self) -> None:
        window, look = self._state.window, self._picture.GetProperty()
        look.SetColorLevel(window.center)
        look.SetColorWindow(window.width)
        if self._volume is not None and self._volume.colors is not None:
            # The window brightens each of the three colours; a table would make them grey.
            look.SetLookupTable(None)
        else:
            look.SetLookupTable(self._white_to_black if self._state.inverted else self._black_to_white)
        if self._state.interpolated:
            look.SetInterpolationTypeToLinear()
        else:
            look.SetInterpolationTypeToNearest()

    def _set_labels(self) -> None:
        segmentation, state = self._segmentation, self._state
        shown = segmentation is not None and state.labels_shown
        self._overlay.actor.SetVisibility(shown)
        if segmentation is None or not shown:
            return
        self._overlay.set_look(state.fill_opacity, _OUTLINE_PX * self._scale if state.outlined else 0.0)
        self._overlay.paint_with(state.hidden_of(segmentation.id))
        if self._overlay_stale or self._overlay.repainted:
            self._overlay.move_to(self._index, 0.5 * min(segmentation.geometry.spacing_mm))
            self._overlay_stale = False

    def _decorate(self, volume: Volume) -> None:
        state, camera, decoration = self._state, self._camera, self._decoration
        if state.annotations_shown:
            corners = corner_text(self._series, volume, state.window, state.inverted, self._place(volume))
            decoration.draw_text(corners, camera, self._scale, self._translate)
            decoration.draw_letters(camera if volume.is_spatial else None, self._scale)
            decoration.draw_scale_bar(camera if has_scale(volume) else None, self._scale, self._translate)
            self._map.draw_legend(camera, self._scale, self._translate)
            self._measurements.draw(camera, self._scale, self._translate)
            self._pin_layer.draw(on_slice(self._pins, volume.geometry, self._cut, self._index), camera, self._scale)
        else:
            decoration.hide_text()
            self._map.hide_legend()
            self._measurements.hide()
            self._pin_layer.hide()
        if state.crosshair_shown and state.annotations_shown and volume.is_spatial:
            decoration.draw_crosshair(volume.geometry, state.cursor, camera, self._scale)
        else:
            decoration.hide_crosshair()
        self._box_layer.draw(self.box_here, self._scale, strong=self._box_pointed)
        self._preview_layer.draw(
            self._preview, volume.geometry, self._cut, self._index, camera, self._scale, self._translate
        )
        decoration.draw_brush(self._brush, camera, self._scale)
        decoration.draw_region(self._region, self._scale)

    def _place(self, volume: Volume) -> SlicePlace:
        geometry = volume.geometry
        count = geometry.shape[self._cut.axis]
        from_the_end = self._cut.towards_head > 0 and volume.is_spatial
        number = count - self._index if from_the_end else self._index + 1
        x, y, z = (float(value) for value in self._slice_center())
        zoom = geometry.spacing_mm[self._cut.right_axis] / self._camera.mm_per_pixel
        return SlicePlace(self.plane, number, count, (x, y, z), geometry.spacing_mm[self._cut.axis], zoom)


def _grey_table(first: float, last: float) -> vtkLookupTable:
    """From one shade to another, 0..1. VTK draws a negative window, which would invert too, as a positive one."""
    table = vtkLookupTable()
    table.SetNumberOfTableValues(_SHADES)
    for number in range(_SHADES):
        shade = first + (last - first) * number / (_SHADES - 1)
        table.SetTableValue(number, shade, shade, shade, 1.0)
    table.SetNanColor(0.0, 0.0, 0.0, 1.0)
    return table


def _picture() -> vtkImageSlice:
    mapper = vtkImageResliceMapper()
    mapper.BorderOn()
    mapper.SliceFacesCameraOn()
    mapper.SliceAtFocalPointOn()
    mapper.AutoAdjustImageQualityOff()
    picture = vtkImageSlice()
    picture.SetMapper(mapper)
    picture.PickableOff()
    picture.VisibilityOff()
    return picture
