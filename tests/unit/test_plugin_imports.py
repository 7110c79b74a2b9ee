"""What ships as a plugin uses only what any plugin may use."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from medview.core.folders import shipped_plugins_folder

ALLOWED = {"torch", "monai", "numpy", *sys.stdlib_module_names}
MODULES = sorted(shipped_plugins_folder().rglob("*.py"))


def _imported(tree: ast.Module) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.append(node.module or "")
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_plugin_imports_only_the_api_torch_monai_numpy_and_the_standard_library(path: Path) -> None:
    imported = _imported(ast.parse(path.read_text(encoding="utf-8")))
    forbidden = [name for name in imported if name != "medview.api" and name.partition(".")[0] not in ALLOWED]
    assert forbidden == []


def test_there_are_plugins_to_check() -> None:
    assert {"lungs.py", "airways.py"} <= {path.name for path in MODULES}
