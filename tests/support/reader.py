"""A workstation, and somebody who reads findings at it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from medview.workstation.finding_record import Entry
from medview.workstation.jobs import Job
from medview.workstation.station import Workstation


class Reader:
    """A workstation, and somebody at it."""

    def __init__(self, home: Path, series: Path) -> None:
        self.station = Workstation(home)
        self.station.settings.update(reader="A. Reader")
        self.finish(self.station.importing.open_paths([series]))
        self.until(lambda: self.station.workspace.active_volume is not None and not self.station.jobs.open_jobs)

    @property
    def entries(self) -> tuple[Entry, ...]:
        return self.station.findings.shown

    def named(self, name: str, *, placed: bool = False) -> Entry:
        (found,) = [
            one for one in self.entries if one.finding.name == name and (one.finding.place is not None) == placed
        ]
        return found

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not holds() and time.monotonic() < deadline:
            self.station.queue.drain(0.02)
        assert holds()

    def finish(self, job: Job[Any] | None) -> None:
        if job is not None:
            self.until(lambda: job.state.is_final)
            assert job.error is None

    def ask(self, plugin: Path) -> None:
        self.finish(self.station.analysis.run(self.station.shelf.lend(plugin).id))

    def close(self) -> None:
        self.station.close()
        self.station.queue.drain(0)
