"""What was found in an image: a class, a box or a point, how probable it is, who says so, and what the reader says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from medview.core.geometry import Point
from medview.core.segmentation import Code, ModelRef

_TAIL = 0.025


class Verdict(StrEnum):
    """What the reader said of a finding."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class Relation(StrEnum):
    """How the classes of one answer relate.

    EXCLUSIVE: one of them holds. INDEPENDENT: each holds or does not, by itself. ORDINAL: one holds, and they have an
    order, as grades have.
    """

    EXCLUSIVE = "exclusive"
    INDEPENDENT = "independent"
    ORDINAL = "ordinal"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """From which probability on a model calls a finding there, and how good that is.

    Attributes:
        threshold: 0..1.
        sensitivity: With it, on the cases that it was measured on; None when nobody has said.
        specificity: Likewise.
    """

    threshold: float
    sensitivity: float | None = None
    specificity: float | None = None


@dataclass(frozen=True, slots=True)
class Interval:
    """In which interval the answers about a class lie, when a model is asked several times.

    Attributes:
        low: Of the middle 95 % of the answers, 0..1.
        high: Likewise.
        answers: How many there were.
    """

    low: float
    high: float
    answers: int

    @classmethod
    def of(cls, answers: Sequence[float], probability: float) -> Interval:
        """From all answers; it holds the probability that is told, too."""
        low, high = _quantile(answers, _TAIL), _quantile(answers, 1 - _TAIL)
        return cls(min(low, probability), max(high, probability), len(answers))


def _quantile(values: Sequence[float], share: float) -> float:
    """By linear interpolation between the values in their order (Hyndman, Fan, Am Stat 1996, type 7)."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        name: What it is called.
        code: What it is; None when nobody has said.
        probability: 0..1, as the algorithm gives it; None when it gives none.
        algorithm: Which model found it; None when the reader did.
        verdict: What the reader said of it.
        place: Where it is: x, y, z, LPS, mm; None: in the image as a whole.
        size_mm: Of the box around it, across, deep and high in the patient; None without a box.
        operating_point: Of the model that found it; None when nobody has said.
        frame: In which picture of a film, from 0, where pictures have no place in the patient; None: of all.
        interval: Of the model's answers, when it was asked several times; None otherwise.

    Raises:
        ValueError: The probability is outside 0..1.
    """

    name: str
    code: Code | None = None
    probability: float | None = None
    algorithm: ModelRef | None = None
    verdict: Verdict = Verdict.OPEN
    place: Point | None = None
    size_mm: Point | None = None
    operating_point: OperatingPoint | None = None
    interval: Interval | None = None
    frame: int | None = None

    def __post_init__(self) -> None:
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ValueError(f"A probability of {self.probability} is none.")

    @property
    def is_positive(self) -> bool | None:
        """Whether the model calls it there; None when it does not say from where on."""
        if self.probability is None or self.operating_point is None:
            return None
        return self.probability >= self.operating_point.threshold
