"""Rules of the source tree that no tool holds."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_LONGEST_MODULE = 500
_OF_A_PLUGIN = sys.stdlib_module_names | {"numpy", "torch", "monai"}


def _imported(path: Path) -> set[str]:
    """The modules that a file imports from elsewhere, by full name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            names |= {node.module} if node.module != "medview" else {f"medview.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", sorted((_ROOT / "plugins").rglob("*.py")), ids=lambda path: path.name)
def test_a_plugin_uses_the_door_and_nothing_else_of_medview(path: Path) -> None:
    foreign = {name for name in _imported(path) if name.split(".")[0] not in _OF_A_PLUGIN and name != "medview.api"}
    assert foreign == set()


def test_no_module_is_too_long_to_read() -> None:
    sizes = {path: len(path.read_bytes().splitlines()) for path in (_ROOT / "medview").rglob("*.py")}
    assert [path.name for path, lines in sizes.items() if lines > _LONGEST_MODULE] == []
