"""What was found in an image as a whole: a class, how probable it is, who says so, and what the reader makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from medview.core.segmentation import Code, ModelRef


class Verdict(StrEnum):
    """What the reader said of a finding."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        name: What it is called.
        code: What it is; None when nobody has said.
        probability: 0..1, as the algorithm gives it; None when it gives none.
        algorithm: Which model found it; None when the reader did.
        verdict: What the reader said of it.

    Raises:
        ValueError: The probability is outside 0..1.
    """

    name: str
    code: Code | None = None
    probability: float | None = None
    algorithm: ModelRef | None = None
    verdict: Verdict = Verdict.OPEN

    def __post_init__(self) -> None:
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ValueError(f"A probability of {self.probability} is none.")
