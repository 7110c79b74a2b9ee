"""Hints on a workstation: coalesced, taken back, accepted as one step or in part, and written down."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medview.core.case import Patient, Series, Study
from medview.core.errors import InputError, MedViewError, PluginUnavailableError
from medview.core.geometry import Box, Geometry, Point
from medview.core.hint import Hint, HintKind
from medview.core.planes import Plane
from medview.core.segmentation import Segment, Segmentation
from medview.core.text import Text
from medview.core.volume import Modality, Volume, VolumeId
from medview.workstation.hint_engines import TOOL_ID
from medview.workstation.hint_parts import AcceptPart
from medview.workstation.station import Workstation
from tests.support.bundles import python_plugin

SERIES_UID = "1.2.826.0.1.3680043.10.999.5.1"
SHAPE = (24, 60, 64)


class Room:
    """A workstation with a CT in which two bright balls lie in noise."""

    def __init__(self, home: Path) -> None:
        self.station = Workstation(home)
        geometry = Geometry.from_parts(SHAPE, (2.0, 1.0, 1.0), (-12.0, 30.0, 7.0))
        axes = [np.arange(size, dtype=np.float64) for size in SHAPE]
        places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) * (2.0, 1.0, 1.0)
        self.truth = np.linalg.norm(places - (24, 28, 22), axis=-1) < 12
        other = np.linalg.norm(places - (24, 28, 50), axis=-1) < 7
        noise = np.random.default_rng(8).normal(0, 10, SHAPE)
        voxels = (40 + 70 * (self.truth | other) + noise).astype(np.int16)
        study = Study("1.2.826.0.1.3680043.10.999.5", Patient("P-1", "Phantom^Chest", "19600101", "F"), "2024-05-06")
        self.case = self.station.workspace.case_of(study)
        files = (Path("scan") / "1.dcm",)
        self.case.put_series(Series(SERIES_UID, study, Modality.CT, "Chest", 2, "CHEST", files, SHAPE[0], geometry))
        self.volume = Volume(VolumeId("volume"), geometry, voxels, Modality.CT, "HU", SERIES_UID, "Chest")
        self.case.add_volume(self.volume, complete=True)
        self.station.workspace.activate(self.case, self.volume)
        self.hinting = self.station.hinting

    def at(self, k: float, j: float, i: float) -> Point:
        x, y, z = (float(value) for value in self.volume.geometry.to_patient((k, j, i)))
        return x, y, z

    def wait(self, until: Callable[[], bool], seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not until() and time.monotonic() < end:
            self.station.queue.drain(0.02)
        assert until()

    def answered(self) -> None:
        self.wait(lambda: self.hinting.running is None)

    @property
    def segmentation(self) -> Segmentation:
        found = self.station.workspace.active_segmentation
        assert found is not None
        return found

    def shown(self) -> np.ndarray:
        whole = np.zeros(SHAPE, dtype=bool)
        answer = self.hinting.preview
        if answer is not None:
            whole[answer.box.slices] = answer.inside
        return whole


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path / "home")
    yield room
    room.station.close()


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def inside(room: Room) -> Hint:
    return Hint.scribble([room.at(12, 28, 17), room.at(12, 28, 27)], radius_mm=1.0)


def test_a_scribble_is_answered_and_accepted_as_one_step(room: Room) -> None:
    changes: list[int] = []
    room.hinting.changed.connect(lambda _: changes.append(len(room.hinting.hints)))
    room.hinting.add(inside(room))
    assert room.hinting.hints == (inside(room),)
    assert room.hinting.preview is None
    assert changes == [1], "the hint counts at once"
    room.answered()
    assert dice(room.shown(), room.truth) > 0.93
    assert room.station.workspace.active_segmentation is None, "nothing is changed before it is accepted"
    shown = room.shown()
    assert room.hinting.accept()
    np.testing.assert_array_equal(room.segmentation.labels == 1, shown)
    assert not room.hinting.is_active
    assert room.hinting.preview is None
    assert room.station.correction.undo_name == Text("Scribble and click")
    room.station.correction.undo()
    assert not room.segmentation.labels.any()
    room.station.correction.redo()
    np.testing.assert_array_equal(room.segmentation.labels == 1, shown)
    (edit,) = room.segmentation.provenance.hinted
    assert (edit.label, edit.engine.plugin_id, edit.part) == (1, TOOL_ID, "all")
    assert [(one.kind, one.positive, one.radius_mm) for one in edit.hints] == [(HintKind.SCRIBBLE, True, 1.0)]
    assert edit.hints[0].points[0] == pytest.approx(room.at(12, 28, 17))


def test_a_hint_is_taken_back_with_its_answer_and_nothing_is_computed(room: Room) -> None:
    room.hinting.add(inside(room))
    room.answered()
    first = room.hinting.preview
    room.hinting.add(Hint.point(room.at(12, 34, 22), positive=False, radius_mm=3.0))
    room.answered()
    assert room.hinting.preview is not first
    assert not room.shown()[12, 34, 22]
    assert room.hinting.undo()
    assert room.hinting.preview is first
    assert room.hinting.running is None
    assert room.hinting.undo()
    assert room.hinting.preview is None
    assert not room.hinting.undo()


def test_rejecting_changes_nothing(room: Room) -> None:
    room.hinting.add(inside(room))
    room.answered()
    room.hinting.reject()
    assert (room.hinting.hints, room.hinting.preview) == ((), None)
    assert room.station.workspace.active_segmentation is None
    assert not room.hinting.accept()


def test_only_background_is_taken_and_locked_segments_are_respected(room: Room) -> None:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[:, 24:28] = 2
    segments = (Segment(1, "Lesion", (200, 90, 60)), Segment(2, "Vessel", (1, 2, 3)))
    segmentation = Segmentation(room.volume.geometry, labels, segments, title="Mine")
    room.case.add_segmentation(segmentation, on=room.volume.id)
    room.station.workspace.activate(room.case, room.volume, segmentation)
    room.station.correction.adopt(segmentation)
    room.hinting.add(Hint.scribble([room.at(12, 32, 17), room.at(12, 32, 27)], radius_mm=1.0))
    room.answered()
    shown = room.shown()
    assert shown[:, 24:28].any()
    room.station.correction.set_locked(1, True)
    with pytest.raises(MedViewError, match="Lesion is locked"):
        room.hinting.accept()
    with pytest.raises(MedViewError, match="Lesion is locked"):
        room.hinting.add(inside(room))
    assert room.hinting.preview is not None, "what was found is still there"
    room.station.correction.set_locked(1, False)
    room.hinting.accept()
    np.testing.assert_array_equal(segmentation.labels == 2, labels == 2)
    np.testing.assert_array_equal(segmentation.labels == 1, shown & (labels != 2))


def test_what_is_marked_already_is_corrected(room: Room) -> None:
    labels = room.truth.astype(np.uint8)
    labels[10:14, 26:31, 30:48] = 1  # a leak to the other ball
    segmentation = Segmentation(room.volume.geometry, labels, (Segment(1, "Lesion", (200, 90, 60)),), title="Mine")
    room.case.add_segmentation(segmentation, on=room.volume.id)
    room.station.workspace.activate(room.case, room.volume, segmentation)
    room.station.correction.adopt(segmentation)
    before = dice(labels > 0, room.truth)
    room.hinting.add(Hint.scribble([room.at(12, 28, 15), room.at(12, 28, 29)], radius_mm=1.0))
    room.hinting.add(Hint.scribble([room.at(12, 28, 37), room.at(12, 28, 47)], positive=False, radius_mm=1.0))
    room.answered()
    room.wait(lambda: room.hinting.is_current)
    room.hinting.accept()
    assert dice(segmentation.labels == 1, room.truth) > max(before, 0.96)


def test_parts_of_a_preview_are_accepted(room: Room) -> None:
    room.hinting.add(inside(room))
    room.hinting.add(Hint.scribble([room.at(12, 28, 48), room.at(12, 28, 52)], radius_mm=1.0))
    room.answered()
    room.wait(lambda: room.hinting.is_current)
    shown = room.shown()
    assert shown[12, 28, 50]
    assert shown[12, 28, 22]
    with pytest.raises(InputError, match="nothing of the preview"):
        room.hinting.accept(AcceptPart.PIECE, at=room.at(2, 2, 2))
    room.hinting.accept(AcceptPart.SLICE, at=room.at(12, 1, 1), plane=Plane.AXIAL)
    wanted = np.zeros(SHAPE, dtype=bool)
    wanted[12] = shown[12]
    np.testing.assert_array_equal(room.segmentation.labels == 1, wanted)
    assert room.hinting.is_active, "the rest can still be taken"
    room.hinting.accept(AcceptPart.BOX, box=Box((0, 0, 0), (11, 60, 64)))
    wanted[:11] = shown[:11]
    np.testing.assert_array_equal(room.segmentation.labels == 1, wanted)
    room.station.correction.undo()
    room.station.correction.undo()
    assert not room.segmentation.labels.any()
    room.hinting.accept(AcceptPart.PIECE, at=room.at(12, 28, 50))
    assert room.segmentation.labels[12, 28, 50] == 1
    if not shown[:, :, 38].any():  # they do not touch
        assert not room.segmentation.labels[:, :, :38].any()
    assert [one.part for one in room.segmentation.provenance.hinted] == ["slice", "box", "piece"]


def test_hints_that_are_refused_are_not_taken(room: Room) -> None:
    room.hinting.add(inside(room))
    across = Hint.scribble([room.at(12, 20, 22), room.at(12, 36, 22)], positive=False)
    with pytest.raises(InputError, match="the contrary of an earlier one"):
        room.hinting.add(across)
    with pytest.raises(InputError, match="outside the image"):
        room.hinting.add(Hint.point((900.0, 0.0, 0.0)))
    with pytest.raises(InputError, match="too small"):
        room.hinting.add(Hint.box(room.at(3, 3, 3), room.at(3, 20, 20)))
    with pytest.raises(InputError, match="nearly all"):
        room.hinting.add(Hint.box(room.at(0, 0, 0), room.at(23, 59, 63)))
    with pytest.raises(InputError, match="the contrary"):
        room.hinting.add(Hint.box(room.at(3, 3, 40), room.at(20, 50, 60)))
    assert room.hinting.hints == (inside(room),)
    room.answered()
    assert room.hinting.preview is not None


def test_a_new_box_takes_the_place_of_the_one_before(room: Room) -> None:
    room.hinting.add(Hint.box(room.at(3, 12, 5), room.at(20, 44, 38)))
    second = Hint.box(room.at(4, 14, 8), room.at(20, 42, 36))
    room.hinting.add(second)
    assert room.hinting.hints == (second,)
    room.answered()
    room.wait(lambda: room.hinting.is_current)
    assert dice(room.shown(), room.truth) > 0.9


def test_without_a_positive_hint_it_says_so(room: Room) -> None:
    room.hinting.add(Hint.point(room.at(12, 28, 22), positive=False))
    room.answered()
    assert room.hinting.problem is not None
    assert "Nothing says yet" in str(room.hinting.problem.what)
    assert room.hinting.preview is None
    room.hinting.undo()
    assert room.hinting.problem is None


_SLOW = """import time
from pathlib import Path
import numpy as np
from medview.api import voxels_of

def run(case, context):
    image = case["image"]
    number = len(context.hints)
    gate = Path({gate!r})
    (gate / f"asked-{{number}}").touch()
    while not (gate / f"go-{{number}}").exists():
        context.check()
        time.sleep(0.01)
    found = np.zeros(image.geometry.shape, dtype=np.uint8)
    for hint in context.hints:
        found[voxels_of(hint, image.geometry)] = 1
    return found
"""


@pytest.fixture
def gate(room: Room, tmp_path: Path) -> Path:
    """A plugin of somebody's that answers when a file says so."""
    gate = tmp_path / "gate"
    gate.mkdir()
    folder = python_plugin(room.station.home / "plugins" / "tiny", _SLOW.format(gate=str(gate)))
    text = (folder / "plugin.toml").read_text(encoding="utf-8")
    hints = '\n[hints]\nkinds = ["point"]\nnegative = false\ngiven-as = "program"\nmargin-mm = 5\n'
    (folder / "plugin.toml").write_text(text + hints, encoding="utf-8")
    room.station.shelf.refresh()
    job = room.station.shelf.trust("tiny")
    room.wait(lambda: job.state.is_final)
    room.hinting.choose("tiny", structure=1)
    return gate


def test_hints_faster_than_the_model_are_answered_together(room: Room, gate: Path) -> None:
    hints = [Hint.point(room.at(12, 28, 10 + 4 * number), radius_mm=1.0) for number in range(4)]
    room.hinting.add(hints[0])
    room.wait((gate / "asked-1").exists)
    for hint in hints[1:]:
        room.hinting.add(hint)
    assert len(room.hinting.hints) == 4
    (gate / "go-1").touch()
    room.wait((gate / "asked-4").exists)
    assert room.hinting.preview is not None, "what was answered to the first is shown meanwhile"
    assert not room.hinting.is_current
    (gate / "go-4").touch()
    room.wait(lambda: room.hinting.is_current)
    assert all(room.shown()[room.volume.geometry.nearest_voxel(one.points[0])] for one in hints)
    assert not (gate / "asked-2").exists()
    assert not (gate / "asked-3").exists()


def test_an_answer_to_hints_that_were_taken_back_is_dropped(room: Room, gate: Path) -> None:
    room.hinting.add(Hint.point(room.at(12, 28, 10)))
    room.wait((gate / "asked-1").exists)
    (gate / "go-1").touch()
    room.wait(lambda: room.hinting.is_current)
    first = room.hinting.preview
    room.hinting.add(Hint.point(room.at(12, 28, 20)))
    room.wait((gate / "asked-2").exists)
    room.hinting.undo()
    assert room.hinting.preview is first
    (gate / "go-2").touch()
    room.answered()
    assert room.hinting.preview is first


def test_a_model_that_is_too_slow_is_cancelled(room: Room, gate: Path) -> None:
    room.hinting.add(Hint.point(room.at(12, 28, 10)))
    room.wait((gate / "asked-1").exists)
    room.hinting.cancel()
    room.answered()
    assert room.hinting.preview is None
    assert len(room.hinting.hints) == 1, "the hint stays"
    (gate / "go-2").touch()
    room.hinting.add(Hint.point(room.at(12, 28, 20)))
    room.wait(lambda: room.hinting.is_current)
    with pytest.raises(InputError, match="does not take such hints"):
        room.hinting.add(Hint.point(room.at(12, 28, 30), positive=False))
    with pytest.raises(PluginUnavailableError, match="nothing of this name"):
        room.hinting.choose("nobody")


def test_what_was_hinted_comes_back_with_the_work_and_goes_into_the_example(room: Room, tmp_path: Path) -> None:
    room.hinting.add(inside(room))
    room.answered()
    room.hinting.accept()
    room.station.correction.begin_stroke(room.at(3, 3, 3), Plane.AXIAL)
    room.station.correction.end_stroke()
    wanted = room.segmentation.provenance.hinted
    job = room.station.save_example()
    room.wait(lambda: job.state.is_final)
    assert job.result is not None
    (example,) = room.station.teaching.store.examples()
    assert example.hinted == wanted
    assert example.provenance.hinted == wanted
    room.station.correction.begin_stroke(room.at(5, 5, 5), Plane.AXIAL)
    room.station.correction.end_stroke()
    room.station.correction.close()
    again = Room(tmp_path / "home")
    (left,) = again.station.correction.recovering.recoveries()
    restored = again.station.correction.recovering.restore(left)
    again.wait(lambda: restored.state.is_final)
    assert again.segmentation.provenance.hinted == wanted
    again.station.close()


def test_another_volume_puts_hints_away(room: Room) -> None:
    room.hinting.add(inside(room))
    room.answered()
    other = replace(room.volume, id=VolumeId("other"))
    room.case.add_volume(other, complete=True)
    room.station.workspace.activate(room.case, other)
    assert not room.hinting.is_active
    room.station.workspace.activate(None, None)
    with pytest.raises(InputError, match="nothing to give hints on"):
        room.hinting.add(inside(room))
