"""The dialog that saves a copy of files without the names in them, and says what came of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, Qt, QTimer, QUrl
from PySide6.QtGui import QCloseEvent, QDesktopServices
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from medview.core.errors import InputError, MedViewError
from medview.core.text import Text
from medview.ui.banner import Answer, Banner, Kind, Message
from medview.ui.theme import STEP_PX, set_role
from medview.ui.translation import render
from medview.workstation.deidentifying import Deidentified
from medview.workstation.jobs import Job, JobState
from medview.workstation.station import Workstation

_WIDTH_PX = 520
_PER_MILLE = 1000
_MOST_NAMES = 20
_OPTIONS = ("shift_dates", "clean_descriptors", "keep_characteristics", "keep_safe_private", "keep_uids", "keep_risky")


class DeidentifyDialog(QDialog):
    """Asks what shall be kept and where the copies go, makes them in the background, and tells the verdict.

    Args:
        station: Whose jobs do the work.
        what: What is copied, as it is called in the list of cases.
        files: Its files.
        parent: The window that it belongs to.
    """

    def __init__(self, station: Workstation, what: str, files: Sequence[Path], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._station, self._what, self._files = station, what, tuple(files)
        self._job: Job[Deidentified] | None = None
        self.banner = Banner()
        self.verdict = QLabel()
        self._title, self._plan = QLabel(), QLabel()
        set_role(self._title, "title")
        for label, role in ((self.verdict, "warning"), (self._plan, "quiet")):
            set_role(label, role)
        for label in (self.verdict, self._title, self._plan):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
        self.verdict.hide()
        self.boxes = {name: QCheckBox() for name in _OPTIONS}
        self._keep = QLabel()
        set_role(self._keep, "heading")
        self._into = QLabel()
        self.folder = QLineEdit(str(_free_folder()))
        self.choose_button = QPushButton()
        self.choose_button.clicked.connect(self._choose)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self._work = QLabel()
        set_role(self._work, "quiet")
        self.start_button = QPushButton()
        set_role(self.start_button, "primary")
        self.start_button.setDefault(True)
        self.start_button.clicked.connect(self.start)
        self.cancel_button = QPushButton()
        self.cancel_button.clicked.connect(self._cancel)
        self.close_button = QPushButton()
        self.close_button.setAutoDefault(False)
        self.close_button.clicked.connect(self.close)
        # Lines of text come and go; the dialog grows to what they need once their widgets know their width.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._fit)
        self._connection = station.jobs.changed.connect(self._job_changed)
        self._lay_out()
        self._write()
        self._sync()

    def start(self) -> None:
        """Make the copies."""
        from medview.formats.confidentiality_profile import Options

        self._forget()
        chosen = self.folder.text().strip()
        try:
            if not chosen:
                raise InputError("Name a folder for the copies.")
            target = Path(chosen).expanduser()
            _keep_apart(self._files, target)
            options = Options(**{name: box.isChecked() for name, box in self.boxes.items()})
            self._job = self._station.deidentify(self._files, target, options)
        except MedViewError as error:
            self.banner.show_error(error)
        self._sync()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._write()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Stop what is running: nobody would hear of its verdict."""
        self._cancel()
        self._connection.close()
        super().closeEvent(event)

    def reject(self) -> None:
        """Escape closes it like its button."""
        self.close()

    # What happens

    def _job_changed(self, job: Job[Any]) -> None:
        if job is not self._job:
            return
        if job.state.is_final:
            self._job = None
            if job.state is JobState.DONE and job.result is not None:
                self._tell(job.result)
            elif job.state is JobState.CANCELLED:
                self._tell_cancelled()
            elif job.error is not None:
                self.banner.show_error(job.error)
        self._sync()

    def _tell(self, done: Deidentified) -> None:
        held = len(done.outcomes) - done.written
        what = Text.of("Written without names: {n}; held back: {k}", n=done.written, k=held)
        answers = (
            Answer(Text("Show report"), partial(_show, done.summary)),
            Answer(Text("Show folder"), partial(_show, done.report.parent)),
        )
        remedy = Text("Each DICOM copy was read anew and searched for everybody who was named in its original.")
        if not done.written:
            remedy = Text("No file could be copied.")
        kind = Kind.DONE if done.written else Kind.ERROR
        self.banner.show_message(Message(kind, what, remedy, "", answers))
        lines = [Text.of("{count} held back: {reason}", count=n, reason=reason) for reason, n in done.held_back]
        if done.risky:
            lines.append(
                Text.of(
                    "Look at {count} pictures before you pass them on; the report names them.", count=len(done.risky)
                )
            )
        self.verdict.setText("\n".join(render(line) for line in lines))
        names = [one.source.name for one in done.outcomes if one.target is None]
        self.verdict.setToolTip("\n".join([*names[:_MOST_NAMES], *(["..."] if len(names) > _MOST_NAMES else [])]))
        self.verdict.setVisible(bool(lines))

    def _tell_cancelled(self) -> None:
        self.banner.show_message(
            Message(
                Kind.OFFER,
                Text("Stopped."),
                Text("The copies that were finished are whole and lie in the folder; there is no report."),
            )
        )

    def _forget(self) -> None:
        self.banner.clear()
        self.verdict.hide()

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._sync()

    def _choose(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Choose an empty folder for the copies"))
        if chosen:
            self.folder.setText(chosen)

    # What is shown

    def _sync(self) -> None:
        job = self._job
        for shown in (self.bar, self._work, self.cancel_button):
            shown.setVisible(job is not None)
        for widget in (*self.boxes.values(), self.folder, self.choose_button, self.start_button):
            widget.setEnabled(job is None)
        if job is not None:
            self.bar.setRange(0, 0 if job.fraction is None else _PER_MILLE)
            if job.fraction is not None:
                self.bar.setValue(round(job.fraction * _PER_MILLE))
            self._work.setText(self.tr("Stopping ...") if job.cancel_asked else render(job.message or job.title))
            self.cancel_button.setEnabled(not job.cancel_asked)
        self._soon.start()

    def _fit(self) -> None:
        layout = self.layout()
        if layout is not None:
            layout.activate()
            height = layout.totalHeightForWidth(self.width())
            self.setMinimumHeight(height)
            self.resize(self.width(), height)

    def _write(self) -> None:
        self.setWindowTitle(self.tr("Save a copy without names"))
        count = len(self._files)
        title = Text.of("{what}: 1 file", what=self._what)
        if count != 1:
            title = Text.of("{what}: {count} files", what=self._what, count=count)
        self._title.setText(render(title))
        self._plan.setText(
            self.tr(
                "Names, IDs, dates, institutions and private attributes go, by the Basic Profile of DICOM PS3.15. "
                "The patient gets the same pseudonym in every copy that is made here, and in the training examples. "
                "The originals stay as they are."
            )
        )
        self._keep.setText(self.tr("Keep all the same"))
        texts = {
            "shift_dates": self.tr("Dates, all of a patient moved by the same number of days"),
            "clean_descriptors": self.tr("Descriptions, without the words that name somebody"),
            "keep_characteristics": self.tr("Sex, age, size and weight"),
            "keep_safe_private": self.tr("Makers' own numbers that name nobody: b-values, mosaics, SUV factors"),
            "keep_uids": self.tr("UIDs, by which the archive finds the original"),
            "keep_risky": self.tr("Pictures that may show names: screens, ultrasound, scanned paper"),
        }
        for name, box in self.boxes.items():
            box.setText(texts[name])
        self._into.setText(self.tr("New folder"))
        self.choose_button.setText(self.tr("Choose ..."))
        self.start_button.setText(self.tr("Save copy"))
        self.cancel_button.setText(self.tr("Cancel"))
        self.close_button.setText(self.tr("Close"))
        self._soon.start()

    def _lay_out(self) -> None:
        self.setMinimumWidth(_WIDTH_PX)
        place = QHBoxLayout()
        place.setSpacing(2 * STEP_PX)
        place.addWidget(self._into)
        place.addWidget(self.folder, 1)
        place.addWidget(self.choose_button)
        work = QHBoxLayout()
        work.setSpacing(2 * STEP_PX)
        work.addWidget(self._work, 1)
        work.addWidget(self.cancel_button)
        foot = QHBoxLayout()
        foot.setSpacing(2 * STEP_PX)
        foot.addStretch(1)
        foot.addWidget(self.close_button)
        foot.addWidget(self.start_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(5 * STEP_PX, 5 * STEP_PX, 5 * STEP_PX, 5 * STEP_PX)
        layout.setSpacing(3 * STEP_PX)
        for widget in (self._title, self._plan, self._keep, *self.boxes.values()):
            layout.addWidget(widget)
        layout.addLayout(place)
        layout.addWidget(self.bar)
        layout.addLayout(work)
        layout.addWidget(self.banner)
        layout.addWidget(self.verdict)
        layout.addStretch(1)
        layout.addLayout(foot)


def _keep_apart(files: Sequence[Path], target: Path) -> None:
    """See that the copies of a study do not come to lie in its own folder, where the next import would find both."""
    folders = {str(path.resolve().parent) for path in files}
    common = Path(os.path.commonpath(folders)) if len({Path(one).anchor for one in folders}) == 1 else None
    if common is not None and target.resolve().is_relative_to(common) and common != Path(common.anchor):
        raise InputError("The copies cannot lie among the originals.", "Choose a folder elsewhere.")


def _free_folder() -> Path:
    """A folder in the user's own that does not exist yet."""
    names = ("medview-without-names", *(f"medview-without-names-{number}" for number in range(2, 1000)))
    return next((Path.home() / name for name in names if not (Path.home() / name).exists()), Path.home())


def _show(path: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))
