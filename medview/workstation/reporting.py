"""The numbers of masks, gathered into a structured report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medview.core.errors import InputError
from medview.core.finding import Finding
from medview.core.geometry import Geometry
from medview.core.measurement import Measurement, Quantity, Value
from medview.core.progress import PartOf, Progress
from medview.core.proof import Proof
from medview.core.report import Report, SegmentValues
from medview.core.segmentation import Labels, Provenance, Segment
from medview.core.text import Text
from medview.core.volume import Volume
from medview.editing import measure

_MM3_IN_ML = 1000.0


def segment_values(
    labels: Labels, geometry: Geometry, segments: Sequence[Segment], volume: Volume
) -> tuple[SegmentValues, ...]:
    """Volume, mean, deviation, smallest and largest value of every segment; an empty one has its volume only.

    Args:
        labels: (k, j, i) uint8 or uint16, on the grid of the volume.
        geometry: That grid.
        segments: Which ones.
        volume: Whose values.
    """
    found = measure.statistics(labels, volume.voxels)
    values = []
    for segment in segments:
        one = found.get(segment.label)
        if one is None:
            values.append(SegmentValues(segment, (Value(Quantity.VOLUME, 0.0, "ml"),)))
            continue
        volume_ml = one.voxels * geometry.voxel_mm3 / _MM3_IN_ML
        numbers = [
            (Quantity.MEAN, one.mean),
            (Quantity.DEVIATION, one.deviation),
            (Quantity.MINIMUM, one.minimum),
            (Quantity.MAXIMUM, one.maximum),
        ]
        of_voxels = tuple(Value(what, number, volume.unit) for what, number in numbers if number is not None)
        values.append(SegmentValues(segment, (Value(Quantity.VOLUME, volume_ml, "ml"), *of_voxels)))
    return tuple(values)


def write_report(
    labels: Labels,
    segments: Sequence[Segment],
    provenance: Provenance,
    volume: Volume,
    sources: Sequence[Path],
    mask: Path,
    path: Path,
    reader: str,
    progress: Progress,
    *,
    measurements: Sequence[Measurement] = (),
    findings: Sequence[Finding] = (),
) -> Proof:
    """Report the segments of a DICOM SEG that MedView has written of these labels, and prove it.

    Args:
        labels: (k, j, i) uint8 or uint16, on the grid of the volume.
        segments: Their structures.
        provenance: Who drew them.
        volume: What they were drawn on.
        sources: The DICOM files of the volume.
        mask: The DICOM SEG.
        path: The report.
        reader: Who reports.
        progress: Reported to and asked for cancellation.
        measurements: What else was measured.
        findings: What else was found.

    Raises:
        InputError: The series is not DICOM, or the mask is another one.
        StorageError: It could not be written, or did not read back as meant.
    """
    from medview.formats import dicom_seg, dicom_sr

    if not sources:
        raise InputError(
            Text("Reports refer to DICOM images, and this series has none."),
            Text("Open the DICOM series."),
        )
    described = dicom_seg.described_segments(labels, segments)
    progress.report(0.0, Text("Measuring the segments"))
    values = segment_values(labels, volume.geometry, described, volume)
    # in the file they are numbered 1, 2, ...
    numbered = [replace(one, segment=replace(one.segment, label=at)) for at, one in enumerate(values, start=1)]
    report = Report(reader, tuple(numbered), tuple(measurements), tuple(findings), provenance.model, volume.caution)
    return dicom_sr.write(report, volume, sources, path, PartOf(progress, 0.3, 1.0), mask=mask)
