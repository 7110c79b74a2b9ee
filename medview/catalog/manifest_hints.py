"""What a plugin's manifest says of hints: which ones it takes, and how they are given to it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from medview.catalog.manifest_table import Table
from medview.core.hint import HintKind

_CHANNEL = r"^(previous|(positive|negative)(-(" + "|".join(HintKind) + r"))?)$"
_MORE = Annotated[float, Field(ge=0, le=1000)]

Channel = Annotated[str, Field(pattern=_CHANNEL)]
"""Which hints a channel shows: those of one sign, maybe of one kind only, or the answer before."""


class Hints(Table):
    """That a plugin takes hints, and how.

    Attributes:
        kinds: Which ones.
        negative: Whether they may also say what does not belong to the structure.
        given_as: "channels": images behind those of the image; "points": lists for a bundle's inferer; "program": as
            `context.hints` of a Python plugin.
        channels: What they show, in their order.
        sigma_voxels: Of the Gaussian around each point of a channel, in voxels of what the network sees; 0: points and
            lines are as thick as they were drawn.
        margin_mm: How far around the hints the image is looked at; None: all of it.
    """

    kinds: Annotated[tuple[HintKind, ...], Field(min_length=1)]
    negative: bool = True
    given_as: Literal["channels", "points", "program"]
    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=32)] = ("positive", "negative")
    sigma_voxels: _MORE = 3.0
    margin_mm: _MORE | None = None

    @model_validator(mode="after")
    def _points_are_points(self) -> Hints:
        if self.given_as == "points" and not set(self.kinds) <= {HintKind.POINT, HintKind.SCRIBBLE}:
            raise PydanticCustomError("only_points", "Lists of points hold points and scribbles only")
        return self
