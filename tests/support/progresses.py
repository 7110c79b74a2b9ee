"""Progress that behaves as a user would."""

from __future__ import annotations

from medview.core.errors import Cancelled
from medview.core.progress import NoProgress
from medview.core.text import Text


class StopAfter(NoProgress):
    """Cancels a training once it has reported so many steps."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        """Count the steps."""
        self._left -= str(message).startswith("Step")

    def raise_if_cancelled(self) -> None:
        """Cancel when they are done."""
        if self._left <= 0:
            raise Cancelled
