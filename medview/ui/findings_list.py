"""The findings of the series that is shown: what models say of it, and the reader's word on each."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QTimer, Signal
from PySide6.QtWidgets import QFileDialog, QFrame, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout, QWidget

from medview.core.errors import MedViewError, StorageError
from medview.core.evidence import EvidenceMethod
from medview.learning.examples import Saved
from medview.ui.evidence_strip import EvidenceStrip
from medview.ui.finding_group import FindingGroup
from medview.ui.finding_row import FindingRow
from medview.ui.labels import wrapped
from medview.ui.theme import STEP_PX, set_role
from medview.workstation.finding_groups import Group, GroupKind, groups
from medview.workstation.finding_record import FindingId
from medview.workstation.findings_desk import alternatives
from medview.workstation.jobs import Job
from medview.workstation.station import Workstation


class FindingsList(QWidget):
    """Lists the findings; a line to add one of one's own stands below them. Main thread only.

    Args:
        station: Whose findings.
    """

    failed = Signal(object)
    """A `MedViewError`: what could not be kept or written."""
    written = Signal(Path)
    """A file that was written and read back."""
    kept = Signal(object)
    """A `Saved`: what was kept for training."""
    card_asked = Signal(str)
    """The id of the plugin whose card is to be shown."""

    def __init__(self, station: Workstation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._station = station
        self.rows: dict[FindingId, FindingRow] = {}
        self.groups: list[FindingGroup] = []
        self._keeping: Job[Saved] | None = None
        self._heading = QLabel()
        set_role(self._heading, "heading")
        self._caution = wrapped("quiet")
        self._lines = QVBoxLayout()
        self._lines.setSpacing(STEP_PX)
        self.evidence = EvidenceStrip(station.evidence, station.viewing)
        self.new_name = QLineEdit()
        self.new_name.returnPressed.connect(self._add)
        self.save_button = QPushButton()
        self.save_button.clicked.connect(self._ask_where)
        line = QFrame()
        set_role(line, "line")
        self.keep_button = QPushButton()
        self.keep_button.clicked.connect(self.keep)
        foot = QHBoxLayout()
        foot.setSpacing(2 * STEP_PX)
        foot.addWidget(self.new_name, 1)
        foot.addWidget(self.save_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(STEP_PX)
        layout.addWidget(line)
        layout.addWidget(self._heading)
        layout.addWidget(self._caution)
        layout.addWidget(self.evidence)
        layout.addLayout(self._lines)
        layout.addLayout(foot)
        layout.addWidget(self.keep_button)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._sync)
        self._connections = [
            station.findings.changed.connect(self._changed),
            station.findings.record.failed.connect(self._failed),
            station.evidence.changed.connect(self._changed),
            station.jobs.changed.connect(self._job_changed),
        ]
        self._write_texts()
        self._sync()

    def close_down(self) -> None:
        """Stop listening."""
        for connection in self._connections:
            connection.close()
        self._soon.stop()

    def save(self, path: Path) -> None:
        """Write the findings to a file; its ending says as what."""
        try:
            self._station.save_findings(path, lambda _: self.written.emit(path), self.failed.emit)
        except MedViewError as error:
            self.failed.emit(error)

    def keep(self) -> None:
        """Keep the image with what was decided on it, for training."""
        try:
            self._keeping = self._station.save_decisions()
        except MedViewError as error:
            self.failed.emit(error)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._write_texts()

    def _changed(self, _: None) -> None:
        self._soon.start()

    def _job_changed(self, job: Job[Any]) -> None:
        if job is self._station.evidence.job:
            self._soon.start()
        if job is self._keeping and job.state.is_final:
            self._keeping = None
            if isinstance(job.result, Saved):
                self.kept.emit(job.result)
            elif job.error is not None:
                self.failed.emit(job.error)

    def _ask(self, id: FindingId, method: EvidenceMethod) -> None:
        try:
            self._station.evidence.ask(id, method, self.failed.emit)
        except MedViewError as error:
            self.failed.emit(error)

    def _use_as_box(self, id: FindingId) -> None:
        try:
            self._station.findings.use_as_box(id)
        except MedViewError as error:
            self.failed.emit(error)

    def _failed(self, error: StorageError) -> None:
        self.failed.emit(error)

    def _add(self) -> None:
        self._station.findings.add(self.new_name.text())
        self.new_name.clear()

    def _ask_where(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, self.tr("Save findings"), "findings.dcm", self.tr("Report or table (*.dcm *.csv *.json)")
        )
        if path:
            self.save(Path(path))

    def _sync(self) -> None:
        entries = self._station.findings.shown
        others = alternatives(entries)
        made = groups(entries, self._station.findings.least)
        here = {entry.id for group in made for entry in group.entries}
        for id in [one for one in self.rows if one not in here]:
            row = self.rows.pop(id)
            row.hide()
            row.deleteLater()
        while len(self.groups) < len(made):
            self.groups.append(self._group())
        for widget, group in zip(self.groups, made, strict=False):
            self._fill(widget, group, others)
        for widget in self.groups[len(made) :]:
            widget.hide()
        self.evidence.sync()
        self.setVisible(self._station.workspace.active_volume is not None)
        self.save_button.setEnabled(bool(entries))
        self.keep_button.setEnabled(self._station.findings.any_decided)
        self._caution.setVisible(any(entry.finding.algorithm is not None for entry in entries))

    def _fill(self, widget: FindingGroup, group: Group, others: dict[FindingId, tuple[str, ...]]) -> None:
        widget.show_group(group)
        for place, entry in enumerate(group.entries):
            row = self.rows.get(entry.id) or self._row(entry.id)
            if widget.rows.indexOf(row) != place:
                widget.rows.insertWidget(place, row)
            offers = self._station.evidence.offers(entry)
            row.show_entry(entry, others[entry.id], offers, by_model=group.kind is GroupKind.CLASS)
            row.show()
        widget.show()

    def _group(self) -> FindingGroup:
        made = FindingGroup()
        made.card_asked.connect(self.card_asked)
        made.least_chosen.connect(self._station.findings.list_from)
        self._lines.addWidget(made)
        return made

    def _row(self, id: FindingId) -> FindingRow:
        desk = self._station.findings
        row = self.rows[id] = FindingRow()
        row.confirmed.connect(partial(desk.confirm, id))
        row.rejected.connect(partial(desk.reject, id))
        row.corrected.connect(partial(desk.correct, id))
        row.reopened.connect(partial(desk.reopen, id))
        row.clicked.connect(partial(desk.go_to, id))
        row.evidence_asked.connect(partial(self._ask, id))
        row.card_asked.connect(self.card_asked)
        row.box_asked.connect(partial(self._use_as_box, id))
        return row

    def _write_texts(self) -> None:
        self._heading.setText(self.tr("Findings"))
        self._caution.setText(self.tr("What a model says counts only once you accept it."))
        self.new_name.setPlaceholderText(self.tr("Add a finding of your own"))
        self.save_button.setText(self.tr("Save ..."))
        self.save_button.setToolTip(self.tr("As a structured report (DICOM SR), a table or JSON"))
        self.keep_button.setText(self.tr("Save as training example"))
        self.keep_button.setToolTip(
            self.tr("The image with what you accepted, rejected or entered; nothing in it names the patient")
        )
