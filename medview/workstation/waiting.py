"""Waiting for background work where no event loop runs: the command line, the self-test, scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from medview.core.errors import Cancelled
from medview.workstation.jobs import Job, JobQueue, JobState
from medview.workstation.main_queue import MainQueue

T = TypeVar("T")
_PATIENCE_S = 0.1


def wait_for(queue: MainQueue, job: Job[T], watch: Callable[[Job[Any]], None] | None = None) -> T | None:
    """Make the calls of a queue until a job has ended. Main thread only.

    Args:
        queue: The queue that the job comes home through.
        job: What to wait for. Ctrl+C asks it to stop, and waits until it has.
        watch: Called again and again meanwhile, to show how far the job is.

    Returns:
        What the job returned.

    Raises:
        MedViewError: The job failed.
        Cancelled: The job was stopped.
    """
    try:
        _pump(queue, job, watch)
    except KeyboardInterrupt:
        job.cancel()
        _pump(queue, job, None)
        raise Cancelled from None
    if job.error is not None:
        raise job.error
    if job.state is JobState.CANCELLED:
        raise Cancelled
    return job.result


def wait_for_all(queue: MainQueue, jobs: JobQueue, watch: Callable[[Job[Any]], None] | None = None) -> None:
    """Make the calls of a queue until no job is open, those included that other jobs have started.

    Raises:
        MedViewError: A job failed.
        Cancelled: A job was stopped.
    """
    queue.drain()
    while jobs.open_jobs:
        wait_for(queue, jobs.open_jobs[0], watch)
    queue.drain()


def _pump(queue: MainQueue, job: Job[Any], watch: Callable[[Job[Any]], None] | None) -> None:
    while not job.state.is_final:
        queue.drain(_PATIENCE_S)
        if watch is not None:
            watch(job)
