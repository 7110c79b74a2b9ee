"""What a plugin may find besides structures: classes, boxes and points. Plain records, in the patient's millimetres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from medview.core.finding import Interval
from medview.core.geometry import Index
from medview.core.text import Text

Vector = tuple[float, float, float]
"""(x, y, z) LPS, mm; of pictures without a place in the patient: (column, row, 0), pixels."""


@dataclass(frozen=True, slots=True)
class ClassFound:
    """How probable a class is.

    Attributes:
        value: Its place among the network's values.
        name: What the manifest calls it.
        probability: 0..1, as the model gives it.
        slice: Of which slice or picture, k; None: of the whole image.
        interval: In which the answers lie, where it was asked several times.
    """

    value: int
    name: str
    probability: float
    slice: int | None = None
    interval: Interval | None = None


@dataclass(frozen=True, slots=True)
class BoxFound:
    """A box around something.

    Attributes:
        value: Its kind's place among the network's values.
        name: What the manifest calls that kind.
        probability: 0..1, as the model gives it.
        center: Of the box.
        edges: Its three edges, as vectors.
    """

    value: int
    name: str
    probability: float
    center: Vector
    edges: tuple[Vector, Vector, Vector]

    @property
    def vectors(self) -> tuple[Vector, ...]:
        """Its centre and its edges."""
        return (self.center, *self.edges)


@dataclass(frozen=True, slots=True)
class PointFound:
    """A point.

    Attributes:
        value: Its place among the network's points.
        name: What the manifest calls it.
        position: Where it lies.
        slice: In which slice or picture, k; None: the model looked at the whole image.
    """

    value: int
    name: str
    position: Vector
    slice: int | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """All that was found besides structures."""

    classes: tuple[ClassFound, ...] = ()
    boxes: tuple[BoxFound, ...] = ()
    points: tuple[PointFound, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was found."""
        return not (self.classes or self.boxes or self.points)

    def moved(self, start: Index, *, is_spatial: bool) -> Findings:
        """What was found in a part of an image, as found in the image.

        Args:
            start: The first voxel of the part, (k, j, i).
            is_spatial: Whether places are those of the patient already, and not pixels of the part.
        """
        k, j, i = start
        classes = tuple(replace(one, slice=None if one.slice is None else one.slice + k) for one in self.classes)
        points = tuple(
            replace(
                one,
                slice=None if one.slice is None else one.slice + k,
                position=one.position if is_spatial else (one.position[0] + i, one.position[1] + j, one.position[2]),
            )
            for one in self.points
        )
        return Findings(classes, self.boxes, points)

    @property
    def sentences(self) -> tuple[Text, ...]:
        """What was found, for the reader."""
        return (*_of_classes(self.classes), *_of_boxes(self.boxes), *_of_points(self.points))


def _of_classes(found: Sequence[ClassFound]) -> list[Text]:
    slices = {one.slice for one in found}
    if len(slices) <= 1:
        return [
            Text.of("{name}: {percent} %", name=one.name, percent=f"{100 * one.probability:.0f}")
            for one in sorted(found, key=lambda one: -one.probability)
        ]
    winners: dict[int | None, ClassFound] = {}
    for one in found:
        if one.slice not in winners or one.probability > winners[one.slice].probability:
            winners[one.slice] = one
    names = list(dict.fromkeys(one.name for one in found))
    counts = {name: sum(one.name == name for one in winners.values()) for name in names}
    return [
        Text.of("{name}: most probable in {count} of {total} pictures", name=name, count=count, total=len(slices))
        for name, count in counts.items()
    ]


def _of_boxes(found: Sequence[BoxFound]) -> list[Text]:
    names = dict.fromkeys(one.name for one in found)
    return [
        Text.of(
            "{name}: {count} found, the most probable with {percent} %",
            name=name,
            count=sum(one.name == name for one in found),
            percent=f"{100 * max(one.probability for one in found if one.name == name):.0f}",
        )
        for name in names
    ]


def _of_points(found: Sequence[PointFound]) -> list[Text]:
    if not found:
        return []
    slices = {one.slice for one in found}
    return [Text.of("{count} points in {total} pictures", count=len(found), total=len(slices))]
