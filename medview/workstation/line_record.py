"""A record of a series: a file to which lines are added, and from which none is ever taken."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from medview.core.errors import StorageError
from medview.core.events import Event
from medview.core.text import Text
from medview.workstation.jobs import JobQueue

_log = logging.getLogger(__name__)


class Line(BaseModel):
    """Frozen, and nothing in it that this version does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Complaints:
    """What the reader is told when a record cannot be used.

    Attributes:
        unread: The file cannot be read.
        damaged: Some lines of it cannot.
        unwritten: A line was not added; a template with `{reason}`.
        remedy: What to do then.
    """

    unread: Text
    damaged: Text
    unwritten: Text
    remedy: Text


L = TypeVar("L", bound=Line)


class LineRecord(Generic[L]):
    """Reads and extends the records of series. Main thread only; the disk is touched in a thread of its own.

    Args:
        folder: Where the files lie; made when the first is written.
        jobs: For the way home from that thread.
        kind: What a line may be.
        complaints: What the reader is told when something goes wrong.

    Attributes:
        failed: Something could not be read or written. What is shown is right; what is on the disk is not whole.
    """

    def __init__(self, folder: Path, jobs: JobQueue, kind: TypeAdapter[L], complaints: Complaints) -> None:
        self.failed: Event[StorageError] = Event()
        self._folder = folder
        self._jobs = jobs
        self._kind = kind
        self._complaints = complaints
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="record")

    def read(self, series_uid: str, then: Callable[[tuple[L, ...]], None]) -> None:
        """Find what is known of a series; `then` gets it on the main thread."""

        def work() -> None:
            lines, problem = self._read(self.path_of(series_uid))
            self._jobs.post(lambda: then(lines))
            if problem is not None:
                self._jobs.post(lambda: self.failed.emit(problem))

        self._thread.submit(work)

    def add(self, series_uid: str, lines: tuple[L, ...]) -> None:
        """Write lines behind those that are there."""
        self._thread.submit(self._add, self.path_of(series_uid), lines)

    def close(self) -> None:
        """Wait until everything is on the disk."""
        self._thread.shutdown(wait=True)

    def path_of(self, series_uid: str) -> Path:
        """The file of a series. UIDs are no file names, those of bare files least of all."""
        return self._folder / f"{hashlib.sha256(series_uid.encode()).hexdigest()[:32]}.jsonl"

    def _read(self, path: Path) -> tuple[tuple[L, ...], StorageError | None]:
        try:
            stored = path.read_bytes()
        except FileNotFoundError:
            return (), None
        except OSError:
            _log.warning("The record %s cannot be read.", path, exc_info=True)
            return (), StorageError(self._complaints.unread, Text.of("Check who may read {path}.", path=str(path)))
        lines, bad = [], 0
        for one in stored.splitlines():
            try:
                lines.append(self._kind.validate_json(one))
            except ValidationError:
                # the end of a line whose writing was cut off, or a line of a later version: it stays in the file
                bad += 1
        problem = StorageError(self._complaints.damaged, Text.of("They stay in {path}.", path=str(path)))
        return tuple(lines), problem if bad else None

    def _add(self, path: Path, lines: tuple[L, ...]) -> None:
        content = b"".join(line.model_dump_json().encode() + b"\n" for line in lines)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "r+b") as file:
                size = file.seek(0, os.SEEK_END)
                if size:
                    file.seek(size - 1)
                    if file.read(1) != b"\n":  # a line whose writing was cut off must not take this one along
                        content = b"\n" + content
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            _log.warning("The record %s cannot be written.", path, exc_info=True)
            problem = StorageError(
                Text.of(self._complaints.unwritten.template, reason=error.strerror or type(error).__name__),
                self._complaints.remedy,
            )
            self._jobs.post(lambda: self.failed.emit(problem))
