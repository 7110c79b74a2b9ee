"""Where to look next: the doubtful places of the segments, and the way to them."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from medview.core.errors import MedViewError
from medview.core.text import Text
from medview.editing.doubts import DoubtKind
from medview.ui import quantities
from medview.ui.labels import wrapped
from medview.ui.list_height import fit_to_rows
from medview.ui.theme import STEP_PX, icon
from medview.ui.translation import render
from medview.workstation.doubts import Place
from medview.workstation.station import Workstation

_ROWS_PX = 180
_WORDS = {
    DoubtKind.ISLAND: Text("Separate part, {ml}"),
    DoubtKind.HOLE: Text("Hole, {ml}"),
    DoubtKind.JUMP: Text("Area jumps by {ml} a slice"),
    DoubtKind.LEAK: Text("Leak behind an edge, {ml}"),
    DoubtKind.SIZE: Text("Volume {ml}, usually {least} to {most}"),
    DoubtKind.UNSURE: Text("The model was not sure, {ml}"),
}
_ICONS = {
    DoubtKind.ISLAND: "scatter-plot-outline",
    DoubtKind.HOLE: "circle-double",
    DoubtKind.JUMP: "stairs",
    DoubtKind.LEAK: "water-outline",
    DoubtKind.SIZE: "scale",
    DoubtKind.UNSURE: "help-circle-outline",
}


class DoubtsList(QWidget):
    """Lists what is worth a second look; a click goes there. Main thread only.

    Args:
        station: Whose doubts.
    """

    failed = Signal(MedViewError)
    """The search could not begin."""

    def __init__(self, station: Workstation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._station = station
        self.look = QPushButton()
        self.look.clicked.connect(self._look)
        self.everywhere = QCheckBox()
        row = QHBoxLayout()
        row.setSpacing(2 * STEP_PX)
        row.addWidget(self.look)
        row.addWidget(self.everywhere)
        row.addStretch(1)
        self.hint = wrapped("quiet")
        self.rows = QListWidget()
        self.rows.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.rows.itemClicked.connect(self._go_to)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(STEP_PX)
        layout.addLayout(row)
        layout.addWidget(self.hint)
        layout.addWidget(self.rows)
        self._shown: tuple[Place, ...] | None = None
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._sync)
        self._connection = station.doubts.changed.connect(self._changed)
        self._write()

    def close_down(self) -> None:
        """Stop listening."""
        self._connection.close()
        self._soon.stop()

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what was found while it was folded away."""
        super().showEvent(event)
        self._sync()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._shown = None
            self._write()
            self._soon.start()

    def _changed(self, _: None) -> None:
        self._soon.start()

    def _look(self) -> None:
        try:
            self._station.doubts.look(everywhere=self.everywhere.isChecked())
        except MedViewError as error:
            self.failed.emit(error)

    def _go_to(self, item: QListWidgetItem) -> None:
        self._station.doubts.go_to(self.rows.row(item))

    def _sync(self) -> None:
        doubts = self._station.doubts
        self.look.setEnabled(not doubts.is_looking)
        self.look.setText(self.tr("Find again") if doubts.was_looked else self.tr("Find"))
        words = ""
        if not doubts.was_looked:
            words = self.tr(
                "Islands, holes, jumps of the area, leaks, unusual volumes and what the model was not sure of."
            )
        elif doubts.is_stale:
            words = self.tr("The masks were changed since.")
        elif not doubts.places:
            words = self.tr("Nothing doubtful was found.")
        self.hint.setText(words)
        self.hint.setVisible(bool(words))
        if doubts.places != self._shown:
            self._shown = doubts.places
            self.rows.clear()
            for place in doubts.places:
                item = QListWidgetItem(icon(_ICONS[place.doubt.kind]), _words(place))
                item.setToolTip(_tip(place))
                self.rows.addItem(item)
            fit_to_rows(self.rows, _ROWS_PX)
        self.rows.setVisible(bool(doubts.places))
        self.rows.setCurrentRow(doubts.here)

    def _write(self) -> None:
        self.everywhere.setText(self.tr("All segments"))
        self.look.setToolTip(
            self.tr("Search the segment in work, or all, for doubtful places (N goes to the next one)")
        )
        self._sync()


def _words(place: Place) -> str:
    doubt, usual = place.doubt, place.usual
    values = {"ml": quantities.millilitres(doubt.ml)}
    if usual is not None:
        values |= {"least": f"{usual.least_ml:.0f}", "most": quantities.millilitres(usual.most_ml)}
    said = Text.of(_WORDS[doubt.kind].template, **values)
    return render(Text.of("{segment}: {doubt}", segment=Text(place.segment), doubt=said))


def _tip(place: Place) -> str:
    words = _words(place)
    if place.usual is None:
        return words
    return f"{words}\n{render(Text.of('In adults: {source}', source=place.usual.source))}"
