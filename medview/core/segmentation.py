"""Label maps: which voxel belongs to which structure."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NewType

import numpy as np
from numpy.typing import NDArray

from medview.core.events import Event
from medview.core.geometry import Box, Geometry
from medview.core.hint import HintRecord
from medview.core.text import Text

SegmentationId = NewType("SegmentationId", str)
Labels = NDArray[Any]
"""(k, j, i) uint8 or uint16; 0 is background, every other value is the label of a segment."""
Color = tuple[int, int, int]
"""sRGB, 0..255."""


@dataclass(frozen=True, slots=True)
class Code:
    """A coded concept: value, coding scheme, meaning; as ("39607008", "SCT", "Lung")."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Segment:
    """One structure of a segmentation.

    Attributes:
        label: Its voxel value, 1..65535.
        name: What the user calls it.
        color: How it is drawn.
        code: What it is (DICOM Segmented Property Type); None when nobody has said.
        category: What kind of thing it is (Segmented Property Category).
        laterality: Left, right or both, as a modifier of the type.
    """

    label: int
    name: str
    color: Color
    code: Code | None = None
    category: Code | None = None
    laterality: Code | None = None


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model that answered: plugin, its version, and a hash of the weights and code it answered with."""

    plugin_id: str
    version: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class HintedEdit:
    """An answer to hints that a reader has accepted.

    Attributes:
        label: The segment that it went into.
        engine: What answered: a plugin, or a tool of MedView's by its name.
        hints: All that were given, in their order.
        part: What of the answer was accepted: "all", "box", "piece" or "slice".
        at: When, UTC.
    """

    label: int
    engine: ModelRef
    hints: tuple[HintRecord, ...]
    part: str = "all"
    at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class Provenance:
    """Who made a thing, who last changed it, and when (UTC); and the answers to hints that were taken into it."""

    model: ModelRef | None = None
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    reviewer: str | None = None
    reviewed_at: datetime | None = None
    hinted: tuple[HintedEdit, ...] = ()

    def engine_of(self, label: int) -> ModelRef | None:
        """What found a segment, if anything did: the model of all, or else what answered the latest hints on it."""
        answered = [one.engine for one in self.hinted if one.label == label]
        return self.model or (answered[-1] if answered else None)

    def algorithm_of(self, label: int) -> str:
        """How a segment came about, in DICOM's words (0062,0008): with hints a reader had a part in it."""
        if self.engine_of(label) is None:
            return "MANUAL"
        with_reader = self.reviewer or any(one.label == label for one in self.hinted)
        return "SEMIAUTOMATIC" if with_reader else "AUTOMATIC"


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What is drawn in place of the labels of a segmentation, on its grid.

    Attributes:
        segments: What the labels mean, and their colours.
        within: Gives the labels in a box of the grid: (k, j, i) uint8 or uint16 of its shape.
        of_segments: Whether the labels are those of the segmentation's segments, which may be hidden.
    """

    segments: tuple[Segment, ...]
    within: Callable[[Box], Labels]
    of_segments: bool = True


@dataclass(frozen=True, slots=True)
class LabelsChanged:
    """Voxels inside `box` may differ from before; none outside does."""

    box: Box


@dataclass(frozen=True, slots=True)
class SegmentsChanged:
    """A segment was added, removed, renamed or recoloured."""


class Segmentation:
    """A label map on a volume's grid, with its segments. Main thread only.

    Overlapping structures are separate segmentations.

    Args:
        geometry: The grid.
        labels: (k, j, i) uint8 or uint16, C-contiguous; taken over, not copied. None: all background.
        segments: The structures; every label number at most once.
        title: What the list shows; a `Text` when the program named it.
        provenance: Who made it.
        id: Made up when not given.

    Raises:
        ValueError: Labels that do not fill the grid, or of another type, or a label number used twice.
    """

    def __init__(
        self,
        geometry: Geometry,
        labels: Labels | None = None,
        segments: tuple[Segment, ...] = (),
        *,
        title: Text | str = "",
        provenance: Provenance | None = None,
        id: SegmentationId | None = None,
    ) -> None:
        if labels is None:
            labels = np.zeros(geometry.shape, dtype=np.uint8)
        if labels.shape != geometry.shape:
            raise ValueError(f"The labels {labels.shape} do not fill the grid {geometry.shape}.")
        if labels.dtype not in (np.uint8, np.uint16) or not labels.flags.c_contiguous:
            raise ValueError("Labels must be C-contiguous uint8 or uint16.")
        self.id = id or SegmentationId(uuid.uuid4().hex)
        self.geometry = geometry
        self.title = title if isinstance(title, Text) else Text(title)
        self.provenance = provenance or Provenance()
        self.revision = 0
        self._writing = False
        self.changed: Event[LabelsChanged | SegmentsChanged] = Event()
        self._labels = labels if labels.flags.writeable else labels.copy()
        self._shown = self._labels.view()
        self._shown.flags.writeable = False
        self._segments: tuple[Segment, ...] = ()
        self._check(segments)
        self._segments = segments

    @property
    def labels(self) -> Labels:
        """(k, j, i) uint8 or uint16; a read-only view that follows every write."""
        return self._shown

    @property
    def settled_revision(self) -> int | None:
        """For other threads: the revision; None while labels are being written.

        What was read between two answers that are the same number is a state that was.
        """
        return None if self._writing else self.revision

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The structures, in the order of the list."""
        return self._segments

    @property
    def largest_label(self) -> int:
        """The largest label number that the voxel type can hold."""
        return int(np.iinfo(self._labels.dtype).max)

    def segment(self, label: int) -> Segment | None:
        """The segment with this label number."""
        return next((segment for segment in self._segments if segment.label == label), None)

    def write(self, box: Box, values: Labels) -> None:
        """Put labels into a box: the only way in which voxels change.

        Args:
            box: Where; inside the grid.
            values: (k, j, i) of the box's shape.
        """
        if box.is_empty:
            return
        if box.clipped(self.geometry.shape) != box:
            raise ValueError(f"{box} reaches outside the grid {self.geometry.shape}.")
        self._writing = True
        try:
            self._labels[box.slices] = values
            self.revision += 1
        finally:
            self._writing = False
        self.changed.emit(LabelsChanged(box))

    def set_segments(self, segments: tuple[Segment, ...]) -> None:
        """Replace the list of segments. Voxels keep their labels."""
        self._check(segments)
        if segments != self._segments:
            self._segments = segments
            self.changed.emit(SegmentsChanged())

    def _check(self, segments: tuple[Segment, ...]) -> None:
        numbers = [segment.label for segment in segments]
        if len(set(numbers)) != len(numbers) or any(not 1 <= n <= self.largest_label for n in numbers):
            raise ValueError(f"Label numbers must be unique and within 1..{self.largest_label}: {numbers}")
