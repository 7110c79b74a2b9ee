"""The bar over the views that says which labels are drawn: the model's, or what differs from them."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QTimer
from PySide6.QtGui import QColor, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QLabel, QToolButton, QWidget

from medview.core.text import Text
from medview.ui import quantities
from medview.ui.theme import STEP_PX, icon, set_role
from medview.ui.translation import render
from medview.workstation.comparing import LEGEND, Comparing
from medview.workstation.view_state import Compared, ViewChange, Viewing

_SWATCH_PX = 12
_COUNTING_S = 0.02
"""How long one turn of the event loop counts; more goes on in the next one."""


def names_of(comparing: Comparing) -> dict[Compared, Text]:
    """What the three that can be drawn are called."""
    came = Text("Model") if comparing.is_of_model else Text("As it came")
    return {Compared.MINE: Text("Mine"), Compared.MODEL: came, Compared.DIFFERENCE: Text("Difference")}


class DifferenceBar(QWidget):
    """There while something else than the reader's own labels is drawn. Main thread only.

    Args:
        comparing: Says what differs.
        viewing: Says what is drawn.
    """

    def __init__(self, comparing: Comparing, viewing: Viewing, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._comparing = comparing
        self._viewing = viewing
        self.title = QLabel()
        set_role(self.title, "title")
        self._swatches = [QLabel() for _ in LEGEND]
        self.legend = [QLabel() for _ in LEGEND]
        self.place = QLabel()
        set_role(self.place, "quiet")
        self.previous, self.next, self.back = QToolButton(), QToolButton(), QToolButton()
        self.previous.clicked.connect(lambda: comparing.go_to_changed_slice(-1))
        self.next.clicked.connect(lambda: comparing.go_to_changed_slice(1))
        self.back.clicked.connect(lambda: comparing.show(Compared.MINE))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(2 * STEP_PX, STEP_PX, 2 * STEP_PX, STEP_PX)
        layout.setSpacing(2 * STEP_PX)
        layout.addWidget(self.title)
        for swatch, words in zip(self._swatches, self.legend, strict=True):
            layout.addWidget(swatch)
            layout.addWidget(words)
        layout.addStretch(1)
        layout.addWidget(self.place)
        for button in (self.previous, self.next, self.back):
            set_role(button, "flat")
            layout.addWidget(button)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._sync)
        self._connections = (
            comparing.changed.connect(self._changed),
            viewing.changed.connect(self._viewing_changed),
        )
        self._write()
        self._sync()

    def close_down(self) -> None:
        """Stop listening."""
        self._soon.stop()
        for connection in self._connections:
            connection.close()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write()
            self._soon.start()

    def _changed(self, _: None) -> None:
        self._soon.start()

    def _viewing_changed(self, change: ViewChange) -> None:
        if change.touches("compared", "cursor", "active_view"):
            self._soon.start()

    def _sync(self) -> None:
        state = self._viewing.state
        self.setVisible(state.compared is not Compared.MINE)
        if state.compared is Compared.MINE:
            return
        self.title.setText(render(names_of(self._comparing)[state.compared]))
        of_difference = state.compared is Compared.DIFFERENCE
        for widget in (*self._swatches, *self.legend):
            widget.setVisible(of_difference)
        if not self._comparing.counted(_COUNTING_S):
            self._soon.start()
            return
        changes = self._comparing.changes()
        added, removed = (sum(getattr(one, name) for one in changes) for name in ("added_ml", "removed_ml"))
        for words, (_, name, _color), ml in zip(self.legend, LEGEND, (added, removed, None), strict=True):
            number = f"  {quantities.millilitres(ml)}" if ml is not None else ""
            words.setText(render(name) + number)
        here, slices = self._comparing.place
        text = Text.of("{count} changed slices", count=slices)
        if here:
            text = Text.of("changed slice {number} of {count}", number=here, count=slices)
        self.place.setText(render(text) if slices else self.tr("Nothing differs"))
        self.previous.setEnabled(slices > 0)
        self.next.setEnabled(slices > 0)

    def _write(self) -> None:
        for swatch, (_, _name, color) in zip(self._swatches, LEGEND, strict=True):
            picture = QPixmap(_SWATCH_PX, _SWATCH_PX)
            picture.fill(QColor(*color))
            swatch.setPixmap(picture)
        self.previous.setIcon(icon("chevron-up"))
        self.next.setIcon(icon("chevron-down"))
        self.back.setIcon(icon("close"))
        self.previous.setToolTip(self.tr("Previous changed slice (Ctrl+PgUp)"))
        self.next.setToolTip(self.tr("Next changed slice (Ctrl+PgDown)"))
        self.back.setToolTip(self.tr("Back to my masks"))
