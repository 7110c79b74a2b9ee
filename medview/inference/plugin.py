"""What a plugin is given and what comes back: plain values, no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np

from medview.core.errors import PluginFailedError
from medview.core.geometry import Box, Index
from medview.core.hint import Hint, PlacedMask
from medview.core.progress import PartOf, Progress
from medview.core.segmentation import Labels, ModelRef, Segment
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference.found import Findings
from medview.inference.maps import MapKind, SideMap
from medview.inference.occupancy import Occupancy, only_inside
from medview.inference.options import RunOptions

Case = Mapping[str, Volume]
"""The images that a plugin asked for, by the names in its manifest."""
Preview = Callable[[Box, Labels], None]
"""Takes the labels of a box, (k, j, i), while a plugin runs; called in the plugin's thread."""


@dataclass(frozen=True, slots=True)
class SegmentationResult:
    """What a plugin found.

    Attributes:
        labels: (k, j, i) uint8 or uint16, on the grid of the volume that was given; 0 is background.
        segments: The structures that it can find, in the manifest's order.
        model: Which plugin answered.
        device: Where it ran: "cpu" or "cuda".
        seconds: How long it took.
        notes: What the reader should know of the result.
        layers: Where structures may overlap, the labels of each by itself, in the manifest's order: (k, j, i), 0 or its
            value. `labels` then gives every voxel to the smallest structure that covers it. Empty otherwise.
        findings: Classes, boxes and points, of plugins whose task is not to segment; `labels` are then 0, and there are
            no segments.
        options: What was asked of the run.
        maps: What was asked for beside the labels.
        earlier: When it was found (UTC), where it is the answer of an earlier run; None: it was found just now.
    """

    labels: Labels
    segments: tuple[Segment, ...]
    model: ModelRef
    device: str
    seconds: float
    notes: tuple[Text, ...]
    layers: tuple[Labels, ...] = ()
    findings: Findings = field(default_factory=Findings)
    options: RunOptions = field(default_factory=RunOptions)
    maps: tuple[SideMap, ...] = ()
    earlier: datetime | None = None

    @property
    def remarks(self) -> tuple[Text, ...]:
        """The notes without those that only put the findings into words."""
        found = self.findings.sentences
        return tuple(note for note in self.notes if note not in found)


class Context:
    """What a running plugin may ask of its host.

    Args:
        folder: The plugin's folder, to read its own files from.
        progress: Where it reports.
        choose_device: Finds the device when the plugin first asks, so that one without torch does not load it.
        shape: Of the first image, (k, j, i).
        exact: Whether networks compute in float32 even where shorter numbers say the same.
        preview: Takes what is found so far; None when nobody looks.
        occupancy: Where in the images there is something to look for; None: everywhere.
        options: What the user asks of the run.
        hints: Where the reader says that the structure is, and is not; empty for plugins that take none.
        before: What was answered to earlier hints on the same structure; None for the first.
    """

    def __init__(
        self,
        folder: Path,
        progress: Progress,
        choose_device: Callable[[], str],
        shape: Index,
        *,
        exact: bool = False,
        preview: Preview | None = None,
        occupancy: Occupancy | None = None,
        options: RunOptions | None = None,
        hints: Sequence[Hint] = (),
        before: PlacedMask | None = None,
    ) -> None:
        self.folder = folder
        self.occupancy = occupancy
        self.hints = tuple(hints)
        self.before = before
        self.options = options or RunOptions()
        self._progress = progress
        self._choose_device = choose_device
        self.exact = exact
        self._shape = shape
        self._preview = preview
        self._device: str | None = None
        self._notes: list[Text] = []
        self._maps: dict[tuple[MapKind, int], SideMap] = {}

    @property
    def device(self) -> str:
        """Where to compute: "cpu" or "cuda", as torch names it."""
        if self._device is None:
            self._device = self._choose_device()
        return self._device

    def ran_on(self, device: str) -> None:
        """Say which device another process computed on for this run."""
        self._device = device

    @property
    def device_used(self) -> str:
        """The device that was asked for; "cpu" when none was."""
        return self._device or "cpu"

    @property
    def notes(self) -> tuple[Text, ...]:
        """What the plugin has noted so far."""
        return tuple(self._notes)

    def progress(self, fraction: float | None, message: Text | str = "") -> None:
        """Say how far the work is (0..1, or None); ends the plugin here when the user has cancelled.

        Raises:
            Cancelled: The user has cancelled. Let it pass.
        """
        self.check()
        self._progress.report(fraction, message)

    def check(self) -> None:
        """End the plugin here when the user has cancelled. Ask at least ten times a second.

        Raises:
            Cancelled: The user has cancelled. Let it pass.
        """
        self._progress.raise_if_cancelled()

    def preview(self, box: Box, labels: Labels) -> None:
        """Show what is found so far in a part of the image.

        Args:
            box: Which part.
            labels: (k, j, i) uint8 or uint16 of the box's shape; not to be changed afterwards.

        Raises:
            PluginFailedError: The box lies outside the image, or the labels do not fill it.
        """
        if box.clipped(self._shape) != box or labels.shape != box.shape or labels.dtype not in (np.uint8, np.uint16):
            raise PluginFailedError(Text("It shows labels that do not fit the image."), Text("Tell its author."))
        if self._preview is None or box.is_empty:
            return
        if self.occupancy is not None and self.occupancy.body is not None:
            labels = labels.copy()
            only_inside(labels, box, self.occupancy.body)
        self._preview(box, labels)

    @property
    def is_watched(self) -> bool:
        """Whether somebody looks at what is found so far."""
        return self._preview is not None

    @property
    def maps(self) -> tuple[SideMap, ...]:
        """The maps that have come so far."""
        return tuple(self._maps.values())

    def add_maps(self, maps: Iterable[SideMap]) -> None:
        """Take maps on the first image's grid; with one of the same kind, the larger value counts."""
        for one in maps:
            known = self._maps.get((one.kind, one.label))
            self._maps[one.kind, one.label] = one if known is None else known.merged(one)

    def part(self, start: float, stop: float) -> Progress:
        """A stretch of the whole progress, for a step that reports 0..1 of its own."""
        return PartOf(self._progress, start, stop)

    def note(self, text: Text | str) -> None:
        """Tell the reader something about the result, as "There is no trachea in this series."."""
        self._notes.append(text if isinstance(text, Text) else Text(text))
