"""What a structured report says: volumes of segments, measurements, findings, and who says it."""

from __future__ import annotations

from dataclasses import dataclass

from medview.core.finding import Finding
from medview.core.measurement import Measurement, Value
from medview.core.segmentation import ModelRef, Segment
from medview.core.text import Text


@dataclass(frozen=True, slots=True)
class SegmentValues:
    """The numbers of one segment.

    Attributes:
        segment: Which one; its label is its number in the mask that the report refers to.
        values: Its numbers.
    """

    segment: Segment
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The content of a structured report.

    Attributes:
        reader: Who reports; may be empty.
        segments: Segments with their numbers.
        measurements: What was drawn and measured.
        findings: What was found in the image as a whole.
        model: The model that drew the segments; None when a hand did.
        doubtful: Why the numbers of the segments cannot be trusted; None when they can.
    """

    reader: str
    segments: tuple[SegmentValues, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    findings: tuple[Finding, ...] = ()
    model: ModelRef | None = None
    doubtful: Text | None = None

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return not (self.segments or self.measurements or self.findings)
