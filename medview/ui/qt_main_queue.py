"""Wakes the main queue from Qt's event loop: one queued signal for any number of posts, and none while idle."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt, Signal, Slot

from medview.workstation.main_queue import MainQueue


class QtMainQueue(QObject):
    """Drains a `MainQueue` on the thread that this object was made in."""

    _woken = Signal()

    def __init__(self, queue: MainQueue, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._queue = queue
        self._woken.connect(self._drain, Qt.ConnectionType.QueuedConnection)
        queue.set_wake(self._woken.emit)

    def close(self) -> None:
        """Stop waking; calls that are posted from now on wait."""
        self._queue.set_wake(None)

    @Slot()
    def _drain(self) -> None:
        self._queue.drain()
