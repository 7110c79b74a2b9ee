"""The CSA header of Siemens with only some of its entries: it says how a mosaic is laid, beside much that names people.

It is read by NiBabel, and written anew in the form that starts with SV10; the original is never copied.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Collection
from typing import Any

_START = b"SV10\x04\x03\x02\x01"
_CHECK, _NO_ITEM = 77, 205
_LONGEST_NAME, _LONGEST_ITEM = 63, 64


def reduced(csa: bytes, entries: Collection[str]) -> bytes:
    """A header that holds these entries of another, where it has them, and nothing else of it.

    Args:
        csa: The header.
        entries: Names of entries that hold numbers or one word.

    Raises:
        Exception: Whatever NiBabel raises on a damaged header.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls itself experimental
        from nibabel.nicom import csareader

    tags = csareader.read(csa)["tags"]
    kept = [(name, tags[name]) for name in entries if name in tags]
    return _START + struct.pack("<2I", len(kept), _CHECK) + b"".join(_written(name, tag) for name, tag in kept)


def _written(name: str, tag: dict[str, Any]) -> bytes:
    """An entry with as many items as it had; those without a value are empty, and readers count on them."""
    items = [_text(item) for item in tag["items"]]
    items += [b""] * (int(tag["n_items"]) - len(items))
    head = (str(tag["vr"]).encode("ascii")[:2], int(tag["syngodt"]), len(items), _CHECK)
    parts = [struct.pack("<64si4s3i", name.encode("ascii")[:_LONGEST_NAME], int(tag["vm"]), *head)]
    for item in items:
        size = len(item)
        parts.append(struct.pack("<4i", size, size, _CHECK if size else _NO_ITEM, size) + item + bytes(-size % 4))
    return b"".join(parts)


def _text(item: float | str) -> bytes:
    """An item as it is written, with a zero behind it."""
    text = f"{item:.8f}" if isinstance(item, float) else str(item)
    return text.encode("ascii", "replace")[:_LONGEST_ITEM] + b"\0"
