"""What is open: patients, studies, series and segmentations, and the files that are of no use."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QIcon, QPixmap
from PySide6.QtWidgets import (
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from medview.core.case import (
    Case,
    CaseChange,
    CaseId,
    Patient,
    SegmentationAdded,
    Series,
    SeriesKind,
    Severity,
    SlicesArrived,
)
from medview.core.document import Document
from medview.core.errors import MedViewError
from medview.core.segmentation import LabelsChanged, Segmentation, SegmentationId, SegmentsChanged
from medview.core.text import Text
from medview.core.volume import Modality
from medview.ui.banner import Banner
from medview.ui.case_tree import KEY_ROLE, ROW_ROLE, CaseTree, Row, pixmap
from medview.ui.deidentify_dialog import DeidentifyDialog
from medview.ui.document_view import DocumentView
from medview.ui.folding import Folding
from medview.ui.health_card import HealthCard, mark_icon, worst
from medview.ui.measurement_list import MeasurementList
from medview.ui.send_dialog import Cargo, SendDialog, cargo_of
from medview.ui.theme import STEP_PX, current_theme, icon, set_role
from medview.ui.translation import render
from medview.workstation.jobs import Job, JobState
from medview.workstation.station import Workstation
from medview.workstation.workspace import CaseOpened, WorkspaceChange

_REJECTS_PX = 160


class _Level(StrEnum):
    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    SEGMENTATION = "segmentation"


def _count(series: Series) -> Text:
    if series.kind is SeriesKind.MASK:
        return Text("masks")
    if series.kind is SeriesKind.DOCUMENT:
        return Text("document")
    if series.kind is SeriesKind.PICTURES:
        return Text("1 picture") if series.slices == 1 else Text.of("{count} pictures", count=series.slices)
    if series.phases:
        phases = len(series.phases)
        return Text.of("{phases} x {count} slices", phases=phases, count=series.slices // phases)
    return Text("1 slice") if series.slices == 1 else Text.of("{count} slices", count=series.slices)


@dataclass(frozen=True, slots=True)
class _Key:
    """Which row: its level, and the id of what it stands for."""

    level: _Level
    id: str


class CasePanel(QWidget):
    """Shows the workspace and opens what is chosen. Main thread only.

    Args:
        station: Whose workspace.
    """

    save_asked = Signal(str)
    """Which segmentation is to be saved as files, by its id."""

    def __init__(self, station: Workstation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._station = station
        self._items: dict[_Key, QTreeWidgetItem] = {}
        self._pictures: dict[str, tuple[NDArray[np.uint8], QPixmap]] = {}
        self._marks: dict[Severity | None, QIcon] = {}
        self._opening: Job[Any] | None = None
        self._health_of = ""
        self._heading = QLabel()
        set_role(self._heading, "heading")
        self.banner = Banner()
        self.search = QLineEdit()
        self.search.setClearButtonEnabled(True)
        self.search.textChanged.connect(self._filter)
        self.tree = CaseTree()
        self.tree.itemClicked.connect(self._clicked)
        self.tree.itemActivated.connect(self._activated)
        self.tree.customContextMenuRequested.connect(self._show_menu)
        self._nothing = QLabel()
        self._nothing.setWordWrap(True)
        set_role(self._nothing, "quiet")
        self.measurements = MeasurementList(station)
        self.health = HealthCard()
        self.health.closed.clicked.connect(self._hide_health)
        self.rejects_list = QListWidget()
        self.rejects_list.setWordWrap(True)
        self.rejects = Folding(self.rejects_list)

        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * STEP_PX, 2 * STEP_PX, 2 * STEP_PX, 2 * STEP_PX)
        layout.setSpacing(2 * STEP_PX)
        for widget in (self._heading, self.banner, self.search, self._nothing):
            layout.addWidget(widget)
        layout.addWidget(self.tree, 1)
        layout.addWidget(self.measurements)
        layout.addWidget(self.health)
        layout.addWidget(self.rejects)

        # Hundreds of series may come within one second; the tree is looked at once per turn of the event loop.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._sync)
        self._connections = [
            station.workspace.changed.connect(self._workspace_changed),
            station.jobs.changed.connect(self._job_changed),
        ]
        for case in station.workspace.cases:
            self._watch(case)
        self._write_texts()

    def close_down(self) -> None:
        """Stop listening."""
        self.measurements.close_down()
        for connection in self._connections:
            connection.close()
        self._soon.stop()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._marks.clear()
            self._write_texts()

    def open_series(self, series_uid: str) -> None:
        """Open a series, or show it when it is in memory."""
        try:
            self._opening = self._station.importing.load(series_uid)
        except MedViewError as error:
            self.banner.show_error(error)

    def open_segmentation(self, segmentation_id: SegmentationId) -> None:
        """Show a segmentation on its volume, and work on it."""
        case = next((one for one in self._station.workspace.cases if segmentation_id in one.segmentations), None)
        if case is None:
            return
        volume = case.volume_under(segmentation_id)
        self.open_series(volume.series_uid)
        self._station.workspace.activate(case, volume, case.segmentations[segmentation_id])
        self._station.viewing.update(volume_id=volume.id, segmentation_id=segmentation_id, labels_shown=True)

    # What happens

    def _workspace_changed(self, change: WorkspaceChange) -> None:
        if isinstance(change, CaseOpened):
            for case in self._station.workspace.cases:
                if case.id == change.case_id:
                    self._watch(case)
        self._soon.start()

    def _watch(self, case: Case) -> None:
        self._connections.append(case.changed.connect(partial(self._case_changed, case)))
        for segmentation in case.segmentations.values():
            self._connections.append(segmentation.changed.connect(self._segmentation_changed))

    def _case_changed(self, case: Case, change: CaseChange) -> None:
        if isinstance(change, SlicesArrived):
            return
        if isinstance(change, SegmentationAdded):
            segmentation = case.segmentations[change.segmentation_id]
            self._connections.append(segmentation.changed.connect(self._segmentation_changed))
        self._soon.start()

    def _segmentation_changed(self, change: LabelsChanged | SegmentsChanged) -> None:
        if isinstance(change, SegmentsChanged):
            self._soon.start()

    def _job_changed(self, job: Job[Any]) -> None:
        if job is self._opening and job.state.is_final:
            self._opening = None
            if job.state is JobState.FAILED and job.error is not None:
                self.banner.show_error(job.error)

    def _clicked(self, item: QTreeWidgetItem, column: int) -> None:
        key: _Key = item.data(0, KEY_ROLE)
        if column == 1 and key.level is _Level.SERIES:
            self._show_health("" if self._health_of == key.id else key.id)
        elif column == 1 and key.level is _Level.STUDY:
            self._close_case(CaseId(key.id))
        elif column == 0:
            self._activated(item)

    def _activated(self, item: QTreeWidgetItem, _column: int = 0) -> None:
        key: _Key = item.data(0, KEY_ROLE)
        if key.level is _Level.SEGMENTATION:
            self.open_segmentation(SegmentationId(key.id))
        elif key.level is _Level.SERIES:
            series = self._series(key.id)
            if series is not None and series.kind is SeriesKind.MASK:
                self._opening = self._station.attaching.open(key.id)
            elif series is not None and series.kind is SeriesKind.DOCUMENT:
                self._opening = self._station.importing.read_document(key.id, self._show_document)
            elif series is None or series.geometry is None:
                self._show_health(key.id)
            else:
                self.open_series(key.id)

    def _show_document(self, document: Document) -> None:
        view = DocumentView(document, self.window())
        view.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        view.show()

    def _show_menu(self, place: QPoint) -> None:
        item = self.tree.itemAt(place)
        if item is None:
            return
        menu = self.menu_of(item)
        if menu is not None:
            menu.exec(self.tree.viewport().mapToGlobal(place))
            menu.deleteLater()

    def menu_of(self, item: QTreeWidgetItem) -> QMenu | None:
        """What can be done with a row; None for a patient with several cases."""
        key: _Key = item.data(0, KEY_ROLE)
        case = self._case_of(key)
        if case is None:
            return None
        menu = QMenu(self)
        if key.level in (_Level.SERIES, _Level.SEGMENTATION):
            series = self._series(key.id) if key.level is _Level.SERIES else None
            show = menu.addAction(self.tr("Open"), partial(self._activated, item))
            show.setEnabled(series is None or series.geometry is not None)
        if key.level is _Level.SEGMENTATION:
            menu.addAction(
                icon("content-save-outline"), self.tr("Save masks as ..."), partial(self.save_asked.emit, key.id)
            )
        files = self._files_of(key, case)
        if files:
            title = item.data(0, ROW_ROLE).title
            menu.addAction(self.tr("Save a copy without names ..."), partial(self.save_without_names, title, files))
        if key.level is not _Level.PATIENT:
            cargo = cargo_of(self._station, case, key.id)
            send = menu.addAction(self.tr("Send to an archive ..."), partial(self._send, cargo))
            send.setEnabled(cargo is not None)
        menu.addAction(icon("close"), self.tr("Close case"), partial(self._close_case, case.id))
        return menu

    def _send(self, cargo: Cargo | None) -> None:
        if cargo is not None:
            SendDialog(self._station, cargo, self.window()).show()

    def save_without_names(self, title: str, files: tuple[Path, ...]) -> DeidentifyDialog:
        """Open the dialog that copies files without names."""
        dialog = DeidentifyDialog(self._station, title, files, self.window())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.show()
        return dialog

    def _files_of(self, key: _Key, case: Case) -> tuple[Path, ...]:
        """The files behind a row: of a series, or of all series of a study; none behind a segmentation."""
        series = {
            _Level.SERIES: [one for one in case.series if one.uid == key.id],
            _Level.SEGMENTATION: [],
        }.get(key.level, list(case.series))
        return tuple(dict.fromkeys(path for one in series for path in one.files))

    def _case_of(self, key: _Key) -> Case | None:
        cases = self._station.workspace.cases
        if key.level is _Level.PATIENT:
            same = [case for case in cases if _patient_id(case) == key.id]
            return same[0] if len(same) == 1 else None
        if key.level is _Level.STUDY:
            return next((case for case in cases if case.id == key.id), None)
        if key.level is _Level.SERIES:
            return self._station.workspace.case_with_series(key.id)
        return next((case for case in cases if key.id in case.segmentations), None)

    def _close_case(self, case_id: CaseId) -> None:
        case = next((one for one in self._station.workspace.cases if one.id == case_id), None)
        if case is not None:
            try:
                self._station.workspace.close_case(case)
            except MedViewError as error:
                self.banner.show_error(error)

    # What is shown

    def _write_texts(self) -> None:
        self._heading.setText(self.tr("Cases"))
        self.search.setPlaceholderText(self.tr("Search patients and series"))
        self._nothing.setText(self.tr("No case is open. Drop files or a folder into the window."))
        self.health.write_texts()
        for key, item in self._items.items():
            if key.level is _Level.STUDY:
                item.setIcon(1, icon("close", current_theme().quiet))
                item.setToolTip(1, self.tr("Close case"))
        self._sync()

    def _sync(self) -> None:
        """Bring the tree to what the workspace holds: rows come, go and change; nothing else is touched."""
        wanted: set[_Key] = set()
        places: dict[str, int] = {}
        for case in self._station.workspace.cases:
            patient = _Key(_Level.PATIENT, _patient_id(case))
            nth = places.setdefault(patient.id, 0)
            places[patient.id] += 1
            row = self._patient_row(case.study.patient)
            above = self._put(patient, self.tree.invisibleRootItem(), list(places).index(patient.id), row)
            study = _Key(_Level.STUDY, case.id)
            wanted |= {patient, study}
            self._sync_series(case, self._put(study, above, nth, self._study_row(case)), wanted)
        # what is inside goes first: a row that nobody holds takes the rows inside it along
        for key in [key for key in reversed(self._items) if key not in wanted]:
            item = self._items.pop(key)
            parent = item.parent() or self.tree.invisibleRootItem()
            parent.removeChild(item)
            if key.level is _Level.SERIES:
                self._pictures.pop(key.id, None)
        self._nothing.setVisible(not self._items)
        self.search.setEnabled(bool(self._items))
        self._filter()
        self._sync_rejects()
        self._show_health(self._health_of)

    def _sync_series(self, case: Case, above: QTreeWidgetItem, wanted: set[_Key]) -> None:
        for number, series in enumerate(case.series):
            key = _Key(_Level.SERIES, series.uid)
            wanted.add(key)
            item = self._put(key, above, number, self._series_row(case, series))
            self._mark(item, series)
            volume = case.volume_of_series(series.uid)
            for place, segmentation in enumerate(case.segmentations_on(volume.id) if volume is not None else ()):
                inner = _Key(_Level.SEGMENTATION, segmentation.id)
                wanted.add(inner)
                self._put(inner, item, place, self._segmentation_row(segmentation))

    def _put(self, key: _Key, parent: QTreeWidgetItem, place: int, row: Row) -> QTreeWidgetItem:
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = QTreeWidgetItem()
            item.setData(0, KEY_ROLE, key)
            parent.insertChild(place, item)
            if key.level is not _Level.SEGMENTATION:
                item.setExpanded(True)
            else:
                parent.setExpanded(True)
            if key.level is _Level.STUDY:
                item.setIcon(1, icon("close", current_theme().quiet))
                item.setToolTip(1, self.tr("Close case"))
        elif parent.indexOfChild(item) not in (place, -1):
            is_open = item.isExpanded()
            parent.takeChild(parent.indexOfChild(item))
            parent.insertChild(place, item)
            item.setExpanded(is_open)
        if item.data(0, ROW_ROLE) != row:
            item.setData(0, ROW_ROLE, row)
            item.setToolTip(0, "\n".join(part for part in (row.title, row.facts) if part))
        return item

    def _patient_row(self, patient: Patient) -> Row:
        title = patient.name or patient.key or self.tr("Unnamed patient")
        facts = "  ".join(part for part in (patient.birth_date, patient.sex) if part)
        return Row(title, facts, f"{patient.name} {patient.key}", heading=True)

    def _study_row(self, case: Case) -> Row:
        study = case.study
        title = "  ".join(part for part in (study.date, study.description) if part) or self.tr("Study")
        return Row(title, "", f"{title} {study.accession_number}", quiet=True)

    def _series_row(self, case: Case, series: Series) -> Row:
        volume = self._station.workspace.active_volume
        modality = "" if series.modality is Modality.OTHER else series.modality.value
        count = render(_count(series))
        facts = " · ".join(part for part in (modality, count) if part)
        refusal = series.refusal
        if refusal is not None:
            facts = render(refusal.text)
        elif series.geometry is None and not series.remarks:
            facts = render(Text.of("{facts}, looking ...", facts=facts))
        return Row(
            series.description or self.tr("Unnamed series"),
            facts,
            f"{series.description} {modality} {series.body_part} {case.study.date}",
            with_picture=True,
            picture=self._picture(case, series.uid),
            active=volume is not None and volume.series_uid == series.uid,
            quiet=series.geometry is None,
        )

    def _segmentation_row(self, segmentation: Segmentation) -> Row:
        return Row(
            render(segmentation.title) or self.tr("Segmentation"),
            "",
            " ".join(segment.name for segment in segmentation.segments),
            colors=tuple(segment.color for segment in segmentation.segments),
            active=segmentation is self._station.workspace.active_segmentation,
        )

    def _picture(self, case: Case, series_uid: str) -> QPixmap | None:
        array = case.thumbnails.get(series_uid)
        if array is None:
            return None
        known = self._pictures.get(series_uid)
        if known is None or known[0] is not array:
            known = self._pictures[series_uid] = (array, pixmap(array))
        return known[1]

    def _mark(self, item: QTreeWidgetItem, series: Series) -> None:
        if series.geometry is None and not series.remarks:
            item.setIcon(1, QIcon())
            item.setToolTip(1, "")
            return
        item.setIcon(1, self._mark_icon(worst(series)))
        words = "\n".join(render(remark.text) for remark in series.remarks)
        item.setToolTip(1, words or self.tr("Nothing is wrong with this series."))

    def _mark_icon(self, severity: Severity | None) -> QIcon:
        if severity not in self._marks:
            self._marks[severity] = mark_icon(severity)
        return self._marks[severity]

    def _series(self, uid: str) -> Series | None:
        case = self._station.workspace.case_with_series(uid)
        return case.series_with(uid) if case is not None else None

    def _show_health(self, series_uid: str) -> None:
        self._health_of = series_uid
        self.health.show_series(self._series(series_uid) if series_uid else None)

    def _hide_health(self) -> None:
        self._show_health("")

    def _sync_rejects(self) -> None:
        rejects = self._station.workspace.rejects
        self.rejects.setVisible(bool(rejects))
        self.rejects.set_title(
            self.tr("1 file could not be used")
            if len(rejects) == 1
            else render(Text.of("{count} files could not be used", count=len(rejects)))
        )
        for number, reject in enumerate(rejects):
            line = f"{reject.path.name}\n{render(reject.reason)}"
            there = number < self.rejects_list.count()
            item = self.rejects_list.item(number) if there else QListWidgetItem(self.rejects_list)
            if item.text() != line:
                item.setText(line)
                item.setToolTip(str(reject.path))
        while self.rejects_list.count() > len(rejects):
            self.rejects_list.takeItem(self.rejects_list.count() - 1)
        heights = (self.rejects_list.sizeHintForRow(number) for number in range(min(len(rejects), 10)))
        self.rejects_list.setFixedHeight(min(sum(heights) + STEP_PX, _REJECTS_PX))

    def _filter(self, _: str = "") -> None:
        wanted = self.search.text().casefold().split()
        _show_matching(self.tree.invisibleRootItem(), wanted, "")


def _patient_id(case: Case) -> str:
    return f"{case.study.patient.key}\n{case.study.patient.name}"


def _show_matching(parent: QTreeWidgetItem, wanted: list[str], above: str) -> bool:
    """Hide what does not match; a row stays when its own words with those above match, or one below it stays."""
    any_shown = False
    for number in range(parent.childCount()):
        if (item := parent.child(number)) is not None:
            row: Row = item.data(0, ROW_ROLE)
            words = f"{above} {row.title} {row.facts} {row.words}".casefold()
            below = _show_matching(item, wanted, words)
            shown = below or all(word in words for word in wanted)
            item.setHidden(not shown)
            any_shown = any_shown or shown
    return any_shown
