"""A row of a list whose thing has a name and a number: it is chosen by a click and renamed by a double click."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QLabel, QLineEdit, QWidget

from medview.ui.theme import STEP_PX, current_theme, number_font

_EDGE_PX = 3


class NameField(QLineEdit):
    """A name that can be read, and written after a double click or F2. Enter keeps it, Escape does not."""

    renamed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._name = ""
        self.editingFinished.connect(self._finish)
        self._end()

    def show_name(self, name: str) -> None:
        """Show a name, unless another one is being written."""
        self._name = name
        if self.isReadOnly():
            self._show()

    def edit(self) -> None:
        """Begin to write."""
        self.setReadOnly(False)
        self.setText(self._name)
        self.setStyleSheet("")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents, False)
        self.setFocus()
        self.selectAll()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Escape leaves the name as it was."""
        if event.key() == Qt.Key.Key_Escape and not self.isReadOnly():
            self._end()
            return
        super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """Whoever goes elsewhere has finished."""
        super().focusOutEvent(event)
        if not self.isReadOnly() and event.reason() is not Qt.FocusReason.PopupFocusReason:
            self._finish()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """A long name is shortened to the room there is."""
        super().resizeEvent(event)
        if self.isReadOnly():
            self._show()

    def _show(self) -> None:
        room = max(self.width() - 2 * STEP_PX, 0)
        self.setText(self.fontMetrics().elidedText(self._name, Qt.TextElideMode.ElideRight, room))
        self.setCursorPosition(0)

    def _finish(self) -> None:
        if self.isReadOnly():
            return
        name = self.text().strip()
        self._end()
        if name and name != self._name:
            self.renamed.emit(name)

    def _end(self) -> None:
        self.setReadOnly(True)
        self.deselect()
        self._show()
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        # What is only read belongs to the row: it takes the clicks.
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.clearFocus()
        self.setStyleSheet("QLineEdit { background: transparent; border-color: transparent; padding: 2px 0; }")


class NamedRow(QWidget):
    """Name, number, and a ground of its own for the one in work. Says what was clicked, and does nothing itself."""

    chosen = Signal()
    renamed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._is_chosen = self._is_pointed = False
        self.name = NameField()
        self.name.renamed.connect(self.renamed)
        self.number = QLabel()
        self.number.setFont(number_font(self.font(), 13))
        self.number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    @property
    def is_chosen(self) -> bool:
        """Whether it is the one in work."""
        return self._is_chosen

    def set_ground(self, *, chosen: bool, pointed: bool = False) -> None:
        """Whether it is the one in work, and whether the mouse is on its thing elsewhere."""
        if (chosen, pointed) != (self._is_chosen, self._is_pointed):
            self._is_chosen, self._is_pointed = chosen, pointed
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """The one in work has a ground and an edge of its own, the one under the mouse a ground."""
        theme = current_theme()
        painter = QPainter(self)
        if self._is_chosen or self._is_pointed:
            painter.fillRect(self.rect(), QColor(theme.hover))
        if self._is_chosen:
            painter.fillRect(0, 0, _EDGE_PX, self.height(), QColor(theme.accent))
        painter.end()
        super().paintEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click anywhere chooses it."""
        self.chosen.emit()
        event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """A double click on the name edits it."""
        if self.name.geometry().contains(event.position().toPoint()):
            self.name.edit()
        event.accept()
