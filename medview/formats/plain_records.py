"""Records of the program as plain JSON, and back: every value is checked against the type of its field."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

from medview.core.text import Text

_TEXT, _VALUES = "text", "values"


def to_plain(value: Any) -> Any:
    """A record, or whatever is in one, as JSON can hold it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Text):  # the only record that is met where a field says nothing of its type
        return {_TEXT: value.template, _VALUES: to_plain(value.values)}
    if is_dataclass(value) and not isinstance(value, type):
        return [to_plain(getattr(value, name)) for name, _ in _fields(type(value))]
    if isinstance(value, frozenset):
        return sorted(to_plain(one) for one in value)
    if isinstance(value, tuple):
        return [to_plain(one) for one in value]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value) if isinstance(value, Path) else value


def from_plain(kind: Any, plain: Any) -> Any:
    """The record of a type that `to_plain` was given.

    Raises:
        ValueError: It is none of that type.
        TypeError: The same.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        rest = [part for part in parts if part is not NoneType]
        return None if plain is None and len(rest) < len(parts) else from_plain(rest[0], plain)
    if origin is tuple:
        repeated = len(parts) == 2 and parts[1] is Ellipsis
        kinds = parts[:1] * len(plain) if repeated else parts
        return tuple(from_plain(part, one) for part, one in zip(kinds, plain, strict=True))
    if origin is frozenset:
        return frozenset(from_plain(parts[0], one) for one in plain)
    if origin is np.ndarray:
        return np.array(plain, dtype=np.float64)
    if kind is Text or (kind is Any and isinstance(plain, dict)):
        return Text(from_plain(str, plain[_TEXT]), from_plain(tuple[tuple[str, Any], ...], plain[_VALUES]))
    if kind is Any:
        return plain
    if is_dataclass(kind) and isinstance(kind, type):
        return kind(*(from_plain(part, one) for (_, part), one in zip(_fields(kind), plain, strict=True)))
    if isinstance(kind, type) and issubclass(kind, Enum | Path):
        return kind(plain)
    if not isinstance(plain, kind):
        raise TypeError(f"{plain!r} is no {kind}")
    return plain


@cache
def _fields(kind: type[Any]) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in fields(kind))
