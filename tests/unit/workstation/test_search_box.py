from __future__ import annotations

import numpy as np
import pytest

from medview.core.case import Patient, Study
from medview.core.errors import InputError
from medview.core.geometry import Box
from medview.core.volume import Volume
from medview.workstation.search_box import SearchBox, size_for
from medview.workstation.workspace import Workspace
from tests.support import grids
from tests.support.volumes import volume


class Desk:
    """A workspace with one image, and how often the box changed."""

    def __init__(self, image: Volume) -> None:
        self.workspace = Workspace()
        self.case = self.workspace.case_of(Study("1.2", Patient("p")))
        self.show(image)
        self.search = SearchBox(self.workspace)
        self.changes = 0
        self.search.changed.connect(self._changed)

    def show(self, image: Volume) -> None:
        self.case.add_volume(image)
        self.workspace.activate(self.case, image)

    def _changed(self, _: None) -> None:
        self.changes += 1


@pytest.fixture
def desk() -> Desk:
    return Desk(volume(np.zeros((20, 30, 40), np.int16), spacing_mm=(2.0, 1.0, 0.5)))


def at(desk: Desk, k: float, j: float, i: float) -> tuple[float, float, float]:
    volume_ = desk.workspace.active_volume
    assert volume_ is not None
    x, y, z = (float(value) for value in volume_.geometry.to_patient((k, j, i)))
    return x, y, z


def test_a_box_lies_around_a_point_and_is_no_larger_than_asked_for(desk: Desk) -> None:
    desk.search.place(at(desk, 10, 15, 20), (5.4, 9.0, 14.0))  # left-right, front-back, foot-head
    assert desk.search.box == Box((7, 11, 16), (14, 20, 25))
    assert desk.search.size_mm == (4.5, 9.0, 14.0)
    desk.search.place(at(desk, 0, 0, 39), (5.4, 9.0, 14.0))
    assert desk.search.box == Box((0, 0, 35), (4, 5, 40))
    assert desk.changes == 2


def test_sides_move_to_where_the_mouse_is_and_never_past_each_other(desk: Desk) -> None:
    desk.search.place(at(desk, 10, 15, 20), (5.4, 9.0, 14.0))
    desk.search.move_side(1, upper=True, to=24.6)
    assert desk.search.box == Box((7, 11, 16), (14, 25, 25))
    desk.search.move_side(1, upper=False, to=8.4)
    assert desk.search.box == Box((7, 9, 16), (14, 25, 25))
    desk.search.move_side(1, upper=False, to=99)
    assert desk.search.box == Box((7, 24, 16), (14, 25, 25))
    desk.search.move_side(0, upper=True, to=99)
    assert desk.search.box == Box((7, 24, 16), (20, 25, 25))
    desk.search.move_side(0, upper=True, to=-99)
    assert desk.search.box == Box((7, 24, 16), (8, 25, 25))


def test_a_whole_box_moves_inside_the_image(desk: Desk) -> None:
    desk.search.place(at(desk, 10, 15, 20), (5.4, 9.0, 14.0))
    desk.search.move_to((-5, 3, 99))
    assert desk.search.box == Box((0, 3, 31), (7, 12, 40))


def test_each_grid_has_a_box_of_its_own(desk: Desk) -> None:
    desk.search.place(at(desk, 10, 15, 20), (5.4, 9.0, 14.0))
    box = desk.search.box
    desk.show(volume(np.ones((20, 30, 40), np.int16), spacing_mm=(2.0, 1.0, 0.5)))
    assert desk.search.box == box
    first = desk.workspace.active_volume
    other = volume(np.ones((9, 9, 9), np.int16))
    desk.show(other)
    assert desk.search.box is None
    desk.search.clear()
    assert first is not None
    assert desk.search.on(first) == box
    desk.workspace.activate(desk.case, first)
    desk.search.clear()
    assert desk.search.box is None


def test_a_box_between_two_corners_in_the_patient(desk: Desk) -> None:
    desk.search.set_between(at(desk, 2.9, 4.2, 30.1), at(desk, 12.1, 1.8, 3.9))
    assert desk.search.box == Box((3, 2, 4), (13, 5, 31))
    with pytest.raises(InputError, match="holds nothing"):
        desk.search.set_between((900, 0, 0), (950, 10, 10))


def test_the_first_size_suits_the_plugin_or_the_image() -> None:
    assert size_for((40, 60, 50), grids.ISOTROPIC) == pytest.approx((36, 54, 45))
    k, j, i = grids.SAGITTAL.extent_mm  # k runs from left to right, i from front to back, j from head to foot
    assert size_for(None, grids.SAGITTAL) == pytest.approx((k / 2, i / 2, j / 2))
