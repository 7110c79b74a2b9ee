"""Changes of the whole segment in work: which, by how much, and the button that does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QEvent, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from medview.core.errors import MedViewError
from medview.core.planes import Plane
from medview.ui.labels import wrapped
from medview.ui.theme import STEP_PX
from medview.ui.translation import render
from medview.workstation.jobs import Job, JobQueue
from medview.workstation.shaping import SHAPES, Shape, Shaping, Unit
from medview.workstation.view_state import Viewing


class ShapingTools(QWidget):
    """Offers the changes, one at a time. Main thread only.

    Args:
        shaping: Does them.
        viewing: Says in which plane slices were painted.
        jobs: Says when a change is done.
    """

    failed = Signal(object)
    """A `MedViewError`: why nothing was done."""

    def __init__(self, shaping: Shaping, viewing: Viewing, jobs: JobQueue, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shaping = shaping
        self._viewing = viewing
        self._job: Job[Any] | None = None
        self._ready = False
        self._amounts = {shape.name: shape.amount.usual for shape in SHAPES if shape.amount is not None}
        self.choice = QComboBox()
        self.choice.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.amount = QDoubleSpinBox()
        self.amount.setKeyboardTracking(False)
        self.amount.valueChanged.connect(self._keep_amount)
        self.apply_button = QPushButton()
        self.apply_button.clicked.connect(self._apply)
        self._help = wrapped("quiet")
        self.fill_button, self.split_button = QPushButton(), QPushButton()
        self.fill_button.clicked.connect(self._fill)
        self.split_button.clicked.connect(self._split)
        row = QHBoxLayout()
        row.setSpacing(2 * STEP_PX)
        row.addWidget(self.amount, 1)
        row.addWidget(self.apply_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * STEP_PX)
        layout.addWidget(self.choice)
        layout.addWidget(self._help)
        layout.addLayout(row)
        layout.addWidget(self.fill_button)
        layout.addWidget(self.split_button)
        self._connection = jobs.changed.connect(self._job_changed)
        self._write_texts()
        self.choice.currentIndexChanged.connect(self._show_choice)
        self._show_choice()

    @property
    def shape_in_hand(self) -> Shape:
        """What the list shows."""
        return SHAPES[max(self.choice.currentIndex(), 0)]

    def set_ready(self, ready: bool) -> None:
        """Whether there is a segment to change."""
        self._ready = ready
        self._write_state()

    def close_down(self) -> None:
        """Stop listening."""
        self._connection.close()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._write_texts()
            self._show_choice()

    def _apply(self) -> None:
        shape = self.shape_in_hand
        self._begin(lambda: self._shaping.apply(shape, self._amounts.get(shape.name, 0.0)))

    def _fill(self) -> None:
        self._begin(lambda: self._shaping.fill_between_slices(self._viewing.state.active_view.plane or Plane.AXIAL))

    def _split(self) -> None:
        self._begin(self._shaping.split)

    def _begin(self, work: Callable[[], Job[Any] | None]) -> None:
        try:
            self._job = work()
        except MedViewError as error:
            self.failed.emit(error)
        self._write_state()

    def _job_changed(self, job: Job[Any]) -> None:
        if job is self._job and job.state.is_final:
            self._job = None
            if job.error is not None:
                self.failed.emit(job.error)
            self._write_state()

    def _keep_amount(self, amount: float) -> None:
        if self.shape_in_hand.amount is not None:
            self._amounts[self.shape_in_hand.name] = amount

    def _show_choice(self) -> None:
        shape = self.shape_in_hand
        self._help.setText(render(shape.help))
        self.amount.setVisible(shape.amount is not None)
        if shape.amount is not None:
            fine = shape.amount.unit is Unit.ML
            self.amount.blockSignals(True)
            self.amount.setDecimals(3 if fine else 1)
            self.amount.setSingleStep(0.05 if fine else 0.5)
            self.amount.setRange(shape.amount.least, shape.amount.most)
            self.amount.setValue(self._amounts[shape.name])
            self.amount.setSuffix(f" {shape.amount.unit}")
            self.amount.blockSignals(False)
        self._write_state()

    def _write_state(self) -> None:
        for control in (self.apply_button, self.fill_button, self.split_button):
            control.setEnabled(self._ready and self._job is None)

    def _write_texts(self) -> None:
        at = max(self.choice.currentIndex(), 0)
        self.choice.blockSignals(True)
        self.choice.clear()
        self.choice.addItems([render(shape.name) for shape in SHAPES])
        self.choice.setCurrentIndex(at)
        self.choice.blockSignals(False)
        self.apply_button.setText(self.tr("Apply"))
        self.apply_button.setToolTip(self.tr("Change the segment in work as a whole"))
        self.fill_button.setText(self.tr("Fill between slices"))
        self.fill_button.setToolTip(self.tr("Paint a few slices of the active view; the ones between are filled"))
        self.split_button.setText(self.tr("Split into parts"))
        self.split_button.setToolTip(self.tr("Every part that does not hang together becomes a segment of its own"))
