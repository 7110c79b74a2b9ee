"""The radiological convention, seen in pixels: a bright ball at the patient's left, front and head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medview.core.geometry import Floats
from medview.core.planes import Plane
from medview.core.volume import Volume
from medview.views.annotations import edge_letters
from tests.support.grids import centers
from tests.support.screens import PLAIN, Screen, screen
from tests.support.volumes import oblique, orientations, volume

SHAPE = (20, 26, 32)
SPACING = (3.0, 2.2, 1.7)
WHERE = {Plane.AXIAL: (1, 1), Plane.CORONAL: (1, 1), Plane.SAGITTAL: (-1, 1)}
"""On which side of the middle the ball is seen: the patient's left is right, the front is up in axial views and left in
sagittal ones, the head is up."""
GRIDS = [*orientations(), oblique(), oblique() @ np.diag([-1.0, 1.0, 1.0])]


def marked(direction: Floats) -> tuple[Volume, tuple[float, float, float]]:
    """A dark volume with a ball 12 mm to the left, 12 mm to the front and 12 mm to the head of its middle."""
    empty = volume(np.zeros(SHAPE, np.int16), spacing_mm=SPACING, direction=direction)
    x, y, z = empty.geometry.center_mm
    ball = (x + 12.0, y - 12.0, z + 12.0)
    voxels = np.where(np.linalg.norm(centers(empty.geometry) - ball, axis=-1) < 6.0, 100, 0)
    return volume(voxels.astype(np.int16), spacing_mm=SPACING, direction=direction), ball


def seen(one: Screen, direction: Floats, plane: Plane) -> tuple[int, int]:
    marked_volume, ball = marked(direction)
    view = one.slices(plane, marked_volume, replace(PLAIN, cursor=ball))
    bright = one.frame()[..., 0] > 128
    view.close()
    assert bright.sum() > 30
    y, x = np.argwhere(bright).mean(axis=0) - (np.array(bright.shape) - 1) / 2
    return int(np.sign(x)), int(np.sign(y))


@pytest.mark.parametrize("plane", Plane)
def test_left_is_right_and_head_is_up_however_the_grid_lies(plane: Plane) -> None:
    with screen() as one:
        assert [seen(one, direction, plane) for direction in GRIDS] == [WHERE[plane]] * len(GRIDS)


@pytest.mark.parametrize("plane", Plane)
def test_the_letters_name_the_sides_on_which_things_are_seen(plane: Plane) -> None:
    expected = {
        Plane.AXIAL: ("R", "L", "A", "P"),
        Plane.CORONAL: ("R", "L", "H", "F"),
        Plane.SAGITTAL: ("A", "P", "H", "F"),
    }
    with screen() as one:
        for direction in orientations():
            view = one.slices(plane, marked(direction)[0])
            shown = edge_letters(view.camera.right, view.camera.up)
            view.close()
            assert (shown.left, shown.right, shown.top, shown.bottom) == expected[plane]


def test_a_slice_shows_the_plane_through_the_cursor_and_no_other() -> None:
    voxels = np.repeat(np.arange(SHAPE[0], dtype=np.int16) * 5, SHAPE[1] * SHAPE[2]).reshape(SHAPE)
    for direction in (None, oblique()):
        layered = volume(voxels, spacing_mm=SPACING, direction=direction)
        with screen() as one:
            for k in (0, 7, SHAPE[0] - 1):
                x, y, z = (float(value) for value in layered.geometry.to_patient((k, 12.0, 15.0)))
                view = one.slices(Plane.AXIAL, layered, replace(PLAIN, cursor=(x, y, z)))
                frame = one.frame()
                view.close()
                assert abs(int(frame[60, 80, 0]) - round(5 * k / 100 * 255)) <= 1
