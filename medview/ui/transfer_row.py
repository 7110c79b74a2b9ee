"""One transfer: what it moves, how far it is, and how to stop it or go on with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QProgressBar, QPushButton, QToolButton, QWidget

from medview.core.text import Text
from medview.network.records import Fate, Retrieved, Sent
from medview.ui.theme import STEP_PX, icon, set_role
from medview.ui.translation import render
from medview.workstation.jobs import Job, JobQueue, JobState

_PER_MILLE = 1000
_MB = 1e6


class TransferRow(QFrame):
    """Follows one job, and starts it again when it broke off.

    Args:
        jobs: Where it runs.
        title: What it moves.
        start: Begins it, or goes on with it.

    Signals:
        ended: It is over, well or not: the words may need more room.
    """

    ended = Signal()

    def __init__(
        self, jobs: JobQueue, title: str, start: Callable[[], Job[Any]], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._start = start
        set_role(self, "card")
        self._title = QLabel(title)
        self._title.setTextFormat(Qt.TextFormat.PlainText)
        self._title.setMinimumWidth(1)
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self.again = QPushButton()
        set_role(self.again, "primary")
        self.again.clicked.connect(self.begin)
        self.stop = QToolButton()
        set_role(self.stop, "flat")
        self.stop.clicked.connect(self.cancel)
        layout = QGridLayout(self)
        layout.setContentsMargins(3 * STEP_PX, 2 * STEP_PX, 2 * STEP_PX, 2 * STEP_PX)
        layout.setHorizontalSpacing(3 * STEP_PX)
        layout.setVerticalSpacing(STEP_PX)
        layout.addWidget(self._title, 0, 0)
        layout.addWidget(self.words, 1, 0)
        layout.addWidget(self._bar, 2, 0)
        layout.addWidget(self.again, 0, 1, 3, 1)
        layout.addWidget(self.stop, 0, 2, 3, 1)
        layout.setColumnStretch(0, 1)
        self._listener = jobs.changed.connect(self._job_changed)
        self.job = start()
        self._write()

    def begin(self) -> None:
        """Go on where it stopped."""
        self.job = self._start()
        self._write()

    def cancel(self) -> None:
        """Stop it; what has moved stays."""
        self.job.cancel()
        self._write()

    def close_down(self) -> None:
        """Stop listening."""
        self._listener.close()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange) and hasattr(self, "job"):
            self._write()

    def _job_changed(self, job: Job[Any]) -> None:
        if job is getattr(self, "job", None):
            self._write()
            if job.state.is_final:
                self.ended.emit()

    def _write(self) -> None:
        job = self.job
        is_open = not job.state.is_final
        self._bar.setVisible(is_open)
        self._bar.setRange(0, 0 if job.fraction is None else _PER_MILLE)
        self._bar.setValue(round((job.fraction or 0.0) * _PER_MILLE))
        self.stop.setIcon(icon("close"))
        self.stop.setToolTip(self.tr("Cancel this work"))
        self.stop.setVisible(is_open)
        self.stop.setEnabled(not job.cancel_asked)
        sent_badly = isinstance(job.result, Sent) and not job.result.is_well
        self.again.setText(self.tr("Go on"))
        self.again.setVisible(job.state in (JobState.FAILED, JobState.CANCELLED) or sent_badly)
        role, text = self._said(job)
        set_role(self.words, role)
        self.words.setText(text)

    def _said(self, job: Job[Any]) -> tuple[str, str]:
        if job.state is JobState.FAILED and job.error is not None:
            return "danger", " ".join(part for part in map(render, (job.error.what, job.error.remedy)) if part)
        if job.state is JobState.CANCELLED:
            return "warning", self.tr("Stopped. What has moved stays.")
        if job.state is JobState.DONE:
            return _outcome(job.result)
        if job.cancel_asked:
            return "quiet", self.tr("Stopping ...")
        return "quiet", render(job.message) or self.tr("Waiting ...")


def _outcome(result: object) -> tuple[str, str]:
    if isinstance(result, Retrieved):
        return "good", render(
            Text.of(
                "{count} images are here; {new} of them came now, {mb} MB.",
                count=result.instances,
                new=result.fetched,
                mb=f"{result.size_bytes / _MB:.1f}",
            )
        )
    if isinstance(result, Sent):
        return ("good" if result.is_well else "danger"), " ".join(_of_sent(result))
    return "good", ""


def _of_sent(sent: Sent) -> list[str]:
    texts = (
        (Fate.CONFIRMED, "{count} sent: the archive was asked afterwards, and has them."),
        (Fate.THERE, "{count} were there before."),
        (Fate.ACCEPTED, "{count} sent and accepted; this archive cannot be asked whether it has them."),
        (Fate.MISSING, "{count} accepted, and not found in the archive afterwards."),
        (Fate.REFUSED, "{count} not accepted."),
    )
    said = [render(Text.of(text, count=sent.count(fate))) for fate, text in texts if sent.count(fate)]
    reasons = dict.fromkeys(render(one.reason) for one in sent.outcomes if one.fate is Fate.REFUSED and one.reason)
    return [*said, *list(reasons)[:2]]
