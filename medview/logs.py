"""The log: one file for every run, in the user's folder. What a person needs to read is never only here."""

from __future__ import annotations

import faulthandler
import logging
import os
import platform
import sys
import threading
import time
from datetime import datetime
from pathlib import Path
from types import TracebackType

from medview import __version__

_log = logging.getLogger(__name__)
_KEPT = 30
_FORMAT = "%(asctime)s %(levelname)-7s %(threadName)s %(name)s: %(message)s"


class RunLog:
    """The log of this run. While it is open, warnings, unexpected errors and crashes of every thread go into it.

    Args:
        folder: The folder of the logs; the oldest beyond thirty are deleted.
        level: What is written, as in `logging`.
    """

    def __init__(self, folder: Path, level: int = logging.INFO) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        _delete_oldest(folder, _KEPT - 1)
        started = datetime.now().strftime("%Y-%m-%d-%H%M%S")
        self.path = folder / f"medview-{started}-{os.getpid()}.log"
        self._handler = logging.FileHandler(self.path, encoding="utf-8", errors="backslashreplace")
        self._handler.setFormatter(_formatter())
        root = logging.getLogger()
        root.addHandler(self._handler)
        root.setLevel(level)
        logging.captureWarnings(True)
        self._hooks = (sys.excepthook, threading.excepthook)
        sys.excepthook = _report
        threading.excepthook = _report_of_thread
        # Its own handle: a crash writes past Python's buffers.
        self._crashes = self.path.open("a", encoding="utf-8")
        faulthandler.enable(self._crashes)
        _log.info("MedView %s, Python %s, %s", __version__, platform.python_version(), platform.platform())

    def close(self) -> None:
        """Stop logging and give everything back."""
        faulthandler.disable()
        self._crashes.close()
        sys.excepthook, threading.excepthook = self._hooks
        logging.captureWarnings(False)
        logging.getLogger().removeHandler(self._handler)
        self._handler.close()


def start(home: Path) -> RunLog | None:
    """Start the log of this run in the user's folder; None, and no log, where nothing can be written."""
    try:
        return RunLog(home / "logs")
    except OSError:
        # A folder that cannot be written is reported by whatever needs it; looking at images does not.
        logging.getLogger().addHandler(logging.NullHandler())
        return None


def _delete_oldest(folder: Path, keep: int) -> None:
    for path in sorted(folder.glob("medview-*.log"))[: -keep or None]:
        try:
            path.unlink()
        except OSError:
            # Another program still has it open, as on Windows: the next run deletes it.
            continue


def _formatter() -> logging.Formatter:
    formatter = logging.Formatter(_FORMAT)
    formatter.converter = time.gmtime
    return formatter


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.critical("An error that nothing caught", exc_info=(kind, error, trace))


def _report_of_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        _report(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)
