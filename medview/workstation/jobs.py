"""Background work: jobs in lanes, one for the disk, one for the processor that runs models, one for the network."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Any, Generic, TypeVar

from medview.core.errors import Cancelled, MedViewError
from medview.core.events import Event
from medview.core.progress import Progress
from medview.core.text import Text
from medview.workstation.main_queue import MainQueue

T = TypeVar("T")
_log = logging.getLogger(__name__)
_REPORT_INTERVAL_S = 0.05


class Lane(StrEnum):
    """Where a job waits its turn.

    DISK has two workers; GPU one, so that models never compete for memory; NETWORK four, because its jobs mostly wait,
    and a search must not wait for a transfer.
    """

    DISK = "disk"
    GPU = "gpu"
    NETWORK = "network"


class JobState(StrEnum):
    """QUEUED and RUNNING pass; DONE, FAILED and CANCELLED are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


class Job(Generic[T]):
    """One piece of background work, as the main thread sees it. Its fields change on the main thread only.

    Attributes:
        title: What the status bar says.
        lane: Where it runs.
        state: How far it is.
        fraction: 0..1, or None when nobody knows.
        message: What it is doing.
        seconds_left: Estimated from the fraction; None when nobody knows.
        error: Why it failed.
        result: What it returned.
    """

    def __init__(self, number: int, title: Text, lane: Lane) -> None:
        self.number = number
        self.title = title
        self.lane = lane
        self.state = JobState.QUEUED
        self.fraction: float | None = None
        self.message = Text("")
        self.seconds_left: float | None = None
        self.error: MedViewError | None = None
        self.result: T | None = None
        self._stop = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop. It ends as CANCELLED, and its result is dropped."""
        self._stop.set()

    @property
    def cancel_asked(self) -> bool:
        """Whether somebody has asked."""
        return self._stop.is_set()


class _Reporter:
    """The `Progress` that a job's work is given; reports go home, not more often than eyes can follow."""

    def __init__(self, job: Job[Any], queue: MainQueue, changed: Event[Job[Any]]) -> None:
        self._job = job
        self._queue = queue
        self._changed = changed
        self._started = time.monotonic()
        self._last = 0.0
        self._lock = threading.Lock()

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        now = time.monotonic()
        with self._lock:
            if now - self._last < _REPORT_INTERVAL_S and not (fraction is not None and fraction >= 1):
                return
            self._last = now
        text = message if isinstance(message, Text) else Text(message)
        left = None
        if fraction is not None and fraction > 0.02:
            left = (now - self._started) * (1 - fraction) / fraction
        self._queue.post(lambda: self._arrive(fraction, text, left))

    def raise_if_cancelled(self) -> None:
        if self._job.cancel_asked:
            raise Cancelled

    def _arrive(self, fraction: float | None, message: Text, seconds_left: float | None) -> None:
        job = self._job
        if job.state is JobState.RUNNING:
            job.fraction, job.seconds_left = fraction, seconds_left
            if message:
                job.message = message
            self._changed.emit(job)


class JobQueue:
    """Runs jobs and brings their results home. Everything but the work itself happens on the main thread."""

    def __init__(self, queue: MainQueue) -> None:
        self.changed: Event[Job[Any]] = Event()
        self._queue = queue
        self._numbers = itertools.count(1)
        self._open: dict[int, Job[Any]] = {}
        self._lanes = {
            Lane.DISK: ThreadPoolExecutor(2, thread_name_prefix="disk"),
            Lane.GPU: ThreadPoolExecutor(1, thread_name_prefix="gpu"),
            Lane.NETWORK: ThreadPoolExecutor(4, thread_name_prefix="network"),
        }

    @property
    def open_jobs(self) -> tuple[Job[Any], ...]:
        """Jobs that have not ended, oldest first."""
        return tuple(self._open.values())

    def submit(
        self,
        title: Text,
        work: Callable[[Progress], T],
        *,
        lane: Lane,
        then: Callable[[T], None] | None = None,
        failed: Callable[[MedViewError], None] | None = None,
    ) -> Job[T]:
        """Run `work` in a lane's thread.

        Args:
            title: What the user reads about it.
            work: Gets a `Progress`, touches nothing shared, returns a value. Runs in the lane's thread.
            lane: Which queue it waits in.
            then: Gets the value, on the main thread; not called when the job failed or was cancelled.
            failed: Gets the error, on the main thread.

        Returns:
            The job, queued.
        """
        job: Job[T] = Job(next(self._numbers), title, lane)
        self._open[job.number] = job
        self.changed.emit(job)
        self._lanes[lane].submit(self._run, job, work, then, failed)
        return job

    def post(self, call: Callable[[], None]) -> None:
        """Have `call` made on the main thread; for threads that are no jobs and have something to say."""
        self._queue.post(call)

    def close(self, timeout_s: float = 5.0) -> None:
        """Cancel what is open and wait for the threads, up to `timeout_s`. Results that arrive later are dropped."""
        for job in self.open_jobs:
            job.cancel()
        deadline = time.monotonic() + timeout_s
        for pool in self._lanes.values():
            pool.shutdown(wait=False, cancel_futures=True)
        while self._open and time.monotonic() < deadline:
            self._queue.drain(0.05)
            for job in [one for one in self._open.values() if one.state is JobState.QUEUED]:
                self._end(job, JobState.CANCELLED)
        self._open.clear()

    def _run(
        self,
        job: Job[T],
        work: Callable[[Progress], T],
        then: Callable[[T], None] | None,
        failed: Callable[[MedViewError], None] | None,
    ) -> None:
        self._queue.post(lambda: self._start(job))
        try:
            if job.cancel_asked:
                raise Cancelled
            result = work(_Reporter(job, self._queue, self.changed))
        except Cancelled:
            self._queue.post(lambda: self._end(job, JobState.CANCELLED))
        except MedViewError as error:
            _log.warning("%s: %s", job.title, error, exc_info=True)
            caught = error
            self._queue.post(lambda: self._fail(job, caught, failed))
        except BaseException as error:
            _log.exception("%s", job.title)
            unexpected = _unexpected(error)
            self._queue.post(lambda: self._fail(job, unexpected, failed))
        else:
            self._queue.post(lambda: self._finish(job, result, then))

    def _start(self, job: Job[Any]) -> None:
        if job.state is JobState.QUEUED:
            job.state = JobState.RUNNING
            self.changed.emit(job)

    def _finish(self, job: Job[T], result: T, then: Callable[[T], None] | None) -> None:
        if job.cancel_asked:
            self._end(job, JobState.CANCELLED)
            return
        job.result = result
        job.fraction, job.seconds_left = 1.0, 0.0
        self._end(job, JobState.DONE)
        if then is not None:
            then(result)

    def _fail(self, job: Job[Any], error: MedViewError, failed: Callable[[MedViewError], None] | None) -> None:
        if job.cancel_asked:
            self._end(job, JobState.CANCELLED)
            return
        job.error = error
        self._end(job, JobState.FAILED)
        if failed is not None:
            failed(error)

    def _end(self, job: Job[Any], state: JobState) -> None:
        if not job.state.is_final:
            job.state = state
            self._open.pop(job.number, None)
            self.changed.emit(job)


def _unexpected(error: BaseException) -> MedViewError:
    if isinstance(error, MemoryError):
        return MedViewError(
            Text("There is not enough memory for this."), Text("Close other programs or other cases and try again.")
        )
    if isinstance(error, OSError) and error.strerror:
        return MedViewError(
            Text.of("The system refused: {reason}.", reason=error.strerror),
            Text.of("Check {path}.", path=error.filename) if error.filename else "",
        )
    return MedViewError(
        Text("Something went wrong inside MedView."), Text("Nothing of your work is lost. The log has the details.")
    )
