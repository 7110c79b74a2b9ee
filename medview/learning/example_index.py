"""A list of what the example store holds, quick to ask. The folders are the truth; the list can be made from them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import ValidationError

from medview.core.errors import StorageError
from medview.learning.example_record import Example

_TABLE = """
CREATE TABLE IF NOT EXISTS examples (
    example_id TEXT NOT NULL,
    revision INTEGER NOT NULL,
    patient_key TEXT NOT NULL,
    split TEXT NOT NULL,
    saved_at TEXT NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (example_id, revision)
)
"""
_WAIT_S = 20.0


class ExampleIndex:
    """The list, in an SQLite file. Safe from several threads and processes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, example: Example) -> None:
        """Add a revision."""
        with self._open() as connection:
            connection.execute("INSERT OR REPLACE INTO examples VALUES (?, ?, ?, ?, ?, ?)", _row(example))

    def replace(self, examples: Sequence[Example]) -> None:
        """Make the list anew."""
        with self._open() as connection:
            connection.execute("DELETE FROM examples")
            connection.executemany("INSERT OR REPLACE INTO examples VALUES (?, ?, ?, ?, ?, ?)", map(_row, examples))

    def all(self) -> tuple[Example, ...]:
        """Every revision, oldest first.

        Raises:
            sqlite3.Error: The list is damaged.
            pydantic.ValidationError: A record in it is.
        """
        with self._open() as connection:
            rows = connection.execute("SELECT record FROM examples ORDER BY saved_at, example_id, revision").fetchall()
        return tuple(Example.model_validate_json(row[0]) for row in rows)

    def count(self) -> int | None:
        """How many revisions it lists; None when it is damaged."""
        try:
            return len(self.all())
        except (sqlite3.Error, ValidationError, StorageError):
            return None

    def forget(self) -> None:
        """Delete the list, to make it anew."""
        for suffix in ("", "-wal", "-shm", "-journal"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=_WAIT_S)) as connection, connection:
            connection.execute(_TABLE)
            yield connection


def _row(example: Example) -> tuple[str, int, str, str, str, str]:
    return (
        example.example_id,
        example.revision,
        example.patient_key,
        example.split.value,
        example.saved_at.isoformat(),
        example.model_dump_json(),
    )
