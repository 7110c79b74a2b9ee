"""How far segments grow from their seeds, and what becomes of what was found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from medview.core.errors import MedViewError
from medview.ui.number_box import NumberBox
from medview.ui.option_row import OptionRow
from medview.ui.theme import STEP_PX, set_role
from medview.workstation.edit_tools import EditTools
from medview.workstation.jobs import Job, JobQueue
from medview.workstation.seeding import Seeding


class SeedOptions(OptionRow):
    """Main thread only.

    Args:
        seeding: Grows the seeds.
        tools: Hold how far.
        jobs: Say when it is done.
    """

    failed = Signal(object)
    """A `MedViewError`: why nothing was done."""

    def __init__(self, seeding: Seeding, tools: EditTools, jobs: JobQueue, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._seeding = seeding
        self._tools = tools
        self._label = QLabel()
        set_role(self._label, "quiet")
        self.reach = NumberBox(1.0, 1000.0, " mm")
        self.reach.valueChanged.connect(self._set_reach)
        self.grow_button, self.accept_button, self.discard_button = QPushButton(), QPushButton(), QPushButton()
        set_role(self.accept_button, "primary")
        self.grow_button.clicked.connect(lambda: self._try(seeding.grow))
        self.accept_button.clicked.connect(lambda: self._try(seeding.accept))
        self.discard_button.clicked.connect(lambda: self._try(seeding.discard))
        first, second = QHBoxLayout(), QHBoxLayout()
        for row, widgets in (
            (first, (self._label, self.reach, self.grow_button)),
            (second, (self.accept_button, self.discard_button)),
        ):
            row.setSpacing(2 * STEP_PX)
            for widget in widgets:
                row.addWidget(widget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * STEP_PX)
        layout.addLayout(first)
        layout.addLayout(second)
        self._connections = [
            tools.changed.connect(self._something_changed),
            seeding.changed.connect(self._something_changed),
            jobs.changed.connect(self._job_changed),
        ]
        self._write_texts()
        self._show()

    def _something_changed(self, _: None) -> None:
        self._show()

    def _job_changed(self, _: Job[Any]) -> None:
        self._show()

    def _set_reach(self, reach_mm: float) -> None:
        self._tools.set_options(replace(self._tools.options, seeds_reach_mm=reach_mm))

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except MedViewError as error:
            self.failed.emit(error)
        self._show()

    def _show(self) -> None:
        self.reach.blockSignals(True)
        self.reach.setValue(self._tools.options.seeds_reach_mm)
        self.reach.blockSignals(False)
        offering = self._seeding.is_offering
        self.grow_button.setEnabled(not self._seeding.is_growing)
        self.accept_button.setEnabled(offering)
        self.discard_button.setEnabled(offering)

    def _write_texts(self) -> None:
        self._label.setText(self.tr("At most"))
        self.reach.setToolTip(self.tr("How far around the seeds segments may grow"))
        self.grow_button.setText(self.tr("Grow"))
        self.grow_button.setToolTip(self.tr("Grow all segments from their seeds, and show what comes of it (Enter)"))
        self.accept_button.setText(self.tr("Accept"))
        self.accept_button.setToolTip(self.tr("Take what is shown (Enter)"))
        self.discard_button.setText(self.tr("Discard"))
        self.discard_button.setToolTip(self.tr("Put away what is shown (Esc)"))
