"""The content tree of a measurement report (DICOM PS3.16: TID 1500, 1501, 1410, 1411, 300, 4019)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

import medview
from medview.catalog import quantities
from medview.catalog.quantities import NumberCodes, Quantities
from medview.core.finding import Finding, Verdict
from medview.core.geometry import Floats
from medview.core.measurement import Measurement, MeasurementKind, Quantity, Value
from medview.core.report import Report, SegmentValues
from medview.core.segmentation import Code, ModelRef
from medview.core.text import Text
from medview.core.volume import Modality, Volume
from medview.formats.derived_values import coded, fitting, long_string, person

if TYPE_CHECKING:
    import highdicom.sr as sr

    Group = (
        sr.VolumetricROIMeasurementsAndQualitativeEvaluations
        | sr.PlanarROIMeasurementsAndQualitativeEvaluations
        | sr.MeasurementsAndQualitativeEvaluations
    )

_PROCEDURES = {
    Modality.CT: Code("25045-6", "LN", "CT unspecified body region"),
    Modality.MR: Code("25056-3", "LN", "MRI unspecified body region"),
    Modality.PT: Code("44136-0", "LN", "PET unspecified body region"),
    Modality.NM: Code("49118-3", "LN", "NM unspecified body region"),
}
_ANY_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
COMMENT = Code("121106", "DCM", "Comment")
CERTAINTY = Code("111012", "DCM", "Certainty of Finding")
CONTEXT = Code("408729009", "SCT", "Finding context")
VERDICTS = {
    Verdict.CONFIRMED: Code("410605003", "SCT", "Confirmed present"),
    Verdict.REJECTED: Code("410594000", "SCT", "Definitely not present"),
}
_PER_CENT = 100
_SHORT_STRING = 16


def content(report: Report, volume: Volume, headers: Sequence[Dataset], mask: Dataset | None) -> sr.MeasurementReport:
    """The tree of a report.

    Args:
        report: What it says.
        volume: What was measured.
        headers: Of the images, completed.
        mask: UIDs of the DICOM SEG with the report's segments.
    """
    import highdicom.sr as sr
    from pydicom.sr.codedict import codes

    known = quantities.load()
    groups: list[Group] = []
    for one in report.segments:
        assert mask is not None
        groups.append(_of_segment(one, report, volume, headers, mask, known))
    groups += [_of_measurement(one, report, volume, headers, known) for one in report.measurements]
    groups += [_of_finding(one, known, headers) for one in report.findings]
    device = sr.DeviceObserverIdentifyingAttributes(
        uid=generate_uid(entropy_srcs=["MedView", medview.__version__]),
        name="MedView",
        manufacturer_name="MedView",
        model_name="MedView",
        serial_number=medview.__version__,
    )
    reader = person(report.reader)
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_person_context=_person_observer(reader) if reader else None,
            observer_device_context=sr.ObserverContext(codes.DCM.Device, device),
        ),
        procedure_reported=coded(_PROCEDURES.get(volume.modality, _ANY_PROCEDURE)),
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
    )


def images_under(points: Floats, headers: Sequence[Dataset]) -> list[Dataset]:
    """The images nearest to points: those that they were drawn on, or lie next to.

    Args:
        points: (n, 3) x, y, z, LPS, mm.
        headers: Of the images.

    Returns:
        Each once, in the order of the images.
    """
    positions = np.array([header.ImagePositionPatient for header in headers], dtype=np.float64)
    across_down = np.array([header.ImageOrientationPatient for header in headers], dtype=np.float64)
    normals = np.cross(across_down[:, :3], across_down[:, 3:])
    offsets = np.einsum("hnd,hd->hn", points[None] - positions[:, None], normals)
    return [headers[index] for index in np.unique(np.abs(offsets).argmin(axis=0))]


def lines_of(measurement: Measurement, quantity: Quantity) -> list[Floats]:
    """The points that a number was read from, line by line."""
    points = measurement.points
    if measurement.kind is MeasurementKind.LENGTH and len(points) == 4:
        return [points[2:]] if quantity is Quantity.SHORT_AXIS else [points[:2]]
    if measurement.kind is MeasurementKind.ANGLE and len(points) == 4:
        return [points[:2], points[2:]]
    return [points]


def written_time(time: datetime) -> str:
    """As a DICOM DT in UTC."""
    return time.strftime("%Y%m%d%H%M%S") + "+0000"


def _person_observer(name: str) -> sr.ObserverContext:
    import highdicom.sr as sr
    from pydicom.sr.codedict import codes

    return sr.ObserverContext(codes.DCM.Person, sr.PersonObserverIdentifyingAttributes(name))


def _algorithm(model: ModelRef | None) -> sr.AlgorithmIdentification | None:
    import highdicom.sr as sr
    from pydicom.sr.codedict import codes

    if model is None:
        return None
    return sr.AlgorithmIdentification(
        name=long_string(model.plugin_id) or "unknown",
        version=long_string(model.version) or "unknown",
        parameters=[f"sha256={model.sha256}"] if model.sha256 else None,
        family=codes.cid7162.ArtificialIntelligence,
    )


def _number(
    names: NumberCodes,
    number: float,
    doubtful: Text | None,
    images: Sequence[Dataset] = (),
    lines: Sequence[Floats] = (),
    space_uid: str = "",
) -> sr.Measurement:
    import highdicom.sr as sr

    kind = "POINT" if lines and len(lines[0]) == 1 else "POLYLINE"
    made = sr.Measurement(
        name=coded(names.name),
        value=float(number),
        unit=coded(names.unit),
        derivation=coded(names.statistic) if names.statistic else None,
        referenced_images=[sr.SourceImageForMeasurement(*_reference(image)) for image in images] or None,
        referenced_coordinates=[sr.CoordinatesForMeasurement3D(kind, line, space_uid) for line in lines] or None,
    )
    if doubtful is not None:
        item = made[0]
        if "ContentSequence" not in item:
            item.ContentSequence = sr.ContentSequence()
        item.ContentSequence.append(
            sr.TextContentItem(coded(COMMENT), str(doubtful), sr.RelationshipTypeValues.HAS_PROPERTIES)
        )
    return made


def _reference(image: Dataset) -> tuple[str, str, list[int] | None]:
    frame = image.get("ReferencedFrameNumber")
    return image.SOPClassUID, image.SOPInstanceUID, [int(frame)] if frame is not None else None


def _of_segment(
    one: SegmentValues,
    report: Report,
    volume: Volume,
    headers: Sequence[Dataset],
    mask: Dataset,
    known: Quantities,
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    import highdicom.sr as sr

    segment = one.segment
    site = None
    if segment.code is not None:
        side = coded(segment.laterality) if segment.laterality else None
        site = [sr.FindingSite(coded(segment.code), laterality=side)]
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            generate_uid(entropy_srcs=[mask.SOPInstanceUID, str(segment.label)]), long_string(segment.name)
        ),
        referenced_segment=sr.ReferencedSegment(
            mask.SOPClassUID,
            mask.SOPInstanceUID,
            segment.label,
            source_series=sr.SourceSeriesForSegmentation(headers[0].SeriesInstanceUID),
        ),
        finding_category=coded(segment.category) if segment.category else None,
        finding_type=coded(segment.code) if segment.code else None,
        finding_sites=site,
        algorithm_id=_algorithm(report.model),
        measurements=[_number(known.of(value, volume.modality), value.number, report.doubtful) for value in one.values],
    )


def _of_measurement(
    one: Measurement, report: Report, volume: Volume, headers: Sequence[Dataset], known: Quantities
) -> Group:
    import highdicom.sr as sr

    images = images_under(one.points, headers)
    space = str(headers[0].FrameOfReferenceUID)
    tracking = sr.TrackingIdentifier(
        generate_uid(entropy_srcs=["measurement", one.id]), long_string(one.label) or one.kind.value
    )
    on_region = one.kind.is_region or not one.values

    def made(value: Value) -> sr.Measurement:
        names = known.of(value, volume.modality, one.kind, len(one.points))
        lines = [] if on_region else lines_of(one, value.quantity)
        return _number(names, value.number, one.doubtful, images, lines, space)

    numbers = [made(value) for value in one.values]
    if on_region:
        group: Group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking, referenced_region=_region(one, space), measurements=numbers or None
        )
    else:
        group = sr.MeasurementsAndQualitativeEvaluations(
            tracking,
            measurements=numbers,
            source_images=[sr.SourceImageForMeasurementGroup(*_reference(image)) for image in images],
        )
    item = group[0]
    if not numbers:  # which would name the images
        item.ContentSequence.extend(sr.SourceImageForMeasurementGroup(*_reference(image)) for image in images)
    item.ObservationDateTime = written_time(one.made_at)
    author = person(one.author)
    if author and author != person(report.reader):
        for place, context in enumerate(_person_observer(author)):
            item.ContentSequence.insert(place, context)
    return group


def _region(one: Measurement, space_uid: str) -> sr.ImageRegion3D:
    import highdicom.sr as sr

    if one.kind is MeasurementKind.ELLIPSE:
        return sr.ImageRegion3D("ELLIPSE", one.points, space_uid)
    if one.kind.is_region:
        return sr.ImageRegion3D("POLYGON", np.concatenate([one.points, one.points[:1]]), space_uid)
    return sr.ImageRegion3D("POINT" if len(one.points) == 1 else "POLYLINE", one.points, space_uid)


def spread_of(finding: Finding) -> Text | None:
    """What stands beside the number, where the model was asked several times."""
    interval = finding.interval
    if interval is None:
        return None
    return Text.of(
        "The middle 95 % of {count} answers of the model: {low} % to {high} %",
        count=interval.answers, low=f"{_PER_CENT * interval.low:.1f}", high=f"{_PER_CENT * interval.high:.1f}",
    )  # fmt: skip


def _of_finding(
    one: Finding, known: Quantities, headers: Sequence[Dataset]
) -> sr.MeasurementsAndQualitativeEvaluations:
    """What was found in a single image names it; in a volume, the report's evidence names all of its images."""
    import highdicom.sr as sr

    name = long_string(one.name) or "Finding"
    # what nobody has coded gets a code of its own, the same for the same name
    code = fitting(one.code) or Code(hashlib.sha256(name.encode()).hexdigest()[:_SHORT_STRING], "99MEDVIEW", name)
    certainty = NumberCodes(CERTAINTY, None, known.unit("%"))
    verdict = VERDICTS.get(one.verdict)
    return sr.MeasurementsAndQualitativeEvaluations(
        sr.TrackingIdentifier(generate_uid(), name),
        finding_type=coded(code),
        algorithm_id=_algorithm(one.algorithm),
        measurements=[_number(certainty, one.probability * _PER_CENT, spread_of(one))]
        if one.probability is not None
        else None,
        qualitative_evaluations=[sr.QualitativeEvaluation(coded(CONTEXT), coded(verdict))] if verdict else None,
        source_images=[sr.SourceImageForMeasurementGroup(*_reference(headers[0]))] if len(headers) == 1 else None,
    )
