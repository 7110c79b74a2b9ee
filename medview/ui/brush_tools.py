"""How brush and eraser work: disk, square or sphere, radius, and whether they stop at edges."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QSlider, QToolButton, QWidget

from medview.editing.brush import BrushShape
from medview.ui.number_box import NumberBox
from medview.ui.theme import STEP_PX, icon, set_role
from medview.workstation.correction import Correction
from medview.workstation.stroke import LARGEST_RADIUS_MM, SMALLEST_RADIUS_MM

_SLIDER_STEPS = 100
_SLIDER_SMALLEST_PX = 40
_SLIDER_LARGEST_MM = 40.0
"""The slider covers what is used; larger radii are typed."""
_USUAL_DEVIATIONS = 2.5


class BrushTools(QWidget):
    """Shows the options of the brush and sets them.

    Args:
        correction: Whose options.
    """

    def __init__(self, correction: Correction, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._correction = correction
        self.shapes = {shape: self._button() for shape in BrushShape}
        for shape, button in self.shapes.items():
            button.clicked.connect(partial(self._choose_shape, shape))
        self._radius_label = QLabel()
        set_role(self._radius_label, "quiet")
        self.radius = NumberBox(SMALLEST_RADIUS_MM, LARGEST_RADIUS_MM, " mm")
        self.radius.setSingleStep(0.5)
        self.radius.valueChanged.connect(self._set_radius)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _SLIDER_STEPS)
        self.slider.setMinimumWidth(_SLIDER_SMALLEST_PX)
        self.slider.valueChanged.connect(lambda step: self._set_radius(round(_radius_at(step), 1)))
        self.adaptive = QCheckBox()
        self.adaptive.toggled.connect(lambda on: self._set_deviations(_USUAL_DEVIATIONS if on else None))
        self.deviations = NumberBox(0.1, 10.0)
        self.deviations.setSingleStep(0.5)
        self.deviations.valueChanged.connect(self._set_deviations)
        self.everything = QCheckBox()
        self.everything.toggled.connect(self._set_everything)

        row = QHBoxLayout()
        row.setSpacing(STEP_PX)
        for button in self.shapes.values():
            row.addWidget(button)
        row.addStretch(1)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * STEP_PX)
        layout.setColumnStretch(1, 1)
        layout.addLayout(row, 0, 0, 1, 3)
        layout.addWidget(self._radius_label, 1, 0)
        layout.addWidget(self.slider, 1, 1)
        layout.addWidget(self.radius, 1, 2)
        layout.addWidget(self.adaptive, 2, 0, 1, 2)
        layout.addWidget(self.deviations, 2, 2)
        layout.addWidget(self.everything, 3, 0, 1, 3)
        self._connection = correction.changed.connect(self._correction_changed)
        self._write_texts()
        self._write_options()

    def close_down(self) -> None:
        """Stop listening."""
        self._connection.close()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write_texts()

    def _correction_changed(self, _: None) -> None:
        self._write_options()

    def _write_texts(self) -> None:
        disk, sphere = self.shapes[BrushShape.DISK], self.shapes[BrushShape.SPHERE]
        square = self.shapes[BrushShape.SQUARE]
        square.setIcon(icon("square-outline"))
        square.setToolTip(self.tr("Square: paint in this slice only, along rows and columns"))
        disk.setIcon(icon("circle-outline"))
        disk.setToolTip(self.tr("Disk: paint in this slice only"))
        sphere.setIcon(icon("sphere"))
        sphere.setToolTip(self.tr("Sphere: paint in the neighbouring slices as well"))
        for button in self.shapes.values():
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
            set_role(button, "flat")
        self._radius_label.setText(self.tr("Radius"))
        self.adaptive.setText(self.tr("Stop at edges"))
        self.adaptive.setToolTip(
            self.tr("Take only what hangs together with the middle of the brush, and has values like those there")
        )
        self.deviations.setToolTip(self.tr("How many standard deviations values may differ from those in the middle"))
        self.everything.setText(self.tr("Eraser takes every segment"))

    def _write_options(self) -> None:
        options = self._correction.options
        for shape, button in self.shapes.items():
            button.setChecked(shape is options.shape)
        controls = (*(self.radius, self.slider, self.everything, self.adaptive, self.deviations),)
        for control in controls:
            control.blockSignals(True)
        self.radius.setValue(options.radius_mm)
        if not self.slider.isSliderDown():
            self.slider.setValue(_step_at(options.radius_mm))
        self.everything.setChecked(options.erases_all)
        self.adaptive.setChecked(options.deviations is not None)
        self.deviations.setVisible(options.deviations is not None)
        if options.deviations is not None:
            self.deviations.setValue(options.deviations)
        for control in controls:
            control.blockSignals(False)

    def _choose_shape(self, shape: BrushShape) -> None:
        self._correction.set_options(replace(self._correction.options, shape=shape))
        self._write_options()

    def _set_radius(self, radius_mm: float) -> None:
        self._correction.set_options(replace(self._correction.options, radius_mm=radius_mm))

    def _set_deviations(self, deviations: float | None) -> None:
        self._correction.set_options(replace(self._correction.options, deviations=deviations))

    def _set_everything(self, everything: bool) -> None:
        self._correction.set_options(replace(self._correction.options, erases_all=everything))

    def _button(self) -> QToolButton:
        button = QToolButton(self)
        button.setCheckable(True)
        button.setMinimumWidth(28)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        return button


def _radius_at(step: int) -> float:
    """Equal steps of the slider are equal ratios of the radius, from 0.5 mm on."""
    return float(0.5 * (_SLIDER_LARGEST_MM / 0.5) ** (step / _SLIDER_STEPS))


def _step_at(radius_mm: float) -> int:
    ratio = math.log(max(radius_mm, 0.5) / 0.5) / math.log(_SLIDER_LARGEST_MM / 0.5)
    return min(round(ratio * _SLIDER_STEPS), _SLIDER_STEPS)
