"""Names, dates and times of DICOM as people write them."""

from __future__ import annotations

import unicodedata
from datetime import date, time


def written_name(value: str) -> str:
    """A person name (VR PN) as people write it.

    "Doe^Jane^M" becomes "Doe, Jane M"; a name in Chinese, Japanese or Korean characters comes first and has
    no comma: "Yamada^Tarou=山田^太郎=やまだ^たろう" becomes "山田 太郎 (Yamada, Tarou)".
    """
    groups = [_written_group(group) for group in value.split("=")]
    alphabetic = groups[0]
    ideographic = next((group for group in groups[1:] if group), "")
    if ideographic and alphabetic and ideographic != alphabetic:
        return f"{ideographic} ({alphabetic})"
    return ideographic or alphabetic


def iso_date(value: str) -> str:
    """DICOM's yyyymmdd, or ACR-NEMA's yyyy.mm.dd, as yyyy-mm-dd; empty when it is no date."""
    digits = value.replace(".", "").replace("-", "")[:8]
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8])).isoformat()
    except ValueError:
        return ""


def iso_time(value: str) -> str:
    """DICOM's hhmmss.ffffff as hh:mm:ss; empty when it is no time."""
    digits = value.split(".")[0].replace(":", "").ljust(6, "0")
    try:
        return time(int(digits[:2]), int(digits[2:4]), int(digits[4:6])).isoformat()
    except ValueError:
        return ""


def _written_group(group: str) -> str:
    family, *others = (part.strip() for part in group.split("^"))
    given = " ".join(part for part in others if part)
    if not family or not given:
        return family or given
    return f"{family} {given}" if _is_east_asian(family) else f"{family}, {given}"


def _is_east_asian(text: str) -> bool:
    return any(unicodedata.east_asian_width(letter) in "WF" for letter in text)
