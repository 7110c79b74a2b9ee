"""What the network sees: the inside of a box, on a grid that is as large for every box.

The grid lies along the patient's axes (x to the left, y to the back, z to the head, mm), whatever the order and
direction in which the voxels are stored. A box always has as many samples across: lesions of 3 cm and of 30 cm look
alike, and what is learned of one helps with the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

SIDE = 24
"""Samples across, along each axis."""
CHANNELS = 2

_FINER = 2
_HIGH_SHARE = 0.99

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PatientBox:
    """A box along the patient's axes.

    Attributes:
        low: x, y, z of its lower corner, LPS, mm.
        high: Of its upper corner.
    """

    low: Floats
    high: Floats

    @property
    def size_mm(self) -> Floats:
        """Its lengths along x, y, z."""
        return self.high - self.low


def grid_of(box: PatientBox, side: int) -> Floats:
    """Points in the middle of side^3 equal cells of a box: (x, y, z, 3), mm."""
    steps = (np.arange(side) + 0.5) / side
    axes = [low + steps * length for low, length in zip(box.low, box.size_mm, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def sampled(values: torch.Tensor, index: Floats) -> torch.Tensor:
    """Values of a grid between its points; beyond its edge those of the edge.

    Args:
        values: (channel, a, b, c) float32.
        index: (x, y, z, 3) continuous a, b, c.
    """
    last = np.maximum(np.array(values.shape[1:]) - 1, 1)
    where = torch.from_numpy((index / last * 2 - 1)[..., ::-1].astype(np.float32))  # grid_sample wants c, b, a
    return functional.grid_sample(
        values[None], where[None], mode="bilinear", padding_mode="border", align_corners=True
    )[0]


def fine_grid(box: PatientBox) -> Floats:
    """The points at which an image is sampled for a box; `coarsened` makes the network's grid of them."""
    return grid_of(box, SIDE * _FINER)


def coarsened(values: torch.Tensor) -> torch.Tensor:
    """The mean of each cell of the network's grid: (channel, x, y, z), SIDE along each."""
    return functional.avg_pool3d(values, _FINER)


def channels(suv: torch.Tensor) -> torch.Tensor:
    """What the network is given.

    Args:
        suv: (x, y, z) float32, SUV, on the network's grid.

    Returns:
        (2, x, y, z): uptake in shares of the highest in the box, and its square root; the unit plays no part.
    """
    suv = suv.clamp(min=0)
    highest = torch.quantile(suv.flatten(), _HIGH_SHARE).clamp(min=1e-6)
    return torch.stack([suv / highest, (suv / highest).sqrt()])
