"""What the options of every tool have in common: they follow the language, and stop listening in the end."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QWidget

from medview.core.events import Connection


class OptionRow(QWidget):
    """The options of a tool; who derives from it connects, writes its texts and shows what is chosen."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._connections: Sequence[Connection] = ()

    def close_down(self) -> None:
        """Stop listening."""
        for connection in self._connections:
            connection.close()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._write_texts()

    def _write_texts(self) -> None:
        """Write all words in the language of the program."""
        raise NotImplementedError
