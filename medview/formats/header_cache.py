"""What is known of files from earlier searches, so that a folder opens at once when it is opened again.

An SQLite file in the user's folder. It holds names of patients, as the files do, and only its owner may read it.
Nothing depends on it: when it cannot be used, files are read, and when it is damaged, it is made anew.

A file counts as known while its size, its times and its number in the file system are what they were. A file that was
written within the last two seconds is not remembered, because it could be written again without any of these changing
(git calls such entries racy).
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, TracebackType
from typing import TypeVar

import medview
from medview.core.progress import Progress
from medview.formats import header_columns
from medview.formats.dicom_header import Header
from medview.formats.file_walk import Listing, Stamp
from medview.formats.header_columns import KnownFiles

T = TypeVar("T")
_log = logging.getLogger(__name__)
READERS = (
    *("dicom_files", "dicom_header", "dicom_text", "element_walk", "frame_facts", "functional_groups"),
    *("header_cache", "header_columns", "mosaic", "picture_scale", "raw_elements", "separators", "suv"),
    *("dicom_frames", "dicom_series", "documents", "mask_references", "phases", "pictures", "plain_records"),
    *("contours", "rtstruct_reader", "search_record", "slice_resampling", "slice_stack", "stack_split"),
    *("archives", "clinical_documents", "dicomdir", "inflation", "plausibility"),
)
"""What decides what is found in files: when one of these changes, what was found before does not count."""
_TABLE = """
CREATE TABLE IF NOT EXISTS blocks (
    id INTEGER PRIMARY KEY,
    folder BLOB NOT NULL,
    used_at INTEGER NOT NULL,
    content BLOB NOT NULL
)
"""
_SEARCHES = """
CREATE TABLE IF NOT EXISTS searches (
    name BLOB PRIMARY KEY,
    used_at INTEGER NOT NULL,
    content BLOB NOT NULL
)
"""
_LATEST_SEARCHES = """
DELETE FROM searches WHERE name NOT IN (SELECT name FROM searches ORDER BY used_at DESC LIMIT ?)
"""
_MOST_SEARCHES = 50
_INDEX = "CREATE INDEX IF NOT EXISTS blocks_by_folder ON blocks (folder)"
_OLDEST_OUT = """
DELETE FROM blocks WHERE id IN (
    SELECT id FROM (SELECT id, SUM(LENGTH(content)) OVER (ORDER BY used_at DESC, id DESC) AS so_far FROM blocks)
    WHERE so_far > ?
)
"""
_WAIT_S = 0.1
"""For another program that is writing; no longer, because a search must end when it is told to."""
_FILES_IN_A_BLOCK = 500
_LIMIT_BYTES = 128 << 20
RACY_NS = 2_000_000_000
"""How fine the times of a file system are at worst (FAT)."""
_DAY_S = 86_400
_SIDE_FILES = ("-wal", "-shm", "-journal")


class HeaderCache:
    """Remembers headers while it is open, as in `with HeaderCache(path) as cache`. For one thread at a time.

    Args:
        path: The SQLite file; several programs may have it open.
        limit_bytes: How much it may hold; what was not used for longest goes first.
        racy_ns: How long a file must have been left alone before it is remembered.
    """

    def __init__(self, path: Path, limit_bytes: int = _LIMIT_BYTES, racy_ns: int = RACY_NS) -> None:
        self._path = path
        self._racy_ns = racy_ns
        self._limit_bytes = limit_bytes
        self._connection: sqlite3.Connection | None = None
        self._is_new = False
        self._has_written = False
        self._folder = Path()
        self._learned = KnownFiles([], [], [])

    def __enter__(self) -> HeaderCache:
        self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._keep()
        if self._has_written:
            self._do(lambda connection: connection.execute(_OLDEST_OUT, (self._limit_bytes,)))
        self._close()

    def known(self, listing: Listing, progress: Progress) -> dict[str, Header]:
        """The headers of those files of a folder that are as they were when they were read, by name.

        Raises:
            Cancelled: The progress says so.
        """
        self._keep()
        self._folder = folder = listing.folder.absolute()
        stamps = dict(listing.files)
        blocks, rows, found = 0, 0, {}
        for content in self._do(lambda connection: _contents(connection, folder)) or []:
            progress.raise_if_cancelled()
            try:
                files = header_columns.unpacked(content, folder, listing.folder)
            except ValueError as error:
                _log.warning("what is remembered of %s cannot be read: %s", folder, error)
                continue
            blocks += 1
            rows += len(files.names)
            for name, stamp, header in zip(files.names, files.stamps, files.headers, strict=True):
                if stamps.get(name) == stamp:
                    found[name] = header
        if listing.is_whole and (rows > 2 * len(found) or blocks > 2 + 2 * len(found) // _FILES_IN_A_BLOCK):
            self._tidy(folder, stamps, found, progress)
        return found

    def learn(self, name: str, stamp: Stamp | None, header: Header) -> None:
        """Remember a file of the folder that `known` was asked about last."""
        if stamp is None or max(stamp.modified_ns, stamp.changed_ns) > time.time_ns() - self._racy_ns:
            return
        self._learned.names.append(name)
        self._learned.stamps.append(stamp)
        self._learned.headers.append(header)
        if len(self._learned.names) >= _FILES_IN_A_BLOCK:
            self._keep()

    def search_named(self, name: bytes) -> bytes | None:
        """What was found in a search; None when it is not known."""
        row = self._do(lambda one: one.execute("SELECT content FROM searches WHERE name = ?", (name,)).fetchone())
        return row[0] if row else None

    def keep_search(self, name: bytes, content: bytes) -> None:
        """Remember what was found in a search."""
        row = (name, int(time.time()), content)

        def put(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO searches VALUES (?, ?, ?)", row)
            connection.execute(_LATEST_SEARCHES, (_MOST_SEARCHES,))

        self._do(put)

    def _keep(self) -> None:
        """Write down what was learned since the last time."""
        files, self._learned = self._learned, KnownFiles([], [], [])
        if files.names and self._connection is not None:
            row = _row(self._folder, files)
            self._do(lambda connection: connection.execute(_INSERT, row))
            self._has_written = True

    def _tidy(
        self, folder: Path, stamps: dict[str, Stamp | None], found: dict[str, Header], progress: Progress
    ) -> None:
        """Put what counts of a folder in place of everything that is remembered of it."""
        rows = []
        for files in _in_blocks(stamps, found):
            progress.raise_if_cancelled()
            rows.append(_row(folder, files))

        def replace(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM blocks WHERE folder = ?", (os.fsencode(folder),))
            connection.executemany(_INSERT, rows)

        self._do(replace)
        self._has_written = True

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
            os.close(handle)
            if os.name == "posix":
                self._path.chmod(0o600)
            self._connection = sqlite3.connect(self._path, timeout=_WAIT_S)
        except (OSError, sqlite3.Error) as error:
            _log.warning("what is known of files is not used: %s", error)
            return
        self._do(_set_up)

    def _close(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """Work in a transaction; None when that was not possible, which is never worse than not knowing."""
        if self._connection is None:
            return None
        try:
            with self._connection:
                return work(self._connection)
        except sqlite3.OperationalError as error:  # locked, full, read-only
            _log.warning("what is known of files is not used: %s", error)
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                self._close()
        except sqlite3.DatabaseError as error:
            _log.warning("what is known of files is damaged, and forgotten: %s", error)
            self._make_anew()
        return None

    def _make_anew(self) -> None:
        self._close()
        if self._is_new:
            return
        self._is_new = True
        try:
            for suffix in ("", *_SIDE_FILES):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("what is known of files is not used: %s", error)
            return
        self._open()


_INSERT = "INSERT INTO blocks (folder, used_at, content) VALUES (?, ?, ?)"


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    # Losing the latest blocks with the power costs nothing, and each is checked when it is read.
    connection.execute("PRAGMA synchronous = OFF")
    version = reader_version()
    if connection.execute("PRAGMA user_version").fetchone()[0] != version:
        connection.execute("DROP TABLE IF EXISTS blocks")
        connection.execute("DROP TABLE IF EXISTS searches")
        connection.execute(f"PRAGMA user_version = {version}")
    connection.execute(_TABLE)
    connection.execute(_SEARCHES)
    connection.execute(_INDEX)


def _contents(connection: sqlite3.Connection, folder: Path) -> list[bytes]:
    """The blocks of a folder, oldest first; they have been used now."""
    key, now = os.fsencode(folder), int(time.time())
    rows = connection.execute("SELECT content, used_at FROM blocks WHERE folder = ? ORDER BY id", (key,)).fetchall()
    if any(used_at < now - _DAY_S for _, used_at in rows):
        connection.execute("UPDATE blocks SET used_at = ? WHERE folder = ?", (now, key))
    return [content for content, _ in rows]


def _row(folder: Path, files: KnownFiles) -> tuple[bytes, int, bytes]:
    return os.fsencode(folder), int(time.time()), header_columns.packed(folder, files)


def _in_blocks(stamps: dict[str, Stamp | None], found: dict[str, Header]) -> Iterator[KnownFiles]:
    names = list(found)
    for start in range(0, len(names), _FILES_IN_A_BLOCK):
        part = names[start : start + _FILES_IN_A_BLOCK]
        known = [stamp for name in part if (stamp := stamps[name]) is not None]
        yield KnownFiles(part, known, [found[name] for name in part])


@cache
def reader_version() -> int:
    """A number for the code that reads headers, as SQLite keeps one with a file."""
    digest = hashlib.sha256(medview.__version__.encode())
    for name in READERS:
        spec = find_spec(f"medview.formats.{name}")
        code = getattr(spec.loader, "get_code", lambda _: None)(spec.name) if spec is not None else None
        if isinstance(code, CodeType):
            _feed(digest.update, code)
    return int.from_bytes(digest.digest()[:4], "big") >> 1


def _feed(update: Callable[[bytes], None], code: CodeType) -> None:
    """Everything that a piece of compiled code does, whatever folder and line it was compiled from."""
    update(code.co_code)
    update(repr(code.co_names).encode())
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _feed(update, constant)
        else:
            # the order of a set differs from process to process
            update(repr(sorted(map(repr, constant)) if isinstance(constant, frozenset) else constant).encode())
