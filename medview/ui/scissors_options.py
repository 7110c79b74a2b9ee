"""What the scissors take: which side, and how deep."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from medview.ui.number_box import NumberBox
from medview.ui.theme import STEP_PX, icon, set_role
from medview.workstation.edit_tools import EditTools, ScissorsOptions

_THINNEST_MM, _THICKEST_MM, _USUAL_MM = 0.1, 2000.0, 20.0


class ScissorsOptionsRow(QWidget):
    """Shows the options and sets them. Main thread only."""

    def __init__(self, tools: EditTools, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tools = tools
        self.inside, self.outside = QToolButton(), QToolButton()
        for button, outside in ((self.inside, False), (self.outside, True)):
            button.setCheckable(True)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.clicked.connect(partial(self._set_outside, outside))
        self.slab = QCheckBox()
        self.slab.toggled.connect(lambda on: self._set_slab(_USUAL_MM if on else None))
        self.thickness = NumberBox(_THINNEST_MM, _THICKEST_MM, " mm")
        self.thickness.valueChanged.connect(self._set_slab)
        sides, depth = QHBoxLayout(), QHBoxLayout()
        for row in (sides, depth):
            row.setSpacing(2 * STEP_PX)
        sides.addWidget(self.inside)
        sides.addWidget(self.outside)
        sides.addStretch(1)
        depth.addWidget(self.slab, 1)
        depth.addWidget(self.thickness)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * STEP_PX)
        layout.addLayout(sides)
        layout.addLayout(depth)
        self._connection = tools.changed.connect(self._tools_changed)
        self._write_texts()
        self._show()

    def close_down(self) -> None:
        """Stop listening."""
        self._connection.close()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write_texts()

    def _tools_changed(self, _: None) -> None:
        self._show()

    def _set_outside(self, outside: bool, _checked: bool = False) -> None:
        self._set(replace(self._tools.options.scissors, outside=outside))

    def _set_slab(self, slab_mm: float | None) -> None:
        self._set(replace(self._tools.options.scissors, slab_mm=slab_mm))

    def _set(self, scissors: ScissorsOptions) -> None:
        self._tools.set_options(replace(self._tools.options, scissors=scissors))
        self._show()

    def _show(self) -> None:
        options: ScissorsOptions = self._tools.options.scissors
        self.inside.setChecked(not options.outside)
        self.outside.setChecked(options.outside)
        for control in (self.slab, self.thickness):
            control.blockSignals(True)
        self.slab.setChecked(options.slab_mm is not None)
        self.thickness.setValue(options.slab_mm or _USUAL_MM)
        self.thickness.setEnabled(options.slab_mm is not None)
        for control in (self.slab, self.thickness):
            control.blockSignals(False)

    def _write_texts(self) -> None:
        for button, sign, text, tip in (
            (self.inside, "selection-off", self.tr("Inside"), self.tr("Take away what lies inside the curve")),
            (self.outside, "selection", self.tr("Outside"), self.tr("Take away what lies outside the curve")),
        ):
            button.setIcon(icon(sign))
            button.setText(text)
            button.setToolTip(tip)
            set_role(button, "flat")
        self.slab.setText(self.tr("Only in a slab"))
        self.slab.setToolTip(self.tr("Cut only the slices this near around the one that is drawn on, not all"))
