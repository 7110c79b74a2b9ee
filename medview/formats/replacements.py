"""What stands in a copy without names in the place of a value."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from medview.formats.attribute_types import Need, Path
from medview.formats.identifying_words import REMOVED, listed

Needs = Mapping[tuple[Path, str], Need]
_DUMMIES = {
    "DA": "19000101", "TM": "000000", "DT": "19000101000000", "AS": "000Y", "IS": "0", "DS": "0", "PN": "Removed",
    "UR": "removed",
}  # fmt: skip
_NUMBERS = frozenset({"US", "SS", "UL", "SL", "FL", "FD", "SV", "UV"})
_BYTES = frozenset({"OB", "OW", "OF", "OD", "OL", "OV", "UN"})
_DATE_FORMATS = {4: "%Y", 6: "%Y%m", 8: "%Y%m%d"}
_OLDEST_TOLD = 89
"""Years; higher ages are so rare that they point at somebody (45 CFR 164.514(b)(2)(i)(C))."""


def replace(element: DataElement) -> None:
    """Put a value into an attribute that says nothing and that its representation allows."""
    vr = element.VR
    if vr == "SQ":
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = REMOVED, "99MEDVIEW", "Removed"
        element.value = Items([code])
    elif vr in _BYTES:
        element.value = b"\0\0"
    elif vr in _NUMBERS:
        element.value = 0
    else:
        element.value = _DUMMIES.get(vr, REMOVED)


def shift(element: DataElement, days: int) -> None:
    """Move the dates of an attribute (DA, DT) back; times of day and time zones stay, and what is no date goes."""
    moved = [_shifted(str(one), element.VR, timedelta(days=-days)) for one in listed(element.value)]
    element.value = moved[0] if len(moved) == 1 else moved


def cap_age(element: DataElement) -> bool:
    """Let ages above 89 years become 90; whether it was one."""
    text = str(element.value)
    if not (text.endswith("Y") and text[:-1].isdigit() and int(text[:-1]) > _OLDEST_TOLD):
        return False
    element.value = f"{_OLDEST_TOLD + 1:03d}Y"
    return True


def _shifted(text: str, vr: str, shift: timedelta) -> str:
    dotted = len(text) >= 10 and text[4:5] == text[7:8] == "."  # as ACR-NEMA wrote dates
    plain = text.replace(".", "") if dotted and vr == "DA" else text
    digits = plain[: next((place for place, one in enumerate(plain) if not one.isdigit()), len(plain))]
    size = min(len(digits), 8)
    size -= size % 2
    try:
        moved = datetime.strptime(digits[:size], _DATE_FORMATS[size]) + shift
    except (KeyError, ValueError, OverflowError):
        return ""
    return moved.strftime("%Y%m%d")[:size] + (plain[size:] if vr == "DT" else "")
