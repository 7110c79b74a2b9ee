"""The 3D view: the image by ray casting, and the surfaces of segments in it."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Mapping

import numpy as np
from vtkmodules.vtkCommonCore import vtkCommand
from vtkmodules.vtkCommonDataModel import vtkPiecewiseFunction, vtkPolyData
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkRenderingCore import (
    vtkActor,
    vtkColorTransferFunction,
    vtkPolyDataMapper,
    vtkRenderer,
    vtkRenderWindow,
    vtkVolume,
    vtkVolumeProperty,
)
from vtkmodules.vtkRenderingOpenGL2 import vtkOpenGLRenderWindow, vtkTextureObject
from vtkmodules.vtkRenderingVolume import vtkFixedPointVolumeRayCastMapper, vtkGPUVolumeRayCastMapper, vtkVolumeMapper

from medview.core.geometry import Geometry
from medview.core.planes import letters
from medview.core.segmentation import Segmentation
from medview.core.volume import Volume
from medview.views.screen_actors import ScreenText
from medview.views.slice_decoration import LETTER_COLOR
from medview.views.vtk_image import SharedImage, share
from medview.workstation.presets import RayCastPreset, ray_cast_preset
from medview.workstation.view_state import ViewState

_log = logging.getLogger(__name__)
_SOFTWARE_RENDERERS = ("llvmpipe", "softpipe", "swrast", "software", "gdi generic", "swiftshader")
_MOST_TEXTURE_BYTES = 2 * 2**30
_DEGREES_PER_PIXEL = 0.4
_LETTER_PX = 16
_MARGIN_PX = 9
_STILL_FRAMES_PER_S = 0.5
_MOVING_FRAMES_PER_S = 12.0
_VIEW_ANGLE = 24.0


class VolumeView:
    """Shows a volume from any side.

    Args:
        renderer: Where to draw; the view takes its camera and its background.
        request_frame: Called when the picture is out of date; may be called many times for one frame.
    """

    def __init__(self, renderer: vtkRenderer, request_frame: Callable[[], None]) -> None:
        self.renderer = renderer
        self._request_frame = request_frame
        self._scale = 1.0
        self._state = ViewState()
        self._volume: Volume | None = None
        self._shared: SharedImage | None = None
        self._range = (0.0, 1.0)
        self._looks: tuple[str, str] | None = None
        self._mapper: vtkVolumeMapper | None = None
        self._cast = vtkVolume()
        self._cast.PickableOff()
        self._cast.VisibilityOff()
        self._segmentation: Segmentation | None = None
        self._surfaces: dict[int, vtkActor] = {}
        self._letters = {
            edge: ScreenText(*alignment, LETTER_COLOR, bold=True)
            for edge, alignment in {
                "left": ("left", "center"),
                "right": ("right", "center"),
                "top": ("center", "top"),
                "bottom": ("center", "bottom"),
            }.items()
        }
        renderer.SetBackground(0.0, 0.0, 0.0)
        renderer.AddVolume(self._cast)
        for letter in self._letters.values():
            renderer.AddViewProp(letter.actor)
            letter.hide()
        own = weakref.WeakMethod(self._prepare)
        self._observer = renderer.AddObserver(vtkCommand.StartEvent, lambda *_: (prepare := own()) and prepare())

    @property
    def volume(self) -> Volume | None:
        """What is shown."""
        return self._volume

    @property
    def scale(self) -> float:
        """Device pixels for each logical pixel."""
        return self._scale

    @property
    def mapper(self) -> vtkVolumeMapper | None:
        """What casts the rays; None before the first frame, when the machine has not been asked yet."""
        return self._mapper

    def set_scale(self, device_pixel_ratio: float) -> None:
        """Take the screen's device pixel ratio."""
        self._scale = device_pixel_ratio
        self._request_frame()

    def show(self, volume: Volume | None) -> None:
        """Show a volume whose voxels are all there, or None; the camera stays when the grid does."""
        before = self._volume
        self._volume = volume
        self._shared = None
        self._looks = None
        if volume is None or before is None or not volume.geometry.same_grid(before.geometry):
            self.set_segmentation(None)
        if volume is not None:
            # Rays are cast in a frame of spacings only, and the result is put into the patient by the prop's matrix:
            # not every mapper knows of directions.
            self._shared = share(volume.voxels, Geometry.from_parts(volume.geometry.shape, volume.geometry.spacing_mm))
            self._range = _value_range(volume)
            self._cast.SetUserMatrix(_placement(volume.geometry))
            if self._mapper is not None:
                self._mapper.SetInputDataObject(self._shared.image)
            if before is None or not volume.geometry.same_grid(before.geometry):
                self.fit()
        self._request_frame()

    def set_segmentation(self, segmentation: Segmentation | None) -> None:
        """Whose surfaces are shown; they come by `set_surfaces`."""
        if segmentation is not self._segmentation:
            self._segmentation = segmentation
            self.set_surfaces({})

    def set_surfaces(self, surfaces: Mapping[int, vtkPolyData]) -> None:
        """Show these surfaces, by label, and no others."""
        for actor in self._surfaces.values():
            self.renderer.RemoveActor(actor)
        self._surfaces = {label: _actor(surface) for label, surface in surfaces.items()}
        for actor in self._surfaces.values():
            self.renderer.AddActor(actor)
        self._request_frame()

    def segments_changed(self) -> None:
        """Names, colours or the list of segments changed."""
        self._request_frame()

    def apply(self, state: ViewState) -> None:
        """Take the state of the views: what is drawn, and how."""
        old, self._state = self._state, state
        names = ("labels_shown", "hidden_segments", "volume_preset", "volume_rendered", "annotations_shown")
        if any(getattr(old, name) != getattr(state, name) for name in names):
            self._request_frame()

    def fit(self) -> None:
        """Look at the whole volume from the front."""
        if self._volume is not None:
            self.look_from(np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, 1.0]))

    def look_from(self, direction: np.ndarray, up: np.ndarray) -> None:
        """Look at the middle of the volume from a side: unit vectors, LPS."""
        if self._volume is None:
            return
        center = np.asarray(self._volume.geometry.center_mm)
        radius = float(np.linalg.norm(self._volume.geometry.extent_mm)) / 2
        distance = 0.82 * radius / np.sin(np.radians(_VIEW_ANGLE / 2))
        camera = self.renderer.GetActiveCamera()
        camera.SetViewAngle(_VIEW_ANGLE)
        camera.SetFocalPoint(*center)
        camera.SetPosition(*(center + distance * direction))
        camera.SetViewUp(*up)
        self._request_frame()

    def begin_motion(self) -> None:
        """Draw faster and coarser from now on."""
        window = self.renderer.GetRenderWindow()
        if window is not None:
            window.SetDesiredUpdateRate(_MOVING_FRAMES_PER_S)

    def end_motion(self) -> None:
        """Draw as well as possible again."""
        window = self.renderer.GetRenderWindow()
        if window is not None:
            window.SetDesiredUpdateRate(_STILL_FRAMES_PER_S)
        self._request_frame()

    def turn(self, dx: float, dy: float) -> None:
        """Turn the volume under the mouse, device pixels."""
        camera = self.renderer.GetActiveCamera()
        camera.Azimuth(-dx / self._scale * _DEGREES_PER_PIXEL)
        camera.Elevation(-dy / self._scale * _DEGREES_PER_PIXEL)
        camera.OrthogonalizeViewUp()
        self._request_frame()

    def zoom(self, factor: float) -> None:
        """Come nearer by a factor."""
        self.renderer.GetActiveCamera().Dolly(factor)
        self._request_frame()

    def pan(self, dx: float, dy: float) -> None:
        """Move the volume with the mouse, device pixels."""
        camera = self.renderer.GetActiveCamera()
        _, height = self.renderer.GetSize()
        mm = 2 * camera.GetDistance() * float(np.tan(np.radians(camera.GetViewAngle() / 2))) / max(1, height)
        up = np.asarray(camera.GetViewUp())
        right = np.cross(np.asarray(camera.GetDirectionOfProjection()), up)
        move = -mm * (dx * right + dy * up)
        camera.SetPosition(*(np.asarray(camera.GetPosition()) + move))
        camera.SetFocalPoint(*(np.asarray(camera.GetFocalPoint()) + move))
        self._request_frame()

    def close(self) -> None:
        """Let go of the renderer."""
        self.renderer.RemoveObserver(self._observer)
        self.set_surfaces({})
        self.renderer.RemoveVolume(self._cast)
        for letter in self._letters.values():
            self.renderer.RemoveViewProp(letter.actor)
        self._volume = self._shared = self._segmentation = self._mapper = None

    def _prepare(self) -> None:
        """Bring the scene up to date; called by the renderer when a frame begins."""
        shown = self._volume is not None and self._state.volume_rendered
        if shown:
            self._choose_mapper()
            self._set_look()
        self._cast.SetVisibility(shown)
        self._colour_surfaces()
        self._set_letters()
        if self._volume is not None:
            self.renderer.ResetCameraClippingRange()

    def _choose_mapper(self) -> None:
        if self._shared is None:
            return
        if self._mapper is None:
            self._mapper = ray_caster(self.renderer.GetRenderWindow(), self._shared)
            self._mapper.SetInputDataObject(self._shared.image)
            self._cast.SetMapper(self._mapper)

    def _set_look(self) -> None:
        assert self._volume is not None
        preset = ray_cast_preset(self._volume, self._state.volume_preset)
        looks = (self._volume.id, preset.id)
        if looks != self._looks:
            self._looks = looks
            self._cast.SetProperty(volume_property(preset, self._range, min(self._volume.geometry.spacing_mm)))
            if self._mapper is not None:
                blend = vtkVolumeMapper.MAXIMUM_INTENSITY_BLEND if preset.maximum else vtkVolumeMapper.COMPOSITE_BLEND
                self._mapper.SetBlendMode(blend)

    def _colour_surfaces(self) -> None:
        segmentation, state = self._segmentation, self._state
        hidden = state.hidden_of(segmentation.id) if segmentation is not None else frozenset()
        for label, actor in self._surfaces.items():
            segment = segmentation.segment(label) if segmentation is not None else None
            actor.SetVisibility(segment is not None and state.labels_shown and label not in hidden)
            if segment is not None:
                actor.GetProperty().SetColor(*(value / 255 for value in segment.color))

    def _set_letters(self) -> None:
        if self._volume is None or not self._state.annotations_shown:
            for letter in self._letters.values():
                letter.hide()
            return
        camera = self.renderer.GetActiveCamera()
        up = np.asarray(camera.GetViewUp())
        right = np.cross(np.asarray(camera.GetDirectionOfProjection()), up)
        width, height = self.renderer.GetSize()
        size, margin = _LETTER_PX * self._scale, _MARGIN_PX * self._scale
        edges = {
            "left": (-right, (margin, height / 2)),
            "right": (right, (width - margin, height / 2)),
            "top": (up, (width / 2, height - margin)),
            "bottom": (-up, (width / 2, margin)),
        }
        for edge, (direction, place) in edges.items():
            self._letters[edge].draw([letters(direction)], place, size)


def ray_caster(window: vtkRenderWindow, shared: SharedImage) -> vtkVolumeMapper:
    """The mapper for this machine: on the graphics card, unless OpenGL is emulated or the volume does not fit.

    Args:
        window: Has a current OpenGL context.
        shared: The voxels.
    """
    report = window.ReportCapabilities().lower()
    renderer = next((line for line in report.splitlines() if "opengl renderer" in line), "")
    emulated = any(name in renderer for name in _SOFTWARE_RENDERERS) or not renderer
    longest = vtkTextureObject.GetMaximumTextureSize3D(window) if isinstance(window, vtkOpenGLRenderWindow) else 0
    fits = max(shared.array.shape) <= longest and shared.array.nbytes <= _MOST_TEXTURE_BYTES
    if emulated or not fits:
        _log.info("3D: rays on the processor (%s, longest side %s).", renderer.strip(), longest)
        on_processor = vtkFixedPointVolumeRayCastMapper()
        on_processor.AutoAdjustSampleDistancesOn()
        return on_processor
    _log.info("3D: rays on the graphics card (%s).", renderer.strip())
    on_card = vtkGPUVolumeRayCastMapper()
    on_card.UseJitteringOn()
    return on_card


def volume_property(
    preset: RayCastPreset, value_range: tuple[float, float], unit_distance_mm: float
) -> vtkVolumeProperty:
    """A preset for a volume, cut to the values that it has.

    Args:
        preset: Colours and opacities.
        value_range: The volume's smallest and largest value.
        unit_distance_mm: How long a ray takes to gather an opacity.
    """
    low, high = value_range
    width = max(high - low, 1e-6)

    def values(points: tuple[tuple[float, ...], ...]) -> list[tuple[float, ...]]:
        placed = [(low + width * p[0] if preset.relative else p[0], *p[1:]) for p in points]
        return _cut(placed, low, low + width)

    colors, opacities = vtkColorTransferFunction(), vtkPiecewiseFunction()
    for value, red, green, blue in values(preset.colors):
        colors.AddRGBPoint(value, red, green, blue)
    for value, opacity in values(preset.opacities):
        opacities.AddPoint(value, opacity)
    look = vtkVolumeProperty()
    look.SetColor(colors)
    look.SetScalarOpacity(opacities)
    look.SetScalarOpacityUnitDistance(unit_distance_mm)
    look.SetInterpolationTypeToLinear()
    if preset.shaded:
        look.ShadeOn()
        look.SetAmbient(0.25)
        look.SetDiffuse(0.8)
        look.SetSpecular(0.2)
        look.SetSpecularPower(12.0)
    return look


def _cut(points: list[tuple[float, ...]], low: float, high: float) -> list[tuple[float, ...]]:
    """The piecewise linear curve through points, between two values; both ends get a point."""
    xs = np.array([point[0] for point in points])
    ys = np.array([point[1:] for point in points])
    inside = [tuple(point) for point in points if low < point[0] < high]
    ends = [(x, *(float(np.interp(x, xs, ys[:, channel])) for channel in range(ys.shape[1]))) for x in (low, high)]
    return [ends[0], *inside, ends[1]]


def _value_range(volume: Volume) -> tuple[float, float]:
    """The 0.1 % and 99.9 % values of a sample: single hot voxels do not count."""
    step = max(1, round((volume.voxels.size / 2_000_000) ** (1 / 3)))
    sample = volume.voxels[::step, ::step, ::step]
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return 0.0, 1.0
    if volume.unit == "HU":
        return float(sample.min()), float(sample.max())
    low, high = np.percentile(sample, (0.1, 99.9))
    return float(low), float(high)


def _placement(geometry: Geometry) -> vtkMatrix4x4:
    """From the frame of spacings only into the patient."""
    matrix = vtkMatrix4x4()
    direction = geometry.direction[:, ::-1]
    for row in range(3):
        for column in range(3):
            matrix.SetElement(row, column, float(direction[row, column]))
        matrix.SetElement(row, 3, geometry.origin_mm[row])
    return matrix


def _actor(surface: vtkPolyData) -> vtkActor:
    mapper = vtkPolyDataMapper()
    mapper.SetInputData(surface)
    mapper.ScalarVisibilityOff()
    actor = vtkActor()
    actor.SetMapper(mapper)
    actor.PickableOff()
    look = actor.GetProperty()
    look.SetAmbient(0.15)
    look.SetDiffuse(0.85)
    look.SetSpecular(0.15)
    look.SetSpecularPower(20.0)
    return actor
