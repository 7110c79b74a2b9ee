"""A line for the path of a file, with a button to choose it."""

from __future__ import annotations

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QToolButton, QWidget

from medview.ui.theme import STEP_PX, icon


class FileField(QWidget):
    """Holds a path, typed or chosen; empty for none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.line = QLineEdit()
        self.line.setClearButtonEnabled(True)
        self._button = QToolButton()
        self._button.clicked.connect(self._choose)
        self.setFocusProxy(self.line)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(STEP_PX)
        layout.addWidget(self.line, 1)
        layout.addWidget(self._button)
        self._write()

    @property
    def path(self) -> str:
        """What is in it."""
        return self.line.text().strip()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange) and hasattr(self, "_button"):
            self._write()

    def _write(self) -> None:
        self._button.setIcon(icon("folder-open-outline"))
        self._button.setToolTip(self.tr("Choose a file"))

    def _choose(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self, self.tr("Choose a file"), self.path)
        if chosen:
            self.line.setText(chosen)
