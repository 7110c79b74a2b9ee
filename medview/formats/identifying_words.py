"""The words of a DICOM file that say who somebody is: found in it, taken out of its texts, and looked for in a copy.

What counts: every person's name, as a whole and by its parts; every other value that the profile takes away and that is
neither a description nor a date (IDs, numbers, institutions, addresses), as a whole; the date of birth; UIDs.
What does not: common words in codes. A patient called Chest does not make the body part CHEST a secret, so code strings
and coded concepts are searched for whole names and IDs only, not for parts of names.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from medview.core.case import Patient
from medview.formats.confidentiality_profile import Action, Options, action_for, is_identifier
from medview.formats.dicom_text import iso_date

REMOVED = "REMOVED"
"""Stands where a word was."""
TEXTS = frozenset({"AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT"})
_LONGEST = {"AE": 16, "CS": 16, "SH": 16, "LO": 64}
_VALUES = frozenset({"AE", "LO", "PN", "SH", "ST", "UC", "UR"})
_BIRTH_DATE = 0x00100030
_MAKERS = ("Manufacturer", "ManufacturerModelName")
_SHORTEST_WORD, _SHORTEST_VALUE, _SHORTEST_STRICT = 3, 4, 6
_LONGEST_VALUE = 128
_SHORTEST_UID = 12
_NAMELESS = frozenset({"anonymous", "anonymized", "anonymised", "anon", "unknown", "none", "removed", "noname", "null"})
"""Said where a name is missing."""
_PARTICLES = frozenset(
    {
        *("van", "von", "der", "den", "ter", "del", "della", "des", "dos", "das", "los", "las", "bin", "ibn", "abu"),
        *("and", "the", "prof", "med", "phd"),
    }
)
"""Parts of many names, and words of many languages."""
_GAP = r"[\s\^,._=\-/]*"
_SPLIT = re.compile(r"[\s\^,._=\-/;()]+")
_CODE_PARTS = frozenset(
    {
        *("CodeValue", "LongCodeValue", "URNCodeValue", "CodeMeaning", "CodingSchemeDesignator"),
        *("CodingSchemeVersion", "MappingResource", "MappingResourceName", "ContextIdentifier"),
    }
)
_PRIVATE_SCHEME = "99"


@dataclass(frozen=True)
class Identity:
    """Who is named in a file. Nothing of it is ever written down.

    Attributes:
        words: Parts of names, sought in texts.
        phrases: Whole names and values, each as its words in order; sought in texts.
        strict: Those of the phrases that cannot be there by chance; sought in codes too.
        uids: Of the study, its series and objects.
    """

    words: frozenset[str]
    phrases: frozenset[tuple[str, ...]]
    strict: frozenset[tuple[str, ...]]
    uids: frozenset[str] = frozenset()

    @classmethod
    def of(cls, dataset: Dataset, options: Options) -> Identity:
        """Everything in a data set, at any depth, that the profile takes away because it names somebody."""
        makers = {str(dataset.get(one, "")).strip().casefold() for one in _MAKERS}
        names: list[str] = []
        values: list[str] = []
        dates: list[str] = []
        uids: set[str] = set()
        for element in walk(dataset):
            kept = action_for(element.tag, element.VR, options) in (Action.KEEP, Action.CLEAN)
            told = [str(one) for one in listed(element.value)] if element.VR not in ("SQ", "UN") else []
            if element.VR == "PN":
                names += told
            elif element.tag == _BIRTH_DATE:
                dates += told
            elif element.VR == "UI" and not kept:
                uids |= {one for one in told if one and not one.startswith("1.2.840.10008.")}
            elif element.VR in _VALUES and not kept and is_identifier(element.tag):
                values += [one for one in told if not any(one.strip().casefold() in maker for maker in makers)]
        return cls._from(names, values, dates, uids)

    @classmethod
    def of_patient(cls, patient: Patient) -> Identity:
        """What is known of a patient without the file."""
        return cls._from([patient.name], [patient.key], [patient.birth_date], set())

    @classmethod
    def _from(cls, names: Iterable[str], values: Iterable[str], dates: Iterable[str], uids: Iterable[str]) -> Identity:
        words: set[str] = set()
        phrases: set[tuple[str, ...]] = set()
        strict: set[tuple[str, ...]] = set()
        for name in names:
            for group in name.split("="):
                parts = [_words(part) for part in group.split("^")[:3]]
                words |= {word for part in parts for word in part if _is_name_part(word)}
                whole = [word for part in parts for word in part]
                if len("".join(whole)) < _SHORTEST_WORD or set(whole) & _NAMELESS:
                    continue
                phrases.add(tuple(whole))
                if len(whole) > 1:
                    family, given = parts[0], [word for part in parts[1:] for word in part]
                    orders = {tuple(whole), tuple(whole[::-1]), (*given, *family)}
                    if family and given:
                        orders |= {(*family, given[0]), (given[0], *family)}
                    phrases |= orders
                    strict |= orders
        for value in values:
            told = tuple(_words(value))
            joined = "".join(told)
            if not _SHORTEST_VALUE <= len(joined) <= _LONGEST_VALUE or set(joined) <= {"0"} or set(told) & _NAMELESS:
                continue
            phrases.add(told)
            if len(joined) >= _SHORTEST_STRICT and (len(told) > 1 or any(letter.isdigit() for letter in value)):
                strict.add(told)
        for day in dates:
            phrases |= set(_written_dates(day))
        return cls(frozenset(words), frozenset(phrases), frozenset(strict), frozenset(uids))

    def cleaned(self, text: str, *, code: bool = False) -> str:
        """A text in which each of the words is replaced. `code`: only what cannot be there by chance."""
        pattern = _pattern(self.strict if code else self._wide)
        cleaned = pattern.sub(REMOVED, text) if pattern is not None else text
        for uid in self.uids:
            if not code and len(uid) >= _SHORTEST_UID and uid in cleaned:
                cleaned = cleaned.replace(uid, REMOVED)
        return cleaned

    def clean(self, element: DataElement, parent: Dataset) -> bool:
        """Take the words out of a text or code, and an ID out of a number; whether there were any."""
        if element.VR == "IS" and self._is_id(element):
            element.value = 0
            return True
        if element.VR not in TEXTS and element.VR != "CS":
            return False
        code = _is_code(element, parent)
        before = [str(one) for one in listed(element.value)]
        after = [self.cleaned(one, code=code) for one in before]
        if after == before:
            return False
        longest = _LONGEST.get(element.VR)
        fitting = [one[:longest].strip() for one in after]
        element.value = fitting[0] if len(fitting) == 1 else fitting
        return True

    def is_in(self, element: DataElement, parent: Dataset) -> bool:
        """Whether an attribute says one of the words or UIDs."""
        value = element.value
        if value is None or element.VR == "SQ":
            return False
        if isinstance(value, bytes):
            return self.is_in_bytes(value)
        told = [str(one) for one in listed(value)]
        if element.VR == "UI":
            return not self.uids.isdisjoint(told)
        if element.VR == "IS":
            return self._is_id(element)
        if element.VR not in TEXTS and element.VR not in ("CS", "PN"):
            return False
        code = _is_code(element, parent)
        return any(self.cleaned(one, code=code) != one for one in told)

    def is_in_bytes(self, content: bytes) -> bool:
        """Whether bytes that are no text say a whole name, or an ID with letters in it."""
        pattern = _raw_pattern(self.strict)
        return pattern is not None and pattern.search(content) is not None

    def _is_id(self, element: DataElement) -> bool:
        """Whether a number is one of the IDs: some machines count series on from the ID of the patient."""
        return any((str(one),) in self.strict for one in listed(element.value))

    @property
    def _wide(self) -> frozenset[tuple[str, ...]]:
        return self.phrases | {(word,) for word in self.words}


def walk(dataset: Dataset) -> Iterator[DataElement]:
    """Every attribute at every depth."""
    for element, _ in walk_with_parent(dataset):
        yield element


def walk_with_parent(dataset: Dataset) -> Iterator[tuple[DataElement, Dataset]]:
    """Every attribute at every depth, with the data set or item that holds it."""
    waiting = [dataset]
    while waiting:
        parent = waiting.pop()
        for element in parent:
            yield element, parent
            if element.VR == "SQ":
                waiting.extend(element.value)


def listed(value: Any) -> list[Any]:
    """The values of an attribute, one or many, as a list."""
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, list | tuple) or hasattr(value, "insert") else [value]


def _is_code(element: DataElement, parent: Dataset) -> bool:
    if element.VR == "CS":
        return True
    scheme = str(parent.get("CodingSchemeDesignator", "") or _PRIVATE_SCHEME)
    return element.keyword in _CODE_PARTS and not scheme.startswith(_PRIVATE_SCHEME)


def _words(text: str) -> list[str]:
    return [word for word in _SPLIT.split(text.strip().casefold()) if word]


def _is_name_part(word: str) -> bool:
    if word in _NAMELESS or word in _PARTICLES or not any(letter.isalpha() for letter in word):
        return False
    return len(word) >= (2 if _is_east_asian(word) else _SHORTEST_WORD)


def _is_east_asian(text: str) -> bool:
    return any(unicodedata.east_asian_width(letter) in "WF" for letter in text)


def _plain(word: str) -> str:
    """Without accents."""
    return "".join(one for one in unicodedata.normalize("NFKD", word) if not unicodedata.combining(one))


def _written_dates(day: str) -> Iterator[tuple[str, ...]]:
    iso = iso_date(day)
    if iso:
        moment = date.fromisoformat(iso)
        year, month, number = f"{moment:%Y}", f"{moment:%m}", f"{moment:%d}"
        yield from ((year, month, number), (number, month, year), (month, number, year))


# The files of a series name the same people, and making a pattern takes longer than using it.
@lru_cache(maxsize=32)
def _pattern(phrases: frozenset[tuple[str, ...]]) -> re.Pattern[str] | None:
    written: set[str] = set()
    for phrase in phrases:
        for words in {phrase, tuple(_plain(word) for word in phrase)}:
            whole = _GAP.join(re.escape(word) for word in words)
            # scripts without spaces between words have no word boundaries either
            before = "" if _is_east_asian(words[0][:1]) else r"(?<![^\W_])"
            after = "" if _is_east_asian(words[-1][-1:]) else r"(?![^\W_])"
            written.add(f"{before}{whole}{after}")
    return re.compile("|".join(sorted(written, key=len, reverse=True)), re.IGNORECASE) if written else None


@lru_cache(maxsize=32)
def _raw_pattern(phrases: frozenset[tuple[str, ...]]) -> re.Pattern[bytes] | None:
    sought = [
        _GAP.join(re.escape(word) for word in phrase)
        for phrase in phrases
        if "".join(phrase).isascii() and re.search("[a-z]", "".join(phrase))
    ]
    if not sought:
        return None
    whole = "|".join(sorted(sought, key=len, reverse=True))
    return re.compile(rf"(?<![A-Za-z0-9])(?:{whole})(?![A-Za-z0-9])".encode("ascii"), re.IGNORECASE)
