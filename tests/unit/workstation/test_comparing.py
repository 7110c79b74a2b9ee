"""The labels as they are, as they came, and the difference, on a workstation without a screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from medview.core.geometry import Box
from medview.core.planes import Plane
from medview.core.segmentation import ModelRef, Provenance, Segment, Segmentation
from medview.editing.brush import BrushShape
from medview.workstation.comparing import LEGEND, Comparing
from medview.workstation.stroke import BrushOptions
from medview.workstation.view_state import Compared, ViewName
from tests.support import editing_run
from tests.support.editing_run import SHAPE, Station


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Station]:
    station = editing_run.station(tmp_path / "journals")
    yield station
    station.close()


def adopted(one: Station) -> Segmentation:
    segmentation = Segmentation(
        one.volume.geometry,
        editing_run.adopted_labels(),
        (Segment(1, "Liver", (200, 90, 60)), Segment(2, "Spleen", (1, 2, 3))),
        provenance=Provenance(ModelRef("organs", "1.0")),
    )
    one.case.add_segmentation(segmentation, on=one.volume.id)
    one.workspace.activate(one.case, one.volume, segmentation)
    one.correction.adopt(segmentation)
    return segmentation


def paint(one: Station, k: int, j: int, i: int, *, erase: bool = False) -> None:
    one.correction.set_options(BrushOptions(shape=BrushShape.SPHERE, radius_mm=5.0))
    one.correction.begin_stroke(one.at(k, j, i), Plane.AXIAL, erase=erase)
    one.correction.end_stroke()


def slice_shown(one: Station, axis: int = 0) -> int:
    return one.volume.geometry.nearest_voxel(one.viewing.state.cursor)[axis]


def test_one_turns_between_mine_the_model_and_the_difference(one: Station) -> None:
    comparing = Comparing(one.workspace, one.viewing, one.correction)
    comparing.turn()
    assert one.viewing.state.compared is Compared.MINE, "there is nothing to compare"
    adopted(one)
    one.viewing.update(labels_shown=False)
    seen = []
    for _ in range(3):
        comparing.turn()
        seen.append(one.viewing.state.compared)
    assert seen == [Compared.MODEL, Compared.DIFFERENCE, Compared.MINE]
    assert one.viewing.state.labels_shown, "nobody compares what cannot be seen"
    comparing.turn()
    paint(one, 3, 3, 3)
    assert one.viewing.state.compared is Compared.MINE, "nobody paints what cannot be seen"
    comparing.turn()
    one.workspace.activate(one.case, one.volume, None)
    assert one.viewing.state.compared is Compared.MINE


def test_what_is_drawn_is_what_two_whole_maps_say(one: Station) -> None:
    comparing = Comparing(one.workspace, one.viewing, one.correction)
    segmentation = adopted(one)
    before = segmentation.labels.copy()
    one.correction.select_segment(2)
    paint(one, 20, 30, 40)
    one.correction.select_segment(1)
    paint(one, 20, 30, 75)
    paint(one, 24, 14, 40, erase=True)
    one.correction.remove_segment(2)
    one.correction.undo()
    assert comparing.drawn(segmentation, Compared.MINE) is None
    model = comparing.drawn(segmentation, Compared.MODEL)
    difference = comparing.drawn(segmentation, Compared.DIFFERENCE)
    assert model is not None
    assert difference is not None
    whole = Box.whole(SHAPE)
    np.testing.assert_array_equal(model.within(whole), before)
    now = segmentation.labels
    expected = np.select([before == now, before == 0, now == 0], [0, 1, 2], 3)
    assert set(np.unique(expected).tolist()) == {0, 1, 2, 3}
    np.testing.assert_array_equal(difference.within(whole), expected)
    assert [one.label for one in difference.segments] == [code for code, _, _ in LEGEND]
    assert not difference.of_segments


def test_amounts_are_in_ml_by_segment_also_of_one_that_is_gone(one: Station) -> None:
    comparing = Comparing(one.workspace, one.viewing, one.correction)
    segmentation = adopted(one)
    before = segmentation.labels.copy()
    assert comparing.changes() == ()
    one.correction.select_segment(2)
    paint(one, 20, 30, 40)
    one.correction.remove_segment(1)
    now, ml = segmentation.labels, 2.0 * 1.0 * 1.0 / 1000
    liver, spleen = {change.name: change for change in comparing.changes()}.values()
    if liver.name != "Liver":
        liver, spleen = spleen, liver
    assert (liver.name, spleen.name) == ("Liver", "Spleen")
    assert liver.removed_ml == pytest.approx((before == 1).sum() * ml)
    assert liver.added_ml == 0
    assert spleen.added_ml == pytest.approx((now == 2).sum() * ml)
    for axis, plane in enumerate((Plane.AXIAL, Plane.CORONAL, Plane.SAGITTAL)):
        others = tuple(other for other in range(3) if other != axis)
        differs = before != now
        listed = comparing.changed_slices(plane)
        assert [one.index for one in listed] == np.flatnonzero(differs.any(axis=others)).tolist()
        gained = (differs & (now != 0)).sum(axis=others) * ml
        assert [one.added_ml for one in listed] == pytest.approx(gained[[one.index for one in listed]])


def test_one_goes_from_changed_slice_to_changed_slice(one: Station) -> None:
    comparing = Comparing(one.workspace, one.viewing, one.correction)
    segmentation = adopted(one)
    one.viewing.update(cursor=one.at(10, 20, 20))
    comparing.go_to_changed_slice(1)
    assert slice_shown(one) == 10, "nothing differs"
    before = segmentation.labels.copy()
    one.correction.set_options(BrushOptions(radius_mm=4.0))
    for k in (3, 17, 38):
        one.correction.begin_stroke(one.at(k, 60, 80), Plane.AXIAL)
        one.correction.end_stroke()
    visited = []
    for step in (1, 1, 1, -1, -1):
        comparing.go_to_changed_slice(step)
        visited.append(slice_shown(one))
        k, j, i = one.volume.geometry.nearest_voxel(one.viewing.state.cursor)
        assert before[k, j, i] != segmentation.labels[k, j, i]
    assert visited == [17, 38, 3, 38, 17]
    assert comparing.place == (2, 3)
    one.viewing.update(active_view=ViewName.SAGITTAL)
    expected = np.flatnonzero((before != segmentation.labels).any(axis=(0, 1)))
    comparing.go_to_changed_slice(1)
    assert slice_shown(one, 2) == min([one for one in expected if one > 80], default=expected[0])


def test_the_labels_as_they_came_are_known_after_a_restart(tmp_path: Path) -> None:
    journals = tmp_path / "journals"
    one = editing_run.station(journals)
    adopted(one)
    paint(one, 20, 30, 75)
    one.correction.rename_segment(1, "Something else")
    paint(one, 5, 5, 5)
    one.correction.undo()
    now = one.labels.copy()
    one.close()
    two = editing_run.station(journals)
    comparing = Comparing(two.workspace, two.viewing, two.correction)
    (recovery,) = two.correction.recovering.recoveries()
    two.finish(two.correction.recovering.restore(recovery))
    model = comparing.drawn(two.segmentation, Compared.MODEL)
    assert model is not None
    assert model.segments[0].name == "Liver"
    before = editing_run.adopted_labels()
    np.testing.assert_array_equal(model.within(Box.whole(SHAPE)), before)
    (change,) = comparing.changes()
    assert change.added_ml == pytest.approx(((now == 1) & (before != 1)).sum() * 2.0 / 1000)
    assert comparing.is_of_model
    two.close()
