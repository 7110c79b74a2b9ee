"""Where measurements are kept: one file for every series, written in a thread of its own."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from medview.core.errors import StorageError
from medview.core.events import Event
from medview.core.files import write_bytes
from medview.core.measurement import DrawnOn, Measurement, MeasurementId, MeasurementKind, Quantity, Value
from medview.core.text import Text
from medview.workstation.jobs import JobQueue

_log = logging.getLogger(__name__)
_SCHEMA = 1
_DAMAGED = ".damaged"


class _Record(BaseModel):
    """A measurement on disk: frozen, and nothing in it that this version does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: MeasurementKind
    points: tuple[tuple[float, float, float], ...]
    values: tuple[tuple[Quantity, float, str], ...]
    axis: Annotated[int, Field(ge=0, le=2)]
    index: int
    phase: int
    label: str
    doubtful: str
    author: str
    made_at: datetime
    frame_of_reference_uid: str | None

    @classmethod
    def of(cls, one: Measurement, drawn_on: DrawnOn) -> _Record:
        return cls(
            id=one.id,
            kind=one.kind,
            points=tuple((x, y, z) for x, y, z in one.points.tolist()),
            values=tuple((value.quantity, value.number, value.unit) for value in one.values),
            axis=drawn_on.axis,
            index=drawn_on.index,
            phase=drawn_on.phase,
            label=one.label,
            doubtful=str(one.doubtful) if one.doubtful is not None else "",
            author=one.author,
            made_at=one.made_at,
            frame_of_reference_uid=one.frame_of_reference_uid,
        )

    def measurement(self, series_uid: str) -> Measurement:
        return Measurement(
            self.kind,
            np.array(self.points, dtype=np.float64),
            tuple(Value(quantity, number, unit) for quantity, number, unit in self.values),
            DrawnOn(series_uid, self.axis, self.index, self.phase),
            self.label,
            Text(self.doubtful) if self.doubtful else None,
            self.author,
            self.made_at,
            self.frame_of_reference_uid,
            MeasurementId(self.id),
        )


class MeasurementFiles:
    """Reads and writes the measurements of series. Main thread only; the disk is touched in a thread of its own.

    Args:
        folder: Where the files lie; made when the first is written.
        jobs: For the way home from that thread.

    Attributes:
        failed: A file could not be read or written. Says what happened to it.
    """

    def __init__(self, folder: Path, jobs: JobQueue) -> None:
        self.failed: Event[StorageError] = Event()
        self._folder = folder
        self._jobs = jobs
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="measurements")
        self._untouchable: set[str] = set()

    def read(self, series_uid: str, then: Callable[[tuple[Measurement, ...]], None]) -> None:
        """Find what was measured on a series; `then` gets it on the main thread, in the order in which it was kept."""

        def work() -> None:
            found, problem = self._read(series_uid)
            self._jobs.post(lambda: then(found))
            if problem is not None:
                self._jobs.post(lambda: self.failed.emit(problem))

        self._thread.submit(work)

    def write(self, series_uid: str, measurements: tuple[Measurement, ...]) -> None:
        """Keep what was measured on a series, in place of what was kept before."""
        records = [_Record.of(one, one.drawn_on) for one in measurements if one.drawn_on is not None]
        self._thread.submit(self._write, series_uid, records)

    def close(self) -> None:
        """Wait until everything is on the disk."""
        self._thread.shutdown(wait=True)

    def path_of(self, series_uid: str) -> Path:
        """The file of a series. UIDs are no file names, those of bare files least of all."""
        return self._folder / f"{hashlib.sha256(series_uid.encode()).hexdigest()[:32]}.json"

    def _read(self, series_uid: str) -> tuple[tuple[Measurement, ...], StorageError | None]:
        """What can be read of a file, and what to say when that is not everything."""
        path = self.path_of(series_uid)
        try:
            stored = path.read_bytes()
        except FileNotFoundError:
            return (), None
        except OSError:
            _log.warning("The measurements in %s cannot be read.", path, exc_info=True)
            self._untouchable.add(series_uid)
            return (), StorageError(
                "The measurements of this series cannot be read now.",
                Text.of("Check who may read {path}. New ones are not kept until then.", path=str(path)),
            )
        found, whole = _parsed(stored, series_uid)
        return found, None if whole else self._set_aside(series_uid, path)

    def _set_aside(self, series_uid: str, path: Path) -> StorageError:
        """Keep a damaged file under another name: the next one that is written must not take its place."""
        numbers = (number for number in range(1, 10_000))
        aside = next(one for n in numbers if not (one := path.with_name(f"{path.name}{_DAMAGED}-{n}")).exists())
        try:
            path.rename(aside)
        except OSError:
            _log.warning("%s cannot be set aside.", path, exc_info=True)
            self._untouchable.add(series_uid)
            aside = path
        return StorageError(
            "Some measurements of this series cannot be read: their file is damaged.",
            Text.of("The file is kept as {path}; everything else is unharmed.", path=str(aside)),
        )

    def _write(self, series_uid: str, records: list[_Record]) -> None:
        try:
            path = self.path_of(series_uid)
            if series_uid in self._untouchable:
                raise StorageError(
                    "The measurements are not kept: those from before cannot be read, and must not be lost.",
                    Text.of("Check who may read {path}, and open the series again.", path=str(path)),
                )
            if not records and not path.exists():
                return
            content = {
                "schema": _SCHEMA,
                "series_uid": series_uid,
                "measurements": [one.model_dump(mode="json") for one in records],
            }
            write_bytes(path, json.dumps(content, ensure_ascii=False, indent=1).encode())
        except StorageError as error:
            _log.warning("Measurements were not kept: %s", error, exc_info=True)
            self._jobs.post(partial(self.failed.emit, error))


def _parsed(stored: bytes, series_uid: str) -> tuple[tuple[Measurement, ...], bool]:
    """The measurements of a file's content, and whether these are all of them."""
    try:
        content: Any = json.loads(stored)
        entries = content["measurements"]
        whole = content["schema"] == _SCHEMA and content["series_uid"] == series_uid
        if not whole or not isinstance(entries, list):
            return (), False
    except (ValueError, KeyError, TypeError, RecursionError):
        return (), False
    found = []
    for entry in entries:
        try:
            found.append(_Record.model_validate_json(json.dumps(entry)).measurement(series_uid))
        except ValueError:
            _log.warning("A measurement cannot be read.", exc_info=True)
            whole = False
    return tuple(found), whole
