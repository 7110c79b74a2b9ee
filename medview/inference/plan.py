"""What a run will ask for, known before it asks: windows, memory, time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch

from medview.core import memory
from medview.core.errors import OutOfMemoryError
from medview.core.geometry import Index
from medview.core.progress import Progress
from medview.core.text import Text
from medview.inference.forward import Trial
from medview.inference.memory import is_out_of_memory
from medview.inference.windows import Lattice, WindowRules, central_window

_GIB = 2**30
_MOST_BYTES_AT_ONCE = 256 * 2**20
"""Of the values of all windows in one call: those of many classes are large, and gain nothing from company."""
_MOST_VOXELS_ON_PROCESSOR = 96**3
"""Of the windows of one call there: larger ones are no faster together, and what a layer gives falls out of reach."""
_SPARE_SHARE = 0.9
"""How much of the free memory a run may take."""
_WORTH_A_TRIAL = 4
"""For fewer windows it does not pay to look for faster numbers."""


class Tryable(Protocol):
    """A network that says what a window costs before all are run."""

    @property
    def calls(self) -> int:
        """How many calls one window takes: of other folds, and of mirrored windows."""

    def try_out(self, window: torch.Tensor, *, exact: bool) -> Trial:
        """Call it once on (1, channel, x, y, z) float32, and choose the numbers that it computes in."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run over an image needs.

    Attributes:
        windows: How many windows are run.
        sums_bytes: Of the values that are open at a time.
        labels_bytes: Of the answer, with its maps.
        free_bytes: What the machine has left; None where it does not say.
        card_bytes: What the graphics card has left; None when the network runs on the processor.
        seconds: How long the windows will take.
        calls: How many calls of a network every window takes.
        skipped: How many windows are not run, because there is nothing in them.
    """

    windows: int
    sums_bytes: int
    labels_bytes: int
    free_bytes: int | None
    card_bytes: int | None
    seconds: float
    calls: int = 1
    skipped: int = 0

    @classmethod
    def of(
        cls, lattice: Lattice, channels: int, shape: Index, device: str, window_s: float, calls: int = 1, maps: int = 0
    ) -> Plan:
        """The plan of a run.

        Args:
            lattice: Its windows.
            channels: How many values the network gives for a voxel.
            shape: Of the image as it came, (k, j, i).
            device: Where the network runs.
            window_s: How long it takes for one window.
            calls: How many calls that are.
            maps: How many maps come with the labels.
        """
        axis = lattice.front_axis
        a, b = (lattice.image[one] for one in range(3) if one != axis)
        sums = (channels + 1) * (lattice.roi[axis] + 1) * a * b * 4
        labels = shape[0] * shape[1] * shape[2] * ((1 if channels <= 256 else 4) + 2 * maps)
        card = torch.cuda.mem_get_info()[0] if device == "cuda" else None
        seconds = lattice.count * window_s
        return cls(lattice.count, sums, labels, memory.free_bytes(), card, seconds, calls, len(lattice.skipped))

    @property
    def sums_fit_the_card(self) -> bool:
        """Whether the graphics card has room for the sums beside the network."""
        return self.card_bytes is not None and self.sums_bytes <= _SPARE_SHARE * self.card_bytes

    @property
    def text(self) -> Text:
        """In one line, for people."""
        seconds = round(self.seconds)
        return Text.of(
            "{windows}, about {minutes}:{seconds}, {wanted} GB of memory",
            windows=self._windows,
            minutes=seconds // 60,
            seconds=f"{seconds % 60:02d}",
            wanted=f"{(self.sums_bytes + self.labels_bytes) / _GIB:.1f}",
        )

    @property
    def _windows(self) -> Text:
        if self.skipped and self.calls > 1:
            return Text.of(
                "{count} of {all} windows, {calls} times each",
                count=self.windows, all=self.windows + self.skipped, calls=self.calls,
            )  # fmt: skip
        if self.skipped:
            return Text.of("{count} of {all} windows", count=self.windows, all=self.windows + self.skipped)
        if self.calls > 1:
            return Text.of("{count} windows, {calls} times each", count=self.windows, calls=self.calls)
        return Text.of("{count} windows", count=self.windows)

    def require_memory(self) -> None:
        """Refuse what cannot end well before anything is allocated.

        Raises:
            OutOfMemoryError: The machine has too little free memory.
        """
        wanted = self.labels_bytes + (0 if self.sums_fit_the_card else self.sums_bytes)
        if self.free_bytes is not None and wanted > _SPARE_SHARE * self.free_bytes:
            raise OutOfMemoryError(
                Text.of(
                    "The model needs {wanted} GB of memory for this image, and {free} GB are free.",
                    wanted=f"{wanted / _GIB:.1f}", free=f"{self.free_bytes / _GIB:.1f}",
                ),
                Text("Close other programs and cases, or crop the image."),
            )  # fmt: skip


def planned(
    image: torch.Tensor,
    network: Tryable,
    rules: WindowRules,
    shape: Index,
    progress: Progress,
    *,
    device: str,
    exact: bool,
    lattice: Lattice | None = None,
    maps: int = 0,
) -> tuple[str, WindowRules]:
    """Try a network out, and say what the run will take.

    Args:
        image: (channel, x, y, z) float32, as the model wants it.
        network: What runs in windows.
        rules: How it wants them.
        shape: Of the image as it came, (k, j, i).
        progress: Is told the plan.
        device: Where the network runs.
        exact: Whether it computes in float32, whatever is faster.
        lattice: The windows, where some of them are not run; None: all that the rules say.
        maps: How many maps come with the labels.

    Returns:
        Where the sums are to be kept, and the rules with no more windows at once than their values are worth.

    Raises:
        OutOfMemoryError: There is too little memory for it.
    """
    if lattice is None:
        x, y, z = image.shape[1:]
        lattice = Lattice.over((x, y, z), rules)
    if lattice.count < _WORTH_A_TRIAL:
        return device, rules
    try:
        trial = network.try_out(central_window(image, rules), exact=exact)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return "cpu", replace(rules, batch=1)
    plan = Plan.of(lattice, trial.channels, shape, device, trial.seconds, network.calls, maps)
    progress.report(0.0, plan.text)
    plan.require_memory()
    voxels = lattice.roi[0] * lattice.roi[1] * lattice.roi[2]
    batch = min(rules.batch, _MOST_BYTES_AT_ONCE // (trial.channels * voxels * 4))
    if device == "cpu":
        batch = min(batch, _MOST_VOXELS_ON_PROCESSOR // voxels)
    batch = max(1, batch)
    return device if plan.sums_fit_the_card else "cpu", replace(rules, batch=batch)
