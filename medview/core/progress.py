"""What long work needs from whoever asked for it: a place to report to, and a way to be stopped."""

from __future__ import annotations

from typing import Protocol

from medview.core.text import Text


class Progress(Protocol):
    """Given to every function that may take longer than a glance. Safe to call from any thread."""

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        """Say how far the work is: 0..1, or None when nobody knows."""

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` when the work has been asked to stop. Ask at least ten times a second."""


class NoProgress:
    """For callers that neither watch nor cancel."""

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        """Drop the report."""

    def raise_if_cancelled(self) -> None:
        """Never stops."""


class PartOf:
    """A stretch of another progress: 0..1 here is `start`..`stop` there."""

    def __init__(self, whole: Progress, start: float, stop: float) -> None:
        self._whole = whole
        self._start = start
        self._stop = stop

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        """Report to the whole."""
        scaled = None if fraction is None else self._start + fraction * (self._stop - self._start)
        self._whole.report(scaled, message)

    def raise_if_cancelled(self) -> None:
        """Ask the whole."""
        self._whole.raise_if_cancelled()
