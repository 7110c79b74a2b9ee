"""The steps that were taken, as a list: a click goes back to that moment, or forth to it."""

from __future__ import annotations

from datetime import UTC, datetime

from PySide6.QtCore import QAbstractListModel, QEvent, QModelIndex, QPersistentModelIndex, Qt, QTimer
from PySide6.QtGui import QColor, QShowEvent
from PySide6.QtWidgets import QAbstractItemView, QListView, QVBoxLayout, QWidget

from medview.core.text import Text
from medview.ui import quantities
from medview.ui.list_height import fit_to_rows
from medview.ui.theme import current_theme
from medview.ui.translation import render
from medview.workstation.step_list import StepList, StepTaken

_ROWS_PX = 180
_NOWHERE = QModelIndex()


class _Steps(QAbstractListModel):
    """Row 0 is the beginning; row n is the moment after n steps."""

    def __init__(self) -> None:
        super().__init__()
        self._steps: tuple[StepTaken, ...] = ()
        self.done = 0

    def show(self, steps: tuple[StepTaken, ...], done: int) -> None:
        """Show these steps, of which so many are done."""
        if steps != self._steps:
            self.beginResetModel()
            self._steps, self.done = steps, done
            self.endResetModel()
        elif done != self.done:
            self.done = done
            self.dataChanged.emit(self.index(0), self.index(len(steps)))

    def rowCount(self, parent: QModelIndex | QPersistentModelIndex = _NOWHERE) -> int:
        """The beginning, and every step."""
        return 0 if parent.isValid() else len(self._steps) + 1

    def data(self, index: QModelIndex | QPersistentModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        """What a row says, and how."""
        row = index.row()
        if role == Qt.ItemDataRole.DisplayRole:
            return _words(self._steps[row - 1]) if row else render(Text("Beginning"))
        if role == Qt.ItemDataRole.ToolTipRole and row:
            return render(quantities.moment(self._steps[row - 1].at, datetime.now(UTC)))
        if role == Qt.ItemDataRole.ForegroundRole and row > self.done:
            return QColor(current_theme().quiet)
        return None


class HistoryList(QWidget):
    """Lists the steps of the active segmentation; those that were taken back are quiet. Main thread only.

    Args:
        steps: Where they are known, and how one goes to them.
    """

    def __init__(self, steps: StepList, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._steps = steps
        self._model = _Steps()
        self.rows = QListView()
        self.rows.setModel(self._model)
        self.rows.setUniformItemSizes(True)
        self.rows.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.rows.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.rows.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.rows.clicked.connect(self._go_to)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.rows)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._sync)

    def close_down(self) -> None:
        """Stop."""
        self._soon.stop()

    def follow(self) -> None:
        """Something was done."""
        if self.isVisible():
            self._soon.start()

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what was done while it was folded away."""
        super().showEvent(event)
        self._sync()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self.rows.viewport().update()

    def _go_to(self, index: QModelIndex) -> None:
        self._steps.go_to(index.row())

    def _sync(self) -> None:
        self._model.show(self._steps.all(), self._steps.done)
        fit_to_rows(self.rows, _ROWS_PX)
        here = self._model.index(self._model.done)
        self.rows.setCurrentIndex(here)
        self.rows.scrollTo(here)


def _words(step: StepTaken) -> str:
    clock = f"{step.at.astimezone():%H:%M:%S}"
    if step.segment:
        return render(Text.of("{clock}  {name}: {segment}", clock=clock, name=step.name, segment=Text(step.segment)))
    return f"{clock}  {render(step.name)}"
