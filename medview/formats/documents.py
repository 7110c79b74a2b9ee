"""Reads what comes with a study and is no image: structured reports, key objects, presentation states, PDF."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID

from medview.core.document import Document, ImageRef, Line
from medview.core.errors import UnreadableFileError
from medview.core.text import Text
from medview.formats import clinical_documents
from medview.formats.dicom_text import iso_date, iso_time, written_name

_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
_KEY_OBJECTS = "1.2.840.10008.5.1.4.1.1.88.59"
_PRESENTATIONS = "1.2.840.10008.5.1.4.1.1.11."
_PDF, _CDA = "1.2.840.10008.5.1.4.1.1.104.1", "1.2.840.10008.5.1.4.1.1.104.2"
_MOST_LINES = 20_000
"""More can only come from damaged files, and nobody reads them."""
_SHOWN_POINTS = 4
_SHOWN_DIGITS = 12
_SHOWN_WINDOWS = 6


@lru_cache(maxsize=256)
def kind_of(sop_class_uid: str) -> Text | None:
    """What a DICOM object is, if it is something to read."""
    if sop_class_uid == _KEY_OBJECTS:
        return Text("a selection of key images")
    if sop_class_uid.startswith(_REPORTS):
        return Text("a report")
    if sop_class_uid.startswith(_PRESENTATIONS):
        return Text("a presentation state")
    return {_PDF: Text("a PDF document"), _CDA: Text("a clinical document")}.get(sop_class_uid)


def read(path: Path) -> Document:
    """Read a document.

    Raises:
        UnreadableFileError: It is damaged, or nothing to read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(path)
            kind = kind_of(str(dataset.get("SOPClassUID", "")))
            if kind is not None:
                return _document(dataset, kind)
    except Exception as error:  # a damaged file may raise anything in a decoder
        raise UnreadableFileError(
            Text.of("{name} is damaged: it cannot be read.", name=path.name),
            Text("Copy it again from where it came from."),
        ) from error
    raise UnreadableFileError(Text.of("{name} is no document.", name=path.name))


def _document(dataset: Dataset, kind: Text) -> Document:
    uid = str(dataset.SOPClassUID)
    about = tuple((name, value) for name, value in _about(dataset) if value)
    if uid in (_PDF, _CDA):
        length = int(dataset.get("EncapsulatedDocumentLength", 0) or 0)
        content = bytes(dataset.EncapsulatedDocument)
        content = content[:length] if 0 < length <= len(content) else content
        suffix = ".pdf" if uid == _PDF else ".xml"
        words = clinical_documents.lines_of(content) if uid == _CDA else ()
        return Document(kind, str(dataset.get("DocumentTitle", "") or ""), about, words, content, suffix)
    if uid.startswith(_PRESENTATIONS):
        title = str(dataset.get("ContentLabel", "") or "")
        return Document(kind, title, about, tuple(_presentation(dataset)))
    lines = []
    for line in _report(dataset):
        lines.append(line)
        if len(lines) >= _MOST_LINES:
            lines.append(Line(0, "", "..."))
            break
    return Document(kind, _meaning(dataset.get("ConceptNameCodeSequence")), about, tuple(lines))


def _about(dataset: Dataset) -> Iterator[tuple[Text, str]]:
    yield Text("Patient"), written_name(str(dataset.get("PatientName", "") or ""))
    yield Text("Description"), str(dataset.get("ContentDescription") or dataset.get("SeriesDescription") or "")
    day = str(dataset.get("ContentDate") or dataset.get("PresentationCreationDate") or "")
    clock = str(dataset.get("ContentTime") or dataset.get("PresentationCreationTime") or "")
    yield Text("Date"), f"{iso_date(day)} {iso_time(clock)}".strip()
    yield Text("Author"), written_name(str(dataset.get("ContentCreatorName", "") or ""))
    makers = [str(dataset.get(one, "") or "") for one in ("Manufacturer", "ManufacturerModelName")]
    yield Text("Made with"), " ".join(dict.fromkeys(one for one in makers if one))
    states = [str(dataset.get(one, "") or "").lower() for one in ("CompletionFlag", "VerificationFlag")]
    yield Text("State"), ", ".join(one for one in states if one)


def _report(dataset: Dataset) -> Iterator[Line]:
    """The content tree of a structured report (DICOM PS3.3 C.17.3), depth first, without recursion."""
    waiting = [(0, item) for item in reversed(list(dataset.get("ContentSequence") or []))]
    while waiting:
        level, item = waiting.pop()
        yield Line(level, _meaning(item.get("ConceptNameCodeSequence")), _value(item), tuple(_images(item)))
        waiting.extend((level + 1, one) for one in reversed(list(item.get("ContentSequence") or [])))


def _value(item: Dataset) -> str:
    kind = str(item.get("ValueType", ""))
    plain = {"TEXT": "TextValue", "DATETIME": "DateTime"}
    if kind in plain:
        return str(item.get(plain[kind], "") or "")
    if kind == "UIDREF":
        return _short(str(item.get("UID", "") or ""))
    if kind in ("DATE", "TIME"):
        told = str(item.get(kind.title(), "") or "")
        return (iso_date(told) if kind == "DATE" else iso_time(told)) or told
    if kind == "PNAME":
        return written_name(str(item.get("PersonName", "") or ""))
    if kind == "CODE":
        return _meaning(item.get("ConceptCodeSequence"))
    if kind == "NUM":
        return _number(item)
    if kind in ("IMAGE", "COMPOSITE", "WAVEFORM"):
        return ", ".join(_reference(one) for one in item.get("ReferencedSOPSequence") or [])
    if kind in ("SCOORD", "SCOORD3D"):
        data = list(item.get("GraphicData") or [])
        size = 3 if kind == "SCOORD3D" else 2
        points = [data[place : place + size] for place in range(0, min(len(data), _SHOWN_POINTS * size), size)]
        shown = "  ".join("(" + ", ".join(f"{float(value):.1f}" for value in point) + ")" for point in points)
        rest = " ..." if len(data) > _SHOWN_POINTS * size else ""
        return f"{str(item.get('GraphicType', '')).lower()} {shown}{rest}"
    return "" if kind == "CONTAINER" else _by_reference(item, kind)


def _by_reference(item: Dataset, kind: str) -> str:
    where = item.get("ReferencedContentItemIdentifier")
    return f"\u2192 {where}" if where is not None else kind.lower()


def _images(item: Dataset) -> Iterator[ImageRef]:
    """The images that an item refers to."""
    for one in item.get("ReferencedSOPSequence") or [] if str(item.get("ValueType", "")) == "IMAGE" else []:
        uid = str(one.get("ReferencedSOPInstanceUID", "") or "")
        numbers = _listed(one.get("ReferencedFrameNumber"))
        yield from (ImageRef(uid, int(number)) for number in numbers)
        if not numbers:
            yield ImageRef(uid)


def _number(item: Dataset) -> str:
    measured = item.get("MeasuredValueSequence")
    if not measured:
        return _meaning(item.get("NumericValueQualifierCodeSequence"))
    unit = measured[0].get("MeasurementUnitsCodeSequence")
    code = str(unit[0].get("CodeValue", "") or "") if unit else ""
    # codes of UCUM are what people write, but for those in brackets; "1" and {notes} are no unit
    name = _meaning(unit) if not code or "[" in code else code
    name = "" if code == "1" or code.startswith("{") else name
    return f"{measured[0].get('NumericValue', '')} {name}".strip()


def _reference(item: Dataset) -> str:
    uid = str(item.get("ReferencedSOPInstanceUID", "") or "")
    kind = UID(str(item.get("ReferencedSOPClassUID", "") or "")).name.replace(" Storage", "")
    parts = [kind, _short(uid)]
    for keyword, sign in (("ReferencedFrameNumber", "#"), ("ReferencedSegmentNumber", "segment ")):
        value = item.get(keyword)
        if value is not None:
            parts.append(sign + ", ".join(str(one) for one in _listed(value)))
    return " ".join(part for part in parts if part)


def _short(uid: str) -> str:
    """The end of a UID: enough to tell it from others, and nobody reads the rest."""
    return f"...{uid[-_SHOWN_DIGITS:]}" if len(uid) > _SHOWN_DIGITS else uid


def _presentation(dataset: Dataset) -> Iterator[Line]:
    for series in dataset.get("ReferencedSeriesSequence") or []:
        images = list(series.get("ReferencedImageSequence") or [])
        yield Line(0, Text("Series"), _short(str(series.get("SeriesInstanceUID", ""))))
        yield Line(1, Text("Images"), str(len(images)))
    windows = [
        (float(width), float(center))
        for item in dataset.get("SoftcopyVOILUTSequence") or []
        for center, width in zip(_listed(item.get("WindowCenter")), _listed(item.get("WindowWidth")), strict=False)
    ]
    if len(windows) > _SHOWN_WINDOWS:
        # one for each image: nobody reads hundreds of them
        widths, centers = zip(*windows, strict=True)
        yield Line(0, Text("W / L"), f"{min(widths):g} ... {max(widths):g} / {min(centers):g} ... {max(centers):g}")
    else:
        yield from (Line(0, Text("W / L"), f"{width:g} / {center:g}") for width, center in windows)
    yield from (Line(0, Text("Displayed area"), area) for area in dict.fromkeys(_areas(dataset)))
    for item in dataset.get("GraphicAnnotationSequence") or []:
        yield Line(0, Text("Graphics"), str(item.get("GraphicLayer", "") or ""))
        for text in item.get("TextObjectSequence") or []:
            yield Line(1, "", str(text.get("UnformattedTextValue", "") or ""))
        for graphic in item.get("GraphicObjectSequence") or []:
            points = int(graphic.get("NumberOfGraphicPoints", 0) or 0)
            yield Line(1, str(graphic.get("GraphicType", "") or "").lower(), str(points))
    if "ShutterShape" in dataset:
        yield Line(0, Text("Shutter"), ", ".join(str(one).lower() for one in _listed(dataset.ShutterShape)))


def _areas(dataset: Dataset) -> Iterator[str]:
    """The displayed areas: corners, and how they are fitted to the screen."""
    for item in dataset.get("DisplayedAreaSelectionSequence") or []:
        corners = [
            *_listed(item.get("DisplayedAreaTopLeftHandCorner")),
            *_listed(item.get("DisplayedAreaBottomRightHandCorner")),
        ]
        mode = str(item.get("PresentationSizeMode", "") or "").lower()
        yield f"{', '.join(str(one) for one in corners)}  {mode}".strip()


def _meaning(sequence: Any) -> str:
    return str(sequence[0].get("CodeMeaning", "") or "") if sequence else ""


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return [value] if isinstance(value, str | int | float) else list(value)
