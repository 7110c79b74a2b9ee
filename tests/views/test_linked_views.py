"""What happens in the workstation shows in all views."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medview.core.geometry import Box
from medview.core.planes import Plane
from medview.core.segmentation import Segment, Segmentation
from medview.core.volume import Modality, Volume, VolumeId, Window
from medview.views.edit_hands import edit_hand
from medview.views.interaction import SliceInteraction
from medview.views.linking import LinkedViews
from medview.views.pointer import Pointer
from medview.views.slice_decoration import PLANE_COLORS
from medview.views.slice_view import SliceView
from medview.views.volume_view import VolumeView
from medview.workstation.view_state import ViewName
from tests.support import editing_run
from tests.support.screens import Picture, Screen, screen

SIZE = (160, 120)


class Wall:
    """Four linked views on a station."""

    def __init__(self, journals: Path, stack: ExitStack, *, complete: bool = True) -> None:
        self.station = one = editing_run.station(journals, complete=complete)
        self.links = LinkedViews(one.workspace, one.viewing, one.jobs, one.correction)
        self.screens: dict[ViewName, Screen] = {name: stack.enter_context(screen(*SIZE)) for name in ViewName}
        self.views: dict[ViewName, SliceView] = {}
        for name, shown in self.screens.items():
            if name.plane is not None:
                self.views[name] = SliceView(shown.renderer, name.plane, shown.request)
                self.links.attach(name, self.views[name])
        space = self.screens[ViewName.VOLUME]
        self.space = VolumeView(space.renderer, space.request)
        self.links.attach(ViewName.VOLUME, self.space)
        one.viewing.update(cursor=one.at(20, 35, 45), window=Window(50.0, 100.0))
        self.frames()

    def frames(self) -> dict[ViewName, Picture]:
        return {name: shown.frame() for name, shown in self.screens.items()}

    def requests(self) -> dict[ViewName, int]:
        return {name: shown.requests for name, shown in self.screens.items()}

    def surfaces(self) -> int:
        return self.screens[ViewName.VOLUME].renderer.GetActors().GetNumberOfItems()

    def wait_for_surfaces(self, count: int) -> None:
        until = time.monotonic() + 20
        while self.surfaces() != count and time.monotonic() < until:
            self.station.queue.drain(0.05)
        assert self.surfaces() == count


@pytest.fixture
def wall(tmp_path: Path) -> Iterator[Wall]:
    with ExitStack() as stack:
        one = Wall(tmp_path / "journals", stack)
        yield one
        one.links.close()
        one.station.close()


def line_of(picture: Picture, plane: Plane, *, column: int | None = None, row: int | None = None) -> int:
    """Where a plane's crosshair line crosses a column or a row, clear of letters and of the gap."""
    color = np.array(PLANE_COLORS[plane], dtype=int)
    cut = (picture[:, column] if column is not None else picture[row]).astype(int)
    shares = cut @ color / np.linalg.norm(color) / (np.linalg.norm(cut, axis=-1) + 1e-9) * (cut.max(axis=-1) > 60)
    return int(np.argmax(shares))


def test_scrolling_one_view_moves_its_line_in_the_others(wall: Wall) -> None:
    one = wall.station
    axial = wall.views[ViewName.AXIAL]
    edit = edit_hand(axial, one.editing, lambda error: None)
    hand = SliceInteraction(axial, one.viewing, edit)
    before = wall.frames()
    hand.wheel(Pointer(80, 60), 6)
    after = wall.frames()
    for name in (ViewName.CORONAL, ViewName.SAGITTAL):
        moved = line_of(after[name], Plane.AXIAL, column=40) - line_of(before[name], Plane.AXIAL, column=40)
        assert abs(moved - 6 * 2.0 / wall.views[name].camera.mm_per_pixel) <= 1
    assert axial.index == 26
    one.viewing.update(cursor=one.at(26, 20, 60))
    last = wall.frames()
    moved = line_of(last[ViewName.AXIAL], Plane.SAGITTAL, row=30) - line_of(
        after[ViewName.AXIAL], Plane.SAGITTAL, row=30
    )
    assert abs(moved - 15 / axial.camera.mm_per_pixel) <= 1
    moved = line_of(last[ViewName.AXIAL], Plane.CORONAL, column=30) - line_of(
        after[ViewName.AXIAL], Plane.CORONAL, column=30
    )
    assert abs(moved - 15 / axial.camera.mm_per_pixel) <= 1, "the front is up"
    assert [wall.views[name].index for name in (ViewName.CORONAL, ViewName.SAGITTAL)] == [20, 60]


def test_nothing_asks_for_frames_while_nothing_happens(wall: Wall) -> None:
    wall.station.queue.drain()
    wall.frames()
    before = wall.requests()
    wall.frames()
    wall.station.viewing.update(cursor=wall.station.viewing.state.cursor)
    wall.station.queue.drain(0.05)
    assert wall.requests() == before


def test_a_stroke_draws_only_the_views_that_it_meets(wall: Wall) -> None:
    one = wall.station
    one.correction.new_segmentation()
    wall.frames()
    before = wall.requests()
    one.segmentation.write(Box((3, 35, 2), (4, 36, 4)), np.ones((1, 1, 2), np.uint8))
    after = wall.requests()
    assert [name for name in ViewName if after[name] > before[name]] == [ViewName.CORONAL]


def test_slices_show_as_they_arrive_and_rays_wait_for_the_last(tmp_path: Path) -> None:
    with ExitStack() as stack:
        wall = Wall(tmp_path / "journals", stack)
        one = wall.station
        voxels = np.zeros(editing_run.SHAPE, dtype=np.int16)
        loading = Volume(VolumeId("loading"), one.volume.geometry, voxels, Modality.CT, "HU", editing_run.SERIES_UID)
        one.case.add_volume(loading, complete=False)
        one.workspace.activate(one.case, loading)
        one.viewing.update(annotations_shown=False, interpolated=False)
        assert {name: int(frame.max()) for name, frame in wall.frames().items()} == dict.fromkeys(ViewName, 0)
        assert {name: view.volume for name, view in wall.views.items()} == dict.fromkeys(wall.views, loading)
        rays: list[Volume | None] = [wall.space.volume]
        before = wall.requests()
        voxels[:10] = 100
        one.case.slices_arrived(loading.id, 0, 10)
        after = wall.requests()
        assert [name for name in ViewName if after[name] > before[name]] == [ViewName.CORONAL, ViewName.SAGITTAL]
        frames = wall.frames()
        coronal = wall.views[ViewName.CORONAL]
        for k, grey in ((2, 255), (9, 255), (10, 0), (30, 0)):
            x, y = coronal.pixel_of(one.at(k, 35, 45))
            assert frames[ViewName.CORONAL][int(y), int(x), 0] == grey
        voxels[10:] = 100
        one.case.slices_arrived(loading.id, 10, 40)
        assert wall.frames()[ViewName.AXIAL][60, 80, 0] == 255
        one.case.complete_volume(loading.id)
        rays.append(wall.space.volume)
        assert rays == [None, loading]
        wall.links.close()
        one.close()


def test_surfaces_follow_the_segmentation_but_wait_for_the_stroke(wall: Wall) -> None:
    one = wall.station
    labels = editing_run.adopted_labels()
    segments = (Segment(1, "Liver", (200, 90, 60)), Segment(2, "Other", (20, 90, 200)))
    segmentation = Segmentation(one.volume.geometry, labels, segments)
    one.case.add_segmentation(segmentation, on=one.volume.id)
    one.workspace.activate(one.case, one.volume, segmentation)
    wall.wait_for_surfaces(1)
    one.correction.adopt(segmentation)
    one.correction.select_segment(2)
    one.correction.begin_stroke(one.at(3, 60, 80), Plane.AXIAL)
    one.queue.drain(0.1)
    assert wall.surfaces() == 1
    one.correction.end_stroke()
    wall.links.stroke_ended()
    wall.wait_for_surfaces(2)
    one.workspace.activate(one.case, one.volume)
    assert wall.surfaces() == 0


def test_a_view_that_comes_late_shows_what_the_others_show(wall: Wall) -> None:
    with screen(*SIZE) as late:
        view = SliceView(late.renderer, Plane.AXIAL, late.request)
        wall.links.attach(ViewName.AXIAL, view)
        one = wall.station
        shown = late.frame()
        assert shown.max() > 0
        assert np.array_equal(shown, wall.frames()[ViewName.AXIAL])
        one.viewing.put(replace(one.viewing.state, cursor=one.at(7, 8, 9)))
        assert view.index == 7
        wall.links.detach(ViewName.AXIAL)
        one.viewing.update(cursor=one.at(9, 8, 9))
        assert view.index == 7
