"""The training recipe of a network that segments inside a box: a file of plain values beside its weights."""

from __future__ import annotations

from pathlib import Path

from medview.learning.optimisation import Chance, HeldOut, Optimisation, Range, Record, read_as


class BoxedVariation(Record):
    """How cases are varied. Chances are per crop; an absent line is a variation that is not used.

    Attributes:
        mirror: Whether any of the patient's axes may point the other way.
        rotation_degrees: The largest turn around each axis, before the box is drawn.
        uptake: What all values are multiplied by.
        gamma_chance: Values bent, the highest staying.
        gamma: The exponent.
        noise_chance: Noise added.
        noise_share: Its largest deviation, in shares of the highest value.
    """

    mirror: bool = False
    rotation_degrees: float = 0.0
    uptake: Range = (1.0, 1.0)
    gamma_chance: Chance = 0.0
    gamma: Range = (1.0, 1.0)
    noise_chance: Chance = 0.0
    noise_share: float = 0.0


class BoxedRecipe(Optimisation):
    """How such a network is trained, and scored on patients that are held out.

    Attributes:
        split: Which patients are kept out.
        drawn: How far the faces of boxes lie outside the smallest box in training, in sides of the box.
        drawn_scoring: The same where the network is scored.
        boxes_scoring: How many boxes are drawn around each lesion then.
        variation: How cases are varied.
    """

    split: HeldOut
    drawn: Range = (-0.05, 0.25)
    drawn_scoring: Range = (-0.02, 0.15)
    boxes_scoring: int = 5
    variation: BoxedVariation = BoxedVariation()


def read(path: Path) -> BoxedRecipe:
    """Read a recipe.

    Raises:
        InputError: When the file is absent or says something that a recipe cannot say.
    """
    return read_as(BoxedRecipe, path)
