"""Which attributes an object cannot do without: the types 1 and 2 of PS3.3, from the tables that highdicom carries."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from types import MappingProxyType

Path = tuple[str, ...]
"""Keywords of the sequences around an attribute, the outermost first."""


class Need(StrEnum):
    """What an object wants of an attribute."""

    VALUE = "1"
    PRESENCE = "2"


@cache
def needs(sop_class_uid: str) -> Mapping[tuple[Path, str], Need]:
    """What objects of a class must have, by place and keyword; empty for classes that nobody knows.

    What is required under a condition counts as required: where it is there, its condition is taken to hold.
    """
    from highdicom._standard_utils import get_iod_module_map, get_module_attribute_map, get_sop_class_iod_map

    modules = get_iod_module_map().get(get_sop_class_iod_map().get(sop_class_uid, ""), [])
    tables = get_module_attribute_map()
    found: dict[tuple[Path, str], Need] = {}
    for module in modules:
        for row in tables.get(module["key"], []):
            kind = str(row["type"])[:1]
            if kind in (Need.VALUE, Need.PRESENCE):
                place = (tuple(row["path"]), str(row["keyword"]))
                found[place] = min(Need(kind), found.get(place, Need.PRESENCE))
    return MappingProxyType(found)
