"""The box inside which plugins look: how large it is, set around the crosshair, taken away."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from medview.core.text import Text
from medview.ui.theme import STEP_PX, set_role
from medview.ui.translation import render


class BoxChoice(QWidget):
    """A line with what holds now, and a button for the other. It says what was clicked, and does nothing itself."""

    asked = Signal()
    """A box around the crosshair."""
    removed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._size_mm: tuple[float, float, float] | None = None
        self.words = QLabel()
        self.words.setWordWrap(True)
        set_role(self.words, "quiet")
        self.set_button = QPushButton()
        self.set_button.clicked.connect(self.asked)
        self.remove_button = QPushButton()
        self.remove_button.clicked.connect(self.removed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(STEP_PX)
        layout.addWidget(self.words, 1)
        layout.addWidget(self.set_button)
        layout.addWidget(self.remove_button)
        self._write()

    def show_size(self, size_mm: tuple[float, float, float] | None) -> None:
        """Show the box: left to right, front to back, foot to head; None: there is none."""
        if size_mm != self._size_mm:
            self._size_mm = size_mm
            self._write()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._write()

    def _write(self) -> None:
        size = self._size_mm
        self.set_button.setText(self.tr("Set a box"))
        self.set_button.setToolTip(self.tr("Around the crosshair; drag its sides in the views to change it"))
        self.remove_button.setText(self.tr("Remove box"))
        self.set_button.setVisible(size is None)
        self.remove_button.setVisible(size is not None)
        if size is None:
            self.words.setText(self.tr("Looks at the whole image"))
            return
        x, y, z = (f"{one:.0f}" for one in size)
        self.words.setText(render(Text.of("Looks inside the box only: {x} × {y} × {z} mm", x=x, y=y, z=z)))
