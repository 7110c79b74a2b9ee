"""What the reader says of the whole segmentation, remarks at places, and the time that it took."""

from __future__ import annotations

from datetime import UTC, datetime

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from medview.core.errors import MedViewError
from medview.core.review import Comment, Judgement
from medview.core.text import Text
from medview.ui import quantities
from medview.ui.labels import wrapped
from medview.ui.list_height import fit_to_rows
from medview.ui.theme import STEP_PX, icon, set_role
from medview.ui.translation import render
from medview.workstation.station import Workstation

_ROWS_PX = 120
_CLOCK_MS = 1000
_JUDGEMENTS = {
    Judgement.ACCEPTED: Text("Accept"),
    Judgement.CORRECTED: Text("Corrected"),
    Judgement.REJECTED: Text("Reject"),
}
_SAID = {
    Judgement.ACCEPTED: Text("Accepted by {reader}, {when}"),
    Judgement.CORRECTED: Text("Accepted as corrected by {reader}, {when}"),
    Judgement.REJECTED: Text("Rejected by {reader}, {when}"),
}


class ReviewPanel(QWidget):
    """Shows the review of the active segmentation, and takes what the reader says. Main thread only.

    Args:
        station: Whose reviewing.
    """

    failed = Signal(MedViewError)
    """What was said could not be taken."""

    def __init__(self, station: Workstation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._station = station
        self.judgements = {judgement: QToolButton() for judgement in _JUDGEMENTS}
        self._group = QButtonGroup(self)
        buttons = QHBoxLayout()
        buttons.setSpacing(0)
        for judgement, button in self.judgements.items():
            button.setCheckable(True)
            set_role(button, "mode")
            self._group.addButton(button)
            button.clicked.connect(lambda _=False, one=judgement: self._judge(one))
            buttons.addWidget(button)
        buttons.addStretch(1)
        self.reason = QLineEdit()
        self.said = wrapped("quiet")
        self.clock = QLabel()
        set_role(self.clock, "quiet")
        self.comments = QListWidget()
        self.comments.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.comments.itemClicked.connect(self._go_to)
        self.words = QLineEdit()
        self.words.returnPressed.connect(self._comment)
        self.add, self.take_back = QToolButton(), QToolButton()
        self.add.clicked.connect(self._comment)
        self.take_back.clicked.connect(self._take_back)
        line = QHBoxLayout()
        line.setSpacing(STEP_PX)
        line.addWidget(self.words, 1)
        for button in (self.add, self.take_back):
            set_role(button, "flat")
            line.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(STEP_PX)
        layout.addLayout(buttons)
        for widget in (self.reason, self.said, self.clock, self.comments):
            layout.addWidget(widget)
        layout.addLayout(line)
        self._shown: tuple[Comment, ...] = ()
        self._ticking = QTimer(self)
        self._ticking.setInterval(_CLOCK_MS)
        self._ticking.timeout.connect(self._write_clock)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._sync)
        self._connection = station.reviewing.changed.connect(self._changed)
        self._write()

    def close_down(self) -> None:
        """Stop listening."""
        self._connection.close()
        self._soon.stop()
        self._ticking.stop()

    def begin_comment(self) -> None:
        """Let the reader write what there is to say of the place of the crosshair."""
        self.words.setFocus()

    def showEvent(self, event: QShowEvent) -> None:
        """Catch up with what was said while it was folded away."""
        super().showEvent(event)
        self._ticking.start()
        self._sync()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write()
            self._soon.start()

    def _changed(self, _: None) -> None:
        self._soon.start()

    def _judge(self, judgement: Judgement) -> None:
        try:
            self._station.reviewing.judge(judgement, self.reason.text())
        except MedViewError as error:
            self.failed.emit(error)
            self.reason.setFocus()
        self._sync()

    def _comment(self) -> None:
        try:
            self._station.reviewing.comment(self.words.text())
        except MedViewError as error:
            self.failed.emit(error)
            return
        self.words.clear()

    def _take_back(self) -> None:
        row = self.comments.currentRow()
        if 0 <= row < len(self._shown):
            self._station.reviewing.take_back(self._shown[row].id)

    def _go_to(self, item: QListWidgetItem) -> None:
        self._station.reviewing.go_to(self._shown[self.comments.row(item)])

    def _sync(self) -> None:
        review = self._station.reviewing.review
        self.setEnabled(self._station.workspace.active_segmentation is not None)
        self._group.setExclusive(False)
        for judgement, button in self.judgements.items():
            button.setChecked(judgement is review.judgement)
        self._group.setExclusive(True)
        if not self.reason.hasFocus():
            self.reason.setText(review.reason)
        self.said.setVisible(review.signed is not None)
        if review.signed is not None:
            when = quantities.moment(review.signed.at, datetime.now(UTC))
            reader = review.signed.reader or Text("somebody")
            self.said.setText(render(Text.of(_SAID[review.judgement].template, reader=reader, when=when)))
        if review.comments != self._shown or self.comments.count() != len(review.comments):
            self._shown = review.comments
            self.comments.clear()
            for comment in review.comments:
                item = QListWidgetItem(icon("map-marker-outline"), comment.text)
                written = render(quantities.moment(comment.signed.at, datetime.now(UTC)))
                item.setToolTip(f"{comment.text}\n{comment.signed.reader} {written}".strip())
                self.comments.addItem(item)
            fit_to_rows(self.comments, _ROWS_PX)
        self.comments.setVisible(bool(self._shown))
        self.take_back.setEnabled(bool(self._shown))
        self._write_clock()

    def _write_clock(self) -> None:
        if not self.isVisible():
            self._ticking.stop()
            return
        whole = int(self._station.reviewing.seconds)
        clock = f"{whole // 60}:{whole % 60:02d}"
        self.clock.setText(render(Text.of("Time on task {clock}", clock=clock)))

    def _write(self) -> None:
        for judgement, button in self.judgements.items():
            button.setText(render(_JUDGEMENTS[judgement]))
        self.judgements[Judgement.ACCEPTED].setToolTip(self.tr("Right as it is (Ctrl+Return)"))
        self.judgements[Judgement.CORRECTED].setToolTip(self.tr("Right after what was corrected"))
        self.judgements[Judgement.REJECTED].setToolTip(self.tr("Not to be used; say why"))
        self.reason.setPlaceholderText(self.tr("Reason"))
        self.words.setPlaceholderText(self.tr("Comment at the crosshair"))
        self.add.setIcon(icon("map-marker-plus-outline"))
        self.add.setToolTip(self.tr("Put the comment at the crosshair (Shift+C begins one)"))
        self.take_back.setIcon(icon("delete-outline"))
        self.take_back.setToolTip(self.tr("Take the chosen comment back"))
