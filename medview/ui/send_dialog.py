"""Sending to an archive: to which one, how far it is, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QComboBox, QDialog, QFormLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from medview.core.case import Case
from medview.core.errors import MedViewError
from medview.core.segmentation import SegmentationId
from medview.core.text import Text
from medview.network.address import Address
from medview.ui.archive_editor import ArchiveEditor
from medview.ui.banner import Banner
from medview.ui.theme import STEP_PX, set_role
from medview.ui.transfer_row import TransferRow
from medview.ui.translation import render
from medview.workstation.jobs import Job
from medview.workstation.station import Workstation

_WIDTH_PX = 460


@dataclass(frozen=True, slots=True)
class Cargo:
    """What can be sent: what it is, in one line, and how to send it to an archive."""

    title: Text
    start: Callable[[Address], Job[Any]]


def cargo_of(station: Workstation, case: Case, id: str) -> Cargo | None:
    """What can be sent of a case.

    Args:
        station: Whose archives.
        case: The case.
        id: Its own id for the whole study, the UID of a series, or the id of a segmentation, which goes as DICOM SEG.

    Returns:
        None where it does not come from DICOM.
    """
    archives = station.archives
    segmentation = case.segmentations.get(SegmentationId(id))
    if segmentation is not None:
        if not archives.files_of_series(case, case.volume_under(segmentation.id).series_uid):
            return None
        title = segmentation.title if str(segmentation.title) else Text("Segmentation")
        return Cargo(title, lambda address: archives.send_segmentation(address, segmentation.id))
    series = case.series_with(id)
    files = archives.files_of_series(case, id) if series is not None else archives.files_of_case(case)
    if not files:
        return None
    what = (series.description if series is not None else case.study.description) or case.study.date
    title = Text.of("{what}: {count} files", what=what, count=len(files))
    return Cargo(title, lambda address: archives.send(address, files))


class SendDialog(QDialog):
    """Sends one thing. Main thread only.

    Args:
        station: Whose archives.
        cargo: What is sent.
        parent: The window that it belongs to.
    """

    def __init__(self, station: Workstation, cargo: Cargo, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setMinimumWidth(_WIDTH_PX)
        self._station = station
        self._cargo = cargo
        self.row: TransferRow | None = None
        self.banner = Banner()
        self._title = QLabel()
        self._title.setWordWrap(True)
        self._title.setTextFormat(Qt.TextFormat.PlainText)
        self.archive = QComboBox()
        self._labels = [QLabel(), QLabel()]
        form = QFormLayout()
        form.setSpacing(3 * STEP_PX)
        form.addRow(self._labels[0], self._title)
        form.addRow(self._labels[1], self.archive)
        self._note = QLabel()
        self._note.setWordWrap(True)
        set_role(self._note, "quiet")
        self.send_button, self._close = QPushButton(), QPushButton()
        set_role(self.send_button, "primary")
        self.send_button.setDefault(True)
        self._close.setAutoDefault(False)
        self.send_button.clicked.connect(self.send)
        self._close.clicked.connect(self.reject)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        buttons.addWidget(self._close)
        buttons.addWidget(self.send_button)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(5 * STEP_PX, 5 * STEP_PX, 5 * STEP_PX, 5 * STEP_PX)
        self._layout.setSpacing(4 * STEP_PX)
        self._layout.addLayout(form)
        self._layout.addWidget(self._note)
        self._layout.addWidget(self.banner)
        self._layout.addLayout(buttons)
        self._listener = station.archives.list.changed.connect(lambda _: self._show_archives())
        self._show_archives()
        self._write()

    def send(self) -> None:
        """Send it to the archive that is chosen; ask for one where none is entered."""
        addresses = self._station.archives.list.addresses
        if not addresses:
            ArchiveEditor(self._station.archives, self._station.jobs, None, self).show()
            return
        address = addresses[max(0, self.archive.currentIndex())]
        self.banner.clear()
        if self.row is not None:
            self.row.close_down()
            self.row.deleteLater()
            self.row = None
        try:
            self.row = TransferRow(self._station.jobs, address.name, lambda: self._cargo.start(address))
        except MedViewError as error:
            self.banner.show_error(error)
            return
        self.row.ended.connect(self.adjustSize)
        self._layout.insertWidget(3, self.row)

    def done(self, result: int) -> None:
        """Stop listening, however it is closed; what is being sent goes on, and the status bar shows it."""
        self._listener.close()
        if self.row is not None:
            self.row.close_down()
        super().done(result)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange and hasattr(self, "_listener"):
            self._write()

    def _show_archives(self) -> None:
        chosen = self.archive.currentText()
        names = [one.name for one in self._station.archives.list.addresses]
        self.archive.clear()
        self.archive.addItems(names)
        self.archive.setCurrentIndex(names.index(chosen) if chosen in names else 0 if names else -1)
        self.archive.setEnabled(bool(names))
        self._write()

    def _write(self) -> None:
        self.setWindowTitle(self.tr("Send to an archive"))
        self._title.setText(render(self._cargo.title))
        self._labels[0].setText(self.tr("What"))
        self._labels[1].setText(self.tr("Archive"))
        self._note.setText(
            self.tr(
                "Patient data leave this computer. What the archive has already is not sent again; "
                "afterwards it is asked whether it has everything."
            )
        )
        there = bool(self._station.archives.list.addresses)
        self.send_button.setText(self.tr("Send") if there else self.tr("Add an archive"))
        self._close.setText(self.tr("Close"))
