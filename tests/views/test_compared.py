"""The views turn between the labels as they are, as they came, and what differs."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medview.core.geometry import Box
from medview.core.planes import Plane
from medview.core.segmentation import Segment, Segmentation
from medview.editing.brush import BrushShape
from medview.views.linking import LinkedViews
from medview.workstation.comparing import LEGEND, Comparing
from medview.workstation.stroke import BrushOptions
from medview.workstation.view_state import Compared
from medview.workstation.view_state import ViewName as Name
from tests.support import editing_run
from tests.support.screens import PLAIN, Picture, colors_in, screen

LIVER, SPLEEN = (200, 90, 60), (20, 60, 220)
ADDED, REMOVED, EXCHANGED = (color for _, _, color in LEGEND)


def has(picture: Picture, color: tuple[int, ...]) -> bool:
    """Whether a picture of surfaces has this hue: light changes how bright it is."""
    lit = picture[(picture.max(axis=-1) > 60)].astype(float)
    if not len(lit):
        return False
    wanted = np.array(color) / np.linalg.norm(color)
    return bool(((lit @ wanted) / np.linalg.norm(lit, axis=-1)).max() > 0.995)


def test_all_views_draw_what_is_asked_for(tmp_path: Path) -> None:
    one = editing_run.station(tmp_path / "journals")
    labels = np.zeros(editing_run.SHAPE, np.uint8)
    labels[10:30, 20:50, 20:40] = 1
    segmentation = Segmentation(one.volume.geometry, labels, (Segment(1, "Liver", LIVER), Segment(2, "Spleen", SPLEEN)))
    one.case.add_segmentation(segmentation, on=one.volume.id)
    comparing = Comparing(one.workspace, one.viewing, one.correction)
    with ExitStack() as stack:
        links = LinkedViews(one.workspace, one.viewing, one.jobs, one.correction, comparing)
        flat, solid = stack.enter_context(screen(200, 160)), stack.enter_context(screen(200, 160))
        links.attach(Name.AXIAL, flat.slices(Plane.AXIAL))
        links.attach(Name.VOLUME, solid.space())
        one.workspace.activate(one.case, one.volume, segmentation)
        one.correction.adopt(segmentation)
        one.viewing.put(
            replace(
                PLAIN, volume_id=one.volume.id, segmentation_id=segmentation.id, cursor=one.at(20, 35, 45),
                fill_opacity=1.0, outlined=False, volume_rendered=False,
            )
        )  # fmt: skip
        one.correction.set_options(BrushOptions(shape=BrushShape.SPHERE, radius_mm=9.0))
        one.correction.select_segment(2)
        for where, erase in (((20, 35, 60), False), ((20, 35, 40), False)):
            one.correction.begin_stroke(one.at(*where), Plane.AXIAL, erase=erase)
            one.correction.end_stroke()
        one.correction.select_segment(1)
        one.correction.begin_stroke(one.at(20, 22, 22), Plane.AXIAL, erase=True)
        one.correction.end_stroke()

        def pictures() -> tuple[set[tuple[int, ...]], Picture]:
            links.stroke_ended()
            until = time.monotonic() + 20
            while one.jobs.open_jobs and time.monotonic() < until:
                one.queue.drain(0.02)
            return colors_in(flat.frame()) - {(0, 0, 0)}, solid.frame()

        drawn, space = pictures()
        assert drawn == {LIVER, SPLEEN}
        assert has(space, SPLEEN)
        comparing.show(Compared.MODEL)
        drawn, space = pictures()
        assert drawn == {LIVER}
        assert not has(space, SPLEEN)
        assert has(space, LIVER)
        comparing.show(Compared.DIFFERENCE)
        drawn, space = pictures()
        assert drawn == {ADDED, REMOVED, EXCHANGED}
        assert all(has(space, color) for color in (ADDED, REMOVED))
        assert not has(space, LIVER)
        one.viewing.put(one.viewing.state.with_hidden(segmentation.id, frozenset({1, 2})))
        assert pictures()[0] == {ADDED, REMOVED, EXCHANGED}, "these are no segments"
        one.viewing.put(one.viewing.state.with_hidden(segmentation.id, frozenset()))
        one.correction.undo()
        assert pictures()[0] == {ADDED, EXCHANGED}, "what is undone differs no more"
        comparing.show(Compared.MINE)
        assert pictures()[0] == {LIVER, SPLEEN}
        links.close()
    one.close()


@pytest.mark.parametrize("plane", list(Plane))
def test_every_voxel_of_the_slice_has_its_own_colour(tmp_path: Path, plane: Plane) -> None:
    """What is drawn in place of the labels lies where they lie, in each plane."""
    one = editing_run.station(tmp_path / "journals")
    segmentation = Segmentation(one.volume.geometry, None, (Segment(1, "Liver", LIVER),))
    one.case.add_segmentation(segmentation, on=one.volume.id)
    one.workspace.activate(one.case, one.volume, segmentation)
    one.correction.adopt(segmentation)
    comparing = Comparing(one.workspace, one.viewing, one.correction)
    one.correction.set_options(BrushOptions(shape=BrushShape.SPHERE, radius_mm=6.0))
    one.correction.begin_stroke(one.at(22, 20, 70), Plane.AXIAL)
    one.correction.end_stroke()
    state = replace(PLAIN, cursor=one.at(22, 20, 70), fill_opacity=1.0, outlined=False)
    with screen(200, 160) as flat:
        view = flat.slices(plane, one.volume, state)
        view.set_segmentation(segmentation)
        mine = (flat.frame() == LIVER).all(axis=-1)
        view.draw_instead(comparing.drawn(segmentation, Compared.DIFFERENCE))
        np.testing.assert_array_equal((flat.frame() == ADDED).all(axis=-1), mine)
        assert mine.any()
        segmentation.write(Box((22, 20, 70), (23, 21, 71)), np.zeros((1, 1, 1), np.uint8))
        assert view.labels_changed(Box((22, 20, 70), (23, 21, 71)))
        assert (flat.frame() == ADDED).all(axis=-1).sum() < mine.sum()
    one.close()
