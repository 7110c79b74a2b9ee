"""A line that unfolds what belongs under it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QSizePolicy, QToolButton, QVBoxLayout, QWidget

from medview.ui.theme import icon, set_role


class Folding(QWidget):
    """A heading with an arrow, and a body that is hidden until somebody clicks."""

    def __init__(self, body: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._body = body
        self.button = QToolButton()
        self.button.setCheckable(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.button.setStyleSheet(
            "QToolButton { text-align: left; } QToolButton:checked { border-color: transparent; }"
        )
        set_role(self.button, "flat")
        self.button.toggled.connect(self._fold)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.button)
        layout.addWidget(body)
        self._fold(False)

    @property
    def is_open(self) -> bool:
        """Whether the body is shown."""
        return self.button.isChecked()

    def set_title(self, title: str) -> None:
        """What the line says."""
        self.button.setText(title)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the theme."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._fold(self.is_open)

    def _fold(self, is_open: bool) -> None:
        self._body.setVisible(is_open)
        self.button.setIcon(icon("chevron-down" if is_open else "chevron-right"))
