"""The window program: Qt, the workstation and the window, put together and taken apart again."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QCoreApplication, Qt, QTimer
from PySide6.QtWidgets import QApplication

from medview import __version__
from medview.catalog.plugins import translations
from medview.core.errors import MedViewError
from medview.core.text import Text
from medview.ui.gl_widget import use_core_profile
from medview.ui.main_window import MainWindow
from medview.ui.qt_main_queue import QtMainQueue
from medview.ui.theme import apply_theme, theme_named
from medview.ui.translation import ENGLISH, Languages, language_of
from medview.workstation.settings import Settings
from medview.workstation.station import Workstation

_log = logging.getLogger(__name__)


def run(home: Path, paths: Sequence[Path] = (), *, sample: bool = False) -> int:
    """Open the window and stay until it is closed.

    Args:
        home: The user's folder.
        paths: What to open.
        sample: Whether to open the sample study.

    Returns:
        The exit status.
    """
    app = application()
    station = Workstation(home)
    languages = Languages(app)

    def dress(settings: Settings) -> None:
        language = language_of(settings.language)
        languages.use(language, translations(station.analysis.plugins(), language) if language != ENGLISH else None)
        apply_theme(app, theme_named(settings.theme))

    dress(station.settings.current)
    window = MainWindow(station, dress)
    sys.excepthook = _teller(window)
    waker = QtMainQueue(station.queue, app)
    window.showMaximized()
    if paths:
        QTimer.singleShot(0, lambda: window.open_paths(paths))
    elif sample:
        QTimer.singleShot(0, window.open_sample)
    status = app.exec()
    waker.close()
    sys.excepthook = sys.__excepthook__
    return status


def application() -> QApplication:
    """Qt, set up for this program; the one that runs already, where there is one."""
    running = QApplication.instance()
    if isinstance(running, QApplication):
        return running
    if sys.platform == "linux" and os.environ.get("DISPLAY"):
        # VTK asks the X server; under Wayland with an X server beside it, Qt has to do the same.
        os.environ.setdefault("QT_QPA_PLATFORM", "xcb")
    use_core_profile()
    QCoreApplication.setApplicationName("MedView")
    QCoreApplication.setApplicationVersion(__version__)
    QApplication.setHighDpiScaleFactorRoundingPolicy(Qt.HighDpiScaleFactorRoundingPolicy.PassThrough)
    return QApplication(sys.argv[:1])


def _teller(window: MainWindow) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    """An exception hook: the trace goes to the log, a sentence to the window."""

    def tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            QCoreApplication.quit()
            return
        _log.error("Unexpected", exc_info=(kind, error, trace))
        window.show_error(error if isinstance(error, MedViewError) else _unexpected())

    return tell


def _unexpected() -> MedViewError:
    return MedViewError(
        Text("Something went wrong inside MedView."), Text("Nothing of your work is lost. The log has the details.")
    )
