"""What the middle of the window says while nothing is open: one sentence, two buttons, the last cases."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from medview.ui.theme import STEP_PX, set_role

_MOST_RECENT = 5


class EmptyState(QWidget):
    """Sentence, Open, Sample study, and the paths that were opened last."""

    open_asked = Signal()
    sample_asked = Signal()
    recent_asked = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._recent: tuple[str, ...] = ()
        self._busy = ""
        self._sentence = QLabel()
        set_role(self._sentence, "hero")
        self._hint = QLabel()
        set_role(self._hint, "quiet")
        for label in (self._sentence, self._hint):
            label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            label.setWordWrap(True)
        self._bar = QProgressBar()
        self._bar.setRange(0, 0)
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(320)
        self._open = QPushButton()
        set_role(self._open, "primary")
        self._open.clicked.connect(self.open_asked)
        self._sample = QPushButton()
        self._sample.clicked.connect(self.sample_asked)
        self._heading = QLabel()
        set_role(self._heading, "heading")
        self._list = QVBoxLayout()
        self._list.setSpacing(0)

        buttons = QHBoxLayout()
        buttons.setSpacing(2 * STEP_PX)
        buttons.addStretch(1)
        for button in (self._open, self._sample):
            button.setMinimumWidth(136)
            button.setMinimumHeight(32)
            buttons.addWidget(button)
        buttons.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setSpacing(2 * STEP_PX)
        layout.addStretch(3)
        layout.addWidget(self._sentence)
        layout.addWidget(self._hint)
        layout.addSpacing(2 * STEP_PX)
        layout.addWidget(self._bar, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addLayout(buttons)
        layout.addSpacing(6 * STEP_PX)
        layout.addWidget(self._heading, 0, Qt.AlignmentFlag.AlignHCenter)
        layout.addLayout(self._list)
        layout.addStretch(4)
        self._write()

    def show_recent(self, paths: tuple[str, ...]) -> None:
        """List the paths that were opened last and are still there."""
        there = tuple(path for path in paths if Path(path).exists())[:_MOST_RECENT]
        if there == self._recent:
            return
        self._recent = there
        while (item := self._list.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.deleteLater()
        for path in there:
            name = Path(path)
            button = QPushButton(f"{name.name}   {name.parent}")
            set_role(button, "link")
            button.setToolTip(path)
            button.clicked.connect(lambda _checked=False, chosen=path: self.recent_asked.emit(chosen))
            self._list.addWidget(button, 0, Qt.AlignmentFlag.AlignHCenter)
        self._heading.setVisible(bool(there))

    def show_busy(self, what: str) -> None:
        """Say what is being done instead of asking; empty: nothing is."""
        if what != self._busy:
            self._busy = what
            self._write()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._write()

    def _write(self) -> None:
        busy = bool(self._busy)
        self._sentence.setText(self._busy if busy else self.tr("Drop a DICOM folder here"))
        self._hint.setText(
            self.tr("or files: DICOM, NIfTI, NRRD, MHA. Nothing leaves this machine unless you send it.")
        )
        self._open.setText(self.tr("Open ..."))
        self._sample.setText(self.tr("Sample study"))
        self._heading.setText(self.tr("Opened last"))
        self._bar.setVisible(busy)
        for widget in (self._hint, self._open, self._sample):
            widget.setVisible(not busy)
        self._heading.setVisible(bool(self._recent))
