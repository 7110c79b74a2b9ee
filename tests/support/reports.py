"""A report with everything in it, on any volume, and what independent programs say of a written file."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pytest

from medview.core.finding import Finding, Verdict
from medview.core.geometry import Floats, Geometry
from medview.core.measurement import DrawnOn, Measurement, MeasurementKind, Quantity, Value
from medview.core.report import Report, SegmentValues
from medview.core.segmentation import Code, Labels, ModelRef, Provenance, Segment, Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.formats import dicom_seg

MODEL = ModelRef("lung_finder", "2.1", "ab" * 32)
SEGMENTS = (Segment(3, "Left lung", (86, 180, 233)), Segment(7, "Thing without a code", (221, 130, 101)))
AT = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)

needs_dciodvfy = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
needs_dsrdump = pytest.mark.skipif(shutil.which("dsrdump") is None, reason="dsrdump of dcmtk is not installed")


def labels_on(geometry: Geometry) -> Labels:
    """Two blocks in a corner of the middle slices, none of which lies where a flip would put it."""
    k, j, i = (size // 2 for size in geometry.shape)
    labels: Labels = np.zeros(geometry.shape, dtype=np.uint8)
    labels[max(k - 1, 0) : k + 1, j // 2 : j, i // 3 : i] = 3
    labels[k, 1 : max(j // 3, 3), 1:3] = 7
    return labels


def mask_on(volume: Volume) -> Segmentation:
    """The blocks as somebody's corrected answer of a model."""
    provenance = Provenance(MODEL, AT, "Reader^One", AT)
    return Segmentation(volume.geometry, labels_on(volume.geometry), SEGMENTS, title="Two", provenance=provenance)


def measurements_on(volume: Volume) -> tuple[Measurement, ...]:
    """One of every kind, on the middle slice; the last one runs through all of them."""
    geometry = volume.geometry
    k, j, i = (size // 2 for size in geometry.shape)
    here, space = DrawnOn(volume.series_uid, 0, k), geometry.frame_of_reference_uid

    def at(*places: tuple[float, float, float]) -> Floats:
        return geometry.to_patient(np.array(places, dtype=np.float64))

    cross = at((k, j, i - 4), (k, j, i + 4), (k, j - 2, i), (k, j + 2, i))
    square = at((k, j, i), (k, j, i + 3), (k, j + 2, i + 3), (k, j + 2, i))
    one, two = Value(Quantity.LENGTH, 12.345678901, "mm"), Value(Quantity.SHORT_AXIS, 4.5, "mm")
    area, largest = Value(Quantity.AREA, 30.0, "mm2"), Value(Quantity.MAXIMUM, 99.0, volume.unit)
    mean, spread = Value(Quantity.MEAN, -30.25, volume.unit), Value(Quantity.DEVIATION, 1 / 3, volume.unit)
    doubt = Text.of("interpolated over up to {mm} mm", mm="7.0")
    return (
        Measurement(MeasurementKind.LENGTH, cross[:2], (one,), here, "Node", None, "Reader^One", AT, space),
        Measurement(MeasurementKind.LENGTH, cross, (one, two), here, "结节", doubt, "Reader^Two", AT, space),
        Measurement(MeasurementKind.ANGLE, cross[:3], (Value(Quantity.ANGLE, 75.5, "deg"),), here, made_at=AT),
        Measurement(MeasurementKind.ANGLE, cross, (Value(Quantity.ANGLE, 90.0, "deg"),), here, "Cobb", made_at=AT),
        Measurement(MeasurementKind.ELLIPSE, cross, (area, mean, spread), here, made_at=AT),
        Measurement(MeasurementKind.RECTANGLE, square, (mean, Value(Quantity.PERIMETER, 10.0, "mm")), here, made_at=AT),
        Measurement(MeasurementKind.POLYGON, square[:3], (largest,), here, made_at=AT),
        Measurement(MeasurementKind.POINT, cross[:1], (Value(Quantity.VALUE, 7.0, volume.unit),), here, made_at=AT),
        Measurement(MeasurementKind.POINT, cross[:1], (), here, "here", made_at=AT),
        Measurement(
            MeasurementKind.LENGTH, at((0, j, i), (geometry.shape[0] - 1, j, i)), (one,), label="along", made_at=AT
        ),
    )  # fmt: skip


FINDINGS = (
    Finding("Pneumonia", Code("233604007", "SCT", "Pneumonia"), 0.87, MODEL, Verdict.CONFIRMED),
    Finding("Something else", None, 0.125, MODEL, Verdict.REJECTED),
    Finding("Seen by eye"),
)


def report_on(volume: Volume, mask: Segmentation, *, doubtful: Text | None = None) -> Report:
    """Everything that a report can say of a volume and a mask."""
    described = dicom_seg.described_segments(mask.labels, mask.segments)
    values = tuple(
        SegmentValues(
            Segment(number, one.name, one.color, one.code, one.category, one.laterality),
            (
                Value(Quantity.VOLUME, 1.5 * number, "ml"),
                Value(Quantity.MEAN, 0.1 * number, volume.unit),
                Value(Quantity.MINIMUM, -3.0, volume.unit),
            ),
        )
        for number, one in enumerate(described, start=1)
    )
    return Report("Reader^One", values, measurements_on(volume), FINDINGS, MODEL, doubtful)


def errors_of(path: Path) -> list[str]:
    """What dciodvfy calls an error."""
    told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
    return [line for line in told.splitlines() if line.startswith("Error")]


def content_of(path: Path) -> Any:
    """The tree of a report, read by highdicom."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return highdicom.sr.srread(path).content
