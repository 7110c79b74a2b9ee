"""The workstation driven without a window: its queue is pumped here until a job has ended."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from medview.cli.console import CommandError
from medview.core import progress as core_progress
from medview.core.case import Case, Reject, Series
from medview.core.text import Text
from medview.core.volume import Volume
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.main_queue import MainQueue
from medview.workstation.settings import user_folder
from medview.workstation.waiting import wait_for, wait_for_all

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from medview.workstation.station import Workstation

T = TypeVar("T")


class Device(StrEnum):
    """Where a model runs."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


@contextlib.contextmanager
def workstation(home: Path) -> Iterator[Workstation]:
    """A workstation on the user's folder; closed at the end, whatever happened."""
    # Imported when it is wanted, so that help is quick.
    from medview.workstation.station import Workstation

    station = Workstation(home)
    try:
        yield station
    finally:
        station.close()


def finish(station: Workstation, job: Job[T]) -> T | None:
    """Wait for a job; a terminal sees how far it is.

    Returns:
        What the job returned.

    Raises:
        MedViewError: The job failed.
        Cancelled: The user stopped it, as with Ctrl+C.
    """
    with _Bar() as bar:
        return wait_for(station.queue, job, bar.show)


def finish_all(station: Workstation) -> None:
    """Wait until no job is open.

    Raises:
        MedViewError: A job failed.
        Cancelled: The user stopped one.
    """
    with _Bar() as bar:
        wait_for_all(station.queue, station.jobs, bar.show)


def background(work: Callable[[core_progress.Progress], T]) -> T:
    """Do long work outside of a workstation; a terminal sees how far it is.

    Raises:
        MedViewError: It failed.
        Cancelled: The user stopped it, as with Ctrl+C.
    """
    queue = MainQueue()
    jobs = JobQueue(queue)
    try:
        with _Bar() as bar:
            job = jobs.submit(Text("Working"), work, lane=Lane.GPU)
            wait_for(queue, job, bar.show)
    finally:
        jobs.close()
    if job.result is None:
        raise CommandError("Nothing came of it.")
    return job.result


def home() -> Path:
    """The user's folder.

    Raises:
        CommandError: It cannot be written, so that nothing can be kept.
    """
    folder = user_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"Your folder {folder} cannot be made ({error.strerror}). Name another one in MEDVIEW_HOME."
        ) from error
    return folder


def existing(path: Path) -> Path:
    """A path that is there.

    Raises:
        CommandError: It is not.
    """
    if not path.exists():
        raise CommandError(f"There is no file or folder {path}.")
    return path


def open_series(station: Workstation, path: Path, series_uid: str = "") -> tuple[Case, Volume]:
    """Open a series, as dropping the path on the window would.

    Args:
        station: Where.
        path: A file or folder.
        series_uid: Which series in it; the largest that can be opened when empty.

    Raises:
        CommandError: There is no such series.
        MedViewError: It cannot be opened.
    """
    opened = finish(station, station.importing.find([path]))
    series = opened.series if opened is not None else ()
    if not series:
        raise nothing_in([path], opened.rejects if opened is not None else ())
    chosen = _chosen(series, path, series_uid)
    if chosen.refusal is not None or chosen.geometry is None:
        reason = chosen.refusal.text if chosen.refusal is not None else "It is no volume."
        raise CommandError(f"The series {chosen.description or chosen.uid} cannot be opened. {reason}")
    job = station.importing.load(chosen.uid)
    if job is not None:
        finish(station, job)
    finish_all(station)
    case = station.workspace.case_with_series(chosen.uid)
    volume = case.volume_of_series(chosen.uid) if case is not None else None
    if case is None or volume is None:
        raise CommandError(f"The series {chosen.uid} could not be opened.")
    return case, volume


def nothing_in(paths: Sequence[Path], rejects: Sequence[Reject]) -> CommandError:
    """What to say when there is no series at all: the reason, where there is one file and one reason."""
    if len(rejects) == 1:
        return CommandError(f"{rejects[0].path} cannot be opened. {rejects[0].reason}")
    among = f"; {len(rejects)} files are no images" if rejects else ""
    return CommandError(f"There is no image in {', '.join(str(path) for path in paths)}{among}.")


def _chosen(series: Sequence[Series], path: Path, uid: str) -> Series:
    if uid:
        chosen = next((one for one in series if one.uid == uid), None)
        if chosen is None:
            raise CommandError(f"There is no series {uid} in {path}; medview index shows what there is.")
        return chosen
    return max(series, key=_size)


def _size(series: Series) -> int:
    if series.refusal is not None or series.geometry is None:
        return 0
    k, j, i = series.geometry.shape
    return k * j * i


class _Bar:
    """A progress bar on the error stream, where that is a terminal."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._tasks: dict[int, TaskID] = {}

    def __enter__(self) -> _Bar:
        if sys.stderr is not None and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TimeRemainingColumn(),
                console=Console(file=sys.stderr),
                transient=True,
            )
            self._progress.start()
        return self

    def show(self, job: Job[Any]) -> None:
        if self._progress is None:
            return
        description = str(job.message or job.title)
        if job.number not in self._tasks:
            self._tasks[job.number] = self._progress.add_task(description, total=None)
        self._progress.update(
            self._tasks[job.number],
            description=description,
            total=None if job.fraction is None else 1.0,
            completed=job.fraction or 0.0,
        )

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()
