"""Fonts for the text in the pictures.

VTK carries a font for Latin, Greek and Cyrillic. For a name in another script a font file of the system is looked for
that has all of its characters; where there is none, the name is left out, because a row of boxes is worse than a gap.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

_PREFERRED = (
    "NotoSansCJK-Regular.ttc", "NotoSansSC-Regular.otf", "SourceHanSansSC-Regular.otf", "msyh.ttc", "PingFang.ttc",
    "Hiragino Sans GB.ttc", "STHeiti Light.ttc", "wqy-microhei.ttc", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf",
    "YuGothR.ttc", "malgun.ttf", "simsun.ttc", "Arial Unicode.ttf", "NotoSans-Regular.ttf", "DejaVuSans.ttf",
    "segoeui.ttf", "tahoma.ttf",
)  # fmt: skip
_SUFFIXES = {".ttf", ".ttc", ".otf"}
_MOST_FILES = 3000
_OWN_RANGES = ((0x20, 0x7E), (0xA0, 0xFF))
"""What every build of VTK's own font draws."""
_PRINTABLE = frozenset(range(0x21, 0x7F))
_SIGNS = MappingProxyType({"\u26a0": "(!)", "\u2248": "~"})
"""Signs that numbers carry, and how they are written where a font lacks them."""


@dataclass(frozen=True, slots=True)
class Spelling:
    """How a text is drawn.

    Attributes:
        text: Its characters.
        font: The file of the font; None for VTK's own.
        is_whole: Whether all of it shows, in lines of equal height: some fonts of Chinese have no letters and figures.
    """

    text: str
    font: Path | None = None
    is_whole: bool = True


def spelled(text: str) -> Spelling | None:
    """How a text can be drawn with one font; None when no font has its characters.

    Signs that a font lacks beside the words are written otherwise, never left out.
    """
    if not _foreign(text):
        return Spelling(text)
    plain = text
    candidates = [text]
    for sign, other in _SIGNS.items():
        plain = plain.replace(sign, other)
        candidates.append(plain)
    for candidate in candidates:
        wanted = _foreign(candidate)
        font = _file_with(wanted | _PRINTABLE | _latin(candidate)) if wanted else None
        if font is not None or not wanted:
            return Spelling(candidate, font)
    font = _file_with(_foreign(plain))
    return Spelling(plain, font, is_whole=False) if font is not None else None


def characters_of(path: Path, wanted: Iterable[int]) -> frozenset[int]:
    """Which of some code points a TrueType or OpenType file has (its table 'cmap', formats 4 and 12)."""
    try:
        data = path.read_bytes()
        table = _cmap(data)
        return frozenset(code for code in wanted if _has(data, table, code))
    except (OSError, struct.error, IndexError, ValueError):
        return frozenset()


def _foreign(text: str) -> frozenset[int]:
    codes = {ord(letter) for letter in text if not letter.isspace()}
    return frozenset(code for code in codes if not any(first <= code <= last for first, last in _OWN_RANGES))


def _latin(text: str) -> frozenset[int]:
    """The letters and signs of the upper half of Latin-1."""
    return frozenset(ord(letter) for letter in text if 0xA0 < ord(letter) <= 0xFF)


@cache
def _file_with(wanted: frozenset[int]) -> Path | None:
    return next((path for path in _files() if characters_of(path, wanted) == wanted), None)


@cache
def _files() -> tuple[Path, ...]:
    """Font files of the system, the preferred ones first."""
    order = {name: rank for rank, name in enumerate(_PREFERRED)}
    found = [path for folder in _folders() for path in _fonts_under(folder)][:_MOST_FILES]
    return tuple(sorted(found, key=lambda path: (order.get(path.name, len(order)), path.name)))


def _fonts_under(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        for name in sorted(names):
            if Path(name).suffix.lower() in _SUFFIXES:
                yield Path(root) / name


def _folders() -> tuple[Path, ...]:
    home = Path.home()
    if sys.platform == "win32":
        windows = Path(os.environ.get("WINDIR", r"C:\Windows"))
        local = Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
        return windows / "Fonts", local / "Microsoft" / "Windows" / "Fonts"
    if sys.platform == "darwin":
        return Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts"
    return (
        Path("/usr/share/fonts"),
        Path("/usr/local/share/fonts"),
        home / ".local" / "share" / "fonts",
        home / ".fonts",
    )


def _cmap(data: bytes) -> int:
    """Where the best Unicode subtable of the (first) face starts."""
    face = struct.unpack_from(">I", data, 12)[0] if data[:4] == b"ttcf" else 0
    count = struct.unpack_from(">H", data, face + 4)[0]
    for number in range(count):
        tag, _, offset, _ = struct.unpack_from(">4sIII", data, face + 12 + 16 * number)
        if tag == b"cmap":
            return _unicode_subtable(data, offset)
    raise ValueError("The font has no table of characters.")


def _unicode_subtable(data: bytes, cmap: int) -> int:
    count = struct.unpack_from(">H", data, cmap + 2)[0]
    tables: dict[int, int] = {}
    for number in range(count):
        platform, encoding, offset = struct.unpack_from(">HHI", data, cmap + 4 + 8 * number)
        if platform == 0 or (platform, encoding) in ((3, 1), (3, 10)):
            kind = struct.unpack_from(">H", data, cmap + offset)[0]
            tables[kind] = cmap + offset
    if 12 in tables:
        return tables[12]
    if 4 in tables:
        return tables[4]
    raise ValueError("The font has no Unicode characters.")


def _has(data: bytes, table: int, code: int) -> bool:
    if struct.unpack_from(">H", data, table)[0] == 12:
        groups = struct.unpack_from(">I", data, table + 12)[0]
        places = (table + 16 + 12 * number for number in range(groups))
        return any(first <= code <= last for first, last in (struct.unpack_from(">II", data, at) for at in places))
    if code > 0xFFFF:
        return False
    return _has_in_segments(data, table, code)


def _has_in_segments(data: bytes, table: int, code: int) -> bool:
    """Format 4: parallel arrays of end codes, start codes, deltas and offsets into a glyph array."""
    segments = struct.unpack_from(">H", data, table + 6)[0] // 2
    ends = table + 14
    starts = ends + 2 * segments + 2
    deltas, offsets = starts + 2 * segments, starts + 4 * segments
    for number in range(segments):
        end, start = (struct.unpack_from(">H", data, base + 2 * number)[0] for base in (ends, starts))
        if start <= code <= end:
            delta, jump = (struct.unpack_from(">H", data, base + 2 * number)[0] for base in (deltas, offsets))
            if jump == 0:
                return bool((code + delta) & 0xFFFF)
            glyph = struct.unpack_from(">H", data, offsets + 2 * number + jump + 2 * (code - start))[0]
            return bool(glyph)
    return False
