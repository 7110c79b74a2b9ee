"""What stands beside a picture: corner text, orientation letters, scale bar. Words and numbers only, no VTK."""

from __future__ import annotations

import math
from dataclasses import dataclass

from medview.core.case import Series
from medview.core.geometry import Floats, Point
from medview.core.planes import Plane, letters
from medview.core.text import Text
from medview.core.volume import Volume, Window

_SCALE_STEPS_MM = (
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0,
)  # fmt: skip
_ACQUISITION_ON_A_LINE = 2
_NO_TIME = "00:00:00"
"""What removers of names write for the time of day."""
_LONGEST_NUMBER = 6
_POSITION = {Plane.AXIAL: (2, "H", "F"), Plane.CORONAL: (1, "P", "A"), Plane.SAGITTAL: (0, "L", "R")}
"""The patient axis of a plane's position, and its letters for positive and negative values (LPS)."""


@dataclass(frozen=True, slots=True)
class SlicePlace:
    """Which slice is shown, and how large.

    Attributes:
        plane: The plane of reading.
        number: 1 for the first slice of the grid.
        count: How many slices there are.
        point: A point of the slice, LPS, mm.
        thickness_mm: Distance from slice to slice.
        zoom: Device pixels for each voxel along the screen's width.
    """

    plane: Plane
    number: int
    count: int
    point: Point
    thickness_mm: float
    zoom: float


@dataclass(frozen=True, slots=True)
class Corners:
    """The four blocks of text, line by line."""

    top_left: tuple[Text, ...] = ()
    top_right: tuple[Text, ...] = ()
    bottom_left: tuple[Text, ...] = ()
    bottom_right: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class EdgeLetters:
    """The patient's direction at each edge of the screen."""

    left: str
    right: str
    top: str
    bottom: str


@dataclass(frozen=True, slots=True)
class ScaleBar:
    """A bar of a round length."""

    pixels: float
    text: Text


def corner_text(series: Series | None, volume: Volume, window: Window, inverted: bool, place: SlicePlace) -> Corners:
    """The corner text of a slice view; what is not known leaves no line."""
    return Corners(
        top_left=_patient(series),
        top_right=_study(series),
        bottom_left=(
            *_series(series, volume),
            *_phase(series, volume),
            *(_slice(place) if volume.is_spatial else ()),
            *_acquisition(series),
        ),
        bottom_right=_display(window, inverted, volume, place),
    )


def has_scale(volume: Volume) -> bool:
    """Whether lengths on the screen mean something: pictures may come without the size of their pixels."""
    return volume.is_spatial or volume.caution is None


def edge_letters(right: Floats, up: Floats) -> EdgeLetters:
    """The letters of the four edges from the screen's axes in the patient (LPS)."""
    return EdgeLetters(letters(-right), letters(right), letters(up), letters(-up))


def scale_bar(mm_per_pixel: float, longest_px: float) -> ScaleBar | None:
    """The longest bar of a round length that fits; None when none does."""
    fitting = [step for step in _SCALE_STEPS_MM if step / mm_per_pixel <= longest_px]
    if not fitting:
        return None
    mm = fitting[-1]
    text = Text.of("{n} cm", n=f"{mm / 10:g}") if mm >= 10 else Text.of("{n} mm", n=f"{mm:g}")
    return ScaleBar(mm / mm_per_pixel, text)


def value_text(value: float) -> str:
    """A pixel value or window limit: no false digits, for HU as for values around one."""
    if not math.isfinite(value):
        return "-"
    size = abs(value)
    if size >= 100 or float(value).is_integer():
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.3g}"


def position_text(plane: Plane, point: Point) -> Text:
    """A slice's position with the letter of its side, as "121.5 mm H"."""
    axis, positive, negative = _POSITION[plane]
    value = point[axis]
    return Text.of("{mm} mm {side}", mm=f"{abs(value):.1f}", side=positive if value >= 0 else negative)


def _patient(series: Series | None) -> tuple[Text, ...]:
    if series is None:
        return ()
    patient = series.study.patient
    names = list(dict.fromkeys(name for name in (_readable(patient.name), patient.key) if name))
    about = "  ".join(part for part in (patient.birth_date, patient.sex) if part)
    if names and about and not patient.birth_date:
        # One letter is not worth a line.
        names[0] = f"{names[0]}  {about}"
        about = ""
    return _lines(*names, about)


def _study(series: Series | None) -> tuple[Text, ...]:
    if series is None:
        return ()
    study = series.study
    time = "" if study.time == _NO_TIME else study.time
    return _lines(
        study.institution, _readable(study.description), "  ".join(part for part in (study.date, time) if part)
    )


def _series(series: Series | None, volume: Volume) -> tuple[Text, ...]:
    name = series.description if series is not None else volume.description
    number = series.number if series is not None else None
    modality = volume.modality.value
    head = f"{modality} {number}" if number is not None else modality
    return _lines("  ".join(part for part in (head, name) if part))


def _phase(series: Series | None, volume: Volume) -> tuple[Text, ...]:
    if series is None or volume.phase >= len(series.phases):
        return ()
    name, count = series.phases[volume.phase], len(series.phases)
    return (Text.of("{phase}   {number} of {count}", phase=name, number=volume.phase + 1, count=count),)


def _slice(place: SlicePlace) -> tuple[Text, ...]:
    position = position_text(place.plane, place.point)
    thickness = f"{place.thickness_mm:.1f}" if place.thickness_mm >= 0.095 else f"{place.thickness_mm:.2g}"
    return (Text.of("{position}   slice {mm} mm", position=position, mm=thickness),)


def _acquisition(series: Series | None) -> tuple[Text, ...]:
    facts = [f"{name} {_short(value)}" for name, value in (series.acquisition if series is not None else ())]
    count = _ACQUISITION_ON_A_LINE
    return _lines(*("  ".join(facts[n : n + count]) for n in range(0, min(len(facts), 2 * count), count)))


def _display(window: Window, inverted: bool, volume: Volume, place: SlicePlace) -> tuple[Text, ...]:
    center, width = value_text(window.center), value_text(window.width)
    unit = f" {volume.unit}" if volume.unit and volume.unit != "HU" else ""
    if inverted:
        values = Text.of("W {width}  L {center}{unit} inverted", width=width, center=center, unit=unit)
    else:
        values = Text.of("W {width}  L {center}{unit}", width=width, center=center, unit=unit)
    return (
        *((volume.caution,) if volume.caution is not None else ()),
        values,
        Text.of("Zoom {percent} %", percent=f"{100 * place.zoom:.0f}"),
        Text.of("{number} / {count}", number=place.number, count=place.count),
    )


def _short(value: str) -> str:
    """A number with no more digits than anyone reads."""
    try:
        return f"{float(value):.4g}" if len(value) > _LONGEST_NUMBER else value
    except ValueError:
        return value


def _readable(name: str) -> str:
    """A person name or description as people write it: DICOM's component marks become spaces."""
    return " ".join(name.replace("^", " ").replace("=", "  ").split())


def _lines(*values: str) -> tuple[Text, ...]:
    return tuple(Text.of("{line}", line=value.strip()) for value in values if value.strip())
