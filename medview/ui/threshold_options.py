"""The range of values of the threshold, and what to do with it."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from medview.core.errors import MedViewError
from medview.ui.number_box import ValueBox
from medview.ui.option_row import OptionRow
from medview.ui.theme import STEP_PX, set_role
from medview.workstation.edit_tools import EditTools
from medview.workstation.thresholding import Thresholding
from medview.workstation.view_state import ViewChange, Viewing

_LARGEST_VALUE = 1e6


class ThresholdOptions(OptionRow):
    """Shows the range, sets it and applies it. Main thread only.

    Args:
        threshold: Holds the range.
        tools: Say when it changes.
        viewing: Says so, too, as long as the range is that of the window.
    """

    failed = Signal(object)
    """A `MedViewError`: why nothing was done."""

    def __init__(
        self, threshold: Thresholding, tools: EditTools, viewing: Viewing, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._threshold = threshold
        self._label = QLabel()
        set_role(self._label, "quiet")
        self.lowest, self.highest = self._box(), self._box()
        self.add_button, self.keep_button, self.brush_button = QPushButton(), QPushButton(), QPushButton()
        self.add_button.clicked.connect(lambda: self._try(threshold.add))
        self.keep_button.clicked.connect(lambda: self._try(threshold.keep))
        self.brush_button.clicked.connect(lambda: self._try(threshold.paint_within))
        numbers, buttons = QHBoxLayout(), QHBoxLayout()
        for row, widgets in ((numbers, (self._label, self.lowest, self.highest)), (buttons, (self.add_button,))):
            row.setSpacing(2 * STEP_PX)
            for widget in widgets:
                row.addWidget(widget)
        numbers.insertStretch(1, 1)
        buttons.addWidget(self.keep_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * STEP_PX)
        layout.addLayout(numbers)
        layout.addLayout(buttons)
        layout.addWidget(self.brush_button)
        self._connections = [tools.changed.connect(self._tools_changed), viewing.changed.connect(self._view_changed)]
        self._write_texts()
        self._show()

    def _tools_changed(self, _: None) -> None:
        self._show()

    def _view_changed(self, change: ViewChange) -> None:
        if change.touches("window"):
            self._show()

    def _set(self, _: float) -> None:
        self._threshold.set_range(self.lowest.value(), self.highest.value())

    def _show(self) -> None:
        for box, value in zip((self.lowest, self.highest), self._threshold.range, strict=True):
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except MedViewError as error:
            self.failed.emit(error)

    def _write_texts(self) -> None:
        self._label.setText(self.tr("Range"))
        self.lowest.setToolTip(self.tr("The lowest value that is taken"))
        self.highest.setToolTip(self.tr("The highest value that is taken"))
        self.add_button.setText(self.tr("Add"))
        self.add_button.setToolTip(self.tr("Add everything in the range to the segment in work (Enter)"))
        self.keep_button.setText(self.tr("Keep only this"))
        self.keep_button.setToolTip(self.tr("Take away from the segment in work what is not in the range"))
        self.brush_button.setText(self.tr("Paint only in this range"))
        self.brush_button.setToolTip(self.tr("Every tool reaches only voxels in the range"))

    def _box(self) -> ValueBox:
        box = ValueBox(-_LARGEST_VALUE, _LARGEST_VALUE)
        box.setSingleStep(5)
        box.valueChanged.connect(self._set)
        return box
