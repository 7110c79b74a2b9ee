"""The 3D view: the image by ray casting, and the surfaces of segments in it."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
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

from medview.core.geometry import Box, Floats, Geometry
from medview.core.planes import letters
from medview.core.segmentation import Drawn, Segmentation
from medview.core.volume import Volume
from medview.views.casting import alone, body, thinned
from medview.views.opengl import drawn_by, is_emulated
from medview.views.screen_actors import ScreenText
from medview.views.slice_decoration import LETTER_COLOR
from medview.views.vtk_image import SharedImage, share
from medview.workstation.presets import RayCastPreset, ray_cast_preset
from medview.workstation.view_state import ViewState
from medview.workstation.windowing import body_window

_log = logging.getLogger(__name__)
_MOST_TEXTURE_BYTES = 2 * 2**30
_MOST_VOXELS_ON_PROCESSOR = 10_000_000
"""Before its first ray the processor works out the surface's direction at every voxel: a second for ten million."""
_SAMPLE_SHARE = 0.6
_MOST_SAMPLES = 2_000_000
_DEGREES_PER_PIXEL = 0.4
_LETTER_PX = 16
_MARGIN_PX = 9
_STILL_FRAMES_PER_S = 0.5
_MOVING_FRAMES_PER_S = 12.0
_VIEW_ANGLE = 24.0
_FIT_SHARE = 0.97
_FRONT_SHARE = 0.8
"""Of the way from the middle of the volume to its front, where what is seen is widest; bodies are round."""
_BEHIND_SURFACES = 4.0
"""How many times more transparent the image is where surfaces are shown in it."""


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
        self._cast_image: SharedImage | None = None
        self._range = (0.0, 1.0)
        self._looks: tuple[str, str, bool] | None = None
        self._mapper: vtkVolumeMapper | None = None
        self._cast = _nothing_cast()
        self._segmentation: Segmentation | None = None
        self._surfaces: dict[int, vtkActor] = {}
        self._drawn: Drawn | None = None
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
        self._let_go()
        same = volume is not None and before is not None and volume.geometry.same_grid(before.geometry)
        if not same:
            self.set_segmentation(None)
        if volume is not None:
            self._range = _value_range(volume)
            if not same:
                self.fit()
        self._request_frame()

    def set_segmentation(self, segmentation: Segmentation | None) -> None:
        """Whose surfaces are shown; they come by `set_surfaces`."""
        if segmentation is not self._segmentation:
            self._segmentation = segmentation
            self.set_surfaces({})

    def set_surfaces(self, surfaces: Mapping[int, vtkPolyData], drawn: Drawn | None = None) -> None:
        """Show these surfaces, by label, and no others; `drawn` says of what if not of the segmentation itself."""
        self._drawn = drawn
        kept = {label for label, actor in self._surfaces.items() if actor.GetMapper().GetInput() is surfaces.get(label)}
        for label in self._surfaces.keys() - kept:
            self.renderer.RemoveActor(self._surfaces.pop(label))
        for label in surfaces.keys() - kept:
            self._surfaces[label] = _actor(surfaces[label])
            self.renderer.AddActor(self._surfaces[label])
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

    def look_from(self, direction: Floats, up: Floats) -> None:
        """Look at the middle of the volume from a side: unit vectors, LPS."""
        if self._volume is None:
            return
        center = np.asarray(self._volume.geometry.center_mm)
        camera = self.renderer.GetActiveCamera()
        half = self._half_sizes(np.stack([np.cross(up, direction), up, direction]))
        width, height = self.renderer.GetSize() if self.renderer.GetRenderWindow() is not None else (1, 1)
        distance = (
            max(half[0] * height / max(1, width), half[1]) / _FIT_SHARE / np.tan(np.radians(_VIEW_ANGLE / 2))
            + _FRONT_SHARE * half[2]
        )
        camera.SetViewAngle(_VIEW_ANGLE)
        camera.SetFocalPoint(*center)
        camera.SetPosition(*(center + distance * direction))
        camera.SetViewUp(*up)
        self._request_frame()

    def _half_sizes(self, axes: Floats) -> Floats:
        """(3,): half of the volume's extent along each of three unit vectors, mm."""
        assert self._volume is not None
        geometry = self._volume.geometry
        half: Floats = np.abs(axes @ (geometry.direction * geometry.extent_mm)).sum(axis=1) / 2
        return half

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, device pixels."""
        width, height = self.renderer.GetSize()
        return int(width), int(height)

    def request_frame(self) -> None:
        """Ask for a new picture."""
        self._request_frame()

    def to_screen(self) -> Floats:
        """(4, 4): from x, y, z, 1 (LPS, mm) to homogeneous coordinates, -1..1 across the picture and upwards."""
        width, height = self.size
        matrix = self.renderer.GetActiveCamera().GetCompositeProjectionTransformMatrix(width / max(1, height), -1, 1)
        return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])

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
        for letter in self._letters.values():
            self.renderer.RemoveViewProp(letter.actor)
        self._let_go()
        self.renderer.RemoveVolume(self._cast)
        self._volume = self._segmentation = None

    def _let_go(self) -> None:
        """Forget what rays were cast through; VTK would keep its memory."""
        self.renderer.RemoveVolume(self._cast)
        self._cast = _nothing_cast()
        self.renderer.AddVolume(self._cast)
        self._mapper = self._cast_image = self._looks = None

    def _prepare(self) -> None:
        """Bring the scene up to date; called by the renderer when a frame begins."""
        self._colour_surfaces()
        shown = self._volume is not None and self._state.volume_rendered
        if self._volume is not None and shown:
            if self._mapper is None:
                self._cast_rays_through(self._volume)
            self._set_look()
        self._cast.SetVisibility(shown)
        self._set_letters()
        if self._volume is not None:
            self.renderer.ResetCameraClippingRange()

    def _cast_rays_through(self, volume: Volume) -> None:
        window = self.renderer.GetRenderWindow()
        voxels, geometry = volume.voxels, volume.geometry
        on_card = casts_on_card(window, voxels)
        if not on_card:
            voxels, geometry = thinned(voxels, geometry, _MOST_VOXELS_ON_PROCESSOR)
        patient = body(voxels, geometry) if volume.unit == "HU" else None
        if patient is not None and not on_card:
            voxels = alone(voxels, patient)
        # Rays are cast in a frame of spacings only, and the result is put into the patient by the prop's matrix:
        # not every mapper knows of directions.
        self._cast_image = share(voxels, Geometry.from_parts(geometry.shape, geometry.spacing_mm))
        self._mapper = ray_caster(on_card, min(geometry.spacing_mm))
        self._mapper.SetInputDataObject(self._cast_image.image)
        if patient is not None and on_card:
            _crop(self._mapper, Box.around(patient), geometry)
        self._cast.SetMapper(self._mapper)
        self._cast.SetUserMatrix(_placement(geometry))

    def _set_look(self) -> None:
        assert self._volume is not None
        assert self._mapper is not None
        preset = ray_cast_preset(self._volume, self._state.volume_preset)
        behind = any(actor.GetVisibility() for actor in self._surfaces.values())
        looks = (self._volume.id, preset.id, behind)
        if looks != self._looks:
            self._looks = looks
            unit_mm = min(self._volume.geometry.spacing_mm) * (_BEHIND_SURFACES if behind else 1.0)
            self._cast.SetProperty(volume_property(preset, self._range, unit_mm))
            blend = vtkVolumeMapper.MAXIMUM_INTENSITY_BLEND if preset.maximum else vtkVolumeMapper.COMPOSITE_BLEND
            self._mapper.SetBlendMode(blend)

    def _colour_surfaces(self) -> None:
        segmentation, state = self._segmentation, self._state
        hidden = state.hidden_of(segmentation.id) if segmentation is not None else frozenset()
        known = segmentation.segments if segmentation is not None else ()
        if self._drawn is not None:
            known, hidden = self._drawn.segments, hidden if self._drawn.of_segments else frozenset()
        for label, actor in self._surfaces.items():
            segment = next((one for one in known if one.label == label), None)
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


def casts_on_card(window: vtkRenderWindow, voxels: NDArray[Any]) -> bool:
    """Whether the graphics card casts the rays: it is a real one, and the volume fits into its memory.

    Args:
        window: Has a current OpenGL context.
        voxels: (k, j, i), any number type.
    """
    name = drawn_by(window)
    longest = vtkTextureObject.GetMaximumTextureSize3D(window) if isinstance(window, vtkOpenGLRenderWindow) else 0
    fits = max(voxels.shape) <= longest and voxels.nbytes <= _MOST_TEXTURE_BYTES
    on_card = fits and not is_emulated(name)
    _log.info("3D: rays on the %s (%s, longest side %s).", "graphics card" if on_card else "processor", name, longest)
    return on_card


def ray_caster(on_card: bool, voxel_mm: float) -> vtkVolumeMapper:
    """What casts rays on the graphics card, or on the processor, with less than a voxel from sample to sample.

    Args:
        on_card: Where.
        voxel_mm: The shortest side of a voxel.
    """
    if on_card:
        mapper = vtkGPUVolumeRayCastMapper()
        mapper.UseJitteringOn()
        return mapper
    on_processor = vtkFixedPointVolumeRayCastMapper()
    on_processor.AutoAdjustSampleDistancesOn()
    on_processor.SetSampleDistance(_SAMPLE_SHARE * voxel_mm)
    on_processor.SetInteractiveSampleDistance(voxel_mm)
    return on_processor


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
    """The smallest and largest HU; elsewhere from the background to what is bright in the body, without hot voxels."""
    step = max(1, round((volume.voxels.size / _MOST_SAMPLES) ** (1 / 3)))
    sample = volume.voxels[::step, ::step, ::step]
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return 0.0, 1.0
    if volume.unit == "HU":
        return float(sample.min()), float(sample.max())
    window = body_window(sample)
    return window.lower, window.upper


def _placement(geometry: Geometry) -> vtkMatrix4x4:
    """From the frame of spacings only into the patient."""
    matrix = vtkMatrix4x4()
    direction = geometry.direction[:, ::-1]
    for row in range(3):
        for column in range(3):
            matrix.SetElement(row, column, float(direction[row, column]))
        matrix.SetElement(row, 3, geometry.origin_mm[row])
    return matrix


def _nothing_cast() -> vtkVolume:
    cast = vtkVolume()
    cast.PickableOff()
    cast.VisibilityOff()
    return cast


def _crop(mapper: vtkVolumeMapper, box: Box, geometry: Geometry) -> None:
    """Cast rays through a box of the grid only."""
    k, j, i = (
        ((start - 0.5) * mm, (stop - 0.5) * mm)
        for start, stop, mm in zip(box.start, box.stop, geometry.spacing_mm, strict=True)
    )
    mapper.SetCroppingRegionPlanes(*i, *j, *k)
    mapper.SetCroppingRegionFlagsToSubVolume()
    mapper.CroppingOn()


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
