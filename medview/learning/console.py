"""Progress for commands: a line on standard error now and then."""

from __future__ import annotations

import sys
import time

from medview.core.text import Text


class ConsoleProgress:
    """Writes at most one line in `seconds`; is stopped with the keyboard."""

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._start = time.monotonic()
        self._shown = -seconds

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        """Write how far the work is, unless it was just written."""
        elapsed = time.monotonic() - self._start
        if elapsed - self._shown < self._seconds:
            return
        self._shown = elapsed
        share = "" if fraction is None else f"{fraction:6.1%} "
        sys.stderr.write(f"{elapsed:7.0f} s {share}{message}\n")
        sys.stderr.flush()

    def raise_if_cancelled(self) -> None:
        """Ctrl+C raises by itself."""
