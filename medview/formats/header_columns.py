"""Headers as a few bytes that another run of the program reads again.

The files of a series say nearly the same, so they are kept by columns: what all of them share is there once, and most
of the rest as a number into a short list. Reading them back runs no code that the bytes could choose: they are JSON,
and every value is checked against the type of its field.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from medview.formats.dicom_header import Header
from medview.formats.file_walk import Stamp

_NOT_KEPT = "path"
_SHARED_FROM = 2
"""How often values have to come, on average, before they are worth a list of their own."""
_FAST = 1


@dataclass(frozen=True, slots=True)
class KnownFiles:
    """Files of one folder that have been read.

    Attributes:
        names: Of the files.
        stamps: What they were when they were read.
        headers: What they say.
    """

    names: list[str]
    stamps: list[Stamp]
    headers: list[Header]


def packed(folder: Path, files: KnownFiles) -> bytes:
    """Files of a folder as bytes."""
    columns = [
        _column([getattr(one, name) for one in files.headers], kind)
        for name, kind in _fields(Header)
        if name != _NOT_KEPT
    ]
    content = {"folder": str(folder), "names": files.names, "stamps": files.stamps, "headers": columns}
    return zlib.compress(json.dumps(content, separators=(",", ":")).encode(), _FAST)


def unpacked(content: bytes, folder: Path, shown_as: Path) -> KnownFiles:
    """What `packed` was given.

    Args:
        content: The bytes.
        folder: The folder that it was given.
        shown_as: The same folder, as it begins the paths of the headers.

    Raises:
        ValueError: The bytes are not what `packed` makes of this folder.
    """
    try:
        found = json.loads(zlib.decompress(content))
        names: list[str] = found["names"]
        if found["folder"] != str(folder):
            raise ValueError("another folder")
        columns, paths = iter(found["headers"]), [shown_as / name for name in names]
        values = [
            paths if name == _NOT_KEPT else _values(next(columns), kind, len(names)) for name, kind in _fields(Header)
        ]
        headers = [Header(*row) for row in zip(*values, strict=True)]
        stamps = [Stamp(*one) for one in found["stamps"]]
    except (zlib.error, ValueError, TypeError, KeyError, IndexError, StopIteration) as error:
        raise ValueError("these bytes hold no headers") from error
    if not len(names) == len(headers) == len(stamps):
        raise ValueError("there are not as many headers as files")
    return KnownFiles(names, stamps, headers)


def _column(values: list[Any], kind: Any) -> dict[str, Any]:
    """What many headers say in one place."""
    if len(set(map(id, values))) == 1:  # comparing records takes longer
        return {"of": _list(kind).dump_python(values[:1])}
    distinct = {value: number for number, value in enumerate(dict.fromkeys(values))}
    if len(distinct) * _SHARED_FROM <= len(values) or len(values) == 1:
        of = _list(kind).dump_python(list(distinct))
        return {"of": of} if len(of) == 1 else {"of": of, "at": [distinct[value] for value in values]}
    if isinstance(kind, type) and is_dataclass(kind):
        return {"parts": [_column([getattr(one, name) for one in values], part) for name, part in _fields(kind)]}
    return {"each": _list(kind).dump_python(values)}


def _values(column: dict[str, Any], kind: Any, count: int) -> Iterable[Any]:
    if "parts" in column:
        of_parts = zip(_fields(kind), column["parts"], strict=True)
        return map(kind, *(_values(part, part_kind, count) for (_, part_kind), part in of_parts))
    if "each" in column:
        return _list(kind).validate_python(column["each"])
    of = _list(kind).validate_python(column["of"])
    return [of[number] for number in column["at"]] if "at" in column else repeat(of[0], count)


@cache
def _fields(kind: Any) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in fields(kind))


@cache
def _list(kind: Any) -> TypeAdapter[list[Any]]:
    return TypeAdapter(list[kind])
