"""The record of findings of a series: a file to which lines are added, and from which none is ever taken.

Each line is what was found, or what a reader said of it; what stands now is what the lines add up to.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, NewType

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from medview.core.errors import StorageError
from medview.core.events import Event
from medview.core.finding import Finding, Relation, Verdict
from medview.core.geometry import Box
from medview.core.text import Text
from medview.workstation.jobs import JobQueue

_log = logging.getLogger(__name__)
FindingId = NewType("FindingId", str)


@dataclass(frozen=True, slots=True)
class Entry:
    """A finding as it stands.

    Attributes:
        id: Its own.
        finding: What was found, with the reader's verdict.
        source: What the plugin or the reader is called.
        found_at: When (UTC).
        reason: Why it was rejected; may be empty.
        reader: Who said so; empty while it is open.
        decided_at: When; None while it is open.
        corrects: The finding that the reader put this one in the place of; None: of none.
        notes: What the model noted about the image, in English.
        relation: How the classes of the same answer relate.
        region: The part of the image that the model saw, (k, j, i); None: all of it.
    """

    id: FindingId
    finding: Finding
    source: str
    found_at: datetime
    reason: str = ""
    reader: str = ""
    decided_at: datetime | None = None
    corrects: FindingId | None = None
    notes: tuple[str, ...] = ()
    relation: Relation = Relation.EXCLUSIVE
    region: Box | None = None


class _Line(BaseModel):
    """Frozen, and nothing in it that this version does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Found(_Line):
    """Something was found."""

    event: Literal["found"] = "found"
    id: str
    finding: Finding
    source: str
    at: datetime
    corrects: str | None = None
    notes: tuple[str, ...] = ()
    relation: Relation = Relation.EXCLUSIVE
    region: Box | None = None


class Decided(_Line):
    """A reader said something of a finding."""

    event: Literal["decided"] = "decided"
    id: str
    verdict: Verdict
    reason: str
    reader: str
    at: datetime


Line = Found | Decided
_LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="event")])


def summed_up(lines: Iterable[Line]) -> tuple[Entry, ...]:
    """The findings that lines add up to, in the order in which they were found. Words about unknown ones count not."""
    entries: dict[str, Entry] = {}
    for line in lines:
        if isinstance(line, Found):
            corrects = FindingId(line.corrects) if line.corrects is not None else None
            entries[line.id] = Entry(
                FindingId(line.id),
                line.finding,
                line.source,
                line.at,
                corrects=corrects,
                notes=line.notes,
                relation=line.relation,
                region=line.region,
            )
        elif line.id in entries:
            before = entries[line.id]
            is_open = line.verdict is Verdict.OPEN
            entries[line.id] = replace(
                before,
                finding=replace(before.finding, verdict=line.verdict),
                reason=line.reason,
                reader="" if is_open else line.reader,
                decided_at=None if is_open else line.at,
            )
    return tuple(entries.values())


class FindingRecord:
    """Reads and extends the records of series. Main thread only; the disk is touched in a thread of its own.

    Args:
        folder: Where the files lie; made when the first is written.
        jobs: For the way home from that thread.

    Attributes:
        failed: Something could not be read or written. What is shown is right; what is on the disk is not whole.
    """

    def __init__(self, folder: Path, jobs: JobQueue) -> None:
        self.failed: Event[StorageError] = Event()
        self._folder = folder
        self._jobs = jobs
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="findings")

    def read(self, series_uid: str, then: Callable[[tuple[Line, ...]], None]) -> None:
        """Find what is known of a series; `then` gets it on the main thread."""

        def work() -> None:
            lines, problem = self._read(self.path_of(series_uid))
            self._jobs.post(lambda: then(lines))
            if problem is not None:
                self._jobs.post(lambda: self.failed.emit(problem))

        self._thread.submit(work)

    def add(self, series_uid: str, lines: tuple[Line, ...]) -> None:
        """Write lines behind those that are there."""
        self._thread.submit(self._add, self.path_of(series_uid), lines)

    def close(self) -> None:
        """Wait until everything is on the disk."""
        self._thread.shutdown(wait=True)

    def path_of(self, series_uid: str) -> Path:
        """The file of a series. UIDs are no file names, those of bare files least of all."""
        return self._folder / f"{hashlib.sha256(series_uid.encode()).hexdigest()[:32]}.jsonl"

    def _read(self, path: Path) -> tuple[tuple[Line, ...], StorageError | None]:
        try:
            stored = path.read_bytes()
        except FileNotFoundError:
            return (), None
        except OSError:
            _log.warning("The findings in %s cannot be read.", path, exc_info=True)
            return (), StorageError(
                "The findings of this series cannot be read now.",
                Text.of("Check who may read {path}.", path=str(path)),
            )
        lines, bad = [], 0
        for one in stored.splitlines():
            try:
                lines.append(_LINE.validate_json(one))
            except ValidationError:
                # the end of a line whose writing was cut off, or a line of a later version: it stays in the file
                bad += 1
        problem = StorageError(
            "Some findings of this series cannot be read.", Text.of("They stay in {path}.", path=str(path))
        )
        return tuple(lines), problem if bad else None

    def _add(self, path: Path, lines: tuple[Line, ...]) -> None:
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
            _log.warning("The findings in %s cannot be written.", path, exc_info=True)
            problem = StorageError(
                Text.of("The finding was not kept: {reason}.", reason=error.strerror or type(error).__name__),
                "Make room on the disk, or check who may write there, and decide again.",
            )
            self._jobs.post(lambda: self.failed.emit(problem))
