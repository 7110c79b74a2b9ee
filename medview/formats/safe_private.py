"""Private attributes that may stay in a copy without names: the option Retain Safe Private of PS3.15 E.3.10.

They are those that the standard lists for CT, MR and PET (table E.3.10-1), some more that hold nothing but numbers, and
of Siemens' CSA header the entries that tell mosaics and diffusion (`resources/safe_private.json`). A private attribute
is known by its creator, never by its number alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from medview.core.folders import resources_folder
from medview.formats import csa_header

_FIRST_BLOCK, _LAST_BLOCK = 0x10, 0xFF


def safe_name(element: DataElement, parent: Dataset) -> str | None:
    """What a private attribute is, when it may stay; None for all others.

    A creator may stay when something of its block does.

    Args:
        element: The attribute.
        parent: The data set that it is in.
    """
    tag = BaseTag(element.tag)
    if not tag.is_private:
        return None
    if _FIRST_BLOCK <= tag.element <= _LAST_BLOCK:
        block = range((tag.element << 8), (tag.element << 8) + 0x100)
        others = (one for one in parent.group_dataset(tag.group) if one.tag.element in block)
        return "Private Creator" if any(safe_name(one, parent) for one in others) else None
    return _known().get((_creator(tag, parent), tag.group, tag.element & 0xFF))


def clean(element: DataElement, parent: Dataset) -> bool:
    """Take out of a safe attribute what is not safe in it; says whether something had to be.

    Raises:
        Exception: Whatever NiBabel raises on a damaged CSA header.
    """
    csa = _table().csa
    if not isinstance(element.value, bytes) or _known().get(_key(element, parent)) != csa.name:
        return False
    element.value = csa_header.reduced(element.value, csa.entries)
    return True


def _key(element: DataElement, parent: Dataset) -> tuple[str, int, int]:
    tag = BaseTag(element.tag)
    return _creator(tag, parent), tag.group, tag.element & 0xFF


def _creator(tag: BaseTag, parent: Dataset) -> str:
    place = BaseTag((tag.group << 16) | (tag.element >> 8))
    return str(parent[place].value).strip() if tag.element > _LAST_BLOCK and place in parent else ""


@dataclass(frozen=True, slots=True)
class _Csa:
    name: str
    entries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    names: Mapping[tuple[str, int, int], str]
    csa: _Csa


def _known() -> Mapping[tuple[str, int, int], str]:
    return _table().names


@cache
def _table() -> _Table:
    content = json.loads((resources_folder() / "safe_private.json").read_text(encoding="utf-8"))
    rows = [
        (creator, tag, name)
        for part in ("standard", "numbers")
        for creator, tags in content[part].items()
        for tag, name in tags.items()
    ]
    csa = content["csa"]
    rows.append((csa["creator"], csa["tag"], csa["name"]))
    names = {(creator, int(tag[:4], 16), int(tag[-2:], 16)): f"{name} ({creator})" for creator, tag, name in rows}
    return _Table(names, _Csa(f"{csa['name']} ({csa['creator']})", tuple(csa["entries"])))
