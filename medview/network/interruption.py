"""Network calls that can be stopped while they wait: for a connection, for an answer, for the next packet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from medview.core.errors import Cancelled
from medview.core.progress import Progress

T = TypeVar("T")
_ASK_S = 0.05
_FAREWELL_S = 0.5
"""How long the thread of a stopped call is waited for; it ends by itself when its time-out is over."""


class Interruption:
    """Tells a thread that nobody waits for it any more, and ends what it waits for. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ways: list[Callable[[], None]] = []
        self._asked = False

    @contextmanager
    def by(self, way: Callable[[], None]) -> Iterator[None]:
        """Meanwhile, `way` is how to end what is waited for."""
        with self._lock:
            self._ways.append(way)
        try:
            self.raise_if_asked()
            yield
        finally:
            with self._lock:
                self._ways.remove(way)

    def ask(self) -> None:
        """End it."""
        with self._lock:
            self._asked = True
            ways = list(self._ways)
        for way in ways:
            with suppress(Exception):  # the connection may be gone already
                way()

    def raise_if_asked(self) -> None:
        """Raise `Cancelled` when somebody has asked."""
        if self._asked:
            raise Cancelled


def interruptible(work: Callable[[Interruption], T], progress: Progress) -> T:
    """Do `work` in a thread of its own, and leave it within a second when the progress says that it is cancelled.

    A thread that hangs in the system's connect or read cannot be ended from outside: it is left alone, finds that it
    was interrupted when it gets out, and throws away what it has.

    Raises:
        Cancelled: The progress says so.
    """
    interruption = Interruption()
    done = threading.Event()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work(interruption))
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=run, name=f"{threading.current_thread().name}-call", daemon=True).start()
    while not done.wait(_ASK_S):
        try:
            progress.raise_if_cancelled()
        except BaseException:
            interruption.ask()
            done.wait(_FAREWELL_S)
            raise
    if errors:
        progress.raise_if_cancelled()
        raise errors[0]
    return results[0]
