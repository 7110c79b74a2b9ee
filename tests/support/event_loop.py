"""Qt's event loop as the program runs it: asleep until something happens, and other threads can run.

`QTest.qWait` and `QApplication.processEvents` keep Python's lock while they wait: the work of a job would stand still.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QEventLoop, QTimer


def run_for(seconds: float) -> None:
    """Let the events of some time happen."""
    loop = QEventLoop()
    QTimer.singleShot(round(seconds * 1000), loop.quit)
    loop.exec()


def run_until(done: Callable[[], bool], limit_s: float, every_s: float = 0.01) -> None:
    """Let events happen until something is so, which is asked again and again.

    Raises:
        TimeoutError: When it is not so after `limit_s`.
    """
    deadline = time.monotonic() + limit_s
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain for {limit_s:g} s")
        run_for(every_s)
