"""Proof of a structured report: its content tree is walked with pydicom alone, and every item compared."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

from medview.catalog import quantities
from medview.catalog.quantities import NumberCodes
from medview.core.finding import Finding, Verdict
from medview.core.geometry import Floats
from medview.core.measurement import Measurement, MeasurementKind, Quantity
from medview.core.proof import Proof
from medview.core.report import Report, SegmentValues
from medview.core.segmentation import Code, ModelRef, Segment
from medview.core.text import Text
from medview.core.volume import Volume

_GROUP, _NAME, _READER, _COMMENT = "125007", "112039", "121008", "121106"
_FINDING, _STATISTIC, _SEGMENT, _SERIES, _REGION = "121071", "121401", "121191", "121232", "111030"
_ALGORITHM, _VERSION, _PARAMETERS = "111001", "111003", "111002"
_CERTAINTY = NumberCodes(Code("111012", "DCM", "Certainty of Finding"), None, Code("%", "UCUM", "Percent"))
_CONTEXT = "408729009"
_VERDICTS = {Verdict.OPEN: None, Verdict.CONFIRMED: "410605003", Verdict.REJECTED: "410594000"}
_SAME_NUMBER = 1e-9
_SAME_WRITTEN_NUMBER = 1e-6
"""What the number as text may lose: it has sixteen characters."""
_SAME_PLACE_MM = 1e-3
_SAME_TIME_S = 1.0


@dataclass(frozen=True, slots=True)
class _Number:
    """A number as it should be there; its points line by line."""

    codes: NumberCodes
    number: float
    doubtful: Text | None
    lines: tuple[Floats, ...] = ()


def prove(path: Path, report: Report, volume: Volume, headers: Sequence[Dataset], mask: Dataset | None) -> Proof:
    """Read a report back and compare it.

    Args:
        path: The file.
        report: What was meant.
        volume: What was measured.
        headers: Of the images, completed.
        mask: UIDs of the DICOM SEG with the report's segments.

    Returns:
        What differs: study, evidence, observers, algorithms, numbers, units, points, references, warnings.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(path)
            groups = [item for item in _walk(dataset) if _name(item) == _GROUP]
            meant: list[SegmentValues | Measurement | Finding] = [
                *report.segments,
                *report.measurements,
                *report.findings,
            ]
            differences = [*_identity(dataset, headers[0]), *_evidence(dataset, headers, mask)]
            differences += _observer(dataset, report.reader)
            if len(groups) != len(meant):
                text = Text.of("it has {found} groups of numbers, not {meant}", found=len(groups), meant=len(meant))
                differences.append(text)
            for group, one in zip(groups, meant, strict=False):
                differences += _group(group, one, report, volume, headers, mask)
    except (OSError, AttributeError, KeyError, IndexError, ValueError, TypeError) as error:
        return Proof(path, (Text.of("it cannot be read back ({reason})", reason=str(error)),))
    return Proof(path, tuple(differences))


def _walk(item: Dataset) -> Iterator[Dataset]:
    for one in item.get("ContentSequence") or []:
        yield one
        yield from _walk(one)


def _identity(dataset: Dataset, source: Dataset) -> Iterator[Text]:
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName"):
        if str(dataset.get(keyword, "") or "") != str(source.get(keyword, "") or ""):
            yield Text.of("its {attribute} is not that of the images", attribute=keyword)


def _evidence(dataset: Dataset, headers: Sequence[Dataset], mask: Dataset | None) -> Iterator[Text]:
    listed = {
        str(one.ReferencedSOPInstanceUID)
        for keyword in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in dataset.get(keyword) or []
        for series in study.ReferencedSeriesSequence
        for one in series.ReferencedSOPSequence
    }
    meant = {str(one.SOPInstanceUID) for one in [*headers, *([mask] if mask is not None else [])]}
    if listed != meant:
        yield Text.of("it refers to {found} images, not {meant}", found=len(listed), meant=len(meant))


def _observer(dataset: Dataset, reader: str) -> Iterator[Text]:
    found = [str(one.PersonName) for one in dataset.ContentSequence if _name(one) == _READER]
    if found != ([_person(reader)] if _person(reader) else []):
        yield Text.of("its reader is {found}, not {meant}", found=", ".join(found), meant=reader)


def _group(
    group: Dataset,
    meant: SegmentValues | Measurement | Finding,
    report: Report,
    volume: Volume,
    headers: Sequence[Dataset],
    mask: Dataset | None,
) -> Iterator[Text]:
    known = quantities.load()
    items = list(group.get("ContentSequence") or [])
    if isinstance(meant, SegmentValues):
        label, model = meant.segment.name, report.model
        numbers = [_Number(known.of(one, volume.modality), one.number, report.doubtful) for one in meant.values]
        yield from _segment(items, meant.segment, headers, mask)
    elif isinstance(meant, Measurement):
        label, model = meant.label or meant.kind.value, None
        numbers = [
            _Number(known.of(one, volume.modality, meant.kind, len(meant.points)), one.number, meant.doubtful,
                    _lines(meant, one.quantity))
            for one in meant.values
        ]  # fmt: skip
        yield from _drawn(group, items, label, meant, report, headers)
    else:
        label, model = meant.name, meant.algorithm
        numbers = [] if meant.probability is None else [_Number(_CERTAINTY, meant.probability * 100, _spread(meant))]
        contexts = [one.ConceptCodeSequence[0].CodeValue for one in items if _name(one) == _CONTEXT]
        if contexts != [code for code in [_VERDICTS[meant.verdict]] if code]:
            yield Text.of("{name}: the reader's verdict differs", name=label)
        if meant.code is not None and not _is(_code(items, _FINDING), meant.code):
            yield Text.of("{name} has another code", name=label)
        named = {
            str(one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID) for one in items if one.ValueType == "IMAGE"
        }
        if named != ({str(headers[0].SOPInstanceUID)} if len(headers) == 1 else set()):
            yield Text.of("{name} refers to other images", name=label)
    if [_cleaned(one.TextValue) for one in items if _name(one) == _NAME] != [_cleaned(label) or "Finding"]:
        yield Text.of("{name} has another name", name=label)
    yield from _model(items, label, model)
    yield from _numbers(items, label, numbers, str(headers[0].FrameOfReferenceUID))


def _spread(finding: Finding) -> Text | None:
    if finding.interval is None:
        return None
    low, high = (f"{100 * value:.1f}" for value in (finding.interval.low, finding.interval.high))
    return Text(f"The middle 95 % of {finding.interval.answers} answers of the model: {low} % to {high} %")


def _segment(
    items: Sequence[Dataset], segment: Segment, headers: Sequence[Dataset], mask: Dataset | None
) -> Iterator[Text]:
    named = [one.ReferencedSOPSequence[0] for one in items if _name(one) == _SEGMENT]
    numbers = [(str(one.ReferencedSOPInstanceUID), int(one.ReferencedSegmentNumber)) for one in named]
    if mask is None or numbers != [(str(mask.SOPInstanceUID), segment.label)]:
        yield Text.of("{name} refers to another segment", name=segment.name)
    if [str(one.UID) for one in items if _name(one) == _SERIES] != [str(headers[0].SeriesInstanceUID)]:
        yield Text.of("{name} refers to another series", name=segment.name)
    if segment.code is not None and not _is(_code(items, _FINDING), segment.code):
        yield Text.of("{name} has another code", name=segment.name)


def _drawn(
    group: Dataset,
    items: Sequence[Dataset],
    label: str,
    meant: Measurement,
    report: Report,
    headers: Sequence[Dataset],
) -> Iterator[Text]:
    """Region, images, time and author of what was drawn."""
    said = _moment(str(group.get("ObservationDateTime", "")))
    if said is None or abs((said - meant.made_at).total_seconds()) > _SAME_TIME_S:
        yield Text.of("{name} has another time", name=label)
    author = [str(one.PersonName) for one in items if _name(one) == _READER]
    if author != [one for one in [_person(meant.author)] if one and one != _person(report.reader)]:
        yield Text.of("{name} has another author", name=label)
    space = str(headers[0].FrameOfReferenceUID)
    regions = [one for one in items if _name(one) == _REGION]
    if meant.kind.is_region or not meant.values:
        kind = {MeasurementKind.ELLIPSE: "ELLIPSE", MeasurementKind.POINT: "POINT"}.get(meant.kind)
        points = meant.points
        if meant.kind in (MeasurementKind.POLYGON, MeasurementKind.RECTANGLE):
            kind, points = "POLYGON", np.vstack([points, points[0]])
        if len(regions) != 1 or not _is_line(regions[0], points, space, kind or "POLYLINE"):
            yield Text.of("{name}: its points lie elsewhere", name=label)
    named = [
        one
        for item in items
        for one in ([item] if item.ValueType == "IMAGE" else item.get("ContentSequence") or [])
        if one.ValueType == "IMAGE"
    ]
    if not _lie_under(meant.points, named, headers):
        yield Text.of("{name} refers to other images than those that it was drawn on", name=label)


def _lie_under(points: Floats, items: Sequence[Dataset], headers: Sequence[Dataset]) -> bool:
    """Whether the images that items name come as near to every point as any image does, and each to some point."""
    keys = [(str(one.SOPInstanceUID), int(one.get("ReferencedFrameNumber", 0))) for one in headers]
    named = set()
    for item in items:
        one = item.ReferencedSOPSequence[0]
        frames = one.get("ReferencedFrameNumber") or 0
        for frame in [frames] if isinstance(frames, int) else frames:
            named.add((str(one.ReferencedSOPInstanceUID), int(frame)))
    distances = np.stack([_distances(points, one) for one in headers])
    theirs = [number for number, key in enumerate(keys) if key in named]
    if not theirs or not named <= set(keys):
        return False
    least = distances.min(axis=0)
    covers = bool((distances[theirs].min(axis=0) <= least + _SAME_PLACE_MM).all())
    needed = (distances[theirs] <= least + _SAME_PLACE_MM).any(axis=1)
    return covers and len({keys[number] for number, is_near in zip(theirs, needed, strict=True) if is_near}) == len(
        named
    )


def _distances(points: Floats, header: Dataset) -> Floats:
    """How far points are from the plane of an image, mm."""
    x, y = np.array(header.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    distance: Floats = np.abs((points - np.array(header.ImagePositionPatient, dtype=np.float64)) @ np.cross(x, y))
    return distance


def _numbers(items: Sequence[Dataset], label: str, meant: Sequence[_Number], space_uid: str) -> Iterator[Text]:
    found = [one for one in items if one.ValueType == "NUM"]
    if len(found) != len(meant):
        yield Text.of("{name} has {found} numbers, not {meant}", name=label, found=len(found), meant=len(meant))
    for item, one in zip(found, meant, strict=False):
        what = one.codes.statistic.meaning if one.codes.statistic else one.codes.name.meaning
        measured = item.MeasuredValueSequence[0]
        number, written = float(measured.FloatingPointValue), float(measured.NumericValue)
        same = _near(number, one.number, _SAME_NUMBER) and _near(written, one.number, _SAME_WRITTEN_NUMBER)
        if not same:
            yield Text.of(
                "{name}: {what} is {found}, not {meant}", name=label, what=what, found=written, meant=one.number
            )
        unit = measured.MeasurementUnitsCodeSequence[0]
        if not _is(unit, one.codes.unit):
            yield Text.of(
                "{name}: the unit of {what} is {found}, not {meant}",
                name=label, what=what, found=str(unit.CodeValue), meant=one.codes.unit.value,
            )  # fmt: skip
        below = list(item.get("ContentSequence") or [])
        statistic = _code(below, _STATISTIC)
        same_statistic = statistic is None if one.codes.statistic is None else _is(statistic, one.codes.statistic)
        if not _is(item.ConceptNameCodeSequence[0], one.codes.name) or not same_statistic:
            yield Text.of("{name}: {what} has another name", name=label, what=what)
        warned = [str(child.TextValue) for child in below if _name(child) == _COMMENT]
        if warned != ([str(one.doubtful)] if one.doubtful else []):
            yield Text.of("{name}: the warning beside {what} differs", name=label, what=what)
        drawn = [child for child in below if child.ValueType == "SCOORD3D"]
        same_lines = len(drawn) == len(one.lines) and all(
            _is_line(child, line, space_uid, "POINT" if len(line) == 1 else "POLYLINE")
            for child, line in zip(drawn, one.lines, strict=True)
        )
        if not same_lines:
            yield Text.of("{name}: its points lie elsewhere", name=label)


def _lines(meant: Measurement, quantity: Quantity) -> tuple[Floats, ...]:
    """What a number was read from, by the rules of `MeasurementKind`; regions carry their points themselves."""
    if meant.kind.is_region:
        return ()
    pairs = len(meant.points) == 4
    if pairs and meant.kind is MeasurementKind.LENGTH:
        return (meant.points[2:4] if quantity is Quantity.SHORT_AXIS else meant.points[0:2],)
    return (meant.points[0:2], meant.points[2:4]) if pairs else (meant.points,)


def _is_line(item: Dataset, points: Floats, space_uid: str, kind: str) -> bool:
    found = np.array(item.GraphicData, dtype=np.float64).reshape(-1, 3)
    return (
        item.GraphicType == kind
        and str(item.ReferencedFrameOfReferenceUID) == space_uid
        and found.shape == points.shape
        and bool(np.abs(found - points).max() <= _SAME_PLACE_MM)
    )


def _model(items: Sequence[Dataset], label: str, meant: ModelRef | None) -> Iterator[Text]:
    def said(code: str) -> list[str]:
        return [str(one.TextValue) for one in items if _name(one) == code]

    name, version = (_cleaned(meant.plugin_id), _cleaned(meant.version)) if meant else ("", "")
    weights = [f"sha256={meant.sha256}"] if meant and meant.sha256 else []
    there = (said(_ALGORITHM), said(_VERSION), said(_PARAMETERS))
    if there != (([name or "unknown"], [version or "unknown"], weights) if meant else ([], [], [])):
        yield Text.of(
            "the algorithm of {name} is {found}, not {meant}",
            name=label,
            found=" ".join([*there[0], *there[1]]),
            meant=f"{name} {version}".strip(),
        )


def _name(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].get("CodeValue", "")) if names else ""


def _code(items: Sequence[Dataset], name: str) -> Dataset | None:
    found = [one.ConceptCodeSequence[0] for one in items if _name(one) == name and one.ValueType == "CODE"]
    return found[0] if len(found) == 1 else None


def _is(item: Dataset | None, code: Code) -> bool:
    if item is None:
        return False
    value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue")
    return (str(value), str(item.CodingSchemeDesignator)) == (code.value, code.scheme)


def _near(found: float, meant: float, share: float) -> bool:
    return abs(found - meant) <= share * max(1.0, abs(meant))


def _moment(text: str) -> datetime | None:
    """A DICOM DT with its offset from UTC."""
    for form in ("%Y%m%d%H%M%S.%f%z", "%Y%m%d%H%M%S%z"):
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    return None


def _person(name: str) -> str:
    """As a name is written: "=" would part its spellings."""
    return _cleaned(name).replace("=", " ").strip()


def _cleaned(text: str) -> str:
    """As names and labels can be written: no backslash, no control characters, at most 64 characters."""
    printable = "".join(one if one.isprintable() else " " for one in text).replace("\\", "/")
    return printable.strip()[:64].strip()
