from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medview.core.errors import GridMismatchError, InputError, MedViewError, StorageError
from medview.core.planes import Plane
from medview.core.segmentation import LabelsChanged, ModelRef, Provenance, Segment, Segmentation
from medview.core.text import Text
from medview.core.volume import VolumeId
from medview.editing.brush import BrushShape
from medview.editing.rules import PaintRules
from medview.workstation.journals import Recovery
from medview.workstation.stroke import LARGEST_RADIUS_MM, SMALLEST_RADIUS_MM, BrushOptions
from tests.support import editing_run, grids
from tests.support.editing_run import Station

ROOT = Path(__file__).resolve().parents[3]
SPHERE = BrushOptions(shape=BrushShape.SPHERE, radius_mm=6.0)


@pytest.fixture
def journals(tmp_path: Path) -> Path:
    return tmp_path / "journals"


@pytest.fixture
def one(journals: Path) -> Iterator[Station]:
    station = editing_run.station(journals)
    yield station
    station.close()


def dab(one: Station, k: float, j: float, i: float, *, erase: bool = False) -> None:
    one.correction.begin_stroke(one.at(k, j, i), Plane.AXIAL, erase=erase)
    one.correction.end_stroke()


def ball(one: Station, k: float, j: float, i: float, radius_mm: float) -> NDArray[np.bool_]:
    """(k, j, i) bool: voxel centres within a radius, in patient space."""
    point = np.array(one.at(k, j, i))
    distance = grids.distance_to_line(grids.centers(one.volume.geometry), point, point)
    near: NDArray[np.bool_] = distance <= radius_mm
    return near


def adopted(one: Station) -> Segmentation:
    segments = (Segment(1, "Liver", (200, 90, 60)), Segment(2, "Spleen", (1, 2, 3)))
    labels = editing_run.adopted_labels()
    labels[:, :, 60:] = 2
    segmentation = Segmentation(
        one.volume.geometry,
        labels,
        segments,
        title="CT organs",
        provenance=Provenance(ModelRef("organs", "1.0", "00ff"), datetime(2024, 1, 2, tzinfo=UTC)),
    )
    one.case.add_segmentation(segmentation, on=one.volume.id)
    one.workspace.activate(one.case, one.volume, segmentation)
    one.correction.adopt(segmentation)
    return segmentation


# Strokes


def test_painting_needs_no_segmentation(one: Station) -> None:
    one.correction.set_options(SPHERE)
    dab(one, 20, 30, 40)
    assert one.segmentation in one.case.segmentations_on(one.volume.id)
    assert [segment.name for segment in one.segmentation.segments] == ["Segment 1"]
    assert one.viewing.state.segmentation_id == one.segmentation.id
    np.testing.assert_array_equal(one.labels == 1, ball(one, 20, 30, 40, 6.0))
    assert one.correction.active_label == 1


def test_neither_a_click_beside_the_image_nor_the_eraser_makes_a_segmentation(one: Station) -> None:
    dab(one, 20, 30, 400)
    dab(one, 20, 30, 40, erase=True)
    assert one.case.segmentations_on(one.volume.id) == ()
    one.correction.new_segmentation()
    dab(one, -20, 30, 400)
    assert not one.correction.can_undo


def test_a_disk_stays_in_the_slice_of_its_view(one: Station) -> None:
    one.correction.set_options(BrushOptions(radius_mm=8.0))
    for plane, axis in ((Plane.AXIAL, 0), (Plane.CORONAL, 1), (Plane.SAGITTAL, 2)):
        one.correction.new_segmentation()
        one.correction.begin_stroke(one.at(20, 30, 40), plane)
        one.correction.stroke_to(one.at(20, 30, 40))
        one.correction.end_stroke()
        others = tuple(other for other in range(3) if other != axis)
        assert np.flatnonzero(one.labels.any(axis=others)).tolist() == [(20, 30, 40)[axis]]
        assert one.labels.any()


def test_a_stroke_writes_the_touched_boxes_only_and_is_one_step(one: Station) -> None:
    one.correction.set_options(SPHERE)
    one.correction.new_segmentation()
    heard: list[LabelsChanged] = []
    one.segmentation.changed.connect(lambda change: heard.append(change) if isinstance(change, LabelsChanged) else None)
    one.correction.begin_stroke(one.at(20, 30, 20), Plane.AXIAL)
    one.correction.stroke_to(one.at(20, 30, 70))
    one.correction.stroke_to(one.at(20, 60, 70))
    one.correction.end_stroke()
    one.correction.stroke_to(one.at(1, 1, 1))
    assert len(heard) == 3
    assert max(np.prod(change.box.shape) for change in heard) < 10_000
    assert one.labels[20, 30, 20:71].all()
    assert one.labels[20, 30:61, 70].all()
    one.correction.undo()
    assert not one.labels.any()
    assert not one.correction.can_undo


def test_a_stroke_that_changes_nothing_costs_no_step(one: Station) -> None:
    one.correction.set_options(SPHERE)
    dab(one, 20, 30, 40)
    dab(one, 20, 30, 40)
    dab(one, 5, 5, 5, erase=True)
    one.correction.undo()
    assert not one.correction.can_undo
    assert one.correction.summary(one.segmentation).strokes == 1


def test_a_stroke_that_is_aborted_leaves_nothing(one: Station) -> None:
    before = adopted(one).labels.copy()
    one.correction.set_options(SPHERE)
    for stop in (one.correction.abort_stroke, one.correction.undo):
        one.correction.begin_stroke(one.at(20, 30, 40), Plane.AXIAL, erase=True)
        one.correction.stroke_to(one.at(25, 30, 45))
        assert (one.labels != before).any()
        stop()
        np.testing.assert_array_equal(one.labels, before)
        assert not one.correction.can_undo
        assert not one.correction.is_painting


def test_the_eraser_takes_the_segment_in_work_or_all(one: Station) -> None:
    adopted(one)
    near = ball(one, 20, 30, 60, 6.0)
    assert (one.labels[near] == 1).any()
    assert (one.labels[near] == 2).any()
    one.correction.set_options(SPHERE)
    dab(one, 20, 30, 60, erase=True)
    assert set(np.unique(one.labels[near]).tolist()) == {0, 2}
    one.correction.set_options(BrushOptions(BrushShape.SPHERE, 6.0, erases_all=True))
    dab(one, 20, 30, 60, erase=True)
    assert not one.labels[near].any()
    one.correction.undo()
    one.correction.set_locked(2, True)
    dab(one, 20, 30, 60, erase=True)
    assert (one.labels[near] == 2).any()


def test_locked_segments_keep_their_voxels(one: Station) -> None:
    before = adopted(one).labels.copy()
    one.correction.set_locked(2, True)
    one.correction.set_options(SPHERE)
    dab(one, 20, 17, 60)
    np.testing.assert_array_equal(one.labels == 2, before == 2)
    assert (one.labels == 1).sum() > (before == 1).sum()
    one.correction.select_segment(2)
    with pytest.raises(MedViewError, match="Spleen is locked"):
        dab(one, 20, 30, 60)
    with pytest.raises(MedViewError, match="Spleen is locked"):
        one.correction.remove_segment(2)
    np.testing.assert_array_equal(one.labels == 2, before == 2)
    one.correction.set_locked(2, False)
    dab(one, 20, 30, 58)
    assert (one.labels == 2).sum() > (before == 2).sum()


def test_only_values_in_the_range_are_painted_and_erased(one: Station) -> None:
    rng = np.random.default_rng(7)
    voxels = rng.integers(-500, 500, one.volume.geometry.shape).astype(np.int16)
    ramp = replace(one.volume, id=VolumeId("ramp"), voxels=voxels)
    one.case.add_volume(ramp)
    one.workspace.activate(one.case, ramp)
    one.correction.set_options(SPHERE)
    one.correction.set_rules(PaintRules(values=(200.0, -100.0)))
    assert one.correction.rules.values == (-100.0, 200.0)
    dab(one, 20, 30, 40)
    inside = (voxels >= -100) & (voxels <= 200)
    np.testing.assert_array_equal(one.labels == 1, ball(one, 20, 30, 40, 6.0) & inside)
    one.correction.set_rules(PaintRules(values=(0.0, 100.0)))
    dab(one, 20, 30, 40, erase=True)
    left = inside & ~((voxels >= 0) & (voxels <= 100))
    np.testing.assert_array_equal(one.labels == 1, ball(one, 20, 30, 40, 6.0) & left)


def test_what_is_hidden_is_shown_when_it_is_painted(one: Station) -> None:
    segmentation = adopted(one)
    one.viewing.put(one.viewing.state.with_hidden(segmentation.id, frozenset({1, 2})))
    one.viewing.update(labels_shown=False)
    dab(one, 3, 3, 3)
    assert one.viewing.state.labels_shown
    assert one.viewing.state.hidden_of(segmentation.id) == {2}


def test_a_volume_that_is_loading_is_not_painted_on(journals: Path) -> None:
    one = editing_run.station(journals, complete=False)
    with pytest.raises(InputError, match="still loading"):
        dab(one, 20, 30, 40)
    assert one.workspace.active_segmentation is None
    one.case.complete_volume(one.volume.id)
    dab(one, 20, 30, 40)
    assert one.labels.any()
    one.close()


def test_without_a_volume_there_is_nothing_to_paint_on(one: Station) -> None:
    one.workspace.activate(None, None)
    with pytest.raises(InputError, match="nothing to paint on"):
        one.correction.begin_stroke((0.0, 0.0, 0.0), Plane.AXIAL)


def test_another_active_segmentation_ends_the_stroke(one: Station) -> None:
    first = adopted(one)
    one.correction.begin_stroke(one.at(2, 2, 2), Plane.AXIAL)
    one.workspace.activate(one.case, one.volume, None)
    assert not one.correction.is_painting
    assert not one.correction.can_undo
    one.workspace.activate(one.case, one.volume, first)
    assert one.correction.can_undo


def test_options_stay_in_range_and_are_told(one: Station) -> None:
    heard: list[None] = []
    one.correction.changed.connect(heard.append)
    one.correction.set_options(BrushOptions(radius_mm=1e9))
    assert one.correction.options.radius_mm == LARGEST_RADIUS_MM
    one.correction.set_options(BrushOptions(radius_mm=-1))
    assert one.correction.options.radius_mm == SMALLEST_RADIUS_MM
    one.correction.set_options(one.correction.options)
    assert len(heard) == 2


# Segments


def test_segments_are_edited_and_every_edit_can_be_undone(one: Station) -> None:
    before = adopted(one).labels.copy()
    correction = one.correction
    lists = [one.segmentation.segments]
    added = correction.add_segment("Left kidney")
    assert (added.label, correction.active_label) == (3, 3)
    assert added.code is not None
    lists.append(one.segmentation.segments)
    correction.rename_segment(3, "Something")
    lists.append(one.segmentation.segments)
    correction.recolour_segment(1, (9, 8, 7))
    lists.append(one.segmentation.segments)
    assert one.segmentation.segments[0].color == (9, 8, 7)
    correction.remove_segment(2)
    assert [segment.label for segment in one.segmentation.segments] == [1, 3]
    np.testing.assert_array_equal(one.labels, np.where(before == 2, 0, before))
    assert correction.undo_name == Text.of("Remove {name}", name="Spleen")
    for expected in reversed(lists):
        correction.undo()
        assert one.segmentation.segments == expected
        np.testing.assert_array_equal(one.labels, before)
    assert not correction.can_undo
    assert correction.redo_name == Text.of("Add {name}", name="Left kidney")
    assert correction.active_label in (1, 2)


def test_a_name_that_is_none_or_the_same_changes_nothing(one: Station) -> None:
    adopted(one)
    one.correction.rename_segment(1, "  ")
    one.correction.rename_segment(1, "Liver ")
    one.correction.rename_segment(77, "Nobody")
    one.correction.recolour_segment(77, (1, 1, 1))
    one.correction.remove_segment(77)
    assert not one.correction.can_undo


def test_one_goes_from_segment_to_segment(one: Station) -> None:
    assert one.correction.active_label == 0
    one.correction.select_next_segment()
    adopted(one)
    assert one.correction.active_label == 1
    one.correction.select_next_segment()
    assert one.correction.active_label == 2
    one.correction.select_next_segment()
    assert one.correction.active_label == 1
    one.correction.select_next_segment(-1)
    assert one.correction.active_label == 2
    one.correction.select_segment(99)
    assert one.correction.active_label == 2
    one.correction.remove_segment(2)
    assert one.correction.active_label == 1


def test_adding_a_segment_where_there_is_no_segmentation_makes_both(one: Station) -> None:
    segment = one.correction.add_segment("Spleen")
    assert one.segmentation.segments == (segment,)
    one.correction.remove_segment(segment.label)
    dab(one, 3, 3, 3)
    assert [one.name for one in one.segmentation.segments] == ["Segment 1"]


# Numbers


def test_the_summary_is_what_a_comparison_with_the_first_labels_says(one: Station) -> None:
    for _ in editing_run.steps(one, 40):
        pass
    first, now = editing_run.adopted_labels(), one.labels
    summary = one.correction.summary(one.segmentation)
    changed = first != now
    for listed, labels in ((summary.added, now), (summary.removed, first)):
        expected = {label: int((labels[changed] == label).sum()) for label in np.unique(labels[changed]) if label}
        assert dict(listed) == expected
    outside = changed.copy()
    outside[summary.box.slices] = False
    assert not outside.any()
    assert summary.strokes > 20
    assert 0 <= summary.seconds < 40


def test_volumes_follow_every_edit(one: Station) -> None:
    segmentation = adopted(one)
    one.correction.set_options(SPHERE)

    def check() -> None:
        ml = one.volume.geometry.voxel_mm3 / 1000
        expected = {label: int((one.labels == label).sum()) * ml for label in (1, 2) if (one.labels == label).any()}
        assert one.correction.volumes_ml(segmentation) == pytest.approx(expected)

    dab(one, 20, 30, 40, erase=True)
    check()
    dab(one, 25, 30, 40, erase=True)
    check()
    one.correction.undo()
    check()
    one.correction.redo()
    one.correction.remove_segment(1)
    check()


# What is kept


def left_by(journals: Path) -> tuple[Recovery, ...]:
    """What a program that starts now would offer."""
    again = editing_run.station(journals)
    found = again.correction.recovering.recoveries()
    again.close()
    return found


def test_closing_keeps_unsaved_work_and_brings_it_back_with_its_history(journals: Path) -> None:
    one = editing_run.station(journals)
    segmentation = adopted(one)
    one.correction.set_options(SPHERE)
    dab(one, 20, 30, 60)
    one.correction.add_segment("Left kidney")
    dab(one, 5, 10, 10)
    dab(one, 6, 12, 14)
    one.correction.undo()
    labels, segments = one.labels.copy(), one.segmentation.segments
    summary = one.correction.summary(segmentation)
    one.close()

    two = editing_run.station(journals)
    (recovery,) = two.correction.recovering.recoveries()
    assert str(recovery.title) == "CT organs"
    assert recovery.patient == "Phantom^Chest"
    assert recovery.paths == (Path("scan") / "1.dcm", Path("scan") / "2.dcm")
    assert recovery.strokes == 4
    assert abs((recovery.when - datetime.now(UTC)).total_seconds()) < 60
    two.finish(two.correction.recovering.restore(recovery))
    assert two.segmentation.id == segmentation.id
    assert two.segmentation.provenance == segmentation.provenance
    assert two.segmentation.segments == segments
    np.testing.assert_array_equal(two.labels, labels)
    again = two.correction.summary(two.segmentation)
    assert (again.strokes, again.added, again.removed) == (summary.strokes, summary.added, summary.removed)
    assert two.correction.recovering.recoveries() == ()

    two.correction.redo()
    assert (two.labels != labels).any()
    for _ in range(4):
        two.correction.undo()
    assert not two.correction.can_undo
    first = editing_run.adopted_labels()
    first[:, :, 60:] = 2
    np.testing.assert_array_equal(two.labels, first)
    for _ in range(3):
        two.correction.redo()
    np.testing.assert_array_equal(two.labels, labels)
    two.close()

    three = editing_run.station(journals)
    (recovery,) = three.correction.recovering.recoveries()
    three.finish(three.correction.recovering.restore(recovery))
    np.testing.assert_array_equal(three.labels, labels)
    three.close()


def test_history_beyond_the_limit_is_not_needed_to_bring_work_back(journals: Path) -> None:
    one = editing_run.station(journals)
    for _ in editing_run.steps(one, 60):
        pass
    expected = editing_run.fingerprint(one.segmentation)
    one.close()
    two = editing_run.station(journals, undo_limit_bytes=2000)
    (recovery,) = two.correction.recovering.recoveries()
    two.finish(two.correction.recovering.restore(recovery))
    assert editing_run.fingerprint(two.segmentation) == expected
    two.close()


def test_saved_work_is_not_offered(journals: Path) -> None:
    one = editing_run.station(journals)
    segmentation = adopted(one)
    dab(one, 5, 5, 5)
    assert one.correction.is_unsaved(segmentation)
    one.correction.mark_saved(segmentation)
    assert not one.correction.is_unsaved(segmentation)
    one.close()
    assert left_by(journals) == ()
    assert list(journals.iterdir()) == []


def test_what_was_done_after_saving_is_offered_with_all_before(journals: Path) -> None:
    one = editing_run.station(journals)
    segmentation = adopted(one)
    dab(one, 5, 5, 5)
    one.correction.mark_saved(segmentation)
    dab(one, 15, 15, 15)
    labels = one.labels.copy()
    one.close()
    two = editing_run.station(journals)
    (recovery,) = two.correction.recovering.recoveries()
    two.finish(two.correction.recovering.restore(recovery))
    np.testing.assert_array_equal(two.labels, labels)
    two.close()


def test_untouched_answers_of_a_model_leave_nothing_behind(journals: Path) -> None:
    one = editing_run.station(journals)
    adopted(one)
    one.close()
    assert list(journals.iterdir()) == []


def test_a_closed_case_leaves_its_work_in_the_journal(one: Station, journals: Path) -> None:
    adopted(one)
    dab(one, 5, 5, 5)
    one.workspace.close_case(one.case)
    (recovery,) = one.correction.recovering.recoveries()
    with pytest.raises(InputError, match="not open"):
        one.correction.recovering.restore(recovery)
    one.correction.recovering.discard(recovery)
    assert one.correction.recovering.recoveries() == ()
    with pytest.raises(StorageError, match="gone"):
        one.correction.recovering.discard(recovery)


def test_work_does_not_come_back_onto_other_slices(one: Station, journals: Path, tmp_path: Path) -> None:
    adopted(one)
    dab(one, 5, 5, 5)
    one.workspace.close_case(one.case)
    other = editing_run.station(journals, (41, 70, 90))
    (recovery,) = other.correction.recovering.recoveries()
    job = other.correction.recovering.restore(recovery)
    other.finish(job)
    assert isinstance(job.error, GridMismatchError)
    assert other.workspace.active_segmentation is None
    assert other.correction.recovering.recoveries() == (recovery,)
    other.close()


def test_damaged_work_is_told_and_can_be_discarded(journals: Path) -> None:
    one = editing_run.station(journals)
    adopted(one)
    dab(one, 5, 5, 5)
    one.close()
    (folder,) = journals.iterdir()
    (folder / "base.bin").write_bytes(b"nothing of the kind")
    never_begun = journals / "killed at once"
    never_begun.mkdir()
    (never_begun / "lock").touch()
    (journals / "a file of somebody else").touch()
    two = editing_run.station(journals)
    (recovery,) = two.correction.recovering.recoveries()
    assert not never_begun.exists()
    with pytest.raises(StorageError, match="damaged"):
        two.correction.recovering.restore(recovery)
    two.correction.recovering.discard(recovery)
    assert two.correction.recovering.recoveries() == ()
    assert not folder.exists()
    two.close()


def test_live_work_is_not_offered_to_another_program(one: Station, journals: Path) -> None:
    adopted(one)
    dab(one, 5, 5, 5)
    assert one.correction.recovering.recoveries() == ()
    assert left_by(journals) == ()


def test_a_segmentation_of_no_case_cannot_be_adopted(one: Station) -> None:
    with pytest.raises(ValueError, match="open case"):
        one.correction.adopt(Segmentation(one.volume.geometry))


def wait_until_told(one: Station, told: list[StorageError | None]) -> StorageError | None:
    """Until the state of the journal is another than before; what was told last."""
    before = told[-1]
    until = time.monotonic() + 20
    while one.correction.problem is before and time.monotonic() < until:
        one.queue.drain(0.05)
    return told[-1]


def test_a_folder_that_cannot_be_written_is_told_and_editing_goes_on(tmp_path: Path) -> None:
    in_the_way = tmp_path / "journals"
    in_the_way.write_text("")
    one = editing_run.station(in_the_way)
    told: list[StorageError | None] = []
    one.correction.changed.connect(lambda _: told.append(one.correction.problem))
    adopted(one)
    told.append(None)
    for k in (5, 10, 15):
        dab(one, k, 20, 20)
    assert isinstance(wait_until_told(one, told), StorageError)
    assert all(one.labels[k, 20, 20] == 1 for k in (5, 10, 15))
    in_the_way.unlink()
    dab(one, 25, 20, 20)
    assert wait_until_told(one, told) is None
    labels = one.labels.copy()
    one.close()
    two = editing_run.station(in_the_way)
    (recovery,) = two.correction.recovering.recoveries()
    two.finish(two.correction.recovering.restore(recovery))
    np.testing.assert_array_equal(two.labels, labels)
    two.close()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit on file sizes to play a full disk with")
def test_a_disk_that_is_full_for_a_while_loses_nothing(tmp_path: Path) -> None:
    code = f"""
import resource, sys, time
from pathlib import Path
from tests.support import editing_run
one = editing_run.station(Path({str(tmp_path)!r}))
run = editing_run.steps(one, 60)
for _ in range(10):
    next(run)
length = max(file.stat().st_size for file in Path({str(tmp_path)!r}).glob("*/strokes.bin"))
resource.setrlimit(resource.RLIMIT_FSIZE, (length + 100, resource.RLIM_INFINITY))
for _ in range(20):
    next(run)
one.queue.drain()
assert one.correction.problem is not None
assert max(file.stat().st_size for file in Path({str(tmp_path)!r}).glob("*/strokes.bin")) <= length + 100
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for _ in range(5):
    next(run)
one.queue.drain()
assert one.correction.problem is None
sys.stdout.write(editing_run.fingerprint(one.segmentation))
one.close()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    two = editing_run.station(tmp_path)
    (recovery,) = two.correction.recovering.recoveries()
    two.finish(two.correction.recovering.restore(recovery))
    assert editing_run.fingerprint(two.segmentation) == done.stdout
    two.close()
