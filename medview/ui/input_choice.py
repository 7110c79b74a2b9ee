"""Which series each input of a plugin gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QSizePolicy, QWidget

from medview.core.volume import Volume
from medview.ui.theme import STEP_PX, set_role


class InputChoice(QWidget):
    """A line for each input, with the series of the study to choose from."""

    chosen = Signal(str, object)
    """The input's name, and the volume."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.boxes: dict[str, QComboBox] = {}
        self._offered: tuple[Volume, ...] = ()
        self._layout = QGridLayout(self)
        self._layout.setContentsMargins(0, STEP_PX, 0, STEP_PX)
        self._layout.setSpacing(STEP_PX)
        self._layout.setColumnStretch(1, 1)

    def offer(self, names: Sequence[str], volumes: Sequence[Volume], taken: Mapping[str, Volume]) -> None:
        """Show the inputs.

        Args:
            names: Of the inputs, in their order.
            volumes: What can be chosen.
            taken: What each input gets now, as far as it gets anything.
        """
        self._offered = tuple(volumes)
        for name in names:
            if name not in self.boxes:
                self._add(name)
        for name, box in self.boxes.items():
            box.blockSignals(True)
            box.clear()
            box.addItem("–")
            for volume in self._offered:
                box.addItem(volume.description or volume.series_uid)
            now = taken.get(name)
            box.setCurrentIndex(0 if now is None else self._offered.index(now) + 1)
            box.setToolTip(box.currentText())
            box.blockSignals(False)

    def _add(self, name: str) -> None:
        label = QLabel(name)
        set_role(label, "quiet")
        box = QComboBox()
        box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        box.activated.connect(lambda index, name=name: self._choose(name, index))
        row = len(self.boxes)
        self._layout.addWidget(label, row, 0)
        self._layout.addWidget(box, row, 1)
        self.boxes[name] = box

    def _choose(self, name: str, index: int) -> None:
        if 0 < index <= len(self._offered):
            self.chosen.emit(name, self._offered[index - 1])
