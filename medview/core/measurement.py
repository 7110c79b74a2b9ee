"""What somebody measured on an image: lengths, angles, regions, points, with their numbers."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NewType

import numpy as np

from medview.core.geometry import Floats
from medview.core.text import Text

MeasurementId = NewType("MeasurementId", str)


class MeasurementKind(StrEnum):
    """What was drawn, and what its points are.

    LENGTH: the two ends; or four points, the ends of the long axis and then of the short axis across it.
    ANGLE: an arm, the corner, the other arm; or four points, the ends of one line and then of the other (Cobb).
    ELLIPSE: the ends of the major axis, then the ends of the minor axis.
    RECTANGLE: the four corners, in order around it.
    POLYGON: three corners or more, in order around it; the first is not repeated.
    POINT: one place.
    """

    LENGTH = "length"
    ANGLE = "angle"
    ELLIPSE = "ellipse"
    RECTANGLE = "rectangle"
    POLYGON = "polygon"
    POINT = "point"

    @property
    def is_region(self) -> bool:
        """Whether it has an inside, and so statistics of the voxels there."""
        return self in (MeasurementKind.ELLIPSE, MeasurementKind.RECTANGLE, MeasurementKind.POLYGON)


class Quantity(StrEnum):
    """What a number says."""

    LENGTH = "length"
    SHORT_AXIS = "short axis"
    ANGLE = "angle"
    AREA = "area"
    PERIMETER = "perimeter"
    VOLUME = "volume"
    MEAN = "mean"
    DEVIATION = "standard deviation"
    MINIMUM = "minimum"
    MAXIMUM = "maximum"
    MEDIAN = "median"
    VALUE = "value"


_POINTS = {
    MeasurementKind.LENGTH: (2, 4),
    MeasurementKind.ANGLE: (3, 4),
    MeasurementKind.ELLIPSE: (4,),
    MeasurementKind.RECTANGLE: (4,),
    MeasurementKind.POINT: (1,),
}
_LEAST_CORNERS = 3


@dataclass(frozen=True, slots=True)
class Value:
    """One number of a measurement.

    Attributes:
        quantity: What it says.
        number: Finite, in `unit`.
        unit: "mm", "mm2", "deg", "ml"; for what is said of voxels the unit of the volume: "HU", "SUVbw", or "" where
            its values are arbitrary.
    """

    quantity: Quantity
    number: float
    unit: str


@dataclass(frozen=True, slots=True)
class DrawnOn:
    """The slice of a volume's grid that something was drawn on.

    Attributes:
        series_uid: The series of the volume (`Volume.series_uid`).
        axis: The index axis that the slice stands on: 0 = k, 1 = j, 2 = i.
        index: Which slice along that axis.
        phase: Which volume of the series, where it has several on one grid (`Volume.phase`).
    """

    series_uid: str
    axis: int
    index: int
    phase: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """Something measured on an image. Points are patient coordinates, so that it holds on any grid of the same space.

    Attributes:
        kind: What was drawn.
        points: (n, 3) float64, x, y, z, LPS, mm, read-only; how many, and which is which, `MeasurementKind` says.
        values: Its numbers, the one that matters most first.
        drawn_on: The slice that it was drawn on; None when it lies on none.
        label: What the reader calls it; may be empty.
        doubtful: Why its numbers cannot be trusted, as an unsafe grid says of itself; None when they can.
        author: The reader's name; may be empty.
        made_at: When, UTC.
        frame_of_reference_uid: DICOM (0020,0052), the space of the points; None outside DICOM.
        id: Unique; made up when not given.

    Raises:
        ValueError: The kind cannot have that many points, or a coordinate or number is not finite.
    """

    kind: MeasurementKind
    points: Floats
    values: tuple[Value, ...] = ()
    drawn_on: DrawnOn | None = None
    label: str = ""
    doubtful: Text | None = None
    author: str = ""
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    frame_of_reference_uid: str | None = None
    id: MeasurementId = field(default_factory=lambda: MeasurementId(uuid.uuid4().hex))

    def __post_init__(self) -> None:
        points = np.array(self.points, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
            raise ValueError("The points of a measurement must be finite and (n, 3).")
        allowed = _POINTS.get(self.kind)
        if len(points) < _LEAST_CORNERS if allowed is None else len(points) not in allowed:
            raise ValueError(f"{self.kind.value} cannot have {len(points)} points.")
        if not all(np.isfinite(value.number) for value in self.values):
            raise ValueError("The numbers of a measurement must be finite.")
        points.flags.writeable = False
        object.__setattr__(self, "points", points)

    def value(self, quantity: Quantity) -> Value | None:
        """The number that says something; None when it has none."""
        return next((one for one in self.values if one.quantity is quantity), None)
