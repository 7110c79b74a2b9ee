"""How numbers are written: the unit's usual digits, and none that pretend."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np

from medview.core.planes import letters
from medview.core.text import Text
from medview.views.measured_text import doubtful_number


def millimetres(value: float) -> str:
    """One decimal."""
    return f"{value:.1f} mm"


def millilitres(value: float, *, doubtful: bool = False) -> str:
    """One decimal below 10, none above; a doubtful one says so itself, wherever it is read or copied to."""
    number = f"{value:.1f} ml" if value < 10 else f"{value:,.0f} ml".replace(",", "\u202f")
    return doubtful_number(number) if doubtful else number


def voxel_value(value: float, unit: str) -> str:
    """HU and whole numbers as integers, others with three digits that count."""
    number = f"{value:.0f}" if unit == "HU" or float(value).is_integer() else f"{value:.3g}"
    return f"{number} {unit}".strip()


def patient_point(point: tuple[float, float, float]) -> str:
    """A patient point with the letter of the side on which it lies, as "12.3 L  40.1 P  121.5 H mm"."""
    parts = []
    for value, axis in zip(point, np.eye(3), strict=True):
        side = letters(axis if value >= 0 else -axis)
        parts.append(f"{abs(value):.1f} {side}")
    return "  ".join(parts) + " mm"


def picture_point(row: int, column: int) -> Text:
    """A pixel of a picture that has no place in the patient, counted from 1."""
    return Text.of("column {column}  row {row}", column=column + 1, row=row + 1)


def time_left(seconds: float) -> Text:
    """About how long, as "0:12 left"; no false seconds for long ones."""
    if not math.isfinite(seconds) or seconds < 0:
        return Text("")
    whole = math.ceil(seconds)
    if whole >= 3600:
        return Text.of("{hours} h {minutes} min left", hours=whole // 3600, minutes=whole % 3600 // 60)
    return Text.of("{clock} left", clock=f"{whole // 60}:{whole % 60:02d}")


def about(seconds: float) -> Text:
    """A length of time that is only reckoned, as "3 s", "2 min"."""
    if seconds < 1:
        return Text("less than a second")
    if seconds < 100:
        return Text.of("{seconds} s", seconds=math.ceil(seconds))
    return Text.of("{minutes} min", minutes=math.ceil(seconds / 60))


def moment(then: datetime, now: datetime) -> Text:
    """When something was, as "today 14:02", "yesterday 9:15", "2026-03-01 8:00", in the time of this place.

    Args:
        then: With its time zone.
        now: With its time zone.
    """
    here = then.astimezone()
    clock = f"{here.hour}:{here.minute:02d}"
    days = (now.astimezone().date() - here.date()).days
    if days == 0:
        return Text.of("today {clock}", clock=clock)
    if days == 1:
        return Text.of("yesterday {clock}", clock=clock)
    return Text.of("{date} {clock}", date=here.date().isoformat(), clock=clock)


def memory(used_bytes: int, total_bytes: int) -> Text:
    """How much memory the program takes of what the machine has."""
    gib = 1024**3
    return Text.of("Memory {used} of {total} GB", used=f"{used_bytes / gib:.1f}", total=f"{total_bytes / gib:.0f}")
