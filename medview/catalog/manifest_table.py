"""What the tables of a plugin's manifest have in common, and the kinds of values in them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

NonEmpty = Annotated[str, Field(min_length=1, max_length=2000)]
Millimetres = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Voxels = Annotated[int, Field(ge=1, le=4096)]
Extent = tuple[Millimetres, Millimetres, Millimetres]
"""Left-right, front-back, foot-head."""


def _stays_inside(value: str) -> str:
    parts = PurePosixPath(value.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in value:
        raise PydanticCustomError("path_outside", "The path must stay inside the plugin's folder")
    return value


Inside = Annotated[str, AfterValidator(_stays_inside)]
"""A path inside the plugin's folder."""
Triple = tuple[NonEmpty, NonEmpty, NonEmpty]
"""Coding scheme, code value, code meaning."""


class Table(BaseModel):
    """A table of the manifest: frozen, strict, its keys with hyphens, and nothing in it that is not known."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        alias_generator=lambda name: name.replace("_", "-"),
        validate_by_name=False,
        validate_by_alias=True,
    )
