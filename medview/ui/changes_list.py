"""What was changed: what is drawn of it, how much of each segment, and on which slices."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from medview.core.planes import Plane, slice_plane
from medview.core.text import Text
from medview.ui import quantities
from medview.ui.difference_bar import names_of
from medview.ui.labels import wrapped
from medview.ui.list_height import fit_to_rows
from medview.ui.theme import STEP_PX, set_role
from medview.ui.translation import render
from medview.workstation.station import Workstation
from medview.workstation.view_state import Compared, ViewChange

_COUNTING_S = 0.02
_COUNTED_AFTER_MS = 150
_ROWS_PX = 150


class ChangesList(QWidget):
    """Shows what differs from the labels as they came, and goes to it. Main thread only.

    Args:
        station: Whose active segmentation.
    """

    def __init__(self, station: Workstation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._station = station
        self.choices = {compared: QToolButton() for compared in Compared}
        self._group = QButtonGroup(self)
        row = QHBoxLayout()
        row.setSpacing(0)
        for compared, button in self.choices.items():
            button.setCheckable(True)
            set_role(button, "mode")
            self._group.addButton(button)
            button.clicked.connect(lambda _=False, one=compared: station.comparing.show(one))
            row.addWidget(button)
        row.addStretch(1)
        self.amounts = wrapped()
        self.slices = QListWidget()
        self.slices.setUniformItemSizes(True)
        self.slices.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.slices.itemClicked.connect(self._go_to)
        self._plane_label = QLabel()
        set_role(self._plane_label, "quiet")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(STEP_PX)
        layout.addLayout(row)
        layout.addWidget(self.amounts)
        layout.addWidget(self._plane_label)
        layout.addWidget(self.slices)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_COUNTED_AFTER_MS)
        self._soon.timeout.connect(self._sync)
        self._shown: tuple[object, ...] | None = None
        self._connections = (
            station.comparing.changed.connect(self._changed),
            station.viewing.changed.connect(self._viewing_changed),
        )
        self._write()

    def close_down(self) -> None:
        """Stop listening."""
        self._soon.stop()
        for connection in self._connections:
            connection.close()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._shown = None
            self._write()

    def showEvent(self, event: QShowEvent) -> None:
        """Count what nobody asked for while it was folded away."""
        super().showEvent(event)
        self._sync()

    def sizeHint(self) -> QSize:
        """As small as what it shows."""
        return self.minimumSizeHint()

    def _changed(self, _: None) -> None:
        self._write_choices()
        if self.isVisible():
            self._soon.start()

    def _viewing_changed(self, change: ViewChange) -> None:
        if change.touches("compared"):
            self._write_choices()
        if change.touches("active_view") and self.isVisible():
            self._soon.start()
        if change.touches("cursor") and self.isVisible():
            self._mark()

    def _go_to(self, item: QListWidgetItem) -> None:
        plane, index = item.data(Qt.ItemDataRole.UserRole)
        self._station.comparing.go_to_slice(Plane(plane), index)

    def _sync(self) -> None:
        comparing = self._station.comparing
        if not comparing.counted(_COUNTING_S):
            self._soon.start()
            return
        changes, plane = comparing.changes(), comparing.plane
        slices = comparing.changed_slices(plane)
        shown = (changes, plane, slices)
        if shown == self._shown:
            self._mark()
            return
        self._shown = shown
        lines = [
            render(
                Text.of(
                    "{name}: {added} added, {removed} removed",
                    name=Text(one.name),
                    added=quantities.millilitres(one.added_ml),
                    removed=quantities.millilitres(one.removed_ml),
                )
            )
            for one in changes
        ]
        self.amounts.setText("\n".join(lines) or self.tr("Nothing differs"))
        self._plane_label.setText(render(Text.of("Changed {plane} slices", plane=_PLANES[plane])))
        self.slices.clear()
        for one in slices:
            words = Text.of(
                "Slice {number}: +{added}, −{removed}",
                number=self._number(plane, one.index),
                added=quantities.millilitres(one.added_ml),
                removed=quantities.millilitres(one.removed_ml),
            )
            item = QListWidgetItem(render(words))
            item.setData(Qt.ItemDataRole.UserRole, (plane.value, one.index))
            self.slices.addItem(item)
        fit_to_rows(self.slices, _ROWS_PX)
        for widget in (self.slices, self._plane_label):
            widget.setVisible(bool(slices))
        self._mark()

    def _number(self, plane: Plane, index: int) -> int:
        """The number that the corner of the view shows."""
        segmentation = self._station.workspace.active_segmentation
        assert segmentation is not None
        cut = slice_plane(segmentation.geometry, plane)
        return segmentation.geometry.shape[cut.axis] - index if cut.towards_head > 0 else index + 1

    def _mark(self) -> None:
        """Mark the slice that is shown."""
        here, _ = self._station.comparing.place
        self.slices.setCurrentRow(here - 1)

    def _write_choices(self) -> None:
        compared, names = self._station.viewing.state.compared, names_of(self._station.comparing)
        for one, button in self.choices.items():
            button.setText(render(names[one]))
            button.setChecked(one is compared)
        self.setEnabled(self._station.workspace.active_segmentation is not None)

    def _write(self) -> None:
        self._write_choices()
        for button in self.choices.values():
            button.setToolTip(self.tr("Which masks the views draw (Shift+G turns)"))
        if self.isVisible():
            self._sync()


_PLANES = {Plane.AXIAL: Text("axial"), Plane.CORONAL: Text("coronal"), Plane.SAGITTAL: Text("sagittal")}
