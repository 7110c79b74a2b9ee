"""The training of a network that segments one structure inside a box that somebody draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from medview.core.geometry import Geometry
from medview.core.segmentation import Labels
from medview.learning import box_drawing, training_data
from medview.learning.boxed_recipe import BoxedRecipe, BoxedVariation
from medview.learning.training_loop import Training, generator_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class BoxedCase:
    """One image with one structure.

    Attributes:
        name: The case.
        geometry: Its grid.
        voxels: (k, j, i) float32.
        mask: (k, j, i) bool.
    """

    name: str
    geometry: Geometry
    voxels: NDArray[np.float32]
    mask: NDArray[np.bool_]

    @property
    def points_mm(self) -> Floats:
        """(n, 3) x, y, z of the structure's voxels."""
        return self.geometry.to_patient(np.argwhere(self.mask).astype(np.float64))

    @property
    def half_voxel_mm(self) -> Floats:
        """(3,) how far a voxel reaches from its centre along x, y, z."""
        reach: Floats = np.abs(self.geometry.affine[:3, :3]).sum(axis=1) / 2
        return reach

    @classmethod
    def of(cls, name: str, geometry: Geometry, voxels: NDArray[Any], labels: Labels) -> BoxedCase:
        """A case from an image and a label map on its grid."""
        return cls(name, geometry, voxels.astype(np.float32), labels > 0)


class Cropping(Protocol):
    """What a plugin's module for crops offers; plugins share it between their training and their use."""

    def PatientBox(self, low: Floats, high: Floats) -> Any:  # noqa: N802 - the name of a class
        """A box along the patient's axes."""

    def fine_grid(self, box: Any) -> Floats:
        """The points at which an image is sampled for a box, (x, y, z, 3), mm."""

    def sampled(self, values: torch.Tensor, index: Floats) -> torch.Tensor:
        """Values (channel, k, j, i) at continuous indices (x, y, z, 3)."""

    def coarsened(self, values: torch.Tensor) -> torch.Tensor:
        """What was sampled on the fine grid, on the network's grid."""

    def channels(self, suv: torch.Tensor) -> torch.Tensor:
        """What the network is given."""


class BoxedTraining(Training[BoxedRecipe]):
    """The training of a network that answers (n, 1, x, y, z) to crops: lesion where above 0.

    Args:
        network: The network to train.
        crops: How a box becomes what the network sees.
        cases: What it learns from.
        how: The recipe.
        device: Where it runs.
    """

    def __init__(
        self, network: nn.Module, crops: Cropping, cases: Sequence[BoxedCase], how: BoxedRecipe, device: torch.device
    ) -> None:
        super().__init__(network.to(device), [case.name for case in cases], how, device)
        self._crops = crops
        self._cases = tuple(cases)
        self._images = [torch.from_numpy(np.stack([case.voxels, case.mask])) for case in cases]

    def _batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        how = self._how
        generator = generator_of(how, self.step)
        random = np.random.default_rng((how.seed, self.step))
        first = self.step * how.batch_size
        chosen = training_data.order_of_cases(len(self._cases), first, how.batch_size, how.seed)
        drawn = [self._crop(index, random, generator) for index in chosen]
        images, masks = (torch.stack(list(values)).to(self._device) for values in zip(*drawn, strict=True))
        return images, masks

    def _crop(
        self, index: int, random: np.random.Generator, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One crop around a box that is drawn around the turned structure; the image is turned with it."""
        case, how = self._cases[index], self._how
        turn, points = _turn(how.variation, random), case.points_mm
        centre = points.mean(axis=0)
        half = np.abs(turn) @ case.half_voxel_mm
        low, high = box_drawing.extent_of((points - centre) @ turn.T, half)
        box = self._crops.PatientBox(*box_drawing.drawn_around(low, high, how.drawn, random))
        where = case.geometry.to_index(self._crops.fine_grid(box) @ turn + centre)
        both = self._crops.coarsened(self._crops.sampled(self._images[index], where))
        return self._crops.channels(varied_uptake(both[0], how.variation, generator)), both[1:]

    def _supervise(self, output: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        """Dice, and cross-entropy."""
        logits, truth = output.flatten(1), wanted.flatten(1)
        found = logits.sigmoid()
        overlap = 2 * (found * truth).sum(1) / (found.sum(1) + truth.sum(1)).clamp(min=1e-3)
        return (1 - overlap).mean() + nn.functional.binary_cross_entropy_with_logits(logits, truth)


def _turn(how: BoxedVariation, random: np.random.Generator) -> Floats:
    """(3, 3) a rotation, and mirrors."""
    turn: Floats = np.eye(3)
    for axis in range(3):
        angle = math.radians(random.uniform(-how.rotation_degrees, how.rotation_degrees))
        first, second = [other for other in range(3) if other != axis]
        one: Floats = np.eye(3)
        one[first, first] = one[second, second] = math.cos(angle)
        one[first, second], one[second, first] = -math.sin(angle), math.sin(angle)
        turn = turn @ one
    signs = random.choice([-1.0, 1.0], 3) if how.mirror else np.ones(3)
    turned: Floats = turn * signs
    return turned


def varied_uptake(values: torch.Tensor, how: BoxedVariation, generator: torch.Generator) -> torch.Tensor:
    """Values (x, y, z) of another scanner, dose and patient."""

    def drawn(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand(1, generator=generator))

    values = values.clamp(min=0) * math.exp(drawn(math.log(how.uptake[0]), math.log(how.uptake[1])))
    highest = values.max().clamp(min=1e-3)
    if float(torch.rand(1, generator=generator)) < how.gamma_chance:
        power = math.exp(drawn(math.log(how.gamma[0]), math.log(how.gamma[1])))
        values = (values / highest) ** power * highest
    if float(torch.rand(1, generator=generator)) < how.noise_chance:
        values = values + torch.randn(values.shape, generator=generator) * drawn(0.0, how.noise_share) * highest
    return values.clamp(min=0)
