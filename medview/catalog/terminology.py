"""What the structures that people segment are called, coded and coloured."""

from __future__ import annotations

import colorsys
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from medview.core.errors import StorageError
from medview.core.folders import resources_folder
from medview.core.segmentation import Code, Color, Segment

_SIDES = {"l": "left", "lt": "left", "r": "right", "rt": "right"}
_FILLERS = frozenset({"of", "the", "and", "with"})
_SHADES = (1.0, 0.72, 1.28)
"""How light the palette is in its first, second and third round."""


@dataclass(frozen=True, slots=True)
class Term:
    """A structure as the list of structures knows it.

    Attributes:
        name: English.
        code: What it is (DICOM Segmented Property Type).
        category: What kind of thing it is (Segmented Property Category).
        laterality: Left or right, as a modifier of the type; None when it has no side or the code says it.
        color: How it is drawn until the user chooses.
        aliases: Other names for it, in any language.
    """

    name: str
    code: Code
    category: Code
    laterality: Code | None
    color: Color
    aliases: tuple[str, ...] = ()

    def segment(self, label: int, name: str = "", color: Color | None = None) -> Segment:
        """A segment that is this structure."""
        return Segment(label, name or self.name, color or self.color, self.code, self.category, self.laterality)


class Terminology:
    """The structures, and colours for what is not among them.

    Args:
        terms: The structures; the first of two that share a name wins.
        generic: What is said of a structure that nobody has coded.
        palette: Colours for unnamed segments, told apart by colour-blind readers too.
        translations: English name -> the names in other languages.
    """

    def __init__(
        self,
        terms: tuple[Term, ...],
        generic: Term,
        palette: tuple[Color, ...],
        translations: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.terms = terms
        self.generic = generic
        self._palette = palette
        self._by_words: dict[tuple[str, ...], Term] = {}
        by_name = {term.name: term for term in terms}
        for term in terms:
            self._by_words.setdefault(_words(term.name), term)
        for name, translated in translations:
            if name in by_name:
                self._by_words.setdefault(_words(translated), by_name[name])
        for term in terms:
            for alias in term.aliases:
                self._by_words.setdefault(_words(alias), term)

    def find(self, name: str) -> Term | None:
        """The structure with this name, in English or another language of the program.

        Case, order of words, punctuation and short forms of the sides do not matter: "Left kidney", "kidney_left" and
        "Kidney, L" are the same.
        """
        words = _words(name)
        return self._by_words.get(words) if words else None

    def color(self, number: int) -> Color:
        """The colour of an unnamed segment; `number` is its label, from 1."""
        base = self._palette[(number - 1) % len(self._palette)]
        shade = _SHADES[(number - 1) // len(self._palette) % len(_SHADES)]
        hue, lightness, saturation = colorsys.rgb_to_hls(*(value / 255 for value in base))
        red, green, blue = colorsys.hls_to_rgb(hue, min(lightness * shade, 0.9), saturation)
        return round(red * 255), round(green * 255), round(blue * 255)

    def named(self, label: int, name: str) -> Segment:
        """A segment with this name: with codes and colour where the name is known, coloured by its label where not."""
        term = self.find(name)
        return term.segment(label, name) if term else Segment(label, name, self.color(label))

    def completed(self, segment: Segment) -> Segment:
        """A segment whose missing codes are taken from its name; generic ones when the name says nothing."""
        if segment.code is not None and segment.category is not None:
            return segment
        if segment.code is not None:
            same = next((term for term in self.terms if _same(term.code, segment.code)), self.generic)
            return replace(segment, category=same.category)
        term = self.find(segment.name) or self.generic
        return replace(
            segment, code=term.code, category=term.category, laterality=segment.laterality or term.laterality
        )


def load(folder: Path | None = None) -> Terminology:
    """The structures that the program knows.

    Args:
        folder: The folder of `labels.json`; the program's own resources when not given.

    Raises:
        StorageError: The list is missing or damaged.
    """
    folder = folder or resources_folder()
    try:
        record = _File.model_validate_json((folder / "labels.json").read_bytes())
        translations = tuple(
            pair
            for path in sorted(folder.glob("translations/*/labels.json"))
            for pair in json.loads(path.read_text(encoding="utf-8")).items()
        )
    except (OSError, ValidationError, json.JSONDecodeError) as error:
        raise StorageError("The list of structures is missing or damaged.", "Install MedView again.") from error
    generic = Term("", Code(*record.generic.code), Code(*record.generic.category), None, record.palette[0])
    terms = tuple(
        Term(
            one.name,
            Code(*one.code),
            Code(*one.category),
            Code(*one.laterality) if one.laterality else None,
            one.color,
            one.aliases,
        )
        for one in record.structures
    )
    return Terminology(terms, generic, record.palette, translations)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Generic(_Strict):
    code: tuple[str, str, str]
    category: tuple[str, str, str]


class _Structure(_Strict):
    name: str
    code: tuple[str, str, str]
    category: tuple[str, str, str]
    laterality: tuple[str, str, str] | None
    color: Color
    aliases: tuple[str, ...]


class _File(_Strict):
    generic: _Generic
    palette: tuple[Color, ...]
    structures: tuple[_Structure, ...]


def _same(one: Code, other: Code) -> bool:
    return (one.value, one.scheme) == (other.value, other.scheme)


def _words(name: str) -> tuple[str, ...]:
    words = re.findall(r"[^\W_]+", name.casefold())
    return tuple(sorted(_SIDES.get(word, word) for word in words if word not in _FILLERS))
