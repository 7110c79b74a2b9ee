"""The Basic Application Level Confidentiality Profile of DICOM PS3.15 with options: what becomes of each attribute.

The column of the basic profile is data of the package dicom-anonymizer (BSD), taken from the standard's edition 2026c;
the columns of options are `resources/confidentiality_options.json`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from pydicom.datadict import tag_for_keyword
from pydicom.tag import BaseTag

from medview.core.folders import resources_folder

EDITION = "PS3.15 2026c"
_TIMES = frozenset({"DA", "DT", "TM"})
_TEXTS = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
_TIMEZONE = 0x00080201
_BIRTH = frozenset({0x00100030, 0x00100032})
"""Date and time of birth: no option keeps them."""
_PATIENT_GROUP = 0x0010
_OVERLAY_GROUPS = range(0x6000, 0x6020)
_TEXT_VALUE, _CONTENT, _GRAPHICS = 0x0040A160, 0x0040A730, 0x00700001
_CONTENT_TEXTS = frozenset({_TEXT_VALUE, 0x00700006})
"""What is written in a report (Text Value) and in a drawing (Unformatted Text Value)."""
_NESTED = frozenset({0x0040A073, 0x00340001})
"""Verifying Observer Sequence, Flow Identifier Sequence: the table has a line for each attribute of their items."""

_REFERENCES = frozenset({0x00081110, 0x00081111})
"""Referenced Study and Performed Procedure Step Sequence, which the option Retain UIDs keeps."""


class Action(StrEnum):
    """What is done with an attribute, in the standard's letters."""

    REMOVE = "X"
    EMPTY = "Z"
    REPLACE = "D"
    NEW_UID = "U"
    CLEAN = "C"
    KEEP = "K"


@dataclass(frozen=True, slots=True)
class Options:
    """What is retained beyond the basic profile.

    Attributes:
        shift_dates: Keep dates, moved by a number of days that is the same for all studies of a patient; keep times.
        keep_uids: Keep UIDs.
        clean_descriptors: Keep descriptions and the text of reports, without the words that name somebody.
        keep_characteristics: Keep sex, age, size and weight.
        keep_risky: Keep files that may show names in their pixels.
        keep_safe_private: Keep the private attributes that are known to hold no identity (`safe_private`).
    """

    shift_dates: bool = False
    keep_uids: bool = False
    clean_descriptors: bool = False
    keep_characteristics: bool = False
    keep_risky: bool = False
    keep_safe_private: bool = False


def action_for(tag: BaseTag, vr: str, options: Options) -> Action:
    """What becomes of an attribute.

    Where the table leaves a choice (X/Z, X/D, Z/D, X/Z/D), the one is taken that keeps any object valid: a replacement,
    or for a sequence its removal. What the table does not list is kept, except names, dates, what is told of the
    patient, and what has no known form. CLEAN of a sequence means that its items are treated one by one.

    Args:
        tag: Of the attribute.
        vr: Its value representation.
        options: What is retained.
    """
    if tag.is_private or tag.group in _OVERLAY_GROUPS:
        return Action.REMOVE  # without its data (X in the table), what describes an overlay is wrong
    number = int(tag)
    listed = Action.REPLACE if number == _TEXT_VALUE else _listed(number)
    if listed is None:
        return _unlisted(tag, vr, options)
    retained = _retained(number, vr, listed, options)
    if retained is not None:
        return retained
    return _sequence(number, listed) if vr == "SQ" else listed


def is_identifier(tag: BaseTag) -> bool:
    """Whether what is taken away with an attribute names somebody or some place.

    Descriptions, what kind of person a patient is, and private attributes are taken away too, but their words are
    common ones, which other texts may hold.
    """
    number, columns = int(tag), _options()
    described = columns.descriptors | columns.characteristics | columns.cleaned_characteristics
    return not tag.is_private and number not in described


def is_content(tag: BaseTag) -> bool:
    """Whether an attribute holds the tree of a report."""
    return int(tag) == _CONTENT


def is_graphics(tag: BaseTag) -> bool:
    """Whether an attribute holds what is drawn on an image."""
    return int(tag) == _GRAPHICS


def _retained(number: int, vr: str, listed: Action, options: Options) -> Action | None:
    """What an option makes of a listed attribute; None where none says anything."""
    columns, text = _options(), vr in _TEXTS or vr == "SQ"
    if listed is Action.NEW_UID:
        return Action.KEEP if options.keep_uids else None
    if options.keep_uids and number in _REFERENCES:
        return Action.CLEAN
    if options.keep_characteristics and number in columns.characteristics:
        return Action.CLEAN if vr == "AS" else Action.KEEP
    if options.keep_characteristics and number in columns.cleaned_characteristics and text:
        return Action.CLEAN
    if options.clean_descriptors and text and (number in columns.descriptors or number in _CONTENT_TEXTS):
        return Action.CLEAN
    if options.shift_dates and (vr in _TIMES or number == _TIMEZONE) and number not in _BIRTH:
        return Action.KEEP if vr == "TM" or number == _TIMEZONE else Action.CLEAN
    return None


def _sequence(number: int, listed: Action) -> Action:
    if listed is Action.CLEAN or number in (_CONTENT, _GRAPHICS) or number in _NESTED:
        return Action.CLEAN
    return listed if number in _table().never_removed else Action.REMOVE


def _unlisted(tag: BaseTag, vr: str, options: Options) -> Action:
    if vr == "UN":
        return Action.REMOVE
    if vr == "PN" or (tag.group == _PATIENT_GROUP and vr in _TEXTS):
        return Action.EMPTY
    if vr in ("DA", "DT"):
        return Action.CLEAN if options.shift_dates else Action.REPLACE
    return Action.CLEAN if vr == "SQ" or vr in _TEXTS else Action.KEEP


def _listed(number: int) -> Action | None:
    table = _table()
    if number in table.exact:
        return table.exact[number]
    return next((action for (one, mask), action in table.masked.items() if number & mask == one), None)


@dataclass(frozen=True, slots=True)
class _Table:
    exact: dict[int, Action]
    masked: dict[tuple[int, int], Action]
    never_removed: frozenset[int]


@dataclass(frozen=True, slots=True)
class _OptionColumns:
    descriptors: frozenset[int]
    characteristics: frozenset[int]
    cleaned_characteristics: frozenset[int]


@cache
def _table() -> _Table:
    """The column of the basic profile by tag, and by tag with a mask for repeating groups."""
    from dicomanonymizer.dicom_anonymization_databases import dicomfields_2026c as edition

    columns = (
        (edition.D_TAGS, Action.REPLACE),
        (edition.Z_TAGS, Action.EMPTY),
        (edition.X_TAGS, Action.REMOVE),
        (edition.U_TAGS, Action.NEW_UID),
        (edition.Z_D_TAGS, Action.REPLACE),
        (edition.X_Z_TAGS, Action.EMPTY),
        (edition.X_D_TAGS, Action.REPLACE),
        (edition.X_Z_D_TAGS, Action.REPLACE),
        (edition.X_Z_U_STAR_TAGS, Action.CLEAN),
    )
    exact: dict[int, Action] = {}
    masked: dict[tuple[int, int], Action] = {}
    for tags, action in columns:
        for one in tags:
            number = (one[0] << 16) | one[1]
            if len(one) == 2:
                exact[number] = action
            else:
                masked[number, (one[2] << 16) | one[3]] = action
    fixed = frozenset((one[0] << 16) | one[1] for one in (*edition.D_TAGS, *edition.Z_TAGS, *edition.Z_D_TAGS))
    return _Table(exact, masked, fixed)


@cache
def _options() -> _OptionColumns:
    columns = json.loads((resources_folder() / "confidentiality_options.json").read_text(encoding="utf-8"))

    def tags(name: str) -> frozenset[int]:
        return frozenset(tag for keyword in columns[name] if (tag := tag_for_keyword(keyword)) is not None)

    return _OptionColumns(
        tags("clean_descriptors"), tags("patient_characteristics_kept"), tags("patient_characteristics_cleaned")
    )
