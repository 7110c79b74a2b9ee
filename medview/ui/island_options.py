"""What becomes of the part of a segment that is picked."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QHBoxLayout, QToolButton, QWidget

from medview.ui.theme import STEP_PX
from medview.workstation.edit_tools import EditTools, IslandAction


class IslandOptions(QWidget):
    """Shows the choice and sets it. Main thread only."""

    def __init__(self, tools: EditTools, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tools = tools
        self.buttons = {action: QToolButton() for action in IslandAction}
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(STEP_PX)
        for action, button in self.buttons.items():
            button.setCheckable(True)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
            button.clicked.connect(partial(self._choose, action))
            layout.addWidget(button)
        layout.addStretch(1)
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

    def _choose(self, action: IslandAction, _checked: bool = False) -> None:
        self._tools.set_options(replace(self._tools.options, island=action))
        self._show()

    def _show(self) -> None:
        for action, button in self.buttons.items():
            button.setChecked(action is self._tools.options.island)

    def _write_texts(self) -> None:
        words = {
            IslandAction.KEEP: (self.tr("Keep"), self.tr("Keep this part alone")),
            IslandAction.REMOVE: (self.tr("Remove"), self.tr("Take this part away")),
            IslandAction.APART: (self.tr("For itself"), self.tr("Make a segment of its own of this part")),
        }
        for action, (text, tip) in words.items():
            self.buttons[action].setText(text)
            self.buttons[action].setToolTip(tip)
