"""Waiting for jobs without an event loop."""

from __future__ import annotations

import threading

import pytest

from medview.core.errors import Cancelled, InputError
from medview.core.progress import Progress
from medview.core.text import Text
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.main_queue import MainQueue
from medview.workstation.waiting import wait_for, wait_for_all


@pytest.fixture
def queue() -> MainQueue:
    return MainQueue()


@pytest.fixture
def jobs(queue: MainQueue) -> JobQueue:
    return JobQueue(queue)


def test_a_job_gives_its_result(queue: MainQueue, jobs: JobQueue) -> None:
    job = jobs.submit(Text("Counting"), lambda _: 7, lane=Lane.DISK)
    assert wait_for(queue, job) == 7


def test_a_failed_job_raises_its_error(queue: MainQueue, jobs: JobQueue) -> None:
    def fail(_: Progress) -> None:
        raise InputError("This is no image.")

    with pytest.raises(InputError, match="no image"):
        wait_for(queue, jobs.submit(Text("Reading"), fail, lane=Lane.DISK))


def test_a_cancelled_job_raises_cancelled(queue: MainQueue, jobs: JobQueue) -> None:
    def work(progress: Progress) -> None:
        while True:
            progress.raise_if_cancelled()

    job = jobs.submit(Text("Running"), work, lane=Lane.GPU)
    with pytest.raises(Cancelled):
        wait_for(queue, job, Job.cancel)


def test_ctrl_c_stops_the_job_and_waits_for_its_end(queue: MainQueue, jobs: JobQueue) -> None:
    ended = threading.Event()

    def work(progress: Progress) -> None:
        try:
            while True:
                progress.raise_if_cancelled()
        finally:
            ended.set()

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Cancelled):
        wait_for(queue, jobs.submit(Text("Running"), work, lane=Lane.GPU), interrupt)
    assert ended.is_set()


def test_all_jobs_are_those_too_that_jobs_start(queue: MainQueue, jobs: JobQueue) -> None:
    results: list[int] = []

    def start_second(first: int) -> None:
        jobs.submit(Text("Second"), lambda _: first + 1, lane=Lane.GPU, then=results.append)

    jobs.submit(Text("First"), lambda _: 1, lane=Lane.DISK, then=start_second)
    wait_for_all(queue, jobs)
    assert results == [2]
