"""Measurements for the clipboard. A doubtful number keeps its sign, and its reason stands beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from medview.core.measurement import Measurement, Quantity
from medview.core.text import Text
from medview.ui.translation import render, translated
from medview.views.measured_text import NAMES, digits, doubtful_number, number_text, unit_text

_COLUMNS = (
    Text("Name"), Text("Quantity"), Text("Value"), Text("Unit"), Text("Slice"), Text("Why doubtful"), Text("Reader"),
    Text("Time (UTC)"),
)  # fmt: skip
Line = tuple[Measurement, str, str]
"""A measurement, its name, and its slice in words."""


def as_text(lines: Iterable[Line]) -> str:
    """One line for each: name, numbers, slice, and why the numbers are doubtful where they are."""
    written = []
    for one, name, place in lines:
        doubtful = one.doubtful is not None
        only = len(one.values) == 1
        numbers = ", ".join(
            number_text(value, doubtful=doubtful)
            if only or value.quantity is Quantity.LENGTH
            else f"{render(NAMES[value.quantity])} {number_text(value, doubtful=doubtful)}"
            for value in one.values
        )
        doubt = f" [{render(one.doubtful)}]" if one.doubtful is not None else ""
        written.append(f"{name}: {numbers} ({place}){doubt}")
    return "\n".join(written)


def as_csv(lines: Iterable[Line]) -> str:
    """A row for every number, with a row of headings; a doubtful number is no bare one here either."""
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow([translated(column.template) for column in _COLUMNS])
    for one, name, place in lines:
        doubt = render(one.doubtful) if one.doubtful is not None else ""
        made = one.made_at.strftime("%Y-%m-%d %H:%M:%S")
        for value in one.values:
            number = digits(value) if one.doubtful is None else doubtful_number(digits(value))
            row = (_safe(name), render(NAMES[value.quantity]), number, unit_text(value), place, doubt)
            table.writerow([*row, _safe(one.author), made])
    return file.getvalue()


def _safe(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{name}" if name[:1] in ("=", "+", "-", "@") else name
