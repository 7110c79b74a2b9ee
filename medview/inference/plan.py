"""What a run will ask for, known before it asks: windows, memory, time."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from medview.core import memory
from medview.core.errors import OutOfMemoryError
from medview.core.geometry import Index
from medview.core.text import Text
from medview.inference.windows import Lattice

_GIB = 2**30
_SPARE_SHARE = 0.9
"""How much of the free memory a run may take."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run over an image needs.

    Attributes:
        windows: How many windows there are.
        sums_bytes: Of the values that are open at a time.
        labels_bytes: Of the answer.
        free_bytes: What the machine has left; None where it does not say.
        card_bytes: What the graphics card has left; None when the network runs on the processor.
        seconds: How long the windows will take.
    """

    windows: int
    sums_bytes: int
    labels_bytes: int
    free_bytes: int | None
    card_bytes: int | None
    seconds: float

    @classmethod
    def of(cls, lattice: Lattice, channels: int, shape: Index, device: str, window_s: float) -> Plan:
        """The plan of a run.

        Args:
            lattice: Its windows.
            channels: How many values the network gives for a voxel.
            shape: Of the image as it came, (k, j, i).
            device: Where the network runs.
            window_s: How long it takes for one window.
        """
        axis = lattice.front_axis
        a, b = (lattice.padded[one] for one in range(3) if one != axis)
        sums = (channels + 1) * (lattice.roi[axis] + 1) * a * b * 4
        labels = shape[0] * shape[1] * shape[2] * (1 if channels <= 256 else 4)
        card = torch.cuda.mem_get_info()[0] if device == "cuda" else None
        return cls(lattice.count, sums, labels, memory.free_bytes(), card, lattice.count * window_s)

    @property
    def sums_fit_the_card(self) -> bool:
        """Whether the graphics card has room for the sums beside the network."""
        return self.card_bytes is not None and self.sums_bytes <= _SPARE_SHARE * self.card_bytes

    @property
    def text(self) -> Text:
        """In one line, for people."""
        wanted = (self.sums_bytes + self.labels_bytes) / _GIB
        seconds = round(self.seconds)
        return Text.of(
            "{count} windows, about {minutes}:{seconds}, {wanted} GB of memory",
            count=self.windows, minutes=seconds // 60, seconds=f"{seconds % 60:02d}", wanted=f"{wanted:.1f}",
        )  # fmt: skip

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
