"""Archives on the network: choose one, search it, and bring studies here."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from medview.core.errors import MedViewError
from medview.core.text import Text
from medview.network.address import Address
from medview.network.records import FoundSeries, FoundStudies, FoundStudy, Query
from medview.ui.archive_editor import ArchiveEditor
from medview.ui.archive_results import ArchiveResults, Choice
from medview.ui.banner import Answer, Banner, Message
from medview.ui.banner import Kind as BannerKind
from medview.ui.date_range import DateRange
from medview.ui.theme import STEP_PX, icon, set_role
from medview.ui.transfer_row import TransferRow
from medview.ui.translation import render
from medview.workstation.jobs import Job, JobState
from medview.workstation.station import Workstation

_MODALITIES = ("CT", "MR", "PT", "DX", "CR", "MG", "US", "XA", "NM", "SEG", "RTSTRUCT", "SR")
_TRANSFERS_PX = 150
"""How high the list of transfers may become."""


class ArchiveDialog(QDialog):
    """Searches and retrieves; the window behind stays in use. Main thread only.

    Args:
        station: Whose archives.
        parent: The window that it belongs to.
    """

    def __init__(self, station: Workstation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._station = station
        self._archives = station.archives
        self._search: Job[FoundStudies] | None = None
        self._series: dict[int, str] = {}
        self._found: FoundStudies | None = None
        self._found_in: Address | None = None
        self.rows: list[TransferRow] = []
        self.resize(920, 620)
        self.banner = Banner()
        self._make_form()
        self.results = ArchiveResults()
        self.results.unfolded.connect(self._unfold)
        self.results.wanted.connect(self.retrieve)
        self.results.itemSelectionChanged.connect(self._mark)
        self.status = QLabel()
        self.status.setWordWrap(True)
        set_role(self.status, "quiet")
        self.retrieve_button, self._close = QPushButton(), QPushButton()
        set_role(self.retrieve_button, "primary")
        for button in (self.retrieve_button, self._close):
            button.setAutoDefault(False)
        self.retrieve_button.clicked.connect(self.retrieve)
        self._close.clicked.connect(self.hide)
        foot = QHBoxLayout()
        foot.addWidget(self.status, 1)
        foot.addWidget(self._close)
        foot.addWidget(self.retrieve_button)
        inner = QWidget()
        self._transfers = QVBoxLayout(inner)
        self._transfers.setContentsMargins(0, 0, 0, 0)
        self._transfers.setSpacing(STEP_PX)
        self._transfers.addStretch(1)
        self._transfer_area = QScrollArea()
        self._transfer_area.setWidgetResizable(True)
        self._transfer_area.setWidget(inner)
        self._transfer_area.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4 * STEP_PX, 4 * STEP_PX, 4 * STEP_PX, 4 * STEP_PX)
        layout.setSpacing(3 * STEP_PX)
        layout.addLayout(self._form)
        layout.addWidget(self.banner)
        layout.addWidget(self.results, 1)
        layout.addWidget(self._transfer_area)
        layout.addLayout(foot)
        self._listeners = [
            station.jobs.changed.connect(self._job_changed),
            self._archives.list.changed.connect(lambda _: self._show_archives()),
        ]
        self._show_archives()
        self._write()
        self.name.setFocus()

    def close_down(self) -> None:
        """Stop listening."""
        for listener in self._listeners:
            listener.close()
        for row in self.rows:
            row.close_down()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange) and hasattr(self, "_listeners"):
            self._write()

    def search(self) -> None:
        """Look for studies; while that goes on, stop it."""
        if self._search is not None:
            self._search.cancel()
            return
        address = self._address
        if address is None:
            self._add()
            return
        self.banner.clear()
        self.results.show_studies(())
        first, last = self.dates.days
        modality = "" if self.modality.currentIndex() == 0 else self.modality.currentText()
        query = Query(self.name.text(), self.id.text(), first, last, modality, self.accession.text())
        self._found, self._found_in = None, address
        self._search = self._archives.find(address, query)
        self._mark()

    def retrieve(self) -> None:
        """Bring what is selected, and open it."""
        address = self._found_in
        if address is None:
            return
        for choice in self.results.choices:
            start = partial(self._start, address, choice)
            row = TransferRow(self._station.jobs, choice.title, start)
            row.ended.connect(self._fit)
            self.rows.append(row)
            self._transfers.insertWidget(0, row)
        self._transfer_area.setVisible(bool(self.rows))
        self._fit()

    def _fit(self) -> None:
        """As high as the transfers need, up to a limit."""
        inner = self._transfer_area.widget()
        if inner is not None and self.rows:
            self._transfer_area.setFixedHeight(min(inner.sizeHint().height(), _TRANSFERS_PX))

    def _start(self, address: Address, choice: Choice) -> Job[Any]:
        return self._archives.retrieve(address, choice.study.uid, tuple(one.uid for one in choice.series))

    # Archives

    @property
    def _address(self) -> Address | None:
        addresses = self._archives.list.addresses
        number = self.archive.currentIndex()
        return addresses[number] if 0 <= number < len(addresses) else None

    def _add(self) -> None:
        ArchiveEditor(self._archives, self._station.jobs, None, self).show()

    def _edit(self) -> None:
        if self._address is not None:
            ArchiveEditor(self._archives, self._station.jobs, self._address, self).show()

    def _remove(self) -> None:
        address = self._address
        if address is None:
            return
        try:
            self._archives.list.remove(address.name)
        except MedViewError as error:
            self.banner.show_error(error)
            return
        back = Answer(Text("Put back"), lambda: self._archives.list.put(address))
        what = Text.of("{name} is removed. What came from it stays.", name=address.name)
        self.banner.show_message(Message(BannerKind.OFFER, what, answers=(back,)))

    def _show_archives(self) -> None:
        addresses = self._archives.list.addresses
        before, known = self.archive.currentText(), {self.archive.itemText(n) for n in range(self.archive.count())}
        self.archive.clear()
        for address in addresses:
            self.archive.addItem(address.name)
            self.archive.setItemData(self.archive.count() - 1, address.place, Qt.ItemDataRole.ToolTipRole)
        names = [one.name for one in addresses]
        # One that has just been entered is what the reader wants next.
        new = [name for name in names if known and name not in known]
        wanted = new[-1] if new else before
        self.archive.setCurrentIndex(names.index(wanted) if wanted in names else 0 if names else -1)
        self._mark()

    # What happens

    def _job_changed(self, job: Job[Any]) -> None:
        if not job.state.is_final:
            return
        if job is self._search:
            self._search = None
            if isinstance(job.result, FoundStudies):
                self._found = job.result
                self.results.show_studies(job.result.studies)
                self.results.setFocus()
            self._tell(job)
            self._mark()
        elif job.number in self._series:
            study = self._series.pop(job.number)
            if job.result is not None:
                self.results.show_series(study, job.result)
            self._tell(job)

    def _tell(self, job: Job[Any]) -> None:
        if job.state is JobState.FAILED and job.error is not None:
            self.banner.show_error(job.error)

    def _unfold(self, study: FoundStudy) -> None:
        if self._found_in is not None:
            job: Job[tuple[FoundSeries, ...]] = self._archives.find_series(self._found_in, study.uid)
            self._series[job.number] = study.uid

    # What is shown

    def _make_form(self) -> None:
        self.archive = QComboBox()
        self.archive.setMinimumWidth(220)
        self.add, self.edit, self.remove = (QToolButton() for _ in range(3))
        for button, call in ((self.add, self._add), (self.edit, self._edit), (self.remove, self._remove)):
            button.clicked.connect(call)
        self.name, self.id, self.accession = (QLineEdit() for _ in range(3))
        for line in (self.name, self.id, self.accession):
            line.setClearButtonEnabled(True)
            line.returnPressed.connect(self.search)
        self.dates = DateRange()
        self.modality = QComboBox()
        self.modality.addItems(["", *_MODALITIES])
        self.search_button = QPushButton()
        self.search_button.setAutoDefault(False)
        set_role(self.search_button, "primary")
        self.search_button.clicked.connect(self.search)
        self._labels = [QLabel() for _ in range(6)]
        chosen = QHBoxLayout()
        chosen.setSpacing(STEP_PX)
        chosen.addWidget(self.archive)
        for button in (self.add, self.edit, self.remove):
            chosen.addWidget(button)
        chosen.addStretch(1)
        self._form = QGridLayout()
        self._form.setHorizontalSpacing(3 * STEP_PX)
        self._form.setVerticalSpacing(2 * STEP_PX)
        self._form.addWidget(self._labels[0], 0, 0)
        self._form.addLayout(chosen, 0, 1, 1, 5)
        fields: tuple[QWidget, ...] = (self.name, self.id, self.accession, self.dates, self.modality)
        for number, widget in enumerate(fields):
            down, across = divmod(number, 3)
            self._form.addWidget(self._labels[1 + number], 1 + down, 2 * across)
            self._form.addWidget(widget, 1 + down, 2 * across + 1)
        self._form.addWidget(self.search_button, 2, 5)
        for column in (1, 3, 5):
            self._form.setColumnStretch(column, 1)

    def _mark(self) -> None:
        """Offer what can be done now, and say how things stand."""
        if not hasattr(self, "retrieve_button"):
            return
        there = self._address is not None
        self.edit.setEnabled(there)
        self.remove.setEnabled(there)
        self.retrieve_button.setEnabled(bool(self.results.choices))
        busy = self._search is not None
        self.search_button.setText(
            self.tr("Stop") if busy else self.tr("Search") if there else self.tr("Add an archive")
        )
        self.status.setText(self._standing(busy, there))

    def _standing(self, busy: bool, there: bool) -> str:
        if busy:
            return self.tr("Searching ...")
        if self._found is not None:
            count = len(self._found.studies)
            if not self._found.complete:
                return render(Text.of("The first {count} studies; there are more. Narrow the search.", count=count))
            if count == 0:
                return self.tr("No study matches. Names match from their beginning; * stands for anything.")
            return self.tr("1 study") if count == 1 else render(Text.of("{count} studies", count=count))
        if not there:
            return self.tr("No archive is entered yet.")
        return ""

    def _write(self) -> None:
        self.setWindowTitle(self.tr("Archive"))
        for label, text in zip(
            self._labels,
            (
                self.tr("Archive"),
                self.tr("Patient's name"),
                self.tr("Patient ID"),
                self.tr("Accession number"),
                self.tr("Study date"),
                self.tr("Modality"),
            ),
            strict=True,
        ):
            label.setText(text)
        for button, name, tip in (
            (self.add, "plus", self.tr("Add an archive")),
            (self.edit, "pencil-outline", self.tr("Edit the archive")),
            (self.remove, "trash-can-outline", self.tr("Remove the archive from this list")),
        ):
            button.setIcon(icon(name))
            button.setToolTip(tip)
        self.modality.setItemText(0, self.tr("Any"))
        self.retrieve_button.setText(self.tr("Retrieve and open"))
        self._close.setText(self.tr("Close"))
        self._mark()
