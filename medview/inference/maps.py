"""Maps beside the labels, from the same pass: how unsure the model is, and the probability of one structure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Halves = NDArray[np.float16]


class MapKind(StrEnum):
    """What a map says.

    UNCERTAINTY: the entropy of the model's probabilities, 0 where it is sure, 1 where all are alike (Shannon, Bell Syst
    Tech J 1948; as a measure of segmentations: Mehrtash et al., IEEE TMI 2020). Of structures that may overlap each has
    an entropy of its own, and the largest counts. PROBABILITY: of one structure, as the model has it, not calibrated.
    EVIDENCE: where a classifier looked when it spoke of a class, as a share of what mattered most.
    """

    UNCERTAINTY = "uncertainty"
    PROBABILITY = "probability"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True, eq=False)
class SideMap:
    """One map on the grid of the image that was analysed.

    Attributes:
        kind: What it says.
        label: Of which structure, or class by its place among the network's values; of uncertainty 0: it speaks of all.
        values: (k, j, i) float16, 0..1. What was not looked at is 0.
    """

    kind: MapKind
    label: int
    values: Halves

    def merged(self, other: SideMap) -> SideMap:
        """This map and that of another model on the same image: the larger value counts."""
        return SideMap(self.kind, self.label, np.maximum(self.values, other.values))
