"""Measurements of the volume that is shown: made, changed, taken back, kept, and judged."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medview.core.errors import StorageError
from medview.core.measurement import Measurement, MeasurementKind, Quantity
from medview.core.planes import Plane
from medview.core.volume import Volume, VolumeId
from medview.formats.dicom_writer import write_series
from medview.phantom.chest import Phantom
from medview.workstation.measuring import Measuring
from medview.workstation.measuring_tools import MarkChanged, MeasurementsChanged, MeasuringChange, Tool
from medview.workstation.station import Workstation
from medview.workstation.taking_back import TakingBack
from medview.workstation.view_state import Mode
from tests.support import editing_run
from tests.support.editing_run import Station

K = 20


@dataclass
class Desk:
    station: Station
    measuring: Measuring
    folder: Path
    said: list[MeasuringChange]
    errors: list[StorageError]

    def draw(self, kind: MeasurementKind, *places: tuple[float, float], k: int = K) -> Measurement:
        points = np.array([self.station.at(k, *place) for place in places])
        self.measuring.sketch(kind, points, 0, k)
        self.measuring.keep()
        return self.measuring.shown[-1]

    def length(self, columns: float = 10.0) -> Measurement:
        return self.draw(MeasurementKind.LENGTH, (20, 20), (20, 20 + columns))

    def numbers(self) -> list[float]:
        return [round(one.values[0].number, 6) for one in self.measuring.shown]

    def state(self) -> tuple[list[float], list[str]]:
        return self.numbers(), [one.label for one in self.measuring.shown]

    def drain(self, until: Callable[[], object]) -> None:
        drain(self.station.queue.drain, until)


def drain(once: Callable[[float], int], until: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not until():
        assert time.monotonic() < deadline
        once(0.02)


def desk_on(station: Station, folder: Path) -> Desk:
    measuring = Measuring(station.workspace, station.viewing, station.jobs, folder, lambda: "Reader")
    said: list[MeasuringChange] = []
    errors: list[StorageError] = []
    measuring.changed.connect(said.append)
    measuring.files.failed.connect(errors.append)
    return Desk(station, measuring, folder, said, errors)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    station = editing_run.station(tmp_path / "journals", spacing_mm=(2.0, 0.5, 0.75))
    desk = desk_on(station, tmp_path / "measurements")
    yield desk
    desk.measuring.close()
    station.close()


def test_a_measurement_knows_what_it_was_drawn_on(desk: Desk) -> None:
    one = desk.length()
    assert one.drawn_on is not None
    assert (one.drawn_on.series_uid, one.drawn_on.axis, one.drawn_on.index) == (editing_run.SERIES_UID, 0, K)
    assert (one.author, one.doubtful, one.label) == ("Reader", None, "")
    assert desk.numbers() == pytest.approx([7.5])
    assert desk.measuring.selected == one.id
    assert desk.measuring.draft is None


def test_undo_and_redo_go_through_everything(desk: Desk) -> None:
    measuring = desk.measuring
    one = desk.length()
    desk.length(20)
    measuring.reshape(one.id, np.array([desk.station.at(K, 20, 20), desk.station.at(K, 20, 60)]))
    measuring.reshape(one.id, np.array([desk.station.at(K, 20, 20), desk.station.at(K, 20, 50)]))
    measuring.settle()
    measuring.rename(one.id, " Cyst ")
    measuring.delete(measuring.shown[1].id)
    states = []
    for _ in range(6):
        states.append(desk.state())
        measuring.undo()
    assert [len(labels) for _, labels in states] == [1, 2, 2, 2, 1, 0]
    assert states[0] == ([22.5], ["Cyst"])
    assert states[2] == ([22.5, 15.0], ["", ""])
    assert states[3] == ([7.5, 15.0], ["", ""])
    assert measuring.undo_name is None
    for _ in range(7):
        measuring.redo()
    assert desk.state() == states[0]
    desk.length()
    assert measuring.redo_name is None


def test_what_is_not_finished_leaves_no_trace(desk: Desk) -> None:
    measuring = desk.measuring
    one = desk.length()
    measuring.sketch(MeasurementKind.LENGTH, one.points + 1, 0, K)
    measuring.discard()
    measuring.reshape(one.id, one.points + 5)
    assert not np.array_equal(measuring.shown[0].points, one.points)
    measuring.discard()
    assert np.array_equal(measuring.shown[0].points, one.points)
    measuring.reshape(one.id, one.points + 5)
    measuring.undo()
    assert len(measuring.shown) == 0, "what was being moved goes back, and then the last step"
    measuring.keep()
    measuring.settle()
    measuring.delete(one.id)
    measuring.rename(one.id, "gone")
    assert len(measuring.shown) == 0


def test_a_tool_is_for_reading(desk: Desk) -> None:
    viewing = desk.station.viewing
    viewing.update(mode=Mode.EDIT, annotations_shown=False)
    desk.measuring.use(Tool.ELLIPSE)
    assert viewing.state.mode is Mode.VIEW
    assert viewing.state.annotations_shown
    desk.measuring.sketch(MeasurementKind.LENGTH, np.zeros((2, 3)), 0, K)
    viewing.update(mode=Mode.EDIT)
    assert (desk.measuring.tool, desk.measuring.draft) == (None, None)


def test_only_what_changes_is_said(desk: Desk) -> None:
    one = desk.length()
    assert MeasurementsChanged() in desk.said
    desk.said.clear()
    for _ in range(2):
        desk.measuring.point_at(one.id)
        desk.measuring.select(one.id)
        desk.measuring.use(None)
        desk.measuring.rename(one.id, "")
    assert desk.said == [MarkChanged()]


def test_undo_is_of_what_is_at_hand(desk: Desk) -> None:
    station, viewing = desk.station, desk.station.viewing
    station.correction.new_segmentation()
    station.correction.begin_stroke(station.at(K, 30, 30), Plane.AXIAL)
    station.correction.end_stroke()
    desk.length()
    back = TakingBack(viewing, desk.measuring, station.correction, station.editing)
    painted = int(station.labels.sum())
    assert painted > 0
    viewing.update(mode=Mode.EDIT)
    back.undo()
    assert (int(station.labels.sum()), len(desk.measuring.shown)) == (0, 1)
    back.redo()
    viewing.update(mode=Mode.VIEW)
    assert str(back.undo_name) == "Length"
    back.undo()
    assert (int(station.labels.sum()), len(desk.measuring.shown)) == (painted, 0)
    assert str(back.redo_name) == "Length"
    back.redo()
    assert len(desk.measuring.shown) == 1
    back.undo()
    back.undo()
    assert (int(station.labels.sum()), back.can_redo) == (0, True)


def test_phases_have_their_own(desk: Desk) -> None:
    station = desk.station
    desk.length()
    other = replace(station.volume, id=VolumeId("phase 2"), phase=1)
    station.case.add_volume(other)
    station.workspace.activate(station.case, other)
    assert len(desk.measuring.shown) == 0
    desk.length(20)
    assert desk.numbers() == pytest.approx([15.0])
    station.workspace.activate(station.case, station.volume)
    assert desk.numbers() == pytest.approx([7.5])
    station.workspace.activate(None, None)
    assert len(desk.measuring.shown) == 0
    desk.measuring.undo()
    desk.measuring.keep()


def test_numbers_follow_the_voxels_that_arrive(tmp_path: Path) -> None:
    station = editing_run.station(tmp_path / "journals", complete=False)
    values = np.zeros(editing_run.SHAPE, np.int16)
    volume = Volume(
        VolumeId("loading"),
        station.volume.geometry,
        values,
        station.volume.modality,
        "HU",
        editing_run.SERIES_UID,
    )
    station.case.add_volume(volume, complete=False)
    station.workspace.activate(station.case, volume)
    desk = desk_on(station, tmp_path / "measurements")
    desk.draw(MeasurementKind.RECTANGLE, (20, 20), (20, 30), (30, 30), (30, 20))
    desk.draw(MeasurementKind.POINT, (25, 25))
    desk.measuring.delete(desk.measuring.shown[1].id)
    values[K] = 77
    station.case.complete_volume(volume.id)
    mean = desk.measuring.shown[0].value(Quantity.MEAN)
    assert mean is not None
    assert mean.number == 77
    desk.measuring.undo()
    assert [one.values[-1].number for one in desk.measuring.shown] == [77, 77]
    desk.measuring.close()
    station.close()


def test_they_come_back_from_the_disk_before_what_was_made_meanwhile(desk: Desk) -> None:
    kept = desk.length()
    desk.measuring.rename(kept.id, "结节")
    desk.measuring.close()
    again = desk_on(desk.station, desk.folder)
    new = again.length(20)
    again.drain(lambda: len(again.measuring.shown) == 2)
    assert [one.id for one in again.measuring.shown] == [kept.id, new.id]
    back = again.measuring.shown[0]
    assert np.array_equal(back.points, kept.points)
    assert (back.label, back.made_at, back.values) == ("结节", kept.made_at, kept.values)
    again.measuring.undo()
    assert [one.id for one in again.measuring.shown] == [kept.id]
    again.measuring.close()
    (file,) = desk.folder.iterdir()
    stored = json.loads(file.read_text(encoding="utf-8"))
    assert [one["id"] for one in stored["measurements"]] == [kept.id]
    assert "Phantom" not in file.read_text(encoding="utf-8"), "the patient's name is nobody's business here"


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"[]", b"[" * 100_000, b'{"schema": 2, "series_uid": "1", "measurements": []}']
)
def test_a_file_that_cannot_be_read_is_set_aside_and_told(desk: Desk, content: bytes) -> None:
    desk.length()
    desk.measuring.close()
    path = desk.measuring.files.path_of(editing_run.SERIES_UID)
    path.write_bytes(content)
    again = desk_on(desk.station, desk.folder)
    again.drain(lambda: again.errors)
    assert "damaged" in str(again.errors[0])
    assert len(again.measuring.shown) == 0
    new = again.length()
    again.measuring.close()
    (aside,) = desk.folder.glob("*.damaged-*")
    assert aside.read_bytes() == content
    third = desk_on(desk.station, desk.folder)
    third.drain(lambda: third.measuring.shown)
    assert [one.id for one in third.measuring.shown] == [new.id]
    third.measuring.close()


def test_what_cannot_be_opened_is_never_overwritten(desk: Desk) -> None:
    path = desk.measuring.files.path_of("another")
    path.mkdir(parents=True)
    (path / "precious").write_text("x")
    found: list[tuple[Measurement, ...]] = []
    desk.measuring.files.read("another", found.append)
    desk.drain(lambda: desk.errors)
    desk.measuring.files.write("another", (desk.length(),))
    desk.drain(lambda: len(desk.errors) == 2)
    assert found == [()]
    assert "not kept" in str(desk.errors[1])
    assert (path / "precious").read_text() == "x"


def test_a_disk_that_refuses_is_told_and_nothing_is_lost_in_the_program(tmp_path: Path) -> None:
    station = editing_run.station(tmp_path / "journals")
    (tmp_path / "measurements").write_text("a file where the folder should be")
    desk = desk_on(station, tmp_path / "measurements")
    desk.length()
    desk.drain(lambda: desk.errors)
    assert len(desk.measuring.shown) == 1
    desk.measuring.close()
    station.close()


@pytest.fixture
def workstation(medview_home: Path) -> Iterator[Workstation]:
    station = Workstation(medview_home)
    yield station
    station.close()


def opened(station: Workstation, *paths: Path) -> Volume:
    station.importing.open_paths(paths)
    drain(station.queue.drain, lambda: station.workspace.active_volume)
    drain(station.queue.drain, lambda: not station.jobs.open_jobs)
    volume = station.workspace.active_volume
    assert volume is not None
    return volume


def drawn_across(station: Workstation, volume: Volume, columns: float) -> Measurement:
    """A length along a row in the middle of the volume."""
    k, j, i = ((n - 1) / 2 for n in volume.geometry.shape)
    k = float(int(k))
    points = volume.geometry.to_patient(np.array([[k, j, i - columns / 2], [k, j, i + columns / 2]]))
    station.measuring.sketch(MeasurementKind.LENGTH, points, 0, int(k))
    station.measuring.keep()
    return station.measuring.shown[-1]


def test_missing_slices_make_numbers_doubtful_and_whole_series_do_not(
    workstation: Workstation, small_phantom: Phantom, small_series_folder: Path, tmp_path: Path
) -> None:
    safe = drawn_across(workstation, opened(workstation, small_series_folder), 20)
    assert safe.doubtful is None
    assert safe.values[0].number == pytest.approx(20 * small_phantom.volume.geometry.spacing_mm[2])
    write_series(small_phantom.volume, tmp_path)
    sorted(tmp_path.glob("*"))[12].unlink()
    workstation.workspace.close_case(workstation.workspace.cases[0])
    doubtful = drawn_across(workstation, opened(workstation, tmp_path), 20)
    assert doubtful.doubtful is not None
    assert "missing" in str(doubtful.doubtful)


def test_a_radiograph_without_a_scale_is_told_in_pixels(workstation: Workstation, real_data: Path) -> None:
    path = real_data / "radiographs-cr-dx" / "RG1_J2KI.dcm"
    assert [float(value) for value in pydicom.dcmread(path).PixelSpacing] == [0.0, 0.0]
    one = drawn_across(workstation, opened(workstation, path), 300)
    assert one.values[0].number == pytest.approx(300)
    assert one.values[0].unit == "px"
    assert one.doubtful is not None


def test_a_radiograph_s_millimetres_are_those_of_the_detector_and_say_so(
    workstation: Workstation, real_data: Path
) -> None:
    path = real_data / "radiographs-cr-dx" / "dx_image.dcm"
    header = pydicom.dcmread(path, stop_before_pixels=True)
    one = drawn_across(workstation, opened(workstation, path), 100)
    assert one.values[0].number == pytest.approx(100 * float(header.ImagerPixelSpacing[1]))
    assert one.values[0].unit == "mm"
    assert one.doubtful is not None
    assert "detector" in str(one.doubtful)


def test_a_corrected_tilt_is_safe_and_uneven_slices_are_not(workstation: Workstation, real_data: Path) -> None:
    tilted = opened(workstation, real_data / "geometry-traps-small" / "gantrytilting")
    assert drawn_across(workstation, tilted, 40).doubtful is None
    workstation.workspace.close_case(workstation.workspace.cases[0])
    uneven = opened(workstation, real_data / "ct-head-tilt-variable-spacing" / "dicom")
    one = drawn_across(workstation, uneven, 100)
    assert one.doubtful is not None
    assert "uneven" in str(one.doubtful)
