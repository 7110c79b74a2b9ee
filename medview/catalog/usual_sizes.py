"""How large structures of adults usually are, where somebody has measured it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter

from medview.core.folders import resources_folder
from medview.core.segmentation import Code


@dataclass(frozen=True, slots=True)
class UsualSize:
    """From the smallest to the largest that a study of adults found.

    Attributes:
        code: The structure: value and coding scheme.
        least_ml: The smallest.
        most_ml: The largest.
        source: The study.
    """

    code: tuple[str, str]
    least_ml: float
    most_ml: float
    source: str


@dataclass(frozen=True, slots=True)
class _File:
    ranges: tuple[UsualSize, ...]


def usual_size(code: Code | None) -> UsualSize | None:
    """The usual size of a structure; None where no study is known."""
    if code is None:
        return None
    return next((one for one in _known() if one.code == (code.value, code.scheme)), None)


@cache
def _known() -> tuple[UsualSize, ...]:
    return TypeAdapter(_File).validate_json((resources_folder() / "usual_sizes.json").read_bytes()).ranges
