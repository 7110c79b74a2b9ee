"""The training recipe of a bundle: a file of plain values beside its configuration, and nothing that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medview.core.errors import InputError
from medview.core.text import Text

Chance = Annotated[float, Field(ge=0.0, le=1.0)]
Range = tuple[float, float]
Size = Annotated[int, Field(ge=1)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HeldOut(_Record):
    """Which patients are kept out of training.

    Attributes:
        salt: Text that goes into the hash of every patient; another salt is another split.
        held_out_share: The share of patients that are kept out, 0..1.
        images_per_patient: How many images with consecutive numbers belong to one patient.
    """

    salt: str
    held_out_share: Chance = 0.2
    images_per_patient: int = Field(default=1, ge=1)


class AugmentationRecipe(_Record):
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


class Recipe(_Record):
    """How a segmentation network is trained.

    Attributes:
        seed: Start of every random choice; the same seed gives the same weights on the same machine.
        patch_size: Size of a training patch along (x, y, z), voxels of the bundle's grid.
        batch_size: Patches per step.
        iterations: Steps of the optimiser in all.
        warm_up: Steps over which the learning rate rises to its full value, before it falls along a cosine.
        learning_rate: The highest learning rate of AdamW.
        last_learning_rate_share: How much of it is left at the end. A high rate to the end, with a long running mean of
            the weights, keeps a network that has seen few cases from learning them by heart (Izmailov et al., Averaging
            Weights Leads to Wider Optima, UAI 2018).
        weight_decay: The weight decay of AdamW.
        gradient_limit: The norm that gradients are clipped to.
        ema_decay: How much of the running mean of the weights stays at each step; the mean is what is kept.
        foreground_share: The share of patches centred on a labelled voxel; the others lie anywhere in the image.
        loss: A loss of MONAI by its `_target_` and arguments, as in a bundle's configuration.
        split: Which patients are kept out.
        augmentation: How patches are varied.
    """

    seed: int
    patch_size: tuple[Size, Size, Size]
    batch_size: int = Field(ge=1)
    iterations: int = Field(ge=1)
    warm_up: int = Field(default=0, ge=0)
    learning_rate: float = Field(gt=0.0)
    last_learning_rate_share: Chance = 0.0
    weight_decay: float = Field(default=0.0, ge=0.0)
    gradient_limit: float = Field(default=1.0, gt=0.0)
    ema_decay: float = Field(default=0.999, ge=0.0, lt=1.0)
    foreground_share: Chance = 0.0
    loss: dict[str, Any]
    split: HeldOut
    augmentation: AugmentationRecipe = AugmentationRecipe()


def read(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        InputError: When the file is absent or says something that a recipe cannot say.
    """
    try:
        return Recipe.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            Text.of("The training recipe {path} cannot be read.", path=str(path)),
            "Choose a bundle with the file configs/recipe.json.",
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            Text.of(
                "The training recipe {path} is wrong at {place}: {reason}.",
                path=str(path),
                place=".".join(str(part) for part in first["loc"]) or "its start",
                reason=first["msg"],
            ),
            "Correct the file and try again.",
        ) from error
