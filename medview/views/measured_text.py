"""How measurements are written: the unit's usual digits, and a sign in every number that cannot be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from medview.core.measurement import Measurement, MeasurementKind, Quantity, Value
from medview.core.text import Text
from medview.views.annotations import value_text

NAMES: Mapping[Quantity, Text] = MappingProxyType(
    {
        Quantity.LENGTH: Text("Length"),
        Quantity.SHORT_AXIS: Text("Short axis"),
        Quantity.ANGLE: Text("Angle"),
        Quantity.AREA: Text("Area"),
        Quantity.PERIMETER: Text("Perimeter"),
        Quantity.VOLUME: Text("Volume"),
        Quantity.MEAN: Text("Mean"),
        Quantity.DEVIATION: Text("SD"),
        Quantity.MINIMUM: Text("Min"),
        Quantity.MAXIMUM: Text("Max"),
        Quantity.MEDIAN: Text("Median"),
        Quantity.VALUE: Text("Value"),
    }
)
"""The short name of a number."""
_UNITS: Mapping[str, str] = MappingProxyType({"deg": "°", "mm2": " mm²", "px2": " px²"})
_OF_THE_GRID = ("mm", "px", "deg", "mm2", "px2", "ml")
_WHOLE_FROM = 100.0
"""Areas from here on have no decimals."""


def doubtful_number(number: str) -> str:
    """A number that cannot be trusted says so itself, wherever it is read or copied to."""
    return f"\u2248 {number} \u26a0"


def digits(value: Value) -> str:
    """The number alone: one decimal for lengths, angles and small areas, HU as integers."""
    if value.unit in ("mm2", "px2"):
        return f"{value.number:.1f}" if value.number < _WHOLE_FROM else f"{value.number:.0f}"
    if value.unit in _OF_THE_GRID:
        return f"{value.number:.1f}"
    return str(round(value.number)) if value.unit == "HU" else value_text(value.number)


def unit_text(value: Value) -> str:
    """The unit as people write it: "mm²", "°", "HU"."""
    return _UNITS.get(value.unit, value.unit).strip()


def number_text(value: Value, *, doubtful: bool) -> str:
    """A number with its unit, as "12.3 mm", "34.5°", "-742 HU", "≈ 12.3 mm ⚠"."""
    unit = _UNITS.get(value.unit, f" {value.unit}" if value.unit else "")
    number = f"{digits(value)}{unit}"
    return doubtful_number(number) if doubtful else number


def lines_of(one: Measurement) -> tuple[Text, ...]:
    """What stands beside a measurement in the picture: its label, when it has one, and its numbers."""
    label = (Text.of("{line}", line=one.label),) if one.label else ()
    doubtful = one.doubtful is not None
    if not one.kind.is_region:
        return (*label, *(_plain(value, doubtful) for value in one.values))
    pairs = ((Quantity.AREA,), (Quantity.MEAN, Quantity.DEVIATION), (Quantity.MINIMUM, Quantity.MAXIMUM))
    rows = [[value for name in pair if (value := one.value(name)) is not None] for pair in pairs]
    return (*label, *(_named(row, doubtful) for row in rows if row))


def short_text(one: Measurement) -> Text:
    """The number that matters most, for one line of a list: the mean of a region, else its first number."""
    first = next(iter(one.values), None)
    shown = (one.value(Quantity.MEAN) or first) if one.kind.is_region else first
    return Text("") if shown is None else _plain(shown, one.doubtful is not None)


def detail_text(one: Measurement) -> Text:
    """The other numbers of a region, on one line; nothing for what has only one."""
    if one.kind is MeasurementKind.LENGTH:
        return _named(list(one.values[1:]), one.doubtful is not None)
    shown = one.value(Quantity.MEAN)
    others = [value for value in one.values if value is not shown] if one.kind.is_region else []
    return _named(others, one.doubtful is not None)


def _plain(value: Value, doubtful: bool) -> Text:
    return Text.of("{number}", number=number_text(value, doubtful=doubtful))


def _named(values: list[Value], doubtful: bool) -> Text:
    """Numbers with their names, side by side."""
    line = Text("")
    for value in values:
        one = Text.of("{name} {number}", name=NAMES[value.quantity], number=number_text(value, doubtful=doubtful))
        line = Text.of("{line}   {number}", line=line, number=one) if line else one
    return line
