"""What trusting a plugin means, in plain words, before anybody does it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from medview.ui.theme import STEP_PX, set_role


class TrustBox(QWidget):
    """Explains, and asks. It says what was clicked, and does nothing itself."""

    trusted = Signal()
    declined = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._words = QLabel()
        self._words.setWordWrap(True)
        self._words.setTextFormat(Qt.TextFormat.PlainText)
        self.yes = QPushButton()
        self.yes.clicked.connect(self.trusted)
        self.no = QPushButton()
        set_role(self.no, "primary")
        self.no.clicked.connect(self.declined)
        buttons = QHBoxLayout()
        buttons.setSpacing(2 * STEP_PX)
        buttons.addWidget(self.yes)
        buttons.addWidget(self.no)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, STEP_PX, 0, STEP_PX)
        layout.setSpacing(STEP_PX)
        layout.addWidget(self._words)
        layout.addLayout(buttons)
        self._write()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._write()

    def _write(self) -> None:
        sentences = (
            self.tr("A plugin that you trust runs as you: it can read, change and send every file that you can."),
            self.tr("MedView cannot tell what it does. Trust it only if you know who made it."),
            self.tr("It is trusted as its files are now; when one of them changes, you are asked again."),
        )
        self._words.setText("\n".join(sentences))
        self.yes.setText(self.tr("Trust this plugin"))
        self.no.setText(self.tr("Not now"))
