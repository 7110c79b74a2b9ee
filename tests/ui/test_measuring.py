"""Measuring with a real mouse and real keys, and what becomes of it."""

from __future__ import annotations

import csv
import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QGuiApplication, QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from medview.core.measurement import Measurement, MeasurementKind, Quantity
from medview.core.volume import Volume
from medview.formats.dicom_writer import write_series
from medview.phantom.chest import Phantom
from medview.ui.banner import Banner
from medview.ui.gl_widget import GLWidget
from medview.ui.measurement_list import MeasurementList
from medview.ui.measurement_row import MeasurementRow
from medview.ui.reading_room import ReadingRoom
from medview.views.measurement_layer import TURN_PX
from medview.views.slice_view import SliceView
from medview.workstation.measuring import Measuring
from medview.workstation.measuring_tools import Tool
from medview.workstation.view_state import Mode, ViewName
from tests.ui.conftest import LEFT, Screen

SHIFT = Qt.KeyboardModifier.ShiftModifier


class Ruler:
    """Hands that measure on the axial view, at voxels of the volume."""

    def __init__(self, screen: Screen, folder: Path) -> None:
        self.screen = screen
        self.volume: Volume = screen.open(folder)
        screen.station.viewing.update(maximised=ViewName.AXIAL)
        QTest.qWait(50)
        self.view.setFocus()

    @property
    def view(self) -> GLWidget:
        view = self.screen.view()
        assert isinstance(view, GLWidget)
        return view

    @property
    def slices(self) -> SliceView:
        room = self.screen.window.findChild(ReadingRoom)
        assert isinstance(room, ReadingRoom)
        return room._slices[ViewName.AXIAL]

    def slice(self) -> int:
        return self.slices.index

    def place(self, j: float, i: float) -> QPoint:
        """The logical pixel of a place in the slice that is shown."""
        x, y, z = self.volume.geometry.to_patient((float(self.slice()), j, i))
        across, up = self.slices.pixel_of((float(x), float(y), float(z)))
        ratio = self.view.devicePixelRatioF()
        return QPoint(round(across / ratio), round((self.view.device_size()[1] - 1 - up) / ratio))

    def drag(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        middle = self.view.rect().center()
        one, other = self.place(*start) - middle, self.place(*stop) - middle
        self.screen.drag((one.x(), one.y()), (other.x(), other.y()))

    def click(self, j: float, i: float) -> None:
        place = self.place(j, i)
        QTest.mouseMove(self.view, place)
        QTest.mouseClick(self.view, LEFT, Qt.KeyboardModifier.NoModifier, place)
        self.screen.app.processEvents()

    @property
    def made(self) -> tuple[Measurement, ...]:
        return self.screen.station.measuring.shown

    @property
    def panel(self) -> MeasurementList:
        found = self.screen.window.findChild(MeasurementList)
        assert isinstance(found, MeasurementList)
        return found

    @property
    def rows(self) -> list[MeasurementRow]:
        QTest.qWait(20)
        return [self.panel.rows[one.id] for one in self.made]

    @property
    def pixel_mm(self) -> float:
        return self.slices.camera.mm_per_pixel * self.view.devicePixelRatioF()


def has_any(measuring: Measuring) -> bool:
    """Whether anything is measured."""
    return bool(measuring.shown)


@pytest.fixture
def ruler(screen: Screen, small_series_folder: Path) -> Ruler:
    return Ruler(screen, small_series_folder)


def test_a_length_is_drawn_between_two_points(ruler: Ruler) -> None:
    ruler.screen.key(Qt.Key.Key_D)
    ruler.drag((20.0, 16.0), (41.0, 44.0))
    (one,) = ruler.made
    assert one.kind is MeasurementKind.LENGTH
    down, across = ruler.volume.geometry.spacing_mm[1:]
    truth = float(np.hypot(21 * down, 28 * across))
    # Two ends on whole pixels, each up to half a one beside the place that was meant.
    assert abs(one.values[0].number - truth) <= 0.1 + 1.5 * ruler.pixel_mm
    assert one.values[0].unit == "mm"
    assert one.drawn_on is not None
    assert (one.drawn_on.axis, one.drawn_on.index) == (0, ruler.slice())
    assert one.author != ""
    (row,) = ruler.rows
    assert row.number.text() == f"{one.values[0].number:.1f} mm"
    assert row.name.text().startswith("Length")


def polygon_of(ruler: Ruler) -> Measurement:
    (one,) = ruler.made
    assert one.kind is MeasurementKind.POLYGON
    return one


@pytest.mark.parametrize("ending", ["first corner", "double click"])
def test_a_polygon_is_clicked_corner_by_corner(ending: str, ruler: Ruler) -> None:
    """Its numbers against a mask that SimpleITK takes the statistics of."""
    ruler.screen.key(Qt.Key.Key_R, SHIFT)
    corners = [(15.3, 15.3), (15.3, 45.7), (40.7, 45.7)]
    for corner in corners:
        ruler.click(*corner)
    if ending == "first corner":
        ruler.click(*corners[0])
    else:
        QTest.mouseDClick(ruler.view, LEFT, Qt.KeyboardModifier.NoModifier, ruler.place(*corners[-1]))
        ruler.screen.app.processEvents()
    one = polygon_of(ruler)
    assert len(one.points) == 3
    down, across = ruler.volume.geometry.spacing_mm[1:]
    values = {value.quantity: value.number for value in one.values}
    assert values[Quantity.AREA] == pytest.approx(25.4 * down * 30.4 * across / 2, rel=0.05)
    at = ruler.volume.geometry.to_index(one.points)
    j, i = np.mgrid[: ruler.volume.voxels.shape[1], : ruler.volume.voxels.shape[2]]
    slope = (at[2, 1] - at[0, 1]) / (at[2, 2] - at[0, 2])
    mask = (j >= at[0, 1]) & (i <= at[1, 2]) & (j <= at[0, 1] + slope * (i - at[0, 2]))
    statistics = SimpleITK.LabelStatisticsImageFilter()
    statistics.Execute(
        SimpleITK.GetImageFromArray(ruler.volume.voxels[ruler.slice()].astype(np.float64)),
        SimpleITK.GetImageFromArray(mask.astype(np.uint8)),
    )
    assert values[Quantity.MEAN] == pytest.approx(statistics.GetMean(1), rel=0.02, abs=2)
    assert values[Quantity.MAXIMUM] == pytest.approx(statistics.GetMaximum(1), abs=1e-6)


def test_a_polygon_is_traced_with_the_button_held(ruler: Ruler) -> None:
    ruler.screen.key(Qt.Key.Key_R, SHIFT)
    angles = np.linspace(0, 2 * np.pi, 60)
    places = [ruler.place(30 + 12 * np.sin(angle), 30 + 12 * np.cos(angle)) for angle in angles]
    QTest.mousePress(ruler.view, LEFT, Qt.KeyboardModifier.NoModifier, places[0])
    for place in places[1:]:
        event = QMouseEvent(
            QEvent.Type.MouseMove,
            QPointF(place),
            ruler.view.mapToGlobal(QPointF(place)),
            Qt.MouseButton.NoButton,
            LEFT,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(ruler.view, event)
    QTest.mouseRelease(ruler.view, LEFT, Qt.KeyboardModifier.NoModifier, places[-1])
    ruler.screen.app.processEvents()
    one = polygon_of(ruler)
    assert 8 <= len(one.points) < 60
    down, across = ruler.volume.geometry.spacing_mm[1:]
    area = next(value.number for value in one.values if value.quantity is Quantity.AREA)
    assert area == pytest.approx(np.pi * 12 * down * 12 * across, rel=0.06)
    ruler.screen.key(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert ruler.made == ()


def test_an_ellipse_is_turned_by_the_handle_outside_of_it(ruler: Ruler) -> None:
    ruler.screen.key(Qt.Key.Key_O)
    ruler.drag((25.0, 15.0), (35.0, 45.0))
    ruler.screen.key(Qt.Key.Key_Escape)
    (before,) = ruler.made
    center = before.points.mean(axis=0)
    middle, end = (np.array(ruler.slices.pixel_of(tuple(point))) for point in (center, before.points[1]))
    ratio = ruler.view.devicePixelRatioF()
    handle = end + (end - middle) / np.linalg.norm(end - middle) * TURN_PX * ruler.slices.scale
    arm = handle - middle
    quarter = middle + np.array([-arm[1], arm[0]])
    widget_middle = ruler.view.rect().center()
    height = ruler.view.device_size()[1]

    def offset(pixel: np.ndarray) -> tuple[int, int]:
        return (
            round(pixel[0] / ratio) - widget_middle.x(),
            round((height - 1 - pixel[1]) / ratio) - widget_middle.y(),
        )

    ruler.screen.drag(offset(handle), offset(quarter))
    (after,) = ruler.made
    np.testing.assert_allclose(after.points.mean(axis=0), center, atol=1e-6)
    long_before, long_after = before.points[1] - before.points[0], after.points[1] - after.points[0]
    assert float(np.linalg.norm(long_after)) == pytest.approx(float(np.linalg.norm(long_before)))
    cosine = abs(long_before @ long_after) / float(long_before @ long_before)
    assert cosine < 0.03  # a quarter of a turn, to a pixel
    areas = [one.values[0].number for one in (before, after)]
    assert areas[0] == pytest.approx(areas[1])


def test_clicks_do_what_a_drag_does_and_escape_ends_it(ruler: Ruler) -> None:
    ruler.screen.key(Qt.Key.Key_A)
    for place in ((20.0, 20.0), (40.0, 20.0), (40.0, 45.0)):
        ruler.click(*place)
    (one,) = ruler.made
    assert one.kind is MeasurementKind.ANGLE
    assert one.values[0].number == pytest.approx(90, abs=1.0)
    measuring = ruler.screen.station.measuring
    states = []
    ruler.click(25.0, 25.0)
    for _ in range(3):
        states.append((measuring.draft is not None, measuring.tool))
        ruler.screen.key(Qt.Key.Key_Escape)
    assert states == [(True, Tool.ANGLE), (False, Tool.ANGLE), (False, None)]
    assert len(ruler.made) == 1


def test_two_lines_make_an_angle(ruler: Ruler) -> None:
    ruler.screen.key(Qt.Key.Key_A, SHIFT)
    ruler.drag((20.0, 15.0), (20.0, 45.0))
    ruler.drag((50.0, 15.0), (35.0, 45.0))
    (one,) = ruler.made
    down, across = ruler.volume.geometry.spacing_mm[1:]
    assert len(one.points) == 4
    assert one.values[0].number == pytest.approx(np.degrees(np.arctan(15 * down / (30 * across))), abs=1.0)


@pytest.mark.parametrize(("key", "kind"), [(Qt.Key.Key_O, "ellipse"), (Qt.Key.Key_R, "rectangle")])
def test_a_region_has_the_values_that_simpleitk_finds(ruler: Ruler, key: Qt.Key, kind: str) -> None:
    ruler.screen.key(key)
    ruler.drag((22.0, 18.0), (38.0, 30.0))
    (one,) = ruler.made
    assert one.kind.value == kind
    flat = ruler.volume.geometry.to_index(one.points)[:, 1:]
    j, i = np.indices(ruler.volume.geometry.shape[1:])
    if kind == "rectangle":
        low, high = flat.min(axis=0), flat.max(axis=0)
        inside = (j >= low[0]) & (j <= high[0]) & (i >= low[1]) & (i <= high[1])
    else:
        middle, half = flat.mean(axis=0), np.ptp(flat, axis=0) / 2
        inside = ((j - middle[0]) / half[0]) ** 2 + ((i - middle[1]) / half[1]) ** 2 <= 1
    mask = np.zeros(ruler.volume.geometry.shape, dtype=np.uint8)
    mask[ruler.slice()] = inside
    counter = SimpleITK.LabelStatisticsImageFilter()
    counter.Execute(SimpleITK.GetImageFromArray(np.array(ruler.volume.voxels)), SimpleITK.GetImageFromArray(mask))
    numbers = {value.quantity: value for value in one.values}
    assert mask.sum() > 100
    assert numbers[Quantity.MEAN].number == pytest.approx(counter.GetMean(1))
    assert numbers[Quantity.DEVIATION].number == pytest.approx(counter.GetSigma(1))
    assert numbers[Quantity.MINIMUM].number == counter.GetMinimum(1)
    assert numbers[Quantity.MAXIMUM].number == counter.GetMaximum(1)
    assert numbers[Quantity.MEAN].unit == "HU"
    (row,) = ruler.rows
    assert row.number.text() == f"{round(counter.GetMean(1))} HU"
    assert "Area" in row.details.text()
    assert "mm²" in row.details.text()


def test_a_point_has_the_value_under_it(ruler: Ruler) -> None:
    ruler.screen.key(Qt.Key.Key_H)
    ruler.click(32.0, 20.0)
    (one,) = ruler.made
    (row,) = ruler.rows
    assert row.number.text() == f"{int(ruler.volume.voxels[ruler.slice(), 32, 20])} HU"
    assert one.kind is MeasurementKind.POINT


def test_what_is_drawn_can_be_moved_taken_back_and_deleted(ruler: Ruler) -> None:
    screen = ruler.screen
    screen.key(Qt.Key.Key_D)
    ruler.drag((20.0, 20.0), (20.0, 40.0))
    screen.key(Qt.Key.Key_Escape)
    before = ruler.made[0]
    ruler.drag((20.0, 40.0), (20.0, 52.0))
    longer = ruler.made[0]
    across = ruler.volume.geometry.spacing_mm[2]
    assert longer.values[0].number - before.values[0].number == pytest.approx(12 * across, abs=0.1 + ruler.pixel_mm)
    assert np.array_equal(longer.points[0], before.points[0])
    ruler.drag((20.0, 30.0), (30.0, 30.0))
    moved = ruler.made[0]
    assert moved.values[0].number == pytest.approx(longer.values[0].number)
    assert np.ptp(moved.points - longer.points, axis=0).max() == pytest.approx(0)
    assert not np.allclose(moved.points, longer.points)
    undo = Qt.KeyboardModifier.ControlModifier
    screen.key(Qt.Key.Key_Z, undo)
    screen.key(Qt.Key.Key_Z, undo)
    assert np.array_equal(ruler.made[0].points, before.points)
    screen.key(Qt.Key.Key_Y, undo)
    assert np.array_equal(ruler.made[0].points, longer.points)
    ruler.view.setFocus()
    ruler.click(20.0, 30.0)
    assert screen.station.measuring.selected == before.id
    screen.key(Qt.Key.Key_Delete)
    assert ruler.rows == []
    assert not ruler.panel.isVisible()
    screen.key(Qt.Key.Key_Z, undo)
    assert [one.id for one in ruler.made] == [before.id]


def test_without_a_tool_or_a_measurement_the_left_button_does_what_it_did(ruler: Ruler) -> None:
    viewing = ruler.screen.station.viewing
    window = viewing.state.window
    ruler.drag((20.0, 20.0), (20.0, 40.0))
    assert viewing.state.window.width > window.width
    assert ruler.made == ()
    ruler.screen.key(Qt.Key.Key_D)
    assert viewing.state.mode is Mode.VIEW
    ruler.screen.key(Qt.Key.Key_E)
    assert ruler.screen.station.measuring.tool is None


def test_the_list_goes_there_renames_and_copies(ruler: Ruler) -> None:
    screen, viewing = ruler.screen, ruler.screen.station.viewing
    screen.key(Qt.Key.Key_D)
    ruler.drag((20.0, 20.0), (20.0, 40.0))
    drawn_on = ruler.slice()
    screen.wheel(-5)
    assert ruler.slice() == drawn_on - 5
    screen.key(Qt.Key.Key_O)
    ruler.drag((22.0, 18.0), (38.0, 30.0))
    length, region = ruler.rows
    ruler.slices.look(ruler.slices.camera.panned(5000, 0))
    QTest.mouseClick(length, LEFT)
    assert ruler.slice() == drawn_on
    assert all(ruler.view.rect().contains(ruler.place(20.0, i)) for i in (20.0, 40.0))
    assert screen.station.measuring.selected == ruler.made[0].id
    length.name.edit()
    QTest.keyClicks(length.name, "=nodule")
    QTest.keyClick(length.name, Qt.Key.Key_Return)
    assert ruler.made[0].label == "=nodule"
    number = length.number.text()
    ruler.panel.copy_text()
    lines = QGuiApplication.clipboard().text().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"=nodule: {number} (axial ")
    assert "Mean" in lines[1]
    ruler.panel.copy_csv()
    table = list(csv.DictReader(io.StringIO(QGuiApplication.clipboard().text())))
    assert [row["Quantity"] for row in table] == [
        "Length", "Area", "Mean", "SD", "Min", "Max",
    ]  # fmt: skip
    assert float(table[0]["Value"]) == pytest.approx(ruler.made[0].values[0].number, abs=0.051)
    assert (table[0]["Name"], table[0]["Unit"], table[1]["Unit"]) == ("'=nodule", "mm", "mm²")
    QTest.mouseClick(region.remove, LEFT)
    assert len(ruler.made) == 1
    assert viewing.state.maximised is ViewName.AXIAL


def test_measurements_come_back_with_their_series(
    qapp: QApplication, medview_home: Path, small_series_folder: Path
) -> None:
    kept: list[Measurement] = []
    for run in range(2):
        screen = Screen(medview_home, qapp)
        try:
            ruler = Ruler(screen, small_series_folder)
            if run == 0:
                screen.key(Qt.Key.Key_D)
                ruler.drag((20.0, 20.0), (20.0, 40.0))
                screen.station.measuring.rename(ruler.made[0].id, "Knoten 结节")
                kept = list(ruler.made)
                assert len(kept) == 1
            else:
                measuring = screen.station.measuring
                screen.wait(partial(has_any, measuring))
                (back,) = ruler.made
                assert np.array_equal(back.points, kept[0].points)
                assert (back.id, back.label, back.values) == (kept[0].id, kept[0].label, kept[0].values)
                assert (back.author, back.made_at) == (kept[0].author, kept[0].made_at)
        finally:
            screen.close()


def test_a_damaged_file_is_told_and_kept_and_loses_nothing_else(
    qapp: QApplication, medview_home: Path, small_series_folder: Path
) -> None:
    screen = Screen(medview_home, qapp)
    ruler = Ruler(screen, small_series_folder)
    screen.key(Qt.Key.Key_D)
    ruler.drag((20.0, 20.0), (20.0, 40.0))
    ruler.drag((30.0, 20.0), (30.0, 40.0))
    path = screen.station.measuring.files.path_of(ruler.volume.series_uid)
    second = ruler.made[1]
    screen.close()
    path.write_bytes(path.read_bytes().replace(b'"length"', b'"lenght"', 1))
    screen = Screen(medview_home, qapp)
    try:
        ruler = Ruler(screen, small_series_folder)
        screen.wait(lambda: bool(ruler.made))
        assert [one.id for one in ruler.made] == [second.id]
        banner = screen.window.findChild(Banner, "window-banner")
        assert isinstance(banner, Banner)
        screen.wait(lambda: banner.message is not None)
        assert banner.message is not None
        assert "damaged" in str(banner.message.what)
        (aside,) = path.parent.glob("*.damaged-*")
        assert b"lenght" in aside.read_bytes()
    finally:
        screen.close()


@pytest.fixture
def uneven(screen: Screen, small_phantom: Phantom, tmp_path: Path) -> Ruler:
    """A series of which a slice is missing."""
    write_series(small_phantom.volume, tmp_path)
    files = sorted(tmp_path.glob("*"))
    files[12].unlink()
    return Ruler(screen, tmp_path)


def test_a_doubtful_number_carries_the_sign_everywhere(uneven: Ruler) -> None:
    uneven.screen.key(Qt.Key.Key_D)
    uneven.drag((20.0, 20.0), (20.0, 40.0))
    uneven.screen.key(Qt.Key.Key_O)
    uneven.drag((22.0, 18.0), (38.0, 30.0))
    length, region = uneven.rows
    assert length.number.text().startswith("≈ ")
    assert length.number.text().endswith(" mm ⚠")
    assert "missing" in length.number.toolTip()
    assert region.details.text().count("⚠") == 4
    uneven.panel.copy_text()
    copied = QGuiApplication.clipboard().text()
    assert copied.count("⚠") == 6
    assert "missing" in copied
    uneven.panel.copy_csv()
    table = list(csv.DictReader(io.StringIO(QGuiApplication.clipboard().text())))
    assert all("⚠" in row["Value"] and "missing" in row["Why doubtful"] for row in table)
    assert len(table) == 6
