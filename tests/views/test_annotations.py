"""The words beside the pictures."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkTextActor

from medview.core.case import Patient, Series, Study
from medview.core.folders import resources_folder
from medview.core.planes import Plane
from medview.core.text import Text
from medview.core.volume import Modality, Window
from medview.views.annotations import SlicePlace, corner_text, position_text, scale_bar, value_text
from medview.views.gestures import GESTURES
from medview.views.screen_actors import broken, text_width
from medview.workstation import presets
from tests.support.screens import PLAIN, point, screen
from tests.support.volumes import volume

SHAPE = (12, 20, 26)
PLACE = SlicePlace(Plane.AXIAL, 3, 12, (0.0, 0.0, -121.46), 2.5, 1.5)


def words(renderer: vtkRenderer) -> str:
    """All text that a scene shows."""
    props = renderer.GetViewProps()
    found = [props.GetItemAsObject(number) for number in range(props.GetNumberOfItems())]
    return "\n".join(one.GetInput() for one in found if isinstance(one, vtkTextActor) and one.GetVisibility())


def series(patient: Patient) -> Series:
    study = Study("1.2", patient, "2024-05-06", "07:08:09", "CT^Chest", "A hospital")
    facts = (("kV", "120"), ("Thickness", "0.666667"), ("Kernel", "B30f"), ("mAs", "80"), ("Scanner", "X"))
    return Series("1.2.3.4", study, Modality.CT, "Lung", 4, "CHEST", (), 12, None, acquisition=facts)


def test_the_corners_say_who_what_where_and_how() -> None:
    shown = replace(volume(np.zeros(SHAPE, np.int16)), windows=())
    said = corner_text(series(Patient("P-1", "Phantom^Chest", "1960-01-01", "F")), shown, Window(40, 400), False, PLACE)
    assert [str(line) for line in said.top_left] == ["Phantom Chest", "P-1", "1960-01-01  F"]
    assert [str(line) for line in said.top_right] == ["A hospital", "CT Chest", "2024-05-06  07:08:09"]
    assert [str(line) for line in said.bottom_left] == [
        "CT 4  Lung", "121.5 mm F   slice 2.5 mm", "kV 120  Thickness 0.6667", "Kernel B30f  mAs 80",
    ]  # fmt: skip
    assert [str(line) for line in said.bottom_right] == ["W 400  L 40", "Zoom 150 %", "3 / 12"]
    inverted = corner_text(None, replace(shown, unit="SUVbw"), Window(2.5, 5), True, PLACE)
    assert str(inverted.bottom_right[0]) == "W 5  L 2.5 SUVbw inverted"
    assert inverted.top_left == ()


@pytest.mark.parametrize(
    ("patient", "lines"),
    [
        (Patient("P-1", "", "", "F"), ["P-1  F"]),
        (Patient("P-1", "Phantom^Chest", "", "M"), ["Phantom Chest  M", "P-1"]),
        (Patient("scan_1", "scan_1"), ["scan_1"]),
        (Patient("", "Phantom^Chest"), ["Phantom Chest"]),
        (Patient(""), []),
    ],
)
def test_what_is_not_known_leaves_no_line(patient: Patient, lines: list[str]) -> None:
    shown = volume(np.zeros(SHAPE, np.int16))
    said = corner_text(series(patient), shown, Window(40, 400), False, PLACE)
    assert [str(line) for line in said.top_left] == lines


@pytest.mark.parametrize("towards_head", [True, False])
def test_slices_are_counted_from_the_head_as_one_scrolls(towards_head: bool) -> None:
    direction = np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0 if towards_head else -1.0, 0.0, 0.0]])
    shown = volume(np.zeros(SHAPE, np.int16), direction=direction)
    for k, number in ((0, 12 if towards_head else 1), (11, 1 if towards_head else 12), (4, 8 if towards_head else 5)):
        with screen(400, 300) as one:
            view = one.slices(
                Plane.AXIAL, shown, replace(PLAIN, annotations_shown=True, cursor=point(shown.geometry, k, 3, 3))
            )
            one.frame()
            assert f"{number} / 12" in words(one.renderer)
            view.close()


def test_words_are_translated_and_can_be_turned_off() -> None:
    shown = volume(np.zeros(SHAPE, np.int16))
    with screen(500, 400) as one:
        view = one.slices(Plane.AXIAL, shown, replace(PLAIN, annotations_shown=True))
        one.frame()
        assert {"Zoom", "W 100  L 50", "R", "L", "A", "P"} <= {
            *words(one.renderer).split("\n"), *words(one.renderer).split()
        }  # fmt: skip
        view.apply(PLAIN)
        assert one.frame().max() == 0
        assert words(one.renderer) == ""


def test_small_views_keep_the_important_lines_and_tiny_ones_none() -> None:
    shown = volume(np.zeros(SHAPE, np.int16))
    about = series(Patient("P-1", "Phantom^Chest", "1960-01-01", "F"))
    seen = {}
    for size in ((900, 700), (300, 220), (150, 150)):
        with screen(*size) as one:
            view = one.slices(Plane.AXIAL, None, replace(PLAIN, annotations_shown=True))
            view.show(shown, about)
            one.frame()
            seen[size] = words(one.renderer)
            view.close()
    assert "Kernel B30f" in seen[900, 700]
    assert "Kernel B30f" not in seen[300, 220]
    assert "12 / 12" in seen[300, 220] or "/ 12" in seen[300, 220]
    assert "/ 12" not in seen[150, 150]


@pytest.mark.parametrize(
    ("mm_per_pixel", "longest", "words", "pixels"),
    [(0.5, 220, "10 cm", 200), (0.5, 39, "1 cm", 20), (0.1, 60, "5 mm", 50), (0.02, 26, "0.5 mm", 25)],
)
def test_the_scale_bar_is_the_longest_round_one(mm_per_pixel: float, longest: float, words: str, pixels: float) -> None:
    bar = scale_bar(mm_per_pixel, longest)
    assert bar is not None
    assert str(bar.text) == words
    assert bar.pixels == pytest.approx(pixels)
    assert scale_bar(1e-6, 10) is None


def test_numbers_have_no_false_digits() -> None:
    assert [value_text(value) for value in (-1024.0, 40, 1234.56, 12.345, 0.012345, 2.5, float("nan"))] == [
        "-1024", "40", "1235", "12.3", "0.0123", "2.5", "-",
    ]  # fmt: skip
    assert str(position_text(Plane.SAGITTAL, (-3.27, 0, 0))) == "3.3 mm R"
    assert str(position_text(Plane.CORONAL, (0, 7.0, 0))) == "7.0 mm P"


def test_presets_and_gestures_are_in_chinese_too() -> None:
    path = resources_folder() / "translations" / "zh_CN" / "views.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    names = [one.name for one in presets.load().windows] + [one.name for one in presets.load().ray_casting]
    names += [text.template for one in GESTURES for text in (one.gesture, one.action)]
    assert [name for name in names if name not in known] == []
    chinese = Text.of("Zoom {percent} %", percent="150").render(lambda template: known[template])
    assert chinese == "缩放 150 %"


def test_facts_move_to_the_next_line_before_one_is_cut() -> None:
    line = "103.0 mm F   slice 0.7 mm   b 1000"
    assert broken(line, 1000.0) == [line]
    assert broken(line, text_width("103.0 mm F   slice 0.7 mm")) == ["103.0 mm F   slice 0.7 mm", "b 1000"]
    assert broken(line, text_width("slice 0.7 mm")) == ["103.0 mm F", "slice 0.7 mm", "b 1000"]
    assert broken("one long fact that has no gap", 1.0) == ["one long fact that has no gap"]
    assert broken("", 1.0) == [""]
