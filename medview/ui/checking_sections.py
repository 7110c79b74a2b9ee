"""What a reader checks before a mask is called right: each a line of the panel that unfolds."""

from __future__ import annotations

from PySide6.QtCore import QEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from medview.ui.changes_list import ChangesList
from medview.ui.doubts_list import DoubtsList
from medview.ui.folding import Folding
from medview.ui.history_list import HistoryList
from medview.ui.review_panel import ReviewPanel
from medview.ui.theme import STEP_PX
from medview.workstation.station import Workstation


class CheckingSections(QWidget):
    """Folded until somebody looks.

    Args:
        station: Whose active segmentation.
    """

    def __init__(self, station: Workstation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.changes = ChangesList(station)
        self.changes_fold = Folding(self.changes)
        self.history = HistoryList(station.correction.steps)
        self.history_fold = Folding(self.history)
        self.doubts = DoubtsList(station)
        self.doubts_fold = Folding(self.doubts)
        self.review = ReviewPanel(station)
        self.review_fold = Folding(self.review)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(STEP_PX)
        for fold in (self.doubts_fold, self.changes_fold, self.history_fold, self.review_fold):
            layout.addWidget(fold)
        self._connection = station.correction.changed.connect(self._corrected)
        self._write()

    def close_down(self) -> None:
        """Stop listening."""
        self._connection.close()
        self.doubts.close_down()
        self.changes.close_down()
        self.history.close_down()
        self.review.close_down()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._write()

    def begin_comment(self) -> None:
        """Unfold the review, and let the reader write a comment."""
        self.review_fold.button.setChecked(True)
        self.review.begin_comment()

    def _corrected(self, _: None) -> None:
        self.history.follow()

    def _write(self) -> None:
        self.doubts_fold.set_title(self.tr("Where to look"))
        self.review_fold.set_title(self.tr("Review"))
        self.history_fold.set_title(self.tr("History"))
        self.changes_fold.set_title(self.tr("Changes"))
