"""The way home for work that was done in other threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class MainQueue:
    """Calls that wait to be made on the main thread.

    Any thread posts; the main thread drains. `wake` is called, from the posting thread, when the queue stops being
    empty, so that an event loop can be told once and not for every call.
    """

    def __init__(self) -> None:
        self._calls: deque[Callable[[], None]] = deque()
        self._lock = threading.Condition()
        self._wake: Callable[[], None] | None = None

    def set_wake(self, wake: Callable[[], None] | None) -> None:
        """Install, or with None take away, what rouses the main thread."""
        with self._lock:
            self._wake = wake
            waiting = bool(self._calls)
        if wake is not None and waiting:
            wake()

    def post(self, call: Callable[[], None]) -> None:
        """Have `call` made on the main thread, in the order of posting."""
        with self._lock:
            first = not self._calls
            self._calls.append(call)
            self._lock.notify_all()
            # Within the lock: whoever has taken `wake` away may rely on its not being called any more.
            if first and self._wake is not None:
                self._wake()

    def drain(self, timeout_s: float = 0.0) -> int:
        """Make the waiting calls; wait up to `timeout_s` for the first one. Returns how many were made.

        Calls posted meanwhile wait for the next drain, so that a busy worker cannot hold the main thread.
        """
        with self._lock:
            if not self._calls and timeout_s > 0:
                self._lock.wait(timeout_s)
            waiting = list(self._calls)
            self._calls.clear()
        for number, call in enumerate(waiting):
            try:
                call()
            except BaseException:
                with self._lock:
                    self._calls.extendleft(reversed(waiting[number + 1 :]))
                    wake = self._wake
                if wake is not None:
                    wake()
                raise
        return len(waiting)
