"""The box inside which plugins look: drawn where its voxels are, and changed with the mouse in any plane."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import pytest

from medview.core.case import Patient, Study
from medview.core.geometry import Box
from medview.core.planes import Plane
from medview.views.box_hand import BoxHand, BoxInViews
from medview.views.search_box_layer import BOX_COLOR
from medview.views.slice_view import SliceView
from medview.workstation.search_box import SearchBox
from medview.workstation.view_state import ViewState
from medview.workstation.workspace import Workspace
from tests.support import grids
from tests.support.screens import Picture, Screen, screen
from tests.support.volumes import volume

BOX = Box((4, 5, 6), (9, 12, 15))
MIDDLE = (6, 8, 10)
STATE = ViewState(crosshair_shown=False)


@dataclass
class Desk:
    """Views of one image in every plane, with a box and a hand for it."""

    search: SearchBox
    views: dict[Plane, SliceView]
    screens: dict[Plane, Screen]
    hands: dict[Plane, BoxHand]

    def pixel(self, plane: Plane, k: float, j: float, i: float) -> tuple[float, float]:
        view = self.views[plane]
        assert view.volume is not None
        x, y, z = (float(value) for value in view.volume.geometry.to_patient((k, j, i)))
        return view.pixel_of((x, y, z))

    def look_at(self, k: float, j: float, i: float) -> None:
        view = next(iter(self.views.values()))
        assert view.volume is not None
        x, y, z = (float(value) for value in view.volume.geometry.to_patient((k, j, i)))
        for one in self.views.values():
            one.apply(ViewState(cursor=(x, y, z), crosshair_shown=False))

    def drag(self, plane: Plane, start: tuple[float, float], stop: tuple[float, float]) -> bool:
        hand = self.hands[plane]
        taken = hand.press(*start)
        for share in (0.5, 1.0):
            hand.move(*(a + share * (b - a) for a, b in zip(start, stop, strict=True)), held=True)
        hand.release()
        return taken


@pytest.fixture(params=["isotropic", "flipped", "sagittal", "oblique"])
def desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    geometry = grids.ALL[request.param]
    plain = volume(np.zeros(geometry.shape, np.int16))
    image = type(plain)(plain.id, geometry, plain.voxels, plain.modality, plain.unit, plain.series_uid)
    workspace = Workspace()
    case = workspace.case_of(Study("1", Patient("p")))
    case.add_volume(image)
    workspace.activate(case, image)
    search = SearchBox(workspace)
    with ExitStack() as stack:
        screens = {plane: stack.enter_context(screen(300, 260)) for plane in Plane}
        views = {plane: screens[plane].slices(plane, image, STATE) for plane in Plane}
        shown = BoxInViews(search, workspace)
        for view in views.values():
            shown.attach(view)
        made = Desk(search, views, screens, {plane: BoxHand(view, search) for plane, view in views.items()})
        made.look_at(*MIDDLE)
        search._take(BOX)
        yield made
        shown.close()


def marked(picture: Picture) -> np.ndarray:
    return np.argwhere((picture == BOX_COLOR).all(axis=-1))


@pytest.mark.parametrize("plane", Plane)
def test_the_box_is_drawn_around_its_voxels(desk: Desk, plane: Plane) -> None:
    view = desk.views[plane]
    found = marked(desk.screens[plane].frame())
    axis = view.cut.axis
    faces = np.array([BOX.start, BOX.stop], dtype=np.float64) - 0.5
    faces[:, axis] = MIDDLE[axis]
    corners = np.array([desk.pixel(plane, *face) for face in faces])
    handle = 3 + 1 + 0.5  # half its size, the line, and rounding to pixels
    assert np.abs(found[:, ::-1].min(axis=0) - corners.min(axis=0)).max() <= handle
    assert np.abs(found[:, ::-1].max(axis=0) - corners.max(axis=0)).max() <= handle
    away = list(MIDDLE)
    away[axis] = BOX.stop[axis] + 1
    desk.look_at(*away)
    quiet = desk.screens[plane].frame()
    assert not len(marked(quiet))  # drawn fainter: the slice does not go through it
    assert quiet.max() > 0
    assert not desk.hands[plane].press(*desk.pixel(plane, *away))


@pytest.mark.parametrize("plane", Plane)
def test_a_side_follows_the_mouse(desk: Desk, plane: Plane) -> None:
    cut = desk.views[plane].cut
    for axis in (cut.right_axis, cut.up_axis):
        for upper in (False, True):
            before = desk.search.box
            assert before is not None
            start, stop = list(map(float, MIDDLE)), list(map(float, MIDDLE))
            start[axis] = (before.stop if upper else before.start)[axis] - 0.5
            stop[axis] = start[axis] + (2 if upper else -2)
            along = ({cut.right_axis, cut.up_axis} - {axis}).pop()
            start[along] = stop[along] = before.start[along] + 0.9  # away from the middle of the side
            assert desk.drag(plane, desk.pixel(plane, *start), desk.pixel(plane, *stop))
            wanted = before.narrowed(
                axis, before.start[axis] - (0 if upper else 2), before.stop[axis] + (2 if upper else 0)
            )
            assert desk.search.box == wanted


def test_a_corner_moves_two_sides_and_the_middle_moves_all(desk: Desk) -> None:
    plane = Plane.CORONAL
    cut = desk.views[plane].cut
    corner = list(map(float, MIDDLE))
    corner[cut.right_axis] = BOX.start[cut.right_axis] - 0.5
    corner[cut.up_axis] = BOX.stop[cut.up_axis] - 0.5
    to = list(corner)
    to[cut.right_axis] -= 1
    to[cut.up_axis] -= 1
    assert desk.drag(plane, desk.pixel(plane, *corner), desk.pixel(plane, *to))
    wanted = BOX.narrowed(cut.right_axis, BOX.start[cut.right_axis] - 1, BOX.stop[cut.right_axis])
    wanted = wanted.narrowed(cut.up_axis, BOX.start[cut.up_axis], BOX.stop[cut.up_axis] - 1)
    assert desk.search.box == wanted

    middle = (np.asarray(wanted.start) + wanted.stop - 1) / 2
    middle[cut.axis] = MIDDLE[cut.axis]
    to_ = middle.copy()
    to_[cut.right_axis] += 2
    to_[cut.up_axis] += 3
    assert desk.drag(plane, desk.pixel(plane, *middle), desk.pixel(plane, *to_))
    shift = [0, 0, 0]
    shift[cut.right_axis], shift[cut.up_axis] = 2, 3
    assert desk.search.box == wanted.shifted((shift[0], shift[1], shift[2]))


def test_elsewhere_the_mouse_does_what_it_always_does(desk: Desk) -> None:
    hand = desk.hands[Plane.AXIAL]
    assert not hand.press(*desk.pixel(Plane.AXIAL, 6, 6.6, 7.6))  # inside, away from sides and middle
    assert not hand.press(*desk.pixel(Plane.AXIAL, 6, 16, 20))
    assert not hand.is_busy
    desk.search.clear()
    assert not hand.press(*desk.pixel(Plane.AXIAL, *MIDDLE))
    assert not len(marked(desk.screens[Plane.AXIAL].frame()))
