"""Finds every sentence for people in the program's source."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_NOT_FOR_READERS = (
    "ValueError",
    "TypeError",
    "RuntimeError",
    "KeyError",
    "OSError",
    "AttributeError",
    "PydanticCustomError",
)


def sentences(folder: Path) -> dict[str, str]:
    """Sentence -> where it stands: arguments of `tr()`, `Text()`, `Text.of()` and of errors."""
    found: dict[str, str] = {}
    for file in sorted(folder.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                for text in _of_call(node):
                    found.setdefault(text, f"{file.relative_to(ROOT)}:{node.lineno}")
    return found


def constants(folder: Path) -> set[str]:
    """Every string in the source: templates are also chosen before they are used."""
    return {
        node.value
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def placeholders(template: str) -> set[str]:
    """The names in braces."""
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def _of_call(call: ast.Call) -> Iterator[str]:
    name = _name(call.func)
    if name in ("tr", "Text", "of"):
        if name == "of" and _name(getattr(call.func, "value", None)) != "Text":
            return
        yield from _literals(call.args[:1])
    elif name.endswith("Error") and name not in _NOT_FOR_READERS:
        yield from _literals(call.args[:2])


def _literals(arguments: list[ast.expr]) -> Iterator[str]:
    for argument in arguments:
        branches = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
        for one in branches:
            if (
                isinstance(one, ast.Constant)
                and isinstance(one.value, str)
                and any(c.isalpha() for c in _bare(one.value))
            ):
                yield one.value


def _bare(template: str) -> str:
    """The template without what is filled in."""
    return "".join(text for text, _, _, _ in string.Formatter().parse(template))


def _name(node: object) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
