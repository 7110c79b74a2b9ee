"""What has to be told, told where it happened: an error, an offer, or a thing that is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QToolButton, QVBoxLayout, QWidget

from medview.core.errors import MedViewError
from medview.core.text import Text
from medview.ui.theme import STEP_PX, current_theme, icon, set_role
from medview.ui.translation import render


class Kind(StrEnum):
    """What a banner is about; also the name of its look."""

    ERROR = "error"
    OFFER = "offer"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Answer:
    """A button of a banner: what it says, named by what it does, and what it does."""

    text: Text
    call: Callable[[], None]
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """What a banner says.

    Attributes:
        kind: Error, offer or done.
        what: One sentence: what happened.
        remedy: One sentence: what to do.
        details: For whoever has to look into it.
        answers: The buttons.
    """

    kind: Kind
    what: Text
    remedy: Text = field(default_factory=lambda: Text(""))
    details: str = ""
    answers: tuple[Answer, ...] = ()

    @classmethod
    def of_error(cls, error: MedViewError, answers: tuple[Answer, ...] = ()) -> Message:
        """What an error has to say; its details are the chain of its causes."""
        causes = []
        cause = error.__cause__
        while cause is not None:
            causes.append(f"{type(cause).__name__}: {cause}")
            cause = cause.__cause__
        return cls(Kind.ERROR, error.what, error.remedy, "\n".join(causes), answers)


class Banner(QFrame):
    """One message; hidden while there is none. A new message replaces the old one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._message: Message | None = None
        self._icon = QLabel()
        self._what = _sentence()
        set_role(self._what, "title")
        self._remedy = _sentence()
        self._details = _sentence()
        set_role(self._details, "quiet")
        self._close = QToolButton()
        set_role(self._close, "flat")
        self._close.clicked.connect(self.clear)
        self._details_button = QPushButton()
        self._details_button.setCheckable(True)
        self._details_button.toggled.connect(self._details.setVisible)
        self._copy_button = QPushButton()
        self._copy_button.clicked.connect(self._copy)
        for button in (self._details_button, self._copy_button):
            set_role(button, "link")

        head = QHBoxLayout()
        head.setSpacing(2 * STEP_PX)
        head.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self._what, 1)
        head.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        self._answers = QHBoxLayout()
        self._answers.setSpacing(2 * STEP_PX)
        foot = QHBoxLayout()
        foot.addLayout(self._answers)
        foot.addStretch(1)
        foot.addWidget(self._details_button)
        foot.addWidget(self._copy_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * STEP_PX, 2 * STEP_PX, 2 * STEP_PX, 2 * STEP_PX)
        layout.setSpacing(STEP_PX)
        layout.addLayout(head)
        layout.addWidget(self._remedy)
        layout.addWidget(self._details)
        layout.addLayout(foot)
        self.hide()

    @property
    def message(self) -> Message | None:
        """What is shown now."""
        return self._message

    def show_message(self, message: Message) -> None:
        """Show a message."""
        self._message = message
        self._details_button.setChecked(False)
        while (item := self._answers.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.deleteLater()
        for answer in message.answers:
            button = QPushButton(render(answer.text))
            if answer.primary:
                set_role(button, "primary")
            button.clicked.connect(lambda _checked=False, chosen=answer: self._choose(chosen))
            self._answers.addWidget(button)
        set_role(self, message.kind.value)
        self._write()
        self.show()

    def show_error(self, error: MedViewError) -> None:
        """Show an error."""
        self.show_message(Message.of_error(error))

    def clear(self) -> None:
        """Show nothing."""
        self._message = None
        self.hide()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange) and self._message is not None:
            self._write()

    def _write(self) -> None:
        message = self._message
        if message is None:
            return
        theme = current_theme()
        name, color = {
            Kind.ERROR: ("alert-circle-outline", theme.danger),
            Kind.OFFER: ("backup-restore", theme.accent),
            Kind.DONE: ("check-circle-outline", theme.good),
        }[message.kind]
        self._icon.setPixmap(icon(name, color).pixmap(18, 18))
        self._close.setIcon(icon("close"))
        self._close.setToolTip(self.tr("Close this message"))
        self._what.setText(render(message.what))
        self._remedy.setText(render(message.remedy))
        self._remedy.setVisible(bool(message.remedy))
        self._details.setText(message.details)
        self._details.setVisible(self._details_button.isChecked())
        self._details_button.setText(self.tr("Details"))
        self._details_button.setVisible(bool(message.details))
        self._copy_button.setText(self.tr("Copy"))
        self._copy_button.setVisible(message.kind is not Kind.OFFER)

    def _choose(self, answer: Answer) -> None:
        self.clear()
        answer.call()

    def _copy(self) -> None:
        if self._message is not None:
            parts = (self._what.text(), self._remedy.text(), self._message.details)
            QGuiApplication.clipboard().setText("\n".join(part for part in parts if part))


def _sentence() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
