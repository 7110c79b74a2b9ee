"""What every training recipe says: a file of plain values, and nothing that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medview.core.errors import InputError
from medview.core.text import Text

Chance = Annotated[float, Field(ge=0.0, le=1.0)]
Range = tuple[float, float]
Size = Annotated[int, Field(ge=1)]


class Record(BaseModel):
    """A part of a recipe."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Found = TypeVar("Found", bound=Record)


class HeldOut(Record):
    """Which patients are kept out of training.

    Attributes:
        salt: Text that goes into the hash of every patient; another salt is another split.
        held_out_share: The share of patients that are kept out, 0..1.
        images_per_patient: How many images with consecutive numbers belong to one patient.
    """

    salt: str
    held_out_share: Chance = 0.2
    images_per_patient: int = Field(default=1, ge=1)


class Optimisation(Record):
    """How the weights of a network are found.

    Attributes:
        seed: Start of every random choice; the same seed gives the same weights on the same machine.
        batch_size: Samples per step.
        iterations: Steps of the optimiser in all.
        warm_up: Steps over which the learning rate rises to its full value, before it falls along a cosine.
        learning_rate: The highest learning rate of AdamW.
        last_learning_rate_share: How much of it is left at the end. A high rate to the end, with a long running mean of
            the weights, keeps a network that has seen few cases from learning them by heart (Izmailov et al., Averaging
            Weights Leads to Wider Optima, UAI 2018).
        weight_decay: The weight decay of AdamW.
        gradient_limit: The norm that gradients are clipped to.
        ema_decay: How much of the running mean of the weights stays at each step; the mean is what is kept.
    """

    seed: int
    batch_size: int = Field(ge=1)
    iterations: int = Field(ge=1)
    warm_up: int = Field(default=0, ge=0)
    learning_rate: float = Field(gt=0.0)
    last_learning_rate_share: Chance = 0.0
    weight_decay: float = Field(default=0.0, ge=0.0)
    gradient_limit: float = Field(default=1.0, gt=0.0)
    ema_decay: float = Field(default=0.999, ge=0.0, lt=1.0)


def read_as(kind: type[Found], path: Path) -> Found:
    """Read a recipe of a kind.

    Raises:
        InputError: When the file is absent or says something that such a recipe cannot say.
    """
    try:
        return kind.model_validate_json(path.read_text(encoding="utf-8"))
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
