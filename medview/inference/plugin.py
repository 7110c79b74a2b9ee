"""What a plugin is given and what comes back: plain values, no torch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from medview.core.errors import PluginFailedError
from medview.core.evidence import Evidence, PassTime
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

T = TypeVar("T")
_QUICK_CALL_S = 1.0

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
        measured: One call of the network; None where none was measured.
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
    measured: PassTime | None = None

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
        self.measured: PassTime | None = None

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

    @property
    def evidence(self) -> Evidence | None:
        """For which class the evidence is wanted, and how it is to be found; None: nobody asks."""
        return self.options.evidence

    def add_evidence(self, values: NDArray[Any]) -> None:
        """Give the evidence that was asked for.

        Args:
            values: (k, j, i), on the first image's grid, 0..1: the larger, the more it mattered. The largest becomes 1.

        Raises:
            PluginFailedError: They do not lie on the grid, or are no such numbers.
        """
        wanted = self.options.evidence
        if wanted is None:
            return
        if values.shape != self._shape or not (np.min(values) >= 0 and np.max(values) <= 1):
            raise PluginFailedError(
                Text("The evidence does not lie on the image, or holds values that are not between 0 and 1."),
                Text("Nothing was changed. Tell the plugin's author."),
            )
        most = float(np.max(values))
        self.add_maps([SideMap(MapKind.EVIDENCE, wanted.value, (values / (most or 1.0)).astype(np.float16))])

    def explain(
        self, network: Any, shown: Any, activate: Callable[[Any], Any], layers: Sequence[str] = ()
    ) -> NDArray[np.float32]:
        """Ask a network of torch where it looked, in the way that is wanted.

        Args:
            network: A module of torch in evaluation mode; gives (n, class) for what it is shown.
            shown: (1, channel, x, y) or (1, channel, x, y, z) float32, on the network's device.
            activate: What makes probabilities of (n, class) values.
            layers: For Grad-CAM, the names of the layers that are looked at; when empty, the last convolution.

        Returns:
            (x, y) or (x, y, z): 0..1, to be carried to the image's grid and given to `add_evidence`.

        Raises:
            PluginUnavailableError: The network cannot be asked in this way.
        """
        from medview.inference.explain import explain

        wanted = self.options.evidence
        if wanted is None:
            raise ValueError("nobody asked for evidence")
        found = explain(
            network, shown, wanted.value, wanted.method, activate=activate, progress=self.part(0.2, 0.95), layers=layers
        )
        if found.note is not None:
            self.note(found.note)
        return found.values

    def timed(self, call: Callable[[], T], shape: Sequence[int]) -> T:
        """Call a network, and remember how long that took, so that the cost of asking it more can be told.

        Args:
            call: Calls it once. It is called again where that was quick: a first call also sets things up.
            shape: The voxels that the network is shown, along each axis.

        Returns:
            What the first call gave.
        """
        started = time.perf_counter()
        found = call()
        seconds = time.perf_counter() - started
        if seconds < _QUICK_CALL_S and self.measured is None:
            started = time.perf_counter()
            call()
            seconds = min(seconds, time.perf_counter() - started)
        self.measured = PassTime(tuple(int(n) for n in shape), seconds)
        return found

    def part(self, start: float, stop: float) -> Progress:
        """A stretch of the whole progress, for a step that reports 0..1 of its own."""
        return PartOf(self._progress, start, stop)

    def note(self, text: Text | str) -> None:
        """Tell the reader something about the result, as "There is no trachea in this series."."""
        self._notes.append(text if isinstance(text, Text) else Text(text))
