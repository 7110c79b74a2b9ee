"""Corrected cases as training examples: saving them, listing them, and giving them to other programs."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, Qt, QTimer, QUrl
from PySide6.QtGui import QDesktopServices, QShowEvent
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from medview.core.errors import MedViewError, StorageError
from medview.core.finding import Verdict
from medview.core.proof import Proof
from medview.core.text import Text
from medview.learning.example_record import Example
from medview.learning.examples import Saved
from medview.learning.exporters import Export, ExportKind, free_folder
from medview.ui.banner import Answer, Banner, Kind, Message
from medview.ui.case_tree import ROW_ROLE, Row, RowPainter
from medview.ui.theme import STEP_PX, icon, set_role
from medview.ui.translation import render
from medview.workstation.jobs import Job, JobState
from medview.workstation.station import Workstation

_PER_MILLE = 1000
_ID_ROLE = ROW_ROLE + 2
_SHORT_ID = 8


class TeachingPanel(QWidget):
    """Shows the example store; saves and exports. Main thread only.

    Args:
        station: Whose store.
    """

    def __init__(self, station: Workstation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._station = station
        self._job: Job[Any] | None = None
        self.banner = Banner()
        self.verdict = QLabel()
        self.verdict.setWordWrap(True)
        self.verdict.hide()
        self.save_button = QPushButton()
        set_role(self.save_button, "primary")
        self.save_button.clicked.connect(self.save)
        self._save_hint = QLabel()
        self._save_hint.setWordWrap(True)
        set_role(self._save_hint, "quiet")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self._work_text = QLabel()
        self._work_text.setWordWrap(True)
        set_role(self._work_text, "quiet")
        self.cancel_button = QPushButton()
        self.cancel_button.clicked.connect(self._cancel)
        self._heading = QLabel()
        set_role(self._heading, "heading")
        self.export_button = QToolButton()
        self.export_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.export_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._menu = QMenu(self.export_button)
        self.actions_of = {kind: self._menu.addAction("", partial(self._ask_folder, kind)) for kind in ExportKind}
        self.export_button.setMenu(self._menu)
        self.list = QListWidget()
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setItemDelegate(RowPainter(self.list))
        self.list.itemSelectionChanged.connect(self._write_selection)
        self._nothing = QLabel()
        self._nothing.setWordWrap(True)
        set_role(self._nothing, "quiet")
        self._lay_out()

        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._sync)
        self._read = QTimer(self)
        self._read.setSingleShot(True)
        self._read.setInterval(0)
        self._read.timeout.connect(self._read_examples)
        self._connections = [
            station.teaching.changed.connect(self._store_changed),
            station.workspace.changed.connect(self._anything_changed),
            station.correction.changed.connect(self._anything_changed),
            station.jobs.changed.connect(self._job_changed),
            station.findings.changed.connect(self._anything_changed),
        ]
        self._write_texts()
        self._sync()

    def close_down(self) -> None:
        """Stop listening."""
        for connection in self._connections:
            connection.close()
        self._soon.stop()
        self._read.stop()

    @property
    def selected(self) -> tuple[str, ...]:
        """The ids of the chosen examples, in the order of the list; none means all."""
        items = (self.list.item(number) for number in range(self.list.count()))
        return tuple(str(item.data(_ID_ROLE)) for item in items if item.isSelected())

    def save(self) -> None:
        """Save the active segmentation as a training example."""
        self._forget()
        try:
            self._job = self._station.save_example()
        except MedViewError as error:
            self.banner.show_error(error)
        self._soon.start()

    def export(self, kind: ExportKind, parent_folder: Path) -> None:
        """Export the chosen examples, or all, into a new folder inside another one."""
        self._forget()
        try:
            folder = free_folder(parent_folder, kind)
            self._job = self._station.teaching.export(kind, self.selected, folder)
        except MedViewError as error:
            self.banner.show_error(error)
        self._soon.start()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write_texts()
            self._read.start()

    def showEvent(self, event: QShowEvent) -> None:
        """Look at the store, which other programs may have changed."""
        super().showEvent(event)
        self._read.start()

    # What happens

    def _store_changed(self, _: None) -> None:
        self._read.start()

    def _anything_changed(self, _: object) -> None:
        self._soon.start()

    def _job_changed(self, job: Job[Any]) -> None:
        if job is not self._job:
            return
        if job.state.is_final:
            self._job = None
            if job.state is JobState.DONE:
                self.tell(job.result)
            elif job.error is not None:
                self.banner.show_error(job.error)
        self._soon.start()

    def tell(self, result: object) -> None:
        """Say what came of saving or exporting, with the verdict of its proof."""
        if isinstance(result, Saved):
            example = result.example
            what = Text.of(
                "Example {name} saved, revision {revision}",
                name=example.example_id[:_SHORT_ID],
                revision=example.revision,
            )
            self._tell_done(what, result.proof, ())
        elif isinstance(result, Export):
            what = Text("1 example exported")
            if result.count != 1:
                what = Text.of("{count} examples exported", count=result.count)
            self._tell_done(what, result.proof, result.skipped, result.folder)

    def _tell_done(self, what: Text, proof: Proof, skipped: tuple[Text, ...], folder: Path | None = None) -> None:
        remedy = Text("proved: read back and equal") if proof.ok else Text("What was read back differs.")
        answers: tuple[Answer, ...] = ()
        if folder is not None:
            remedy = Text.of("{folder}: {verdict}", folder=folder.name, verdict=remedy)
            answers = (Answer(Text("Show folder"), partial(_show_folder, folder)),)
        kind = Kind.DONE if proof.ok else Kind.ERROR
        self.banner.show_message(Message(kind, what, remedy, "", answers))
        lines = [*proof.differences, *skipped]
        set_role(self.verdict, "warning" if proof.ok else "danger")
        self.verdict.setText("\n".join(render(line) for line in lines))
        self.verdict.setVisible(bool(lines))

    def _forget(self) -> None:
        self.banner.clear()
        self.verdict.hide()

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._soon.start()

    def _ask_folder(self, kind: ExportKind) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Choose the folder to export into"))
        if chosen:
            self.export(kind, Path(chosen))

    # What is shown

    def _sync(self) -> None:
        segmentation = self._station.workspace.active_segmentation
        job = self._job
        decided = segmentation is None and self._station.findings.any_decided
        self.save_button.setEnabled(job is None and (segmentation is not None or decided))
        for widget in (self.bar, self._work_text, self.cancel_button):
            widget.setVisible(job is not None)
        if job is not None:
            self.bar.setRange(0, 0 if job.fraction is None else _PER_MILLE)
            if job.fraction is not None:
                self.bar.setValue(round(job.fraction * _PER_MILLE))
            self._work_text.setText(self.tr("Stopping ...") if job.cancel_asked else render(job.message or job.title))
            self.cancel_button.setEnabled(not job.cancel_asked)
        if decided:
            hint = self.tr("Keeps the image with what you decided on its findings. Nothing in it names the patient.")
        elif segmentation is None:
            hint = self.tr("There is no segmentation to save yet, and no finding was decided on.")
        elif self._station.teaching.is_saved(segmentation):
            hint = self.tr("Saved as it is now.")
        else:
            hint = render(
                Text.of("Keeps “{title}” with its image. Nothing in it names the patient.", title=segmentation.title)
            )
        self._save_hint.setText(hint)
        self._write_selection()

    def _read_examples(self) -> None:
        if not self.isVisible():
            return
        try:
            examples = self._station.teaching.examples()
        except StorageError as error:
            self.banner.show_error(error)
            return
        newest = sorted(examples, key=lambda one: one.saved_at, reverse=True)
        chosen = set(self.selected)
        self.list.blockSignals(True)
        for place, example in enumerate(newest):
            there = place < self.list.count()
            item = self.list.item(place) if there else QListWidgetItem(self.list)
            row = self._row(example)
            if item.data(_ID_ROLE) != example.example_id or item.data(ROW_ROLE) != row:
                item.setData(_ID_ROLE, example.example_id)
                item.setData(ROW_ROLE, row)
                item.setToolTip(self._words(example))
            item.setSelected(example.example_id in chosen)
        while self.list.count() > len(newest):
            self.list.takeItem(self.list.count() - 1)
        self.list.blockSignals(False)
        self._nothing.setVisible(not newest)
        self.list.setVisible(bool(newest))
        self._soon.start()

    def _row(self, example: Example) -> Row:
        shown = ", ".join(render(Text(name)) for name in example.names)
        when = example.saved_at.astimezone().strftime("%Y-%m-%d %H:%M")
        revision = render(Text.of("rev. {number}", number=example.revision))
        facts = " · ".join(part for part in (when, example.modality, revision, example.reader) if part)
        return Row(shown or example.example_id[:_SHORT_ID], facts, colors=tuple(one.color for one in example.segments))

    def _words(self, example: Example) -> str:
        model = example.model
        made = f"{model.plugin_id} {model.version}" if model is not None else ", ".join(example.proposed_by)
        lines = [
            Text.of("Example {name}", name=example.example_id),
            _what(example),
            Text.of("Proposed by: {model}", model=made or self.tr("drawn by hand")),
            Text.of("Reader: {reader}", reader=example.reader),
        ]
        if example.edit is not None and example.edit.strokes is not None:
            lines.append(Text.of("Edits: {count}", count=example.edit.strokes))
        return "\n".join(render(line) for line in lines)

    def _write_selection(self) -> None:
        count, chosen = self.list.count(), len(self.list.selectedItems())
        self._heading.setText(render(Text.of("Examples ({count})", count=count)))
        self.export_button.setEnabled(count > 0 and self._job is None)
        some = Text.of("Export {count} chosen", count=chosen)
        self.export_button.setText(self.tr("Export all") if chosen in (0, count) else render(some))

    def _write_texts(self) -> None:
        self.save_button.setText(self.tr("Save as training example"))
        self.cancel_button.setText(self.tr("Cancel"))
        self.export_button.setIcon(icon("export-variant"))
        self._nothing.setText(
            self.tr("No examples yet. Correct a segmentation and save it; it is proved by reading it back.")
        )
        names = {
            ExportKind.DICOM_SEG: self.tr("DICOM SEG for the patient's record, with the patient's name"),
            ExportKind.DICOM_WITHOUT_NAMES: self.tr("DICOM images and SEG, without names"),
            ExportKind.NIFTI: self.tr("NIfTI, image and labels, without names"),
            ExportKind.MONAI: self.tr("MONAI datalist, without names"),
            ExportKind.NNUNET: self.tr("nnU-Net raw data, without names"),
        }
        for kind, action in self.actions_of.items():
            action.setText(f"{names[kind]} ...")
        self._sync()

    def _lay_out(self) -> None:
        work = QHBoxLayout()
        work.setSpacing(2 * STEP_PX)
        work.addWidget(self._work_text, 1)
        work.addWidget(self.cancel_button)
        head = QHBoxLayout()
        head.addWidget(self._heading, 1)
        head.addWidget(self.export_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * STEP_PX, 2 * STEP_PX, 2 * STEP_PX, 2 * STEP_PX)
        layout.setSpacing(2 * STEP_PX)
        for widget in (self.banner, self.verdict, self.save_button, self._save_hint, self.bar):
            layout.addWidget(widget)
        layout.addLayout(work)
        layout.addLayout(head)
        layout.addWidget(self._nothing)
        layout.addWidget(self.list, 1)
        layout.addStretch(0)


def _what(example: Example) -> Text:
    if not example.classes:
        return Text.of("Structures: {names}", names=", ".join(one.name for one in example.segments))
    said = (f"{one.name} {'+' if one.verdict is Verdict.CONFIRMED else '-'}" for one in example.classes)
    return Text.of("Decided (+ there, - not there): {names}", names=", ".join(said))


def _show_folder(folder: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
