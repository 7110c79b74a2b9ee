"""Qt's Python binding keeps count.

A binding that gives back one reference to None too many with every call ends the program after some thousand frames:
"none_dealloc: deallocating None". From Python 3.12 on None is immortal and the count means nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from PySide6.QtCore import QEvent, QTranslator
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import QApplication, QWidget

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal")
_CALLS = 400


def lost(call: Callable[[], object]) -> int:
    """How many references to None go while `call` is made many times."""
    call()
    before = sys.getrefcount(None)
    for _ in range(_CALLS):
        call()
    return before - sys.getrefcount(None)


class Painted(QWidget):
    def event(self, event: QEvent) -> bool:
        return super().event(event)

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        """Paint nothing."""


class Echo(QTranslator):
    def translate(self, context: str, source_text: str, /, disambiguation: str | None = None, n: int = -1) -> str:
        return source_text


def test_painting_loses_none(qapp: QApplication) -> None:
    widget = Painted()
    widget.show()
    qapp.processEvents()
    assert lost(widget.repaint) < _CALLS // 10
    widget.close()


def test_the_event_loop_loses_none(qapp: QApplication) -> None:
    assert lost(qapp.processEvents) < _CALLS // 10


def test_translating_loses_none(qapp: QApplication) -> None:
    translator = Echo()
    qapp.installTranslator(translator)
    assert lost(lambda: qapp.translate("context", "sentence")) < _CALLS // 10
    qapp.removeTranslator(translator)
