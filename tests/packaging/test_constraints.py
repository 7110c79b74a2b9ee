"""The list of pinned versions holds everything that gets installed, once, and nothing else."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_ROOT = Path(__file__).resolve().parents[2]
_BUILD = {"hatchling", "editables", "trove-classifiers", "pip"}
_OTHER_SYSTEMS = {"pefile", "pywin32-ctypes", "macholib", "colorama", "tzdata"}


def _lines() -> list[str]:
    return (_ROOT / "packaging" / "constraints.txt").read_text(encoding="utf-8").splitlines()


def _pins() -> dict[str, str]:
    pairs = (line.split("==") for line in _lines())
    return {canonicalize_name(name): version for name, version in pairs}


def _project() -> dict[str, list[str]]:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"": project["dependencies"], "dev": project["optional-dependencies"]["dev"]}


def _needed(requirements: list[str]) -> set[str]:
    """The names of all distributions that these requirements bring with them, here."""
    names: set[str] = set()
    seen: set[tuple[str, tuple[str, ...]]] = set()
    waiting = [Requirement(line) for line in requirements]
    while waiting:
        wanted = waiting.pop()
        key = (canonicalize_name(wanted.name), tuple(sorted(wanted.extras)))
        names.add(key[0])
        if key in seen:
            continue
        seen.add(key)
        for line in importlib.metadata.requires(wanted.name) or []:
            further = Requirement(line)
            extras = sorted(wanted.extras) or [""]
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(further)
    return names


def test_every_line_pins_one_version_of_one_distribution() -> None:
    assert all(line.count("==") == 1 for line in _lines())
    assert len(_pins()) == len(_lines())
    assert _lines() == sorted(_lines(), key=str.lower)


def test_the_pins_are_what_the_project_needs() -> None:
    project = _project()
    needed = _needed(project[""] + project["dev"])
    assert needed <= set(_pins())
    assert set(_pins()) - needed <= _BUILD | _OTHER_SYSTEMS


@pytest.mark.parametrize("name", sorted(set(_pins()) - _BUILD - _OTHER_SYSTEMS - {"importlib-resources"}))
def test_what_is_installed_is_what_is_pinned(name: str) -> None:
    assert importlib.metadata.version(name).split("+")[0] == _pins()[name]
