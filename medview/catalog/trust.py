"""Which plugins the user trusts to run a program of their own, each pinned by a hash over all of its files."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from medview.core.errors import StorageError
from medview.core.files import write_bytes
from medview.core.progress import NoProgress, Progress
from medview.core.text import Text

_log = logging.getLogger(__name__)
_NO_PART_OF_A_PLUGIN = ("__pycache__", ".git")
_LEFT_BY_THE_DESKTOP = (".DS_Store", "Thumbs.db", "desktop.ini")
_CHUNK = 1 << 22


class Verdict(StrEnum):
    """VOUCHED: it came with the program. UNSURE: it was trusted, and its files must be read to know whether it is."""

    VOUCHED = "vouched"
    TRUSTED = "trusted"
    UNSURE = "unsure"
    CHANGED = "changed"
    UNKNOWN = "unknown"


class Pin(BaseModel):
    """What was trusted.

    Attributes:
        folder: Where the plugin lay.
        sha256: Over the names and contents of all its files.
        when: ISO 8601, UTC.
        files: Size in bytes and time of the last change in ns of every file, by name: while these are the same, the
            contents need not be read again to show the list of plugins.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    sha256: str
    when: str
    files: dict[str, tuple[int, int]]


class _Book(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = 1
    plugins: dict[str, Pin] = {}


class TrustBook:
    """The pins, kept in a file of the user's folder. Reading is safe from any thread.

    Args:
        path: Of the file; it need not exist.
        vouched: Folders whose plugins came with the program.
    """

    def __init__(self, path: Path, vouched: Sequence[Path] = ()) -> None:
        self._path = path
        self._vouched = tuple(folder.resolve() for folder in vouched)
        self._pins: Mapping[str, Pin] = _read(path)

    def verdict(self, folder: Path, plugin_id: str, *, read_files: bool = False) -> Verdict:
        """Whether the plugin in a folder is trusted.

        Args:
            folder: The plugin's.
            plugin_id: Its id.
            read_files: Whether its files may be read where that is needed to know; that may take seconds.
        """
        if folder.resolve().parent in self._vouched:
            return Verdict.VOUCHED
        pin = self._pins.get(plugin_id)
        if pin is None or pin.folder != str(folder.resolve()):
            return Verdict.UNKNOWN
        if not read_files:
            return Verdict.TRUSTED if _sizes(folder) == pin.files else Verdict.UNSURE
        return Verdict.TRUSTED if files_sha256(folder) == pin.sha256 else Verdict.CHANGED

    def pinned_sha256(self, plugin_id: str) -> str:
        """The hash that a plugin's files had when it was trusted; empty when it never was."""
        pin = self._pins.get(plugin_id)
        return pin.sha256 if pin is not None else ""

    def trust(self, folder: Path, plugin_id: str, sha256: str) -> None:
        """Trust a plugin whose files have this hash (`files_sha256`).

        Raises:
            StorageError: That could not be kept.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        pin = Pin(folder=str(folder.resolve()), sha256=sha256, when=now, files=_sizes(folder))
        self._keep({**self._pins, plugin_id: pin})

    def forget(self, plugin_id: str) -> None:
        """Trust a plugin no longer.

        Raises:
            StorageError: That could not be kept.
        """
        if plugin_id in self._pins:
            self._keep({id: pin for id, pin in self._pins.items() if id != plugin_id})

    def _keep(self, pins: Mapping[str, Pin]) -> None:
        book = _Book(plugins=dict(pins))
        write_bytes(self._path, book.model_dump_json(indent=1).encode())
        self._pins = dict(pins)


def files_sha256(folder: Path, progress: Progress | None = None) -> str:
    """One hash over the names and the contents of all files of a plugin.

    Raises:
        StorageError: A file cannot be read, or a link leads to another folder.
    """
    progress = progress or NoProgress()
    digest = hashlib.sha256()
    for path in files_of(folder):
        content = hashlib.sha256()
        try:
            with path.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    content.update(chunk)
                    progress.raise_if_cancelled()
        except OSError as error:
            raise StorageError(Text.of("{file} cannot be read.", file=str(path)), Text("Check its rights.")) from error
        digest.update(f"{path.relative_to(folder).as_posix()}\0{content.hexdigest()}\n".encode())
    return digest.hexdigest()


def files_of(folder: Path) -> list[Path]:
    """The files that a plugin consists of, in an order that is the same everywhere.

    Raises:
        StorageError: A link leads to another folder: what is there is no part of the plugin, and could be run.
    """
    return sorted(_walk(folder), key=lambda one: one.relative_to(folder).as_posix())


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [one for one in folders if one not in _NO_PART_OF_A_PLUGIN]
        for one in folders:
            if Path(place, one).is_symlink():
                raise StorageError(
                    Text.of("{folder} is a link to another folder.", folder=str(Path(place, one))),
                    Text("Put a copy of that folder in its place."),
                )
        for name in names:
            if name not in _LEFT_BY_THE_DESKTOP and not Path(place, name).is_dir():
                yield Path(place, name)


def _sizes(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    try:
        for path in files_of(folder):
            status = path.stat()
            found[path.relative_to(folder).as_posix()] = (status.st_size, status.st_mtime_ns)
    except (OSError, StorageError):
        return {}
    return found


def _read(path: Path) -> dict[str, Pin]:
    try:
        return _Book.model_validate_json(path.read_bytes()).plugins
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError, json.JSONDecodeError):
        _log.warning("%s cannot be read; no plugin counts as trusted.", path, exc_info=True)
        return {}
