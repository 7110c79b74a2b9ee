"""Chinese is complete: every sentence of the program has one, with the same values in it, and none is left over."""

from __future__ import annotations

import json
from functools import cache

import pytest

from medview.core.folders import resources_folder
from medview.workstation import presets
from tests.support.sentences import ROOT, constants, placeholders, sentences

FOLDER = resources_folder() / "translations" / "zh_CN"


@cache
def catalogue() -> dict[str, str]:
    entries: dict[str, str] = {}
    for file in sorted(FOLDER.glob("*.json")):
        entries |= json.loads(file.read_text(encoding="utf-8"))
    return entries


@cache
def wanted() -> dict[str, str]:
    found = sentences(ROOT / "medview")
    found |= {preset.name: "resources/presets.json" for preset in presets.load().windows}
    return found


def test_every_sentence_has_its_chinese() -> None:
    missing = {text: place for text, place in wanted().items() if text not in catalogue()}
    assert missing == {}


def test_translations_keep_the_values_of_their_sentences() -> None:
    differing = [text for text, other in catalogue().items() if placeholders(text) != placeholders(other)]
    assert differing == []


def test_no_translation_is_empty() -> None:
    assert [text for text, other in catalogue().items() if not other.strip()] == []


@pytest.mark.parametrize("name", sorted(file.name for file in FOLDER.glob("*.json")))
def test_the_files_of_the_catalogue_are_flat(name: str) -> None:
    entries = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    assert all(isinstance(key, str) and isinstance(value, str) for key, value in entries.items())


def test_a_sentence_means_the_same_everywhere() -> None:
    seen: dict[str, set[str]] = {}
    for file in FOLDER.glob("*.json"):
        for text, other in json.loads(file.read_text(encoding="utf-8")).items():
            seen.setdefault(text, set()).add(other)
    assert [text for text, others in seen.items() if len(others) > 1] == []


def test_nothing_stale_is_kept() -> None:
    known = wanted().keys() | names_of_things() | constants(ROOT / "medview")
    stale = [text for text in catalogue() if text not in known]
    assert stale == []


@cache
def names_of_things() -> set[str]:
    """Names that come from data: structures that people segment, windows, and looks of the 3D view."""
    labels = json.loads((FOLDER / "labels.json").read_text(encoding="utf-8"))
    shown = presets.load()
    return {*labels, *(one.name for one in shown.windows), *(one.name for one in shown.ray_casting)}
