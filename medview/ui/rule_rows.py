"""The rules that every tool keeps to: what may be painted over, and which values."""

from __future__ import annotations

from dataclasses import replace

from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from medview.editing.rules import Overwrite, PaintRules
from medview.ui.number_box import ValueBox
from medview.ui.option_row import OptionRow
from medview.ui.theme import STEP_PX, set_role
from medview.workstation.correction import Correction
from medview.workstation.search_box import SearchBox
from medview.workstation.view_state import Viewing

_LARGEST_VALUE = 1e6
_WAYS = tuple(Overwrite)


class RuleRows(OptionRow):
    """Shows the rules and sets them. Main thread only.

    Args:
        correction: Whose rules.
        viewing: Says what the window shows between black and white.
        search: Says whether there is a box to keep to.
    """

    def __init__(
        self, correction: Correction, viewing: Viewing, search: SearchBox, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._correction = correction
        self._viewing = viewing
        self._search = search
        self._label = QLabel()
        set_role(self._label, "quiet")
        self.overwrite = QComboBox()
        self.overwrite.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.overwrite.activated.connect(self._choose_way)
        self.chosen = QToolButton()
        self.chosen.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(self.chosen)
        self.menu.aboutToShow.connect(self._fill_menu)
        self.chosen.setMenu(self.menu)
        self.in_box = QCheckBox()
        self.in_box.toggled.connect(lambda on: self._correction.set_rules(replace(self._rules, in_box=on)))
        self.ranged = QCheckBox()
        self.ranged.toggled.connect(self._set_ranged)
        self.lowest, self.highest = self._value_box(), self._value_box()
        limits = QHBoxLayout()
        limits.setSpacing(STEP_PX)
        limits.addWidget(self.ranged, 1)
        limits.addWidget(self.lowest)
        limits.addWidget(self.highest)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * STEP_PX)
        layout.setColumnStretch(1, 1)
        layout.addWidget(self._label, 0, 0)
        layout.addWidget(self.overwrite, 0, 1)
        layout.addWidget(self.chosen, 0, 2)
        layout.addLayout(limits, 1, 0, 1, 3)
        layout.addWidget(self.in_box, 2, 0, 1, 3)
        self._connections = [
            correction.changed.connect(self._something_changed),
            search.changed.connect(self._something_changed),
        ]
        self._write_texts()

    def _something_changed(self, _: None) -> None:
        self._show()

    @property
    def _rules(self) -> PaintRules:
        return self._correction.rules

    def _choose_way(self, number: int) -> None:
        way = _WAYS[number]
        chosen = frozenset({0}) if way is Overwrite.CHOSEN else frozenset()
        self._correction.set_rules(replace(self._rules, overwrite=way, chosen=chosen))

    def _fill_menu(self) -> None:
        """The background and every segment of the active segmentation, marked where it may be painted over."""
        self.menu.clear()
        segmentation = self._correction.workspace.active_segmentation
        names = [(0, self.tr("Background"))]
        names += [(one.label, one.name) for one in segmentation.segments] if segmentation is not None else []
        for label, name in names:
            action = self.menu.addAction(name)
            action.setCheckable(True)
            action.setChecked(label in self._rules.chosen)
            action.triggered.connect(lambda on, label=label: self._choose(label, on))

    def _choose(self, label: int, on: bool) -> None:
        chosen = self._rules.chosen | {label} if on else self._rules.chosen - {label}
        self._correction.set_rules(replace(self._rules, chosen=chosen))

    def _set_ranged(self, ranged: bool) -> None:
        """The range begins with what the window shows between black and white."""
        window = self._viewing.state.window
        values = (round(window.lower, 1), round(window.upper, 1)) if ranged else None
        self._correction.set_rules(replace(self._rules, values=values))

    def _set_values(self, _: float) -> None:
        self._correction.set_rules(replace(self._rules, values=(self.lowest.value(), self.highest.value())))

    def _show(self) -> None:
        rules = self._rules
        controls = (self.ranged, self.lowest, self.highest, self.in_box)
        for control in controls:
            control.blockSignals(True)
        self.overwrite.setCurrentIndex(_WAYS.index(rules.overwrite))
        self.chosen.setVisible(rules.overwrite is Overwrite.CHOSEN)
        self.chosen.setText(str(len(rules.chosen)))
        self.in_box.setChecked(rules.in_box)
        self.in_box.setVisible(rules.in_box or self._search.box is not None)
        self.ranged.setChecked(rules.values is not None)
        for box, value in zip((self.lowest, self.highest), rules.values or (), strict=False):
            box.setValue(value)
        for box in (self.lowest, self.highest):
            box.setVisible(rules.values is not None)
        for control in controls:
            control.blockSignals(False)

    def _write_texts(self) -> None:
        self._label.setText(self.tr("Paint over"))
        self.overwrite.clear()
        self.overwrite.addItems([self.tr("all but locked"), self.tr("background only"), self.tr("chosen segments")])
        self.overwrite.setToolTip(self.tr("What every tool may paint over; locked segments always stay"))
        self.chosen.setToolTip(self.tr("Which segments may be painted over"))
        self.in_box.setText(self.tr("Only inside the box"))
        self.in_box.setToolTip(self.tr("Paint and erase only inside the box that is drawn on the image"))
        self.ranged.setText(self.tr("Values"))
        self.ranged.setToolTip(self.tr("Paint and erase only voxels whose value lies between these two"))
        self.lowest.setToolTip(self.tr("The lowest value that is painted"))
        self.highest.setToolTip(self.tr("The highest value that is painted"))
        self._show()

    def _value_box(self) -> ValueBox:
        box = ValueBox(-_LARGEST_VALUE, _LARGEST_VALUE)
        box.setSingleStep(5)
        box.valueChanged.connect(self._set_values)
        return box
