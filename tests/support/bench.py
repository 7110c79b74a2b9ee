"""A workstation with a Qt event loop, as the window has it, for tests of what is seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from medview.core.case import Case
from medview.core.volume import Volume
from medview.ui.qt_main_queue import QtMainQueue
from medview.ui.theme import DARK, apply_theme
from medview.ui.translation import CHINESE, ENGLISH, Languages
from medview.workstation.jobs import Job
from medview.workstation.station import Workstation

_PATIENCE_MS = 20_000


class Bench:
    """A station, and what a test does with it."""

    def __init__(self, qtbot: QtBot, home: Path) -> None:
        self.qtbot = qtbot
        self.station = Workstation(home)
        self.queue = QtMainQueue(self.station.queue)

    def show(self, panel: QWidget, width: int = 300, height: int = 700) -> None:
        """Put a panel on the screen."""
        self.qtbot.addWidget(panel)
        panel.resize(width, height)
        with self.qtbot.waitExposed(panel):
            panel.show()

    def until(self, holds: Callable[[], bool]) -> None:
        """Let the event loop run until something holds."""
        self.qtbot.waitUntil(holds, timeout=_PATIENCE_MS)

    def finish(self, job: Job[Any] | None) -> None:
        """Let a job end, and what hangs on it."""
        if job is not None:
            self.until(lambda: job.state.is_final)
        self.qtbot.wait(1)

    def open(self, *paths: Path) -> tuple[Case, Volume]:
        """Open files, and wait for the volume."""
        self.finish(self.station.importing.open_paths(paths))
        workspace = self.station.workspace
        self.until(lambda: workspace.active_volume is not None and not self.station.jobs.open_jobs)
        case, volume = workspace.active_case, workspace.active_volume
        assert case is not None
        assert volume is not None
        return case, volume


@contextmanager
def bench(qtbot: QtBot, home: Path) -> Iterator[Bench]:
    """A dressed program with a station; closed at the end."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    apply_theme(app, DARK)
    made = Bench(qtbot, home)
    try:
        yield made
    finally:
        made.station.close()
        made.queue.close()


@contextmanager
def speaking_chinese() -> Iterator[None]:
    """The program in Chinese, for a while."""
    app = QCoreApplication.instance()
    assert app is not None
    languages = Languages(app)
    languages.use(CHINESE)
    try:
        yield
    finally:
        languages.use(ENGLISH)
