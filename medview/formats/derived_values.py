"""Values of objects that are derived from images, in the forms that DICOM wants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset

from medview.core.segmentation import Code

if TYPE_CHECKING:
    from highdicom.sr import CodedConcept

_LONG_STRING = 64
"""Characters that a DICOM LO may have."""
_SHORT_STRING = 16
"""Characters that a DICOM SH may have."""
_PERSON_PART = 64
"""Characters that a component group of a DICOM PN may have."""


def fitting(code: Code | None) -> Code | None:
    """A code as DICOM can hold it; None for one that says nothing."""
    if code is None or not (code.value.strip() and code.scheme.strip()):
        return None
    meaning = long_string(code.meaning) or long_string(code.value)
    return Code(code.value.strip(), code.scheme.strip()[:_SHORT_STRING], meaning)


def coded(code: Code) -> CodedConcept:
    """A code as highdicom takes it."""
    from highdicom.sr import CodedConcept

    return CodedConcept(code.value, code.scheme, code.meaning)


def series_number(header: Dataset, offset: int) -> int:
    """The number of the source's series and an offset, so that what is derived stands behind the images."""
    number = header.get("SeriesNumber")
    return offset + (int(number) if number is not None and 0 < int(number) < 10**8 else 0)


def long_string(value: str) -> str:
    """As a DICOM LO may be: no backslash, no control characters, no more than 64 characters."""
    printable = "".join(character if character.isprintable() else " " for character in value)
    return printable.replace("\\", "/").strip()[:_LONG_STRING].strip()


def person(name: str | None) -> str | None:
    """As a DICOM PN may be: components and groups are parted by ^ and =, which a reader's name may not hold twice."""
    cleaned = long_string(name or "").replace("=", " ")
    return cleaned[:_PERSON_PART].strip() or None


def character_set(source: Dataset, texts: Sequence[str]) -> str | list[str]:
    """The character set of the source; UTF-8 when a text cannot be written in it; empty for ASCII."""
    declared = source.get("SpecificCharacterSet") or ""
    encodings = convert_encodings(declared) if declared else ["ascii"]
    theirs = [str(source.get(keyword, "")) for keyword in ("PatientName", "ReferringPhysicianName")]
    if all(any(_encodes(text, encoding) for encoding in encodings) for text in [*texts, *([] if declared else theirs)]):
        return declared if isinstance(declared, str) else list(declared)
    return "ISO_IR 192"


def _encodes(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
