"""How regions grow: the tolerance, and in the slice or through all of them."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QWidget

from medview.ui.number_box import ValueBox
from medview.ui.option_row import OptionRow
from medview.ui.theme import STEP_PX, set_role
from medview.workstation.edit_tools import EditTools
from medview.workstation.growing import Growing
from medview.workstation.view_state import ViewChange, Viewing


class GrowOptionsRow(OptionRow):
    """Shows the options and sets them. Main thread only.

    Args:
        growing: Holds the tolerance.
        tools: Hold the rest, and say when anything changes.
        viewing: Says so, too, as long as the tolerance is a part of the window.
    """

    def __init__(self, growing: Growing, tools: EditTools, viewing: Viewing, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._growing = growing
        self._tools = tools
        self._label = QLabel()
        set_role(self._label, "quiet")
        self.tolerance = ValueBox(1e-4, 1e6)
        self.tolerance.valueChanged.connect(growing.set_tolerance)
        self.in_3d = QCheckBox()
        self.in_3d.toggled.connect(self._set_in_3d)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * STEP_PX)
        layout.addWidget(self._label)
        layout.addWidget(self.tolerance)
        layout.addWidget(self.in_3d, 1)
        self._connections = [tools.changed.connect(self._tools_changed), viewing.changed.connect(self._view_changed)]
        self._write_texts()
        self._show()

    def _tools_changed(self, _: None) -> None:
        self._show()

    def _view_changed(self, change: ViewChange) -> None:
        if change.touches("window"):
            self._show()

    def _set_in_3d(self, in_3d: bool) -> None:
        options = self._tools.options
        self._tools.set_options(replace(options, grow=replace(options.grow, in_3d=in_3d)))

    def _show(self) -> None:
        for control in (self.tolerance, self.in_3d):
            control.blockSignals(True)
        self.tolerance.setValue(self._growing.tolerance)
        self.in_3d.setChecked(self._tools.options.grow.in_3d)
        for control in (self.tolerance, self.in_3d):
            control.blockSignals(False)

    def _write_texts(self) -> None:
        self._label.setText(self.tr("Tolerance"))
        self.tolerance.setToolTip(self.tr("How far values may be from that of the place that was pressed"))
        self.in_3d.setText(self.tr("All slices"))
        self.in_3d.setToolTip(self.tr("Through all slices, or in this one only"))
