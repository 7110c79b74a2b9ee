"""The training recipe of a segmentation bundle: a file of plain values beside its configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from medview.learning.optimisation import Chance, HeldOut, Optimisation, Range, Record, Size, read_as


class AugmentationRecipe(Record):
    """How patches are varied. Chances are per patch; an absent line is a variation that is not used."""

    mirror_axes: tuple[int, ...] = ()
    mirror_chance: Chance = 0.0
    affine_chance: Chance = 0.0
    rotation_degrees: float = 0.0
    scale: Range = (1.0, 1.0)
    translation_voxels: float = 0.0
    elastic_chance: Chance = 0.0
    elastic_voxels: float = 0.0
    elastic_spacing_voxels: float = Field(default=12.0, gt=0.0)
    noise_chance: Chance = 0.0
    noise_sigma: float = 0.0
    blur_chance: Chance = 0.0
    blur_sigma: Range = (0.5, 1.0)
    brightness_chance: Chance = 0.0
    brightness: Range = (1.0, 1.0)
    contrast_chance: Chance = 0.0
    contrast: Range = (1.0, 1.0)
    low_resolution_chance: Chance = 0.0
    low_resolution: Range = (1.0, 1.0)
    gamma_chance: Chance = 0.0
    gamma: Range = (1.0, 1.0)
    inverted_gamma_chance: Chance = 0.0


class Recipe(Optimisation):
    """How a segmentation network is trained.

    Attributes:
        patch_size: Size of a training patch along (x, y, z), voxels of the bundle's grid.
        foreground_share: The share of patches centred on a labelled voxel; the others lie anywhere in the image.
        loss: A loss of MONAI by its `_target_` and arguments, as in a bundle's configuration.
        split: Which patients are kept out.
        augmentation: How patches are varied.
    """

    patch_size: tuple[Size, Size, Size]
    foreground_share: Chance = 0.0
    loss: dict[str, Any]
    split: HeldOut
    augmentation: AugmentationRecipe = AugmentationRecipe()


def read(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: When the file is absent or says something that a recipe cannot say.
    """
    return read_as(Recipe, path)
