"""The 3D view: what casts its rays, what it shows, and from where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from vtkmodules.vtkRenderingCore import vtkCoordinate
from vtkmodules.vtkRenderingVolume import vtkFixedPointVolumeRayCastMapper, vtkGPUVolumeRayCastMapper

from medview.core.geometry import Box, Floats, Geometry
from medview.core.progress import NoProgress
from medview.core.volume import Modality, Volume
from medview.views import casting, volume_view
from medview.views.interaction import VolumeInteraction
from medview.views.opengl import drawn_by, is_emulated
from medview.views.pointer import Button, Pointer
from medview.views.surfaces import LabelCopy, make_surfaces
from medview.views.volume_view import ray_caster
from medview.workstation import presets
from medview.workstation.view_state import Viewing, ViewName
from tests.support.screens import PLAIN, Picture, labelled, screen, sphere
from tests.support.volumes import oblique, orientations, volume

SHAPE = (30, 34, 38)
SPACING = (2.0, 1.7, 1.5)
SIZE = (120, 120)
GRIDS = [*orientations()[::7], oblique(), oblique() @ np.diag([1.0, -1.0, 1.0])]


def with_a_ball(direction: Floats | None) -> tuple[Volume, np.ndarray]:
    """An MR with a bright ball at the patient's left and head, and where the ball is."""
    geometry = volume(np.zeros(SHAPE, np.int16), spacing_mm=SPACING, direction=direction).geometry
    x, y, z = geometry.center_mm
    k, j, i = (float(value) for value in geometry.to_index((x + 13.0, y, z + 13.0)))
    inside = sphere(geometry, (k, j, i), 9.0)
    voxels = np.where(inside, 1000, 0).astype(np.int16)
    return volume(voxels, spacing_mm=SPACING, direction=direction, modality=Modality.MR, unit=""), inside


def side(picture: Picture) -> tuple[int, int]:
    """On which side of the middle something is seen."""
    y, x = np.argwhere(picture.max(axis=-1) > 40).mean(axis=0) - (np.array(picture.shape[:2]) - 1) / 2
    return int(np.sign(x)), int(np.sign(y))


def test_rays_are_cast_on_the_processor_where_opengl_is_emulated() -> None:
    with screen(*SIZE) as one:
        view = one.space(with_a_ball(None)[0])
        one.frame()
        emulated = is_emulated(drawn_by(one.window))
        assert isinstance(view.mapper, vtkFixedPointVolumeRayCastMapper if emulated else vtkGPUVolumeRayCastMapper)
    assert isinstance(ray_caster(True, 1.0), vtkGPUVolumeRayCastMapper)


@pytest.mark.parametrize(
    ("name", "emulated"),
    [
        ("llvmpipe (LLVM 15.0.6, 256 bits), OpenGL 4.5", True),
        ("softpipe, OpenGL 3.3", True),
        ("GDI Generic, OpenGL 1.1.0", True),
        ("Microsoft Basic Render Driver, OpenGL 4.6", True),
        ("", True),
        ("NVIDIA GeForce RTX 4090/PCIe/SSE2, OpenGL 4.6.0", False),
        ("Mesa Intel(R) UHD Graphics 620 (KBL GT2), OpenGL 4.6", False),
        ("AMD Radeon Pro 5500M OpenGL Engine, OpenGL 4.1", False),
        ("Apple M2, OpenGL 4.1", False),
    ],
)
def test_emulated_opengl_is_known_by_its_name(name: str, emulated: bool) -> None:
    assert is_emulated(name) is emulated


def test_seen_from_the_front_the_patients_left_is_right_however_the_grid_lies() -> None:
    for direction in GRIDS:
        shown, inside = with_a_ball(direction)
        with screen(*SIZE) as one:
            view = one.space(shown)
            assert side(one.frame()) == (1, 1)
            view.apply(replace(PLAIN, volume_rendered=False))
            assert one.frame().max() == 0
            segmentation = labelled(shown, inside.astype(np.uint8), (250, 250, 250))
            view.set_segmentation(segmentation)
            whole = Box.whole(SHAPE)
            view.set_surfaces(
                make_surfaces(LabelCopy.of(segmentation.labels, shown.geometry, whole, (1,)), NoProgress())
            )
            assert side(one.frame()) == (1, 1)
            view.apply(replace(PLAIN, volume_rendered=False).with_hidden(segmentation.id, frozenset({1})))
            assert one.frame().max() == 0


def test_a_graphics_card_casts_through_the_same_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulated OpenGL can do what a card does, only slowly."""
    monkeypatch.setattr(volume_view, "casts_on_card", lambda window, voxels: True)
    for direction in GRIDS[-3:]:
        with screen(*SIZE) as one:
            view = one.space(with_a_ball(direction)[0])
            assert side(one.frame()) == (1, 1)
            assert isinstance(view.mapper, vtkGPUVolumeRayCastMapper)


@pytest.mark.parametrize("on_card", [False, True])
def test_a_ct_is_seen_without_its_table(on_card: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volume_view, "casts_on_card", lambda window, voxels: on_card)
    ct = np.full((20, 60, 60), -1000, dtype=np.int16)
    ct[:, 15:40, 25:35] = 500
    ct[:, 52, 2:58] = 500
    with screen(*SIZE) as one:
        view = one.space(volume(ct, spacing_mm=(6.0, 4.0, 4.0)))
        columns = np.flatnonzero((one.frame().max(axis=-1) > 40).any(axis=0))
        assert view.mapper is not None
    # The table would reach over nearly all of the width, the body takes up a sixth of it.
    assert SIZE[0] / 12 < columns.max() - columns.min() < SIZE[0] / 3


def test_the_mouse_turns_moves_and_enlarges() -> None:
    viewing = Viewing()
    with screen(*SIZE) as one:
        view = one.space(with_a_ball(None)[0])
        hand = VolumeInteraction(view, viewing)
        first = one.frame()

        def drag(button: Button, dx: float, dy: float) -> None:
            hand.press(Pointer(60, 60, button))
            hand.move(Pointer(60 + dx, 60 + dy, button))
            hand.release(Pointer(60 + dx, 60 + dy, button))

        drag(Button.LEFT, 450, 0)
        assert side(one.frame()) == (-1, 1), "half a turn: seen from the back"
        drag(Button.LEFT, 450, 0)
        assert side(one.frame()) == (1, 1)
        drag(Button.RIGHT, 0, 40)
        assert (one.frame().max(axis=-1) > 40).sum() > 1.2 * (first.max(axis=-1) > 40).sum()
        drag(Button.RIGHT, 0, -40)
        drag(Button.MIDDLE, -60, -60)
        assert side(one.frame()) == (-1, -1)
        hand.wheel(Pointer(60, 60), 1)
        assert viewing.state.active_view is ViewName.VOLUME
        hand.double_click(Pointer(60, 60, Button.LEFT))
        assert viewing.state.maximised is ViewName.VOLUME


@pytest.mark.parametrize("modality", [Modality.CT, Modality.MR])
def test_every_look_draws_something(modality: Modality) -> None:
    index = np.indices(SHAPE).sum(axis=0)
    voxels = (-1000 + 2000 * index / index.max()).astype(np.int16)
    shown = volume(voxels, modality=modality, unit="HU" if modality is Modality.CT else "")
    with screen(60, 60) as one:
        view = one.space(shown)
        for preset in presets.ray_casting(shown):
            view.apply(replace(PLAIN, volume_preset=preset.id))
            assert (one.frame().max(axis=-1) > 12).mean() > 0.02, preset.id


def test_fewer_voxels_are_means_and_lie_where_the_many_did() -> None:
    values = np.random.default_rng(1).integers(-900, 900, (9, 21, 30)).astype(np.int16)
    for direction in (None, oblique()):
        geometry = Geometry.from_parts(values.shape, (3.0, 1.0, 1.0), (4.0, 5.0, 6.0), direction)
        thin, grid = casting.thinned(values, geometry, 1500)
        assert thin.shape == (9, 10, 15)
        assert thin.dtype == np.int16
        assert thin[2, 3, 4] == int(values[2, 6:8, 8:10].astype(float).mean())
        assert grid.to_patient((2.0, 3.0, 4.0)) == pytest.approx(geometry.to_patient((2.0, 6.5, 8.5)))
    same, grid = casting.thinned(values, geometry, values.size)
    assert same is values
    assert grid is geometry


def test_a_table_is_left_out_but_arms_and_body_stay() -> None:
    geometry = Geometry.from_parts((40, 120, 160), (5.0, 3.0, 3.0))
    j, i = np.mgrid[:120, :160]
    ct = np.full(geometry.shape, -1000, dtype=np.int16)
    trunk = ((i - 80) / 45) ** 2 + ((j - 55) / 32) ** 2 < 1
    lung = ((i - 65) / 16) ** 2 + ((j - 55) / 20) ** 2 < 1
    arm = (i - 20) ** 2 + (j - 55) ** 2 < 13**2
    table = (j >= 94) & (j < 96) & (i > 10) & (i < 150)
    ct[:, trunk], ct[:, lung], ct[:, arm], ct[:, table] = 40, -850, 40, 300
    found = casting.body(ct, geometry)
    assert found[:, trunk & ~lung].all()
    assert found[:, arm].all()
    assert not found[:, table].any()
    alone = casting.alone(ct, found)
    assert alone[20, 95, 80] == -1000
    assert alone[20, 55, 100] == 40
    empty = np.full(geometry.shape, -1000, dtype=np.int16)
    assert casting.body(empty, geometry).all(), "where nobody is found, everything is shown"


def test_points_of_the_patient_are_where_vtk_draws_them() -> None:
    values = np.zeros(SHAPE, np.int16)
    shown = volume(values, spacing_mm=(3.0, 1.0, 1.2), direction=oblique())
    with screen(150, 90) as window:
        view = window.space(shown)
        view.turn(40, -25)
        window.frame()
        points = shown.geometry.to_patient(np.random.default_rng(3).uniform(0, SHAPE, (20, 3)))
        seen = np.concatenate([points, np.ones((20, 1))], axis=1) @ view.to_screen().T
        width, height = view.size
        for point, at in zip(points, seen, strict=True):
            place = vtkCoordinate()
            place.SetCoordinateSystemToWorld()
            place.SetValue(*point)
            expected = place.GetComputedDoubleDisplayValue(window.renderer)
            assert (at[0] / at[3] + 1) / 2 * width == pytest.approx(expected[0], abs=0.51)
            assert (at[1] / at[3] + 1) / 2 * height == pytest.approx(expected[1], abs=0.51)
