"""The training recipe of a classifier of pictures: a file of plain values beside its weights."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from medview.learning.optimisation import Chance, Optimisation, Range, Record, read_as


class PictureVariation(Record):
    """How pictures are varied. Chances are per picture; an absent line is a variation that is not used.

    Attributes:
        mirror_chance: Left and right exchanged.
        affine_chance: Turned, made larger, sheared and moved, by amounts drawn evenly.
        rotation_degrees: The largest turn.
        scale: How many times as large.
        shear_degrees: The largest shear.
        translation_share: The largest movement, in widths of the picture.
        contrast_chance: Values drawn apart from their mean.
        contrast: How far.
        brightness: The largest shift that comes with it, of 0..1.
        gamma_chance: Values bent.
        gamma: The exponent.
        noise_chance: Noise added.
        noise_sigma: Its largest deviation, of 0..1.
        low_resolution_chance: Made coarser and back.
        low_resolution: How large the coarse picture is, of the fine one.
        erase_chance: A rectangle made grey.
        erase_share: The share of its sides.
        mix_chance: Laid over another picture of the batch, and the answer with it (Zhang et al., mixup, ICLR 2018).
    """

    mirror_chance: Chance = 0.0
    affine_chance: Chance = 0.0
    rotation_degrees: float = 0.0
    scale: Range = (1.0, 1.0)
    shear_degrees: float = 0.0
    translation_share: float = 0.0
    contrast_chance: Chance = 0.0
    contrast: Range = (1.0, 1.0)
    brightness: float = 0.0
    gamma_chance: Chance = 0.0
    gamma: Range = (1.0, 1.0)
    noise_chance: Chance = 0.0
    noise_sigma: float = 0.0
    low_resolution_chance: Chance = 0.0
    low_resolution: Range = (1.0, 1.0)
    erase_chance: Chance = 0.0
    erase_share: Range = (0.1, 0.4)
    mix_chance: Chance = 0.0


class PictureRecipe(Optimisation):
    """How a classifier of pictures is trained and calibrated.

    Attributes:
        balance: 1: every class is drawn equally often; 0: as often as it comes; between: in between.
        label_smoothing: How much of the answer is spread over all classes.
        variation: How pictures are varied.
        positive: The class that the threshold is for.
        feature_directions: How many directions of the features tell the known from the unknown.
        picture_directions: How many directions of the pictures themselves do.
        familiar_share: The share of validation pictures that count as known.
    """

    balance: Chance = 1.0
    label_smoothing: Chance = 0.0
    variation: PictureVariation = PictureVariation()
    positive: int = Field(default=1, ge=0)
    feature_directions: int = Field(default=16, ge=1)
    picture_directions: int = Field(default=32, ge=1)
    familiar_share: Chance = 0.99


def read(path: Path) -> PictureRecipe:
    """Read a recipe.

    Raises:
        InputError: When the file is absent or says something that a recipe cannot say.
    """
    return read_as(PictureRecipe, path)
