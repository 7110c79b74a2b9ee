"""One segment in the list: colour, name, volume, how far it is, whether it is drawn, whether it is locked."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Signal
from PySide6.QtGui import QColor, QIcon, QPixmap
from PySide6.QtWidgets import QColorDialog, QHBoxLayout, QMenu, QToolButton, QWidget

from medview.core.review import SegmentState
from medview.core.segmentation import Color, Segment
from medview.core.text import Text
from medview.ui import quantities
from medview.ui.named_row import NamedRow
from medview.ui.theme import STEP_PX, Theme, current_theme, icon
from medview.ui.translation import render

_SWATCH_PX = 14
STATE_NAMES = {
    SegmentState.NOT_STARTED: Text("not started"),
    SegmentState.IN_PROGRESS: Text("in progress"),
    SegmentState.DONE: Text("done"),
    SegmentState.FLAGGED: Text("flagged"),
}
_STATE_ICONS = {
    SegmentState.NOT_STARTED: "circle-outline",
    SegmentState.IN_PROGRESS: "circle-half-full",
    SegmentState.DONE: "check-circle",
    SegmentState.FLAGGED: "flag",
}


class SegmentRow(NamedRow):
    """Shows one segment. It says what was clicked, and does nothing itself."""

    recoloured = Signal(tuple)
    shown = Signal(bool)
    locked = Signal(bool)
    stated = Signal(str)
    """How far the reader says that it is: a `SegmentState`."""

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
        self._state = SegmentState.NOT_STARTED
        self.state = QToolButton()
        self.state.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.state.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        self._states = QMenu(self.state)
        self._state_actions = {one: self._states.addAction("") for one in SegmentState}
        for one, action in self._state_actions.items():
            action.triggered.connect(lambda _=False, said=one: self.stated.emit(said.value))
        self.state.setMenu(self._states)
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
        for button in (self.state, self.eye, self.lock):
            layout.addWidget(button)
        for button in (self.swatch, self.state, self.eye, self.lock):
            button.setProperty("role", "flat")
        self._write()

    def show_segment(self, segment: Segment, *, active: bool, shown: bool, locked: bool) -> None:
        """Show a segment and its state."""
        self.set_ground(chosen=active)
        state = (segment, shown, locked)
        if state != (self._segment, self._is_shown, self._locked):
            self._segment, self._is_shown, self._locked = state
            self._write()

    def show_state(self, state: SegmentState) -> None:
        """Show how far it is."""
        if state is not self._state:
            self._state = state
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
        self._write_state(theme)
        self.show_volume(self._volume_ml, self._caution)

    def _write_state(self, theme: Theme) -> None:
        colors = {
            SegmentState.NOT_STARTED: theme.quiet,
            SegmentState.IN_PROGRESS: theme.accent,
            SegmentState.DONE: theme.good,
            SegmentState.FLAGGED: theme.warning,
        }
        for one, action in self._state_actions.items():
            action.setText(render(STATE_NAMES[one]))
            action.setIcon(icon(_STATE_ICONS[one], colors[one]))
        self.state.setIcon(icon(_STATE_ICONS[self._state], colors[self._state]))
        self.state.setToolTip(render(Text.of("State: {state}", state=STATE_NAMES[self._state])))

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
