"""Whole segments, changed on a workstation: one step each, in the journal, with what was painted meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from medview.core.errors import MedViewError
from medview.core.geometry import Box
from medview.core.planes import Plane
from medview.core.segmentation import Segment, Segmentation
from medview.core.text import Text
from medview.editing import joint_smoothing, reshape
from medview.editing.brush import BrushShape
from medview.workstation.shaping import MOST_PARTS, SHAPES, Shape
from medview.workstation.stroke import BrushOptions
from tests.support import editing_run
from tests.support.editing_run import Station

SPHERE = BrushOptions(shape=BrushShape.SPHERE, radius_mm=6.0)


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Station]:
    station = editing_run.station(tmp_path / "journals")
    yield station
    station.close()


def dab(one: Station, k: float, j: float, i: float) -> None:
    one.correction.begin_stroke(one.at(k, j, i), Plane.AXIAL)
    one.correction.end_stroke()


def adopted(one: Station, label: int = 1) -> Segmentation:
    segments = (Segment(1, "Liver", (200, 90, 60)), Segment(2, "Spleen", (1, 2, 3)))
    labels = editing_run.adopted_labels() * np.uint8(label)
    labels[:, :, 60:] = 2
    segmentation = Segmentation(one.volume.geometry, labels, segments, title="CT organs")
    one.case.add_segmentation(segmentation, on=one.volume.id)
    one.workspace.activate(one.case, one.volume, segmentation)
    one.correction.adopt(segmentation)
    return segmentation


def named(name: str) -> Shape:
    return next(shape for shape in SHAPES if shape.name.template == name)


def test_growing_takes_background_only_and_is_one_step(one: Station) -> None:
    adopted(one)
    before = one.labels.copy()
    one.finish(one.shaping.apply(named("Grow"), 3.0))
    away = ndimage.distance_transform_edt(before != 1, sampling=one.volume.geometry.spacing_mm)
    expected = np.where((away <= 3.0 + 1e-5) & (before == 0), 1, before)
    np.testing.assert_array_equal(one.labels, expected)
    assert one.correction.undo_name == Text("Grow")
    one.correction.undo()
    np.testing.assert_array_equal(one.labels, before)
    one.correction.redo()
    np.testing.assert_array_equal(one.labels, expected)


@pytest.mark.parametrize(
    "shape", [one for one in SHAPES if one.change is not None], ids=lambda shape: shape.name.template
)
def test_every_change_leaves_other_segments_alone(one: Station, shape: Shape) -> None:
    adopted(one)
    before = one.labels.copy()
    one.finish(one.shaping.apply(shape, shape.amount.usual if shape.amount is not None else 0.0))
    np.testing.assert_array_equal(one.labels == 2, before == 2)


def test_an_amount_out_of_range_is_brought_back_into_it(one: Station) -> None:
    adopted(one)
    before = one.labels.copy()
    one.finish(one.shaping.apply(named("Shrink"), -5.0))
    np.testing.assert_array_equal(one.labels, before)


def test_a_change_that_changes_nothing_costs_no_step(one: Station) -> None:
    adopted(one)
    one.finish(one.shaping.apply(named("Keep the largest part"), 0.0))
    assert not one.correction.can_undo
    assert one.shaping.apply(named("Grow"), 1.0) is not None


def test_what_is_painted_meanwhile_stays(one: Station) -> None:
    adopted(one)
    job = one.shaping.apply(named("Shrink"), 2.0)
    one.correction.set_options(SPHERE)
    dab(one, 3, 3, 3)
    painted = one.labels[3, 3, 3]
    one.finish(job)
    assert painted == one.labels[3, 3, 3] == 1
    assert one.correction.undo_name == Text("Shrink")


def test_a_locked_segment_is_not_changed(one: Station) -> None:
    adopted(one)
    before = one.labels.copy()
    job = one.shaping.apply(named("Grow"), 2.0)
    one.correction.set_locked(1, True)
    one.finish(job)
    with pytest.raises(MedViewError, match="Liver is locked"):
        one.shaping.apply(named("Grow"), 2.0)
    with pytest.raises(MedViewError, match="Liver is locked"):
        one.shaping.split()
    with pytest.raises(MedViewError, match="Liver is locked"):
        one.shaping.fill_between_slices(Plane.AXIAL)
    np.testing.assert_array_equal(one.labels, before)


def test_without_a_segment_there_is_nothing_to_change(one: Station) -> None:
    assert one.shaping.apply(named("Grow"), 2.0) is None
    assert one.shaping.split() is None
    assert one.shaping.fill_between_slices(Plane.AXIAL) is None


def test_parts_become_segments_by_size_and_come_back_together(one: Station) -> None:
    adopted(one)
    one.correction.set_options(SPHERE)
    dab(one, 3, 6, 6)
    dab(one, 36, 66, 6)
    one.correction.set_options(BrushOptions(shape=BrushShape.SPHERE, radius_mm=4.0))
    dab(one, 36, 6, 50)
    before = one.labels.copy()
    names = [segment.name for segment in one.segmentation.segments]
    one.finish(one.shaping.split())
    parts, count = ndimage.label(before == 1)
    assert count == 4
    assert [segment.name for segment in one.segmentation.segments] == [*names, "Liver 2", "Liver 3", "Liver 4"]
    sizes = [int((one.labels == label).sum()) for label in (1, 3, 4, 5)]
    assert sizes == sorted(np.bincount(parts.ravel())[1:].tolist(), reverse=True)
    assert all(len(np.unique(parts[one.labels == label])) == 1 for label in (1, 3, 4, 5))
    one.correction.undo()
    np.testing.assert_array_equal(one.labels, before)
    assert [segment.name for segment in one.segmentation.segments] == names


def test_crumbs_beyond_the_most_stay_with_the_largest(one: Station) -> None:
    segmentation = adopted(one)
    labels = np.zeros_like(segmentation.labels)
    labels[::4, ::10, ::10] = 1
    crumbs = Segmentation(one.volume.geometry, labels.copy(), segmentation.segments)
    one.case.add_segmentation(crumbs, on=one.volume.id)
    one.workspace.activate(one.case, one.volume, crumbs)
    one.correction.adopt(crumbs)
    one.finish(one.shaping.split())
    assert len(one.segmentation.segments) == 2 + MOST_PARTS - 1
    assert (one.labels == 1).sum() == (labels == 1).sum() - (MOST_PARTS - 1)


def test_fill_between_slices_fills_background_only(one: Station) -> None:
    adopted(one)
    correction = one.correction
    correction.add_segment("Left kidney")
    correction.set_options(BrushOptions(radius_mm=7.0))
    for k in (5, 17):
        dab(one, k, 30, 60)
    before = one.labels.copy()
    correction.set_options(BrushOptions(radius_mm=5.0))
    one.finish(one.shaping.fill_between_slices(Plane.AXIAL))
    changed = one.labels != before
    assert np.flatnonzero(changed.any(axis=(1, 2))).tolist() == [
        k for k in range(6, 17) if (before[k][before[5] == 3] == 0).any()
    ]
    assert not before[changed].any()
    assert (one.labels[changed] == 3).all()
    assert correction.undo_name == Text("Fill between slices")
    correction.undo()
    np.testing.assert_array_equal(one.labels, before)
    correction.select_segment(1)
    correction.undo()
    correction.undo()


def test_a_fill_that_comes_home_to_a_removed_segment_does_nothing(one: Station) -> None:
    one.correction.set_options(SPHERE)
    for k in (5, 30):
        dab(one, k, 30, 40)
    job = one.shaping.fill_between_slices(Plane.AXIAL)
    one.correction.remove_segment(1)
    one.finish(job)
    assert not one.labels.any()


def test_all_segments_are_smoothed_together_but_locked_ones(one: Station) -> None:
    labels = editing_run.adopted_labels()
    rng = np.random.default_rng(4)
    labels[:, :, 45:][labels[:, :, 45:] != 0] = 2
    labels[rng.random(labels.shape) < 0.05] = 0
    labels[30:, 30:, 30:][labels[30:, 30:, 30:] != 0] = 3
    segments = tuple(Segment(n, f"Structure {n}", (n, n, n)) for n in (1, 2, 3))
    segmentation = Segmentation(one.volume.geometry, labels.copy(), segments)
    one.case.add_segmentation(segmentation, on=one.volume.id)
    one.workspace.activate(one.case, one.volume, segmentation)
    one.correction.set_locked(3, True)
    shape = next(shape for shape in SHAPES if shape.change is None)
    one.finish(one.shaping.apply(shape, 1.5))
    box, found = joint_smoothing.smoothed(labels, one.volume.geometry, 1.5)
    expected = labels.copy()
    free = (labels[box.slices] != 3) & (found != 3)
    expected[box.slices] = np.where(free, found, labels[box.slices])
    np.testing.assert_array_equal(one.labels, expected)
    assert (expected != labels).sum() > 1000
    one.correction.undo()
    np.testing.assert_array_equal(one.labels, labels)


@pytest.mark.parametrize(
    "shape", [one for one in SHAPES if one.change is not None], ids=lambda shape: shape.name.template
)
def test_what_is_computed_around_the_segment_is_what_the_whole_grid_gives(one: Station, shape: Shape) -> None:
    """On a grid of 2 x 1 x 1 mm, with a segment that reaches three faces of it."""
    adopted(one)
    labels = np.zeros(editing_run.SHAPE, np.uint8)
    labels[:9, 50:, 4:30] = 1
    labels[3:6, 60:64, 10:14] = 0
    labels[20:23, 10:14, 12:15] = 1
    one.segmentation.write(Box.whole(editing_run.SHAPE), labels)
    amount = shape.amount.usual if shape.amount is not None else 0.0
    assert shape.change is not None
    found = reshape.reshape(labels, one.volume.geometry, 1, shape.change(amount))
    expected = labels == 1
    if not found.is_empty:
        expected[found.box.slices] = (expected[found.box.slices] | found.added) & ~found.removed
    one.finish(one.shaping.apply(shape, amount))
    np.testing.assert_array_equal(one.labels == 1, expected)


def test_a_segment_without_voxels_is_left_as_it_is(one: Station) -> None:
    adopted(one)
    one.correction.add_segment("Tumour bed")
    before = one.labels.copy()
    for job in (one.shaping.apply(named("Grow"), 3.0), one.shaping.split()):
        one.finish(job)
    one.finish(one.shaping.fill_between_slices(Plane.AXIAL))
    np.testing.assert_array_equal(one.labels, before)
    assert one.correction.undo_name == Text.of("Add {name}", name="Tumour bed")
