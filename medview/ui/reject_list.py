"""The files that are of no use, each with its reason, folded away under the list of cases."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QListWidget, QListWidgetItem, QWidget

from medview.core.case import Reject
from medview.core.text import Text
from medview.ui.folding import Folding
from medview.ui.theme import STEP_PX
from medview.ui.translation import render

_MOST_PX = 160


class RejectList(Folding):
    """Not there while every file could be used."""

    def __init__(self, parent: QWidget | None = None) -> None:
        self.list = QListWidget()
        self.list.setWordWrap(True)
        super().__init__(self.list, parent)

    def show_rejects(self, rejects: Sequence[Reject]) -> None:
        """Bring the list to what could not be used."""
        self.setVisible(bool(rejects))
        self.set_title(
            self.tr("1 file could not be used")
            if len(rejects) == 1
            else render(Text.of("{count} files could not be used", count=len(rejects)))
        )
        for number, reject in enumerate(rejects):
            line = f"{reject.path.name}\n{render(reject.reason)}"
            there = number < self.list.count()
            item = self.list.item(number) if there else QListWidgetItem(self.list)
            if item.text() != line:
                item.setText(line)
                item.setToolTip(str(reject.path))
        while self.list.count() > len(rejects):
            self.list.takeItem(self.list.count() - 1)
        heights = (self.list.sizeHintForRow(number) for number in range(min(len(rejects), 10)))
        self.list.setFixedHeight(min(sum(heights) + STEP_PX, _MOST_PX))
