"""What was measured on the image that is shown: numbers, slices, and a copy for the report."""

from __future__ import annotations

from functools import partial

import numpy as np
from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QLabel, QMenu, QScrollArea, QToolButton, QVBoxLayout, QWidget

from medview.core.measurement import Measurement, MeasurementId
from medview.core.planes import Plane, slice_plane
from medview.core.text import Text
from medview.core.volume import Volume
from medview.ui.measurement_copy import as_csv, as_text
from medview.ui.measurement_row import MeasurementRow
from medview.ui.theme import STEP_PX, icon, set_role
from medview.ui.translation import render
from medview.views.annotations import position_text
from medview.workstation.measuring_tools import KIND_NAMES, DraftChanged, MeasuringChange, ToolChanged
from medview.workstation.station import Workstation
from medview.workstation.view_state import ViewName

_MOST_PX = 260
_PLANE_NAMES = {Plane.AXIAL: Text("axial"), Plane.CORONAL: Text("coronal"), Plane.SAGITTAL: Text("sagittal")}


class MeasurementList(QWidget):
    """Lists the measurements of the active volume; not there while there are none. Main thread only.

    Args:
        station: Whose measuring.
    """

    def __init__(self, station: Workstation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._station = station
        self.rows: dict[MeasurementId, MeasurementRow] = {}
        self._seen: MeasurementId | None = None
        self._heading = QLabel()
        set_role(self._heading, "heading")
        self.copy_button = QToolButton()
        set_role(self.copy_button, "flat")
        self.copy_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._menu = QMenu(self.copy_button)
        self._as_text = self._menu.addAction("", self.copy_text)
        self._as_csv = self._menu.addAction("", self.copy_csv)
        self.copy_button.setMenu(self._menu)
        head = QHBoxLayout()
        head.addWidget(self._heading, 1)
        head.addWidget(self.copy_button)
        self._body = QWidget()
        self._lines = QVBoxLayout(self._body)
        self._lines.setContentsMargins(0, 0, STEP_PX, 0)
        self._lines.setSpacing(1)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setWidget(self._body)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(STEP_PX)
        layout.addLayout(head)
        layout.addWidget(self._scroll)
        # A drag changes a measurement many times between two frames.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._sync)
        self._connection = station.measuring.changed.connect(self._changed)
        self._write_texts()
        self._sync()

    def close_down(self) -> None:
        """Stop listening."""
        self._connection.close()
        self._soon.stop()

    def copy_text(self) -> None:
        """Put all measurements into the clipboard, one line each, for a report."""
        self._copy(as_text(self._lines_of()))

    def copy_csv(self) -> None:
        """Put all measurements into the clipboard as a table, for a spreadsheet."""
        self._copy(as_csv(self._lines_of()))

    def go_to(self, id: MeasurementId) -> None:
        """Show a measurement on its slice."""
        station = self._station
        volume = station.workspace.active_volume
        one = next((one for one in station.measuring.shown if one.id == id), None)
        if one is None or volume is None or one.drawn_on is None:
            return
        x, y, z = (float(value) for value in one.points.mean(axis=0))
        name = ViewName(_plane_of(one, volume).value)
        large = station.viewing.state.maximised is not None
        station.viewing.update(
            cursor=(x, y, z), active_view=name, maximised=name if large else None, annotations_shown=True
        )
        station.measuring.seek(id)

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange) and hasattr(self, "_soon"):
            self._write_texts()
            for row in self.rows.values():
                row.write()
            self._sync()

    def _write_texts(self) -> None:
        self.copy_button.setIcon(icon("content-copy"))
        self.copy_button.setToolTip(self.tr("Copy all measurements"))
        self._as_text.setText(self.tr("Copy as text"))
        self._as_csv.setText(self.tr("Copy as CSV"))

    def _changed(self, change: MeasuringChange) -> None:
        if not isinstance(change, DraftChanged | ToolChanged):
            self._soon.start()

    def _sync(self) -> None:
        measuring = self._station.measuring
        lines = self._lines_of()
        self._heading.setText(render(Text.of("Measurements ({count})", count=len(lines))))
        for id in [id for id in self.rows if all(one.id != id for one, _, _ in lines)]:
            row = self.rows.pop(id)
            self._lines.removeWidget(row)
            row.hide()
            row.deleteLater()
        for number, (one, title, place) in enumerate(lines):
            row = self.rows.get(one.id) or self._new_row(one.id)
            if self._lines.indexOf(row) != number:
                self._lines.insertWidget(number, row)
            row.show_measurement(
                one, title, place, selected=one.id == measuring.selected, pointed=one.id == measuring.pointed
            )
        self.setVisible(bool(lines))
        height = self._body.heightForWidth(self._scroll.viewport().width()) if lines else 0
        self._scroll.setFixedHeight(min(max(height, self._body.sizeHint().height()), _MOST_PX))
        if measuring.selected != self._seen:
            self._seen = measuring.selected
            # A new row gets its place when the event loop turns.
            QTimer.singleShot(0, self, self._show_selected)

    def _show_selected(self) -> None:
        row = self.rows.get(self._seen) if self._seen is not None else None
        if row is not None:
            self._scroll.ensureWidgetVisible(row, 0, 0)

    def _new_row(self, id: MeasurementId) -> MeasurementRow:
        measuring = self._station.measuring
        row = self.rows[id] = MeasurementRow()
        row.chosen.connect(partial(self.go_to, id))
        row.renamed.connect(partial(measuring.rename, id))
        row.deleted.connect(partial(measuring.delete, id))
        row.pointed.connect(lambda inside: measuring.point_at(id if inside else None))
        return row

    def _lines_of(self) -> list[tuple[Measurement, str, str]]:
        """Every measurement with its name and its slice in words."""
        volume = self._station.workspace.active_volume
        if volume is None:
            return []
        shown = self._station.measuring.shown
        counts: dict[str, int] = {}
        lines = []
        for one in shown:
            counts[one.kind] = counts.get(one.kind, 0) + 1
            title = f"{render(KIND_NAMES[one.kind])} {counts[one.kind]}"
            lines.append((one, one.label or title, render(_place(one, volume))))
        return lines

    def _copy(self, text: str) -> None:
        QGuiApplication.clipboard().setText(text)


def _plane_of(one: Measurement, volume: Volume) -> Plane:
    """The plane of reading that something was drawn in."""
    axis = one.drawn_on.axis if one.drawn_on is not None else 0
    return next((plane for plane in Plane if slice_plane(volume.geometry, plane).axis == axis), Plane.AXIAL)


def _place(one: Measurement, volume: Volume) -> Text:
    """The slice in words, counted as the corner of the view counts it."""
    assert one.drawn_on is not None
    plane = _plane_of(one, volume)
    cut = slice_plane(volume.geometry, plane)
    count = volume.geometry.shape[cut.axis]
    if not volume.is_spatial:
        return Text.of("picture {number}", number=one.drawn_on.index + 1)
    number = count - one.drawn_on.index if cut.towards_head > 0 else one.drawn_on.index + 1
    middle = (np.asarray(volume.geometry.shape, dtype=np.float64) - 1) / 2
    middle[cut.axis] = one.drawn_on.index
    x, y, z = (float(value) for value in volume.geometry.to_patient(middle))
    position = position_text(plane, (x, y, z))
    return Text.of("{plane} {number}, {position}", plane=_PLANE_NAMES[plane], number=number, position=position)
