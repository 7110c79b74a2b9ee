"""Measurements in pictures: where they are drawn, that they can be read, and that they cost no frame in vain."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from vtkmodules.vtkRenderingCore import vtkTextActor

from medview.core.geometry import Floats
from medview.core.measurement import DrawnOn, Measurement, MeasurementKind, Quantity, Value
from medview.core.planes import Plane
from medview.core.text import Text
from medview.core.volume import Volume
from medview.views import fonts
from medview.views.measured_text import detail_text, lines_of, number_text, short_text
from medview.views.measurement_layer import LINE_COLOR, STRONG_COLOR, Shown
from medview.views.measurement_shapes import (
    axes_in_order,
    boxed,
    crossings,
    distance_to,
    outline,
    reshaped,
    simplified,
    turned,
)
from medview.views.slice_view import SliceView
from tests.support.screens import PLAIN, Picture, Screen, point, screen
from tests.support.volumes import oblique, volume

SHAPE = (12, 40, 50)
K = 5
STATE = replace(PLAIN, annotations_shown=True, crosshair_shown=False)


def image(brightness: int = 0) -> Volume:
    return volume(np.full(SHAPE, brightness, np.int16), spacing_mm=(3.0, 1.0, 1.0))


def drawn(shown: Volume, kind: MeasurementKind, *places: tuple[float, float], k: int = K) -> Measurement:
    points = np.array([point(shown.geometry, k, *place) for place in places])
    values = (Value(Quantity.LENGTH, 12.34, "mm"),)
    return Measurement(kind, points, values, DrawnOn(shown.series_uid, 0, k))


@dataclass
class Bench:
    window: Screen
    view: SliceView
    volume: Volume

    def frame(self, *, at: tuple[int, int, int] = (K, 20, 25)) -> Picture:
        self.view.apply(replace(STATE, cursor=point(self.volume.geometry, *at)))
        return self.window.frame()


@pytest.fixture(params=[Plane.AXIAL, Plane.CORONAL], ids=str)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from _bench(request.param)


@pytest.fixture
def axial() -> Iterator[Bench]:
    yield from _bench(Plane.AXIAL)


def _bench(plane: Plane) -> Iterator[Bench]:
    shown = image()
    with screen(400, 320) as window:
        yield Bench(window, window.slices(plane, shown, STATE), shown)


def where(picture: Picture, color: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the pixels in a colour."""
    y, x = np.nonzero((np.abs(picture.astype(int) - color) <= 3).all(axis=-1))
    return x, y


def said(one: Screen) -> str:
    props = one.renderer.GetViewProps()
    found = [props.GetItemAsObject(number) for number in range(props.GetNumberOfItems())]
    return "\n".join(prop.GetInput() for prop in found if isinstance(prop, vtkTextActor) and prop.GetVisibility())


def test_a_line_runs_from_point_to_point_on_its_slice_and_on_no_other(axial: Bench) -> None:
    one = drawn(axial.volume, MeasurementKind.LENGTH, (20, 10), (20, 35))
    axial.view.show_measurements(Shown((one,)))
    picture = axial.frame()
    ends = [axial.view.pixel_of(tuple(place)) for place in one.points.tolist()]
    row = round(ends[0][1] - 0.5)
    columns = range(round(ends[0][0]) + 2, round(ends[1][0]) - 2)
    lit = (np.abs(picture[row - 1 : row + 2, columns].astype(int) - LINE_COLOR) <= 3).all(axis=-1).any(axis=0)
    assert lit.mean() > 0.98
    assert "12.3 mm" in said(axial.window)
    for k in (K - 1, K + 1):
        other = axial.frame(at=(k, 20, 25))
        assert where(other, LINE_COLOR)[0].size == 0
        assert "12.3 mm" not in said(axial.window)


def test_another_plane_has_a_mark_where_it_is_crossed_and_nothing_elsewhere() -> None:
    for bench in _bench(Plane.CORONAL):
        one = drawn(bench.volume, MeasurementKind.LENGTH, (10, 20), (30, 20))
        bench.view.show_measurements(Shown((one,)))
        x, y = where(bench.frame(at=(K, 22, 25)), LINE_COLOR)
        crossing = bench.view.pixel_of(point(bench.volume.geometry, K, 22, 20))
        assert 8 < x.size < 120
        assert np.hypot(x + 0.5 - crossing[0], y + 0.5 - crossing[1]).max() < 8
        assert "mm" not in said(bench.window).replace("mm", "", 2)
        assert where(bench.frame(at=(K, 35, 25)), LINE_COLOR)[0].size == 0


@pytest.mark.parametrize("brightness", [0, 50, 100])
def test_it_can_be_read_on_every_ground(brightness: int) -> None:
    shown = image(brightness)
    with screen(400, 320) as window:
        view = window.slices(Plane.AXIAL, shown, replace(STATE, cursor=point(shown.geometry, K, 20, 25)))
        one = drawn(shown, MeasurementKind.LENGTH, (20, 10), (20, 35))
        view.show_measurements(Shown((one,)))
        picture = window.frame().astype(int)
        x, y = (round(value) for value in view.pixel_of(point(shown.geometry, K, 20, 22)))
        column = picture[y - 4 : y + 5, x]
        luminance = column @ np.array([0.2126, 0.7152, 0.0722])
        assert luminance.max() > 150, "the line itself"
        assert luminance.min() < 90, "its dark rim"
        end = view.pixel_of(point(shown.geometry, K, 20, 35))
        box = picture[round(end[1]) - 6 : round(end[1]) + 7, round(end[0]) + 14 : round(end[0]) + 50]
        assert np.percentile(box.max(axis=-1), 20) < 80, "dark ground under the number"
        assert (np.abs(box - LINE_COLOR) <= 40).all(axis=-1).sum() > 20, "the number on it"


def test_what_the_mouse_is_on_stands_out_with_its_handles(axial: Bench) -> None:
    one = drawn(axial.volume, MeasurementKind.LENGTH, (20, 10), (20, 35))
    axial.view.show_measurements(Shown((one,), strong=frozenset({one.id})))
    picture = axial.frame()
    assert where(picture, LINE_COLOR)[0].size == 0
    x, y = where(picture, STRONG_COLOR)
    for place in one.points.tolist():
        end = axial.view.pixel_of(tuple(place))
        distance = np.hypot(x + 0.5 - end[0], y + 0.5 - end[1])
        assert ((distance > 2.5) & (distance < 6)).sum() > 10


def test_no_frame_is_asked_for_in_vain(bench: Bench) -> None:
    away = drawn(bench.volume, MeasurementKind.LENGTH, (2, 10), (4, 35), k=9)
    bench.frame()
    before = bench.window.requests
    bench.view.show_measurements(Shown((away,)))
    bench.view.show_measurements(Shown((away,), strong=frozenset({away.id})))
    assert bench.window.requests == before
    near = drawn(bench.volume, MeasurementKind.LENGTH, (15, 10), (25, 35))
    bench.view.show_measurements(Shown((away, near)))
    assert bench.window.requests == before + 1
    bench.view.show_measurements(Shown((away, near)))
    assert bench.window.requests == before + 1
    bench.view.show_measurements(Shown((away,)))
    assert bench.window.requests == before + 2


def test_texts_do_not_lie_on_each_other(axial: Bench) -> None:
    kinds = [drawn(axial.volume, MeasurementKind.LENGTH, (18 + n, 20), (18 + n, 22)) for n in range(3)]
    axial.view.show_measurements(Shown(tuple(kinds)))
    axial.frame()
    props = axial.window.renderer.GetViewProps()
    boxes = []
    for number in range(props.GetNumberOfItems()):
        prop = props.GetItemAsObject(number)
        if isinstance(prop, vtkTextActor) and prop.GetVisibility() and "12.3" in prop.GetInput():
            bounds = [0.0] * 4
            prop.GetBoundingBox(axial.window.renderer, bounds)
            x, y = prop.GetPosition()
            boxes.append((x + bounds[0], x + bounds[1], y + bounds[2], y + bounds[3]))
    assert len(boxes) == 3
    for n, one in enumerate(boxes):
        for other in boxes[:n]:
            assert one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] or other[3] <= one[2]


def test_hidden_with_the_other_text(axial: Bench) -> None:
    one = drawn(axial.volume, MeasurementKind.ELLIPSE, (10, 20), (30, 20), (20, 15), (20, 25))
    axial.view.show_measurements(Shown((one,)))
    assert where(axial.frame(), LINE_COLOR)[0].size > 100
    assert [found.id for found in axial.view.measurements_here] == [one.id]
    axial.view.apply(PLAIN)
    assert axial.window.frame().max() == 0
    assert len(axial.view.measurements_here) == 0
    axial.view.show(None)
    assert axial.window.frame().max() == 0


def ellipse() -> tuple[Floats, Floats, Floats]:
    turn = oblique()
    return turn[:, 0], turn[:, 1], np.array([3.0, -4.0, 5.0])


@pytest.mark.parametrize("handle", range(4))
def test_dragging_an_end_of_an_ellipse_keeps_its_other_end_and_its_directions(handle: int) -> None:
    right, up, middle = ellipse()
    points = boxed(MeasurementKind.ELLIPSE, middle - 9 * right - 4 * up, middle + 9 * right + 4 * up, right, up)
    assert np.allclose(points[0] - points[1], -18 * right)
    before = Measurement(MeasurementKind.ELLIPSE, points)
    opposite = handle + 1 if handle % 2 == 0 else handle - 1
    way = (points[handle] - points[opposite]) / np.linalg.norm(points[handle] - points[opposite])
    aside = up if handle < 2 else right
    after = reshaped(before, handle, points[handle] + 3 * way + 2 * aside)
    lengths = sorted(float(np.linalg.norm(after[n + 1] - after[n])) for n in (0, 2))
    assert lengths == pytest.approx([8, 21] if handle < 2 else [11, 18])
    assert np.linalg.norm(after - points[opposite], axis=1).min() < 1e-9
    assert (after[1] - after[0]) @ (after[3] - after[2]) == pytest.approx(0, abs=1e-9)
    assert np.allclose(after[[0, 1]].mean(axis=0), after[[2, 3]].mean(axis=0))
    assert np.array_equal(after, axes_in_order(after))


@pytest.mark.parametrize("handle", range(4))
def test_dragging_a_corner_of_a_rectangle_keeps_the_opposite_one(handle: int) -> None:
    right, up, middle = ellipse()
    points = boxed(MeasurementKind.RECTANGLE, middle, middle + 9 * right + 4 * up, right, up)
    to = points[handle] + 2 * right - 1.5 * up
    after = reshaped(Measurement(MeasurementKind.RECTANGLE, points), handle, to)
    assert np.allclose(after[handle], to)
    assert np.allclose(after[(handle + 2) % 4], points[(handle + 2) % 4])
    sides = np.roll(after, -1, axis=0) - after
    assert np.allclose([sides[n] @ sides[(n + 1) % 4] for n in range(4)], 0)
    turned = reshaped(Measurement(MeasurementKind.RECTANGLE, points), handle, points[(handle + 2) % 4] + right - up)
    assert np.isfinite(turned).all()


def test_an_ellipse_crosses_a_plane_twice() -> None:
    shown = image()
    points = np.array([point(shown.geometry, K, *place) for place in ((20, 15), (20, 35), (12, 25), (28, 25))], float)
    one = Measurement(MeasurementKind.ELLIPSE, points, drawn_on=DrawnOn("1", 0, K))
    pieces = crossings(one, shown.geometry, 1, 16)
    columns = shown.geometry.to_index(np.vstack(pieces))[:, 2]
    half = 10 * np.sqrt(1 - (4 / 8) ** 2)
    assert len({bool(column > 25) for column in columns}) == 2
    assert np.abs(np.abs(columns - 25) - half).max() < 1.0
    assert crossings(one, shown.geometry, 1, 35) == []


def test_lines_are_as_far_as_they_are() -> None:
    (line,) = outline(MeasurementKind.RECTANGLE, np.array([[0.0, 0, 0], [10, 0, 0], [10, 5, 0], [0, 5, 0]]))
    assert distance_to([line[:, :2]], (5.0, -3.0)) == pytest.approx(3)
    assert distance_to([line[:, :2]], (-3.0, -4.0)) == pytest.approx(5)
    assert outline(MeasurementKind.POINT, np.zeros((1, 3))) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Value(Quantity.LENGTH, 12.349, "mm"), "12.3 mm"),
        (Value(Quantity.LENGTH, 921.5, "px"), "921.5 px"),
        (Value(Quantity.ANGLE, 34.56, "deg"), "34.6°"),
        (Value(Quantity.AREA, 45.67, "mm2"), "45.7 mm²"),
        (Value(Quantity.AREA, 312.4, "mm2"), "312 mm²"),
        (Value(Quantity.MEAN, -742.4, "HU"), "-742 HU"),
        (Value(Quantity.MEAN, -0.3, "HU"), "0 HU"),
        (Value(Quantity.MEAN, 2.345, "SUVbw"), "2.35 SUVbw"),
        (Value(Quantity.MEAN, 1234.5, ""), "1234"),
    ],
)
def test_numbers_have_their_units_and_no_false_digits(value: Value, text: str) -> None:
    assert number_text(value, doubtful=False) == text
    assert number_text(value, doubtful=True) == f"≈ {text} ⚠"


def test_every_doubtful_number_says_so_itself() -> None:
    values = tuple(
        Value(quantity, 10.0 * n, "mm2" if quantity is Quantity.AREA else "HU")
        for n, quantity in enumerate(
            (Quantity.AREA, Quantity.MEAN, Quantity.DEVIATION, Quantity.MINIMUM, Quantity.MAXIMUM), 1
        )
    )
    points = np.array([[0.0, 0, 0], [10, 0, 0], [10, 5, 0], [0, 5, 0]])
    safe = Measurement(MeasurementKind.RECTANGLE, points, values, label="Cyst")
    assert [str(line) for line in lines_of(safe)] == [
        "Cyst", "Area 10.0 mm²", "Mean 20 HU   SD 30 HU", "Min 40 HU   Max 50 HU",
    ]  # fmt: skip
    doubtful = replace(safe, doubtful=Text("interpolated"))
    assert "\n".join(str(line) for line in lines_of(doubtful)).count("⚠") == 5
    assert str(short_text(doubtful)) == "≈ 20 HU ⚠"
    assert str(detail_text(doubtful)).count("⚠") == 4
    assert str(detail_text(drawn(image(), MeasurementKind.LENGTH, (1, 1), (2, 2)))) == ""


def test_a_sign_that_a_font_lacks_is_written_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    have = {"plain.ttf": set(range(0x21, 0x7F)) | {0x5747, 0x2248}}

    def only(wanted: frozenset[int]) -> Path | None:
        return next((Path(name) for name, codes in have.items() if wanted <= codes), None)

    monkeypatch.setattr(fonts, "_file_with", only)
    spelling = fonts.spelled("均 ≈ 12.3 ⚠")
    assert spelling == fonts.Spelling("均 ≈ 12.3 (!)", Path("plain.ttf"))
    have["plain.ttf"].remove(0x2248)
    assert fonts.spelled("均 ≈ 12.3 ⚠") == fonts.Spelling("均 ~ 12.3 (!)", Path("plain.ttf"))
    assert fonts.spelled("≈ 12.3 ⚠") == fonts.Spelling("~ 12.3 (!)")
    have["plain.ttf"] = {0x5747}
    assert fonts.spelled("均 12.3") == fonts.Spelling("均 12.3", Path("plain.ttf"), is_whole=False)
    assert fonts.spelled("标 12.3") is None


def test_a_traced_outline_keeps_its_shape_with_few_corners() -> None:
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    circle = np.stack([np.zeros(400), 20 * np.cos(angles), 20 * np.sin(angles)], axis=1)
    kept = simplified(circle, 0.1)
    assert 20 < len(kept) < 80
    # every old corner lies no farther from the new outline than was allowed
    assert max(distance_to([np.vstack([kept, kept[:1]])[:, 1:]], (y, z)) for _, y, z in circle) <= 0.1 + 1e-9
    square = np.array([[0, x, y] for x, y in ((0, 0), (1, 0), (2, 0), (2, 1), (2, 2), (1, 2), (0, 2), (0, 1))], float)
    assert {tuple(point[1:]) for point in simplified(square, 0.01)} == {(0, 0), (2, 0), (2, 2), (0, 2)}
    line = np.array([[0, x, 0] for x in range(5)], float)
    assert len(simplified(line, 10.0)) == 3


def test_turning_keeps_the_middle_and_the_lengths() -> None:
    right, up = np.array([0.0, 0.6, 0.8]), np.array([1.0, 0.0, 0.0])
    points = boxed(
        MeasurementKind.RECTANGLE, np.array([1.0, 2.0, 3.0]), np.array([5.0, 2.0, 3.0]) + 7 * right, right, up
    )
    center = points.mean(axis=0)
    after = turned(points, center + right, center + up, right, up)
    np.testing.assert_allclose(after.mean(axis=0), center)
    np.testing.assert_allclose(
        np.linalg.norm(np.diff(after, axis=0), axis=1), np.linalg.norm(np.diff(points, axis=0), axis=1)
    )
    np.testing.assert_allclose(after[1] - after[0], 7 * up, atol=1e-12)  # what ran to the right runs up
