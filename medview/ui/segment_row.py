"""One segment in the list: colour, name, volume, whether it is drawn, whether it is locked."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Signal
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QColorDialog, QHBoxLayout, QToolButton, QWidget

from medview.core.segmentation import Color, Segment
from medview.core.text import Text
from medview.ui import quantities
from medview.ui.named_row import NamedRow
from medview.ui.theme import STEP_PX, current_theme, icon
from medview.ui.translation import render

_SWATCH_PX = 14


class SegmentRow(NamedRow):
    """Shows one segment. It says what was clicked, and does nothing itself."""

    recoloured = Signal(tuple)
    shown = Signal(bool)
    locked = Signal(bool)

    def __init__(self, segment: Segment, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._segment = segment
        self._volume_ml = 0.0
        self._caution: Text | None = None
        self._locked = False
        self._is_shown = True
        self.swatch = QToolButton()
        self.swatch.setIconSize(QSize(_SWATCH_PX, _SWATCH_PX))
        self.swatch.clicked.connect(self._choose_color)
        self.eye = QToolButton()
        self.eye.clicked.connect(lambda: self.shown.emit(not self._is_shown))
        self.lock = QToolButton()
        self.lock.clicked.connect(lambda: self.locked.emit(not self._locked))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(2 * STEP_PX, 1, 0, 1)
        layout.setSpacing(STEP_PX)
        layout.addWidget(self.swatch)
        layout.addWidget(self.name, 1)
        layout.addWidget(self.number)
        for button in (self.eye, self.lock):
            layout.addWidget(button)
        for button in (self.swatch, self.eye, self.lock):
            button.setProperty("role", "flat")
        self._write()

    def show_segment(self, segment: Segment, *, active: bool, shown: bool, locked: bool) -> None:
        """Show a segment and its state."""
        self.set_ground(chosen=active)
        state = (segment, shown, locked)
        if state != (self._segment, self._is_shown, self._locked):
            self._segment, self._is_shown, self._locked = state
            self._write()

    def show_volume(self, volume_ml: float, caution: Text | None = None) -> None:
        """Show how large it is, and why that is doubtful if it is."""
        self._volume_ml, self._caution = volume_ml, caution
        self.number.setText(quantities.millilitres(volume_ml, doubtful=caution is not None))
        self.number.setToolTip(render(caution) if caution is not None else "")

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write()

    def _write(self) -> None:
        theme = current_theme()
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
