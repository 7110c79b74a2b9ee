"""One measurement in the list: what it is, its numbers, its slice."""

from __future__ import annotations

import re

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QEnterEvent, QKeyEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QToolButton, QWidget

from medview.core.measurement import Measurement, MeasurementKind
from medview.ui.named_row import NamedRow
from medview.ui.theme import STEP_PX, current_theme, icon, number_font, set_role
from medview.ui.translation import render
from medview.views.measured_text import detail_text, short_text

KIND_ICONS = {
    MeasurementKind.LENGTH: "ruler",
    MeasurementKind.ANGLE: "angle-acute",
    MeasurementKind.ELLIPSE: "ellipse-outline",
    MeasurementKind.RECTANGLE: "square-outline",
    MeasurementKind.POLYGON: "vector-polygon",
    MeasurementKind.POINT: "crosshairs",
}
_ICON_PX = 16
_BETWEEN_WIDE = re.compile(r"(?<=[\u2e80-\uffef])(?=[\u2e80-\uffef])")
"""Where a line may break although there is no space: between two Chinese characters."""


class MeasurementRow(NamedRow):
    """Shows one measurement. It says what was clicked, and does nothing itself."""

    deleted = Signal()
    pointed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._one: Measurement | None = None
        self._title = self._place = ""
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self._icon = QLabel()
        self.details = QLabel()
        self.details.setWordWrap(True)
        self.details.setFont(number_font(self.font(), 12))
        set_role(self.details, "quiet")
        self.remove = QToolButton()
        set_role(self.remove, "flat")
        self.remove.clicked.connect(self.deleted)
        layout = QGridLayout(self)
        layout.setContentsMargins(2 * STEP_PX, 2, 0, 2)
        layout.setHorizontalSpacing(STEP_PX)
        layout.setVerticalSpacing(0)
        layout.addWidget(self._icon, 0, 0)
        layout.addWidget(self.name, 0, 1)
        layout.addWidget(self.number, 0, 2)
        layout.addWidget(self.remove, 0, 3)
        layout.addWidget(self.details, 1, 1, 1, 3)
        layout.setColumnStretch(1, 1)

    def show_measurement(self, one: Measurement, title: str, place: str, *, selected: bool, pointed: bool) -> None:
        """Show a measurement.

        Args:
            one: The measurement.
            title: What it is called where it has no label.
            place: Its slice, in words.
            selected: Whether it is the one that Delete takes away.
            pointed: Whether the mouse is on it in a view.
        """
        if (one, title, place) != (self._one, self._title, self._place):
            self._one, self._title, self._place = one, title, place
            self.write()
        self.set_ground(chosen=selected, pointed=pointed)

    def write(self) -> None:
        """Put it into the present language and theme."""
        one = self._one
        if one is None:
            return
        theme = current_theme()
        doubt = one.doubtful
        self._icon.setPixmap(icon(KIND_ICONS[one.kind], theme.quiet).pixmap(_ICON_PX, _ICON_PX))
        self.name.show_name(one.label or self._title)
        self.number.setText(render(short_text(one)))
        set_role(self.number, "warning" if doubt is not None else "")
        # A line may break between two numbers, not between a number and its name.
        parts = render(detail_text(one)).split("   ")
        details = "  ".join(_held_together(part) for part in parts)
        self.details.setText("\n".join(part for part in (details, self._place) if part))
        self.remove.setIcon(icon("close", theme.quiet))
        self.remove.setToolTip(self.tr("Delete"))
        reason = render(doubt) if doubt is not None else ""
        for label in (self.number, self.details):
            label.setToolTip(reason)
        self.setToolTip(reason or self.tr("Click to go there, double click to rename it"))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Delete takes it away, F2 renames it."""
        if event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.deleted.emit()
        elif event.key() == Qt.Key.Key_F2:
            self.name.edit()
        else:
            super().keyPressEvent(event)

    def enterEvent(self, event: QEnterEvent) -> None:
        """Point at it in the views too."""
        self.pointed.emit(True)
        super().enterEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        """No longer."""
        self.pointed.emit(False)
        super().leaveEvent(event)


def _held_together(words: str) -> str:
    """Words that no line breaks apart."""
    return _BETWEEN_WIDE.sub("\u2060", words.replace(" ", "\u00a0"))
