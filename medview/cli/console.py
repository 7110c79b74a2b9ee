"""Talking to a terminal, or to a program that reads: results to the output, everything else to the error stream."""

from __future__ import annotations

import dataclasses
import enum
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medview.core.text import Text


class CommandError(Exception):
    """A command cannot do what it was asked; the message is the one plain line that says why."""


def make_safe() -> None:
    """Let the streams take any letter: a console of another code page shows an escape and never fails."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(line: str) -> None:
    """Print a line of the result."""
    _write(sys.stdout, line)


def complain(line: str) -> None:
    """Print the one plain line that says why a command failed."""
    _write(sys.stderr, f"medview: {' '.join(line.split())}")


def print_json(value: object) -> None:
    """Print a value as JSON: ASCII only, so that no code page can spoil it."""
    _write(sys.stdout, json.dumps(plain(value), indent=2, allow_nan=False))


def plain(value: object) -> Any:
    """A value as JSON knows it: records become objects, paths and texts strings, what is not finite null."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, str | Path | Text):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(one) for one in value)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return str(value)


def table(rows: Sequence[tuple[str, ...]], headings: tuple[str, ...]) -> None:
    """Print a table: fitted to a terminal, whole lines into a pipe."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if sys.stdout is None:
        return
    console = Console(file=sys.stdout, highlight=False, markup=False)
    if not console.is_terminal:
        for row in (headings, *rows):
            say("\t".join(row))
        return
    drawn = Table(box=box.SIMPLE_HEAD if console.encoding.lower().startswith("utf") else box.ASCII2)
    for heading in headings:
        drawn.add_column(heading, overflow="fold")
    for row in rows:
        drawn.add_row(*row)
    console.print(drawn)


def _write(stream: Any, line: str) -> None:
    # A windowed program on Windows has no streams.
    if stream is not None:
        stream.write(line + "\n")
        stream.flush()
