"""One numbering of structures for many examples: consecutive from 1, and the same in every export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medview.core.segmentation import Labels
from medview.learning.example_record import SegmentRecord


@dataclass(frozen=True, slots=True)
class LabelNumbers:
    """Which number each structure has.

    Attributes:
        by_name: "background" 0, then the structures 1, 2, ... by the name of their first appearance.
        keys: From the name as it is compared to the number.
    """

    by_name: dict[str, int]
    keys: dict[str, int]

    @classmethod
    def of(cls, known: Sequence[str], wanted: Sequence[str], reserved: Sequence[str] = ()) -> LabelNumbers:
        """Number the wanted structures in the order in which the store came to know them.

        The order grows at its end only, so a structure keeps its number when examples are added. Names are the same
        whatever their case and spacing.

        Args:
            known: Every name in the store, oldest first.
            wanted: The names in the examples at hand.
            reserved: Names that mean something else to the reader of the export; they are given another.
        """
        chosen = {_compared(name) for name in wanted}
        by_name: dict[str, int] = {"background": 0}
        keys: dict[str, int] = {}
        for name in (*known, *wanted):
            key = _compared(name)
            if key not in chosen or key in keys:
                continue
            keys[key] = len(keys) + 1
            taken = key in {_compared(one) for one in ("background", *reserved)}
            by_name[f"{name.strip()} (structure)" if taken else name.strip()] = keys[key]
        return cls(by_name, keys)

    def applied(self, labels: Labels, segments: Sequence[SegmentRecord]) -> Labels:
        """Labels (k, j, i) of one example with these numbers; uint8, or uint16 when there are more than 255."""
        largest = int(np.iinfo(labels.dtype).max)
        table = np.zeros(largest + 1, dtype=np.uint8 if len(self.keys) < 256 else np.uint16)
        for segment in segments:
            table[segment.label] = self.keys[_compared(segment.name)]
        renumbered: Labels = table[labels]
        return renumbered


def _compared(name: str) -> str:
    return " ".join(name.casefold().split())
