"""The bar at the foot: what is under the mouse, what is being done, and how much memory it takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QEvent, QTimer
from PySide6.QtGui import QColor, QPixmap
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QStatusBar, QToolButton, QWidget

from medview.core.geometry import Point
from medview.core.segmentation import Segment
from medview.core.text import Text
from medview.ui import quantities
from medview.ui.memory import used_and_total_bytes
from medview.ui.theme import STEP_PX, icon, number_font, set_role
from medview.ui.translation import render
from medview.workstation.jobs import Job, JobQueue, JobState

_SHOWN_AFTER_MS = 200
_PER_MILLE = 1000


@dataclass(frozen=True, slots=True)
class Probe:
    """What lies under the mouse: the place, the value there, and the segment.

    Attributes:
        point: In the patient, LPS, mm; None on a picture without a place in the patient.
        pixel: Row and column.
        value: The value; None where there is none.
        unit: Of the value.
        segment: The segment.
    """

    point: Point | None
    pixel: tuple[int, int] = (0, 0)
    value: float | None = None
    unit: str = ""
    segment: Segment | None = None


class StatusBar(QStatusBar):
    """Shows a probe, the open jobs and the memory."""

    def __init__(self, jobs: JobQueue, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._jobs = jobs
        self._probe: Probe | None = None
        self._job: Job[Any] | None = None
        self.setSizeGripEnabled(False)
        self.setContentsMargins(2 * STEP_PX, 0, 2 * STEP_PX, 0)

        self._point = QLabel()
        self._value = QLabel()
        self._swatch = QLabel()
        self._segment = QLabel()
        self._mode = QLabel()
        for label, width in ((self._point, 230), (self._value, 90)):
            label.setFont(number_font(self.font(), 13))
            label.setMinimumWidth(width)
            self.addWidget(label)
        self.addWidget(self._swatch)
        self.addWidget(self._segment)

        self._work = QWidget()
        self._work_text = QLabel()
        self._work_text.setFont(number_font(self.font(), 13))
        self._bar = QProgressBar()
        self._bar.setTextVisible(False)
        self._bar.setFixedWidth(120)
        self._cancel = QToolButton()
        set_role(self._cancel, "flat")
        self._cancel.clicked.connect(self._cancel_job)
        row = QHBoxLayout(self._work)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2 * STEP_PX)
        for widget in (self._work_text, self._bar, self._cancel):
            row.addWidget(widget)
        self.addPermanentWidget(self._work)
        self._work.hide()
        self._memory = QLabel()
        set_role(self._memory, "quiet")
        self.addPermanentWidget(self._memory)

        # Work that is over in a blink shows nothing.
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(_SHOWN_AFTER_MS)
        self._patience.timeout.connect(self._show_work)
        self._jobs_listener = jobs.changed.connect(self._job_changed)
        self._write_texts()
        self.update_memory()

    def close_down(self) -> None:
        """Stop listening."""
        self._jobs_listener.close()
        self._patience.stop()

    def show_probe(self, probe: Probe | None) -> None:
        """Show what is under the mouse; None when it is nowhere."""
        if probe == self._probe:
            return
        self._probe = probe
        self._point.setText(_place(probe) if probe else "")
        value = "" if probe is None or probe.value is None else quantities.voxel_value(probe.value, probe.unit)
        self._value.setText(value)
        segment = probe.segment if probe else None
        self._segment.setText(segment.name if segment else "")
        if segment is None:
            self._swatch.clear()
        else:
            self._swatch.setPixmap(swatch(segment.color))

    def update_memory(self) -> None:
        """Look at the memory; called when something large has come or gone."""
        found = used_and_total_bytes()
        self._memory.setText(render(quantities.memory(*found)) if found else "")

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write_texts()
            self.update_memory()

    def _write_texts(self) -> None:
        self._cancel.setIcon(icon("close"))
        self._cancel.setToolTip(self.tr("Cancel this work"))

    def _job_changed(self, job: Job[Any]) -> None:
        if job.state.is_final:
            self.update_memory()
        if not self._jobs.open_jobs:
            self._patience.stop()
            self._job = None
            self._work.hide()
        elif self._work.isVisible():
            self._show_work()
        elif not self._patience.isActive():
            self._patience.start()

    def _show_work(self) -> None:
        open_jobs = self._jobs.open_jobs
        if not open_jobs:
            return
        running = [job for job in open_jobs if job.state is JobState.RUNNING]
        self._job = job = (running or list(open_jobs))[0]
        self._work_text.setText(render(job_line(job, len(open_jobs) - 1)))
        self._work_text.setToolTip(render(job.message))
        self._bar.setRange(0, 0 if job.fraction is None else _PER_MILLE)
        if job.fraction is not None:
            self._bar.setValue(round(job.fraction * _PER_MILLE))
        self._cancel.setEnabled(not job.cancel_asked)
        self._work.show()

    def _cancel_job(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._show_work()


def _place(probe: Probe) -> str:
    if probe.point is None:
        return render(quantities.picture_point(*probe.pixel))
    return quantities.patient_point(probe.point)


def job_line(job: Job[Any], others: int = 0) -> Text:
    """What a job is doing, how far it is, and how long it will take; and how many more wait."""
    line = Text.of("{title}", title=job.title)
    if job.cancel_asked:
        line = Text.of("{title}  stopping ...", title=job.title)
    elif job.state is JobState.QUEUED:
        line = Text.of("{title}  waiting", title=job.title)
    elif job.fraction is not None:
        line = Text.of("{title}  {percent} %", title=job.title, percent=int(job.fraction * 100))
        if job.seconds_left is not None and job.fraction < 1:
            left = quantities.time_left(job.seconds_left)
            line = Text.of("{line}  {left}", line=line, left=left)
    return Text.of("{line}  (+{others})", line=line, others=others) if others else line


def swatch(color: tuple[int, int, int], size: int = 12) -> QPixmap:
    """A small square of a segment's colour."""
    picture = QPixmap(size, size)
    picture.fill(QColor(*color))
    return picture
