"""The segment in work beside others: which other one, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from medview.core.errors import MedViewError
from medview.editing.combine import Combination
from medview.ui.theme import STEP_PX, icon
from medview.ui.translation import render
from medview.workstation.combining import NAMES, Combining, Other

_ICONS = {
    Combination.UNION: "vector-union",
    Combination.SUBTRACT: "vector-difference-ba",
    Combination.INTERSECT: "vector-intersection",
}


class CombineTools(QWidget):
    """Main thread only.

    Args:
        combining: Does it.
    """

    failed = Signal(object)
    """A `MedViewError`: why nothing was done."""

    def __init__(self, combining: Combining, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._combining = combining
        self._others: tuple[Other, ...] = ()
        self.choice = QComboBox()
        self.choice.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.buttons = {how: QToolButton() for how in Combination}
        row = QHBoxLayout()
        row.setSpacing(STEP_PX)
        row.addWidget(self.choice, 1)
        for how, button in self.buttons.items():
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
            button.clicked.connect(partial(self._combine, how))
            row.addWidget(button)
        self.mask_button = QPushButton()
        self.mask_button.clicked.connect(lambda: self._try(combining.mask_image))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * STEP_PX)
        layout.addLayout(row)
        layout.addWidget(self.mask_button)
        self._write_texts()

    def sync(self, ready: bool) -> None:
        """Show which other segments there are; `ready` when there is one in work."""
        others = self._combining.others if ready else ()
        if [(one.segmentation, one.label, one.name) for one in others] != [
            (one.segmentation, one.label, one.name) for one in self._others
        ]:
            self._others = others
            self.choice.clear()
            self.choice.addItems([self._named(one) for one in others])
        for button in self.buttons.values():
            button.setEnabled(bool(others))
        self.choice.setEnabled(bool(others))
        self.mask_button.setEnabled(ready)

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write_texts()

    def _named(self, one: Other) -> str:
        alone = len({other.segmentation.id for other in self._combining.others}) == 1
        return one.name if alone else f"{one.name} ({render(one.segmentation.title)})"

    def _combine(self, how: Combination) -> None:
        at = self.choice.currentIndex()
        if 0 <= at < len(self._others):
            other = self._others[at]
            self._try(lambda: self._combining.combine(how, other))

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except MedViewError as error:
            self.failed.emit(error)

    def _write_texts(self) -> None:
        tips = {
            Combination.UNION: self.tr("Add that one to the segment in work"),
            Combination.SUBTRACT: self.tr("Take that one away from the segment in work"),
            Combination.INTERSECT: self.tr("Keep of the segment in work only what that one has, too"),
        }
        for how, button in self.buttons.items():
            button.setIcon(icon(_ICONS[how]))
            button.setAccessibleName(render(NAMES[how]))
            button.setToolTip(tips[how])
        self.choice.setToolTip(self.tr("Another segment of this image"))
        self.mask_button.setText(self.tr("Image inside the segment"))
        self.mask_button.setToolTip(self.tr("A new image with everything outside of the segment in work blanked"))
