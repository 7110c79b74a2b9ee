"""One segment in the list: colour, name, volume, whether it is drawn, whether it is locked."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QIcon,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
    QResizeEvent,
)
from PySide6.QtWidgets import QColorDialog, QHBoxLayout, QLabel, QLineEdit, QToolButton, QWidget

from medview.core.segmentation import Color, Segment
from medview.core.text import Text
from medview.ui import quantities
from medview.ui.theme import STEP_PX, current_theme, icon, number_font
from medview.ui.translation import render

_SWATCH_PX = 14


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


class SegmentRow(QWidget):
    """Shows one segment. It says what was clicked, and does nothing itself."""

    chosen = Signal()
    renamed = Signal(str)
    recoloured = Signal(tuple)
    shown = Signal(bool)
    locked = Signal(bool)

    def __init__(self, segment: Segment, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._segment = segment
        self._volume_ml = 0.0
        self._caution: Text | None = None
        self._active = self._locked = False
        self._is_shown = True
        self.swatch = QToolButton()
        self.swatch.setIconSize(QSize(_SWATCH_PX, _SWATCH_PX))
        self.swatch.clicked.connect(self._choose_color)
        self.name = NameField()
        self.name.renamed.connect(self.renamed)
        self.volume = QLabel()
        self.volume.setFont(number_font(self.font(), 13))
        self.volume.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.eye = QToolButton()
        self.eye.clicked.connect(lambda: self.shown.emit(not self._is_shown))
        self.lock = QToolButton()
        self.lock.clicked.connect(lambda: self.locked.emit(not self._locked))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(2 * STEP_PX, 1, 0, 1)
        layout.setSpacing(STEP_PX)
        layout.addWidget(self.swatch)
        layout.addWidget(self.name, 1)
        layout.addWidget(self.volume)
        for button in (self.eye, self.lock):
            layout.addWidget(button)
        for button in (self.swatch, self.eye, self.lock):
            button.setProperty("role", "flat")
        self._write()

    @property
    def is_active(self) -> bool:
        """Whether it is the one in work."""
        return self._active

    def show_segment(self, segment: Segment, *, active: bool, shown: bool, locked: bool) -> None:
        """Show a segment and its state."""
        state = (segment, active, shown, locked)
        if state != (self._segment, self._active, self._is_shown, self._locked):
            self._segment, self._active, self._is_shown, self._locked = state
            self._write()

    def show_volume(self, volume_ml: float, caution: Text | None = None) -> None:
        """Show how large it is, and why that is doubtful if it is."""
        self._volume_ml, self._caution = volume_ml, caution
        self.volume.setText(quantities.millilitres(volume_ml, doubtful=caution is not None))
        self.volume.setToolTip(render(caution) if caution is not None else "")

    def paintEvent(self, event: QPaintEvent) -> None:
        """The segment in work has a ground and an edge of its own."""
        if self._active:
            theme = current_theme()
            painter = QPainter(self)
            painter.fillRect(self.rect(), QColor(theme.hover))
            painter.fillRect(0, 0, 3, self.height(), QColor(theme.accent))
            painter.end()
        super().paintEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """A click anywhere chooses the segment."""
        self.chosen.emit()
        event.accept()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """A double click on the name edits it."""
        if self.name.geometry().contains(event.position().toPoint()):
            self.name.edit()
        event.accept()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write()

    def _write(self) -> None:
        theme = current_theme()
        self.update()
        self.swatch.setIcon(_swatch(self._segment.color))
        self.swatch.setToolTip(self.tr("Change the colour"))
        name = render(Text(self._segment.name))
        self.name.show_name(name)
        self.name.setToolTip(name)
        self.setToolTip(self.tr("Click to work on it, double click to rename it"))
        self.eye.setIcon(
            icon("eye-outline" if self._is_shown else "eye-off-outline", "" if self._is_shown else theme.quiet)
        )
        self.eye.setToolTip(self.tr("Hide") if self._is_shown else self.tr("Show"))
        self.lock.setIcon(
            icon(
                "lock" if self._locked else "lock-open-variant-outline", theme.warning if self._locked else theme.quiet
            )
        )
        self.lock.setToolTip(
            self.tr("Unlock") if self._locked else self.tr("Lock: nothing paints over it or erases it")
        )
        self.show_volume(self._volume_ml, self._caution)

    def _choose_color(self) -> None:
        old = QColor(*self._segment.color)
        new = QColorDialog.getColor(
            old, self, self.tr("Colour of {name}").format(name=render(Text(self._segment.name)))
        )
        if new.isValid() and new != old:
            color: Color = (new.red(), new.green(), new.blue())
            self.recoloured.emit(color)


def _swatch(color: Color) -> QIcon:
    picture = QPixmap(_SWATCH_PX, _SWATCH_PX)
    picture.fill(QColor(*color))
    return QIcon(picture)
