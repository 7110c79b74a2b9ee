from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from medview.core.errors import InputError
from medview.core.progress import Progress
from medview.core.text import Text
from medview.workstation.jobs import Job, JobQueue, JobState, Lane
from medview.workstation.main_queue import MainQueue


@pytest.fixture
def queue() -> MainQueue:
    return MainQueue()


@pytest.fixture
def jobs(queue: MainQueue) -> Iterator[JobQueue]:
    jobs = JobQueue(queue)
    yield jobs
    jobs.close(1)


def drain_until(queue: MainQueue, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline
        queue.drain(0.05)


def test_a_result_comes_home_on_the_main_thread(queue: MainQueue, jobs: JobQueue) -> None:
    home: list[tuple[int, int]] = []
    work_thread: list[int] = []

    def work(progress: Progress) -> int:
        work_thread.append(threading.get_ident())
        return 42

    job = jobs.submit(
        Text("count"), work, lane=Lane.DISK, then=lambda value: home.append((value, threading.get_ident()))
    )
    drain_until(queue, lambda: job.state.is_final)
    assert home == [(42, threading.get_ident())]
    assert work_thread[0] != threading.get_ident()
    assert job.state is JobState.DONE
    assert jobs.open_jobs == ()


def test_cancel_ends_as_cancelled_and_drops_the_result(queue: MainQueue, jobs: JobQueue) -> None:
    started = threading.Event()
    home: list[None] = []

    def work(progress: Progress) -> None:
        started.set()
        while True:
            progress.raise_if_cancelled()
            time.sleep(0.005)

    job = jobs.submit(Text("wait"), work, lane=Lane.GPU, then=home.append)
    assert started.wait(5)
    job.cancel()
    drain_until(queue, lambda: job.state.is_final)
    assert job.state is JobState.CANCELLED
    assert home == []


def test_a_result_that_was_ready_before_cancel_arrived_is_dropped(queue: MainQueue, jobs: JobQueue) -> None:
    home: list[int] = []
    returned = threading.Event()

    def work(progress: Progress) -> int:
        returned.set()
        return 1

    job = jobs.submit(Text("quick"), work, lane=Lane.DISK, then=home.append)
    assert returned.wait(5)
    time.sleep(0.05)
    job.cancel()
    drain_until(queue, lambda: job.state.is_final)
    assert job.state is JobState.CANCELLED
    assert home == []


def test_failures_carry_a_sentence_and_never_a_trace(queue: MainQueue, jobs: JobQueue) -> None:
    def expected(progress: Progress) -> None:
        raise InputError("The file is empty.", "Choose another.")

    def unexpected(progress: Progress) -> None:
        raise KeyError("secret")

    failed: list[Exception] = []
    first: Job[None] = jobs.submit(Text("a"), expected, lane=Lane.DISK, failed=failed.append)
    second: Job[None] = jobs.submit(Text("b"), unexpected, lane=Lane.DISK, failed=failed.append)
    drain_until(queue, lambda: first.state.is_final and second.state.is_final)
    assert first.state is second.state is JobState.FAILED
    assert str(first.error) == "The file is empty. Choose another."
    assert second.error is not None
    assert "secret" not in str(second.error)
    assert len(failed) == 2


def test_closing_ends_every_job(queue: MainQueue) -> None:
    jobs = JobQueue(queue)

    def work(progress: Progress) -> None:
        while True:
            progress.raise_if_cancelled()
            time.sleep(0.005)

    submitted = [jobs.submit(Text("wait"), work, lane=Lane.GPU) for _ in range(3)]
    jobs.close(5)
    assert [job.state for job in submitted] == [JobState.CANCELLED] * 3


def test_wake_is_called_once_until_drained(queue: MainQueue) -> None:
    woken: list[int] = []
    queue.set_wake(lambda: woken.append(1))
    queue.post(lambda: None)
    queue.post(lambda: None)
    assert woken == [1]
    assert queue.drain() == 2
    queue.post(lambda: None)
    assert woken == [1, 1]


def test_a_failing_call_does_not_swallow_the_ones_behind_it(queue: MainQueue) -> None:
    made: list[int] = []

    def fail() -> None:
        raise RuntimeError("boom")

    queue.post(fail)
    queue.post(lambda: made.append(1))
    with pytest.raises(RuntimeError, match="boom"):
        queue.drain()
    queue.drain()
    assert made == [1]
