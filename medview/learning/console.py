"""Progress for commands: a line on standard error now and then, and a way to stop with the keyboard."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from medview.core.errors import Cancelled, MedViewError
from medview.core.text import Text

_INTERVAL_S = 10.0


_FAILED, _STOPPED = 1, 130
STOPPED = "Stopped; the same command goes on from here."


def answered(work: Callable[[ConsoleProgress], str], *, stopped: str = "") -> int:
    """Do the work of a command, write its answer, and give the exit status; errors are sentences.

    Args:
        work: Gets a progress that Ctrl+C and a request to end stop.
        stopped: What is said when they did.
    """
    progress = ConsoleProgress()
    try:
        with progress.stopped_by_signals():
            answer = work(progress)
    except MedViewError as error:
        sys.stderr.write(f"{error}\n")
        return _FAILED
    except Cancelled:
        sys.stderr.write(f"{stopped}\n" if stopped else "")
        return _STOPPED
    sys.stdout.write(f"{answer}\n")
    return 0


class ConsoleProgress:
    """Writes at most one line in ten seconds."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._shown = -_INTERVAL_S
        self._stop = False

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        """Write how far the work is, unless it was just written."""
        elapsed = time.monotonic() - self._start
        if elapsed - self._shown < _INTERVAL_S:
            return
        self._shown = elapsed
        share = "" if fraction is None else f"{fraction:6.1%} "
        sys.stderr.write(f"{elapsed:7.0f} s {share}{message}\n")
        sys.stderr.flush()

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` once the keyboard or the system has asked for the end."""
        if self._stop:
            raise Cancelled

    @contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """Meanwhile Ctrl+C and a request to end stop the work at its next safe place, not in the middle of a step."""
        kinds = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(kind, self._note) for kind in kinds]
        try:
            yield
        finally:
            for kind, handler in zip(kinds, before, strict=True):
                signal.signal(kind, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._stop = True
