"""The tools that measure, and what is said when measurements change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from medview.core.measurement import MeasurementId, MeasurementKind
from medview.core.text import Text

KIND_NAMES: Mapping[MeasurementKind, Text] = MappingProxyType(
    {
        MeasurementKind.LENGTH: Text("Length"),
        MeasurementKind.ANGLE: Text("Angle"),
        MeasurementKind.ELLIPSE: Text("Ellipse"),
        MeasurementKind.RECTANGLE: Text("Rectangle"),
        MeasurementKind.POLYGON: Text("Polygon"),
        MeasurementKind.POINT: Text("Point"),
    }
)


class Tool(StrEnum):
    """What the left button draws."""

    LENGTH = "length"
    ANGLE = "angle"
    TWO_LINES = "two-lines"
    ELLIPSE = "ellipse"
    RECTANGLE = "rectangle"
    POLYGON = "polygon"
    POINT = "point"

    @property
    def kind(self) -> MeasurementKind:
        """What it makes."""
        return MeasurementKind.ANGLE if self is Tool.TWO_LINES else MeasurementKind(self.value)

    @property
    def places(self) -> int | None:
        """How many places have to be shown with the mouse; None for as many as one likes."""
        return {Tool.ANGLE: 3, Tool.TWO_LINES: 4, Tool.POINT: 1, Tool.POLYGON: None}.get(self, 2)


@dataclass(frozen=True, slots=True)
class MeasurementsChanged:
    """The measurements of the volume that is shown are others, or say something else."""


@dataclass(frozen=True, slots=True)
class DraftChanged:
    """What is being drawn changed."""


@dataclass(frozen=True, slots=True)
class ToolChanged:
    """Another tool, or none, is in hand."""


@dataclass(frozen=True, slots=True)
class MarkChanged:
    """Another measurement, or none, is selected or pointed at."""


@dataclass(frozen=True, slots=True)
class Sought:
    """Somebody wants to see a measurement."""

    id: MeasurementId


MeasuringChange = MeasurementsChanged | DraftChanged | ToolChanged | MarkChanged | Sought
