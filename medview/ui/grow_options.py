"""How regions grow: the tolerance, and in the slice or through all of them."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QWidget

from medview.ui.number_box import NumberBox
from medview.ui.theme import STEP_PX, set_role
from medview.workstation.edit_tools import EditTools, GrowOptions


class GrowOptionsRow(QWidget):
    """Shows the options and sets them. Main thread only."""

    def __init__(self, tools: EditTools, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tools = tools
        self._label = QLabel()
        set_role(self._label, "quiet")
        self.tolerance = NumberBox(1e-6, 1e6)
        self.tolerance.valueChanged.connect(lambda value: self._set(tolerance=value))
        self.in_3d = QCheckBox()
        self.in_3d.toggled.connect(lambda on: self._set(in_3d=on))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * STEP_PX)
        layout.addWidget(self._label)
        layout.addWidget(self.tolerance)
        layout.addWidget(self.in_3d, 1)
        self._connection = tools.changed.connect(self._tools_changed)
        self._write_texts()
        self._show()

    def close_down(self) -> None:
        """Stop listening."""
        self._connection.close()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._write_texts()

    def _tools_changed(self, _: None) -> None:
        self._show()

    def _set(self, tolerance: float | None = None, in_3d: bool | None = None) -> None:
        old = self._tools.options.grow
        new = GrowOptions(old.tolerance if tolerance is None else tolerance, old.in_3d if in_3d is None else in_3d)
        self._tools.set_options(replace(self._tools.options, grow=new))

    def _show(self) -> None:
        options = self._tools.options.grow
        for control in (self.tolerance, self.in_3d):
            control.blockSignals(True)
        self.tolerance.setValue(options.tolerance)
        self.in_3d.setChecked(options.in_3d)
        for control in (self.tolerance, self.in_3d):
            control.blockSignals(False)

    def _write_texts(self) -> None:
        self._label.setText(self.tr("Tolerance"))
        self.tolerance.setToolTip(self.tr("How far values may be from that of the place that was pressed"))
        self.in_3d.setText(self.tr("All slices"))
        self.in_3d.setToolTip(self.tr("Through all slices, or in this one only"))
