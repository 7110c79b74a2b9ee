"""Finds a plugin's modules in its folder, and reads their source alone.

Python would rather read a compiled copy in `__pycache__`, and trusts it to belong to the source. Such a copy is no part
of what the user has trusted: it is neither read nor written here.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType


class SourceModules(importlib.abc.MetaPathFinder):
    """Finds modules in one folder.

    Args:
        folder: Where.
        package: Below which name they are found; empty: at the top, by their own.
    """

    def __init__(self, folder: Path, package: str = "") -> None:
        self.found: set[str] = set()
        self._folder = folder
        self._before = f"{package}." if package else ""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Where a module of the plugin is; None when it is none of the plugin's."""
        spec = self._spec(name)
        if spec is not None:
            self.found.add(name)
        return spec

    def _spec(self, name: str) -> importlib.machinery.ModuleSpec | None:
        if not name.startswith(self._before):
            return None
        place = self._folder.joinpath(*name.removeprefix(self._before).split("."))
        module, inner = place.with_name(place.name + ".py"), place / "__init__.py"
        if inner.is_file():
            loader = _SourceOnly(name, str(inner))
            return importlib.util.spec_from_file_location(
                name, inner, loader=loader, submodule_search_locations=[str(place)]
            )
        if module.is_file():
            return importlib.util.spec_from_file_location(name, module, loader=_SourceOnly(name, str(module)))
        if place.is_dir() and any(place.glob("*.py")):
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [str(place)]
            return spec
        return None


class _SourceOnly(importlib.machinery.SourceFileLoader):
    def path_stats(self, path: str) -> dict[str, float]:
        """No facts about the source: without them no compiled copy is looked for, and none is made."""
        raise OSError(path)
