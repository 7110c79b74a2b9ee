"""Who answers hints, how they are drawn, and what becomes of what was found."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QMenu, QPushButton, QToolButton, QVBoxLayout, QWidget

from medview.core.errors import MedViewError
from medview.core.geometry import Geometry
from medview.core.hint import HintAnswer, HintKind
from medview.core.planes import Plane
from medview.core.text import Text
from medview.ui.labels import wrapped
from medview.ui.quantities import millilitres
from medview.ui.theme import STEP_PX, icon, set_role
from medview.ui.translation import render
from medview.workstation.hint_engines import TOOL_ID
from medview.workstation.hint_parts import AcceptPart
from medview.workstation.hinting import Hinting
from medview.workstation.jobs import Job
from medview.workstation.station import Workstation
from medview.workstation.workspace import ActiveChanged, WorkspaceChange

_SHAPES = {HintKind.SCRIBBLE: Text("Scribble"), HintKind.BOX: Text("Box"), HintKind.LASSO: Text("Outline")}
_PARTS = {
    AcceptPart.SLICE: Text("Only this slice"),
    AcceptPart.PIECE: Text("Only the piece at the crosshair"),
    AcceptPart.BOX: Text("Only inside the box of the plugins"),
}
_ANY = Text("Whatever is there")


class HintOptions(QWidget):
    """Main thread only.

    Args:
        station: Whose hints.
    """

    failed = Signal(object)
    """A `MedViewError`: why nothing was done."""

    def __init__(self, station: Workstation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._station = station
        self._hinting: Hinting = station.hinting
        self._told: MedViewError | None = None
        self.engines, self.structures, self.shapes = QComboBox(), QComboBox(), QComboBox()
        for combo in (self.engines, self.structures, self.shapes):
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(8)
        self.engines.activated.connect(self._choose)
        self.structures.activated.connect(self._choose)
        self.shapes.activated.connect(lambda _: self._hinting.use_shape(HintKind(self.shapes.currentData())))
        self.accept_button, self.reject_button = QPushButton(), QPushButton()
        self.undo_button, self.part_button = QToolButton(), QToolButton()
        set_role(self.accept_button, "primary")
        self.accept_button.clicked.connect(lambda: self._try(self._hinting.accept))
        self.reject_button.clicked.connect(lambda: self._try(self._hinting.reject))
        self.undo_button.clicked.connect(lambda: self._try(self._hinting.undo))
        self.part_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._menu = QMenu(self.part_button)
        self.part_button.setMenu(self._menu)
        self.parts = {part: self._menu.addAction("", partial(self._accept, part)) for part in _PARTS}
        self.state = wrapped("quiet")
        self._lay_out()
        self._connections = [
            self._hinting.changed.connect(self._something_changed),
            station.shelf.changed.connect(self._something_changed),
            station.jobs.changed.connect(self._job_changed),
            station.workspace.changed.connect(self._workspace_changed),
        ]
        self._write_texts()
        self._show()

    def close_down(self) -> None:
        """Stop listening."""
        for connection in self._connections:
            connection.close()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write_texts()
            self._show()

    def _something_changed(self, _: None) -> None:
        self._show()

    def _job_changed(self, job: Job[Any]) -> None:
        if job is self._hinting.running or job.state.is_final:
            self._show_state()

    def _workspace_changed(self, change: WorkspaceChange) -> None:
        if isinstance(change, ActiveChanged):
            self._show()

    def _choose(self, _: int) -> None:
        structure = self.structures.currentData() if self.structures.isVisible() else 0
        other = self.engines.currentData() != self._hinting.choice.id
        self._try(lambda: self._hinting.choose(self.engines.currentData(), 0 if other else structure or 0))

    def _accept(self, part: AcceptPart) -> None:
        state = self._station.viewing.state
        view = state.active_view
        plane = view.plane or Plane.AXIAL
        box = self._station.analysis.search.box
        self._try(lambda: self._hinting.accept(part, at=state.cursor, plane=plane, box=box))

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except MedViewError as error:
            self.failed.emit(error)
        self._show()

    # What is shown

    def _show(self) -> None:
        choice = self._hinting.choice
        self._fill(self.engines, [(one.id, one.name) for one in self._hinting.choices()], choice.id)
        structures = [(0, _ANY), *((value, Text(name)) for value, name in choice.structures)]
        self._fill(self.structures, structures, self._hinting.structure)
        self.structures.setVisible(bool(choice.structures))
        self._fill(self.shapes, [(one, _SHAPES[one]) for one in self._hinting.shapes], self._hinting.shape)
        found = self._hinting.preview
        self.accept_button.setEnabled(found is not None)
        self.part_button.setEnabled(found is not None)
        self.parts[AcceptPart.BOX].setEnabled(self._station.analysis.search.box is not None)
        self.reject_button.setEnabled(self._hinting.is_active)
        self.undo_button.setEnabled(self._hinting.is_active)
        problem = self._hinting.problem
        if problem is not None and problem is not self._told and choice.id != TOOL_ID:  # of the tool, the window tells
            self.failed.emit(problem)
        self._told = problem
        self._show_state()

    def _show_state(self) -> None:
        volume, found, running = self._station.workspace.active_volume, self._hinting.preview, self._hinting.running
        words: list[Text] = []
        if running is not None:
            words.append(running.message or running.title)
        elif self._hinting.problem is not None:
            words.append(self._hinting.problem.what)
        elif found is not None and volume is not None:
            words.append(_size(found, volume.geometry))
        elif self._hinting.choice.needs_box and not self._hinting.is_active:
            words.append(Text("Draw a box around the structure first."))
        self.state.setText(" ".join(render(one) for one in words))
        self.state.setVisible(bool(words))

    @staticmethod
    def _fill(combo: QComboBox, entries: list[tuple[Any, Text]], chosen: Any) -> None:
        combo.blockSignals(True)
        known = [(combo.itemData(n), combo.itemText(n)) for n in range(combo.count())]
        wanted = [(data, render(text)) for data, text in entries]
        if known != wanted:
            combo.clear()
            for data, text in wanted:
                combo.addItem(text, data)
                combo.setItemData(combo.count() - 1, text, Qt.ItemDataRole.ToolTipRole)
        combo.setCurrentIndex(next((n for n, (data, _) in enumerate(wanted) if data == chosen), 0))
        combo.blockSignals(False)

    def _write_texts(self) -> None:
        self.engines.setToolTip(self.tr("What answers the hints"))
        self.structures.setToolTip(self.tr("What the hints are on"))
        self.shapes.setToolTip(self.tr("What the mouse draws; a click is a hint, too"))
        self.accept_button.setText(self.tr("Accept"))
        self.accept_button.setToolTip(self.tr("Take what was found into the segment in work (Enter)"))
        self.reject_button.setText(self.tr("Reject"))
        self.reject_button.setToolTip(self.tr("Put hints and what was found away (Esc)"))
        self.undo_button.setIcon(icon("undo"))
        self.undo_button.setToolTip(self.tr("Take the last hint back (Ctrl+Z)"))
        self.undo_button.setAccessibleName(self.tr("Take the last hint back"))
        self.part_button.setText(self.tr("Part"))
        self.part_button.setToolTip(self.tr("Take a part of what was found; the rest stays to be taken or rejected"))
        for part, text in _PARTS.items():
            self.parts[part].setText(render(text))

    def _lay_out(self) -> None:
        first, second = QHBoxLayout(), QHBoxLayout()
        for row, widgets in (
            (first, (self.shapes, self.undo_button)),
            (second, (self.accept_button, self.part_button, self.reject_button)),
        ):
            row.setSpacing(2 * STEP_PX)
            for widget in widgets:
                row.addWidget(widget, 1 if isinstance(widget, QComboBox | QPushButton) else 0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * STEP_PX)
        layout.addWidget(self.engines)
        layout.addWidget(self.structures)
        layout.addLayout(first)
        layout.addWidget(self.state)
        layout.addLayout(second)


def _size(found: HintAnswer, geometry: Geometry) -> Text:
    """How much was found, in words."""
    voxels = int(found.inside.sum())
    if not voxels:
        return Text("Nothing was found. Give another hint.")
    return Text.of("Found: {volume}", volume=millilitres(voxels * geometry.voxel_mm3 / 1000))
