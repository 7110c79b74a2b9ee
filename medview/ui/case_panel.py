"""What is open: patients, studies, series and segmentations, and the files that are of no use."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import QEvent, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import (
    QLabel,
    QLineEdit,
    QMenu,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from medview.core.case import (
    Case,
    CaseChange,
    CaseId,
    SegmentationAdded,
    Series,
    SeriesKind,
    Severity,
    SlicesArrived,
)
from medview.core.document import Document
from medview.core.errors import MedViewError
from medview.core.segmentation import LabelsChanged, SegmentationId, SegmentsChanged
from medview.ui.banner import Banner
from medview.ui.case_menu import CaseMenu
from medview.ui.case_rows import BEHIND_IMAGES, CaseRows, Key, Level, patient_id
from medview.ui.case_tree import KEY_ROLE, ROW_ROLE, CaseTree, Row
from medview.ui.document_view import DocumentView
from medview.ui.health_card import HealthCard, mark_icon, worst
from medview.ui.measurement_list import MeasurementList
from medview.ui.reject_list import RejectList
from medview.ui.theme import STEP_PX, current_theme, icon, set_role
from medview.ui.translation import render
from medview.workstation.jobs import Job, JobState
from medview.workstation.station import Workstation
from medview.workstation.workspace import CaseOpened, WorkspaceChange


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
        self._items: dict[Key, QTreeWidgetItem] = {}
        self._rows = CaseRows(station.workspace)
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
        self.rejects = RejectList()
        self._menu = CaseMenu(station, self.banner, self)
        self._menu.open_asked.connect(self._activated)
        self._menu.save_asked.connect(self.save_asked)

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
        key: Key = item.data(0, KEY_ROLE)
        if column == 1 and key.level is Level.SERIES:
            self._show_health("" if self._health_of == key.id else key.id)
        elif column == 1 and key.level is Level.STUDY:
            self._menu.close_case(CaseId(key.id))
        elif column == 0:
            self._activated(item)

    def _activated(self, item: QTreeWidgetItem, _column: int = 0) -> None:
        key: Key = item.data(0, KEY_ROLE)
        if key.level is Level.SEGMENTATION:
            self.open_segmentation(SegmentationId(key.id))
        elif key.level is Level.SERIES:
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
        images = {image for line in document.lines for image in line.images}
        places = self._station.named_images.places_of(images) if images else {}
        view = DocumentView(document, self.window(), places=places)
        view.image_asked.connect(self._station.named_images.show)
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
        return self._menu.of(item)

    # What is shown

    def _write_texts(self) -> None:
        self._heading.setText(self.tr("Cases"))
        self.search.setPlaceholderText(self.tr("Search patients and series"))
        self._nothing.setText(self.tr("No case is open. Drop files or a folder into the window."))
        self.health.write_texts()
        for key, item in self._items.items():
            if key.level is Level.STUDY:
                item.setIcon(1, icon("close", current_theme().quiet))
                item.setToolTip(1, self.tr("Close case"))
        self._sync()

    def _sync(self) -> None:
        """Bring the tree to what the workspace holds: rows come, go and change; nothing else is touched."""
        wanted: set[Key] = set()
        places: dict[str, int] = {}
        for case in self._station.workspace.cases:
            patient = Key(Level.PATIENT, patient_id(case))
            nth = places.setdefault(patient.id, 0)
            places[patient.id] += 1
            row = self._rows.patient(case.study.patient)
            above = self._put(patient, self.tree.invisibleRootItem(), list(places).index(patient.id), row)
            study = Key(Level.STUDY, case.id)
            wanted |= {patient, study}
            self._sync_series(case, self._put(study, above, nth, self._rows.study(case)), wanted)
        # what is inside goes first: a row that nobody holds takes the rows inside it along
        for key in [key for key in reversed(self._items) if key not in wanted]:
            item = self._items.pop(key)
            parent = item.parent() or self.tree.invisibleRootItem()
            parent.removeChild(item)
            if key.level is Level.SERIES:
                self._rows.forget(key.id)
        self._nothing.setVisible(not self._items)
        self.search.setEnabled(bool(self._items))
        self._filter()
        self.rejects.show_rejects(self._station.workspace.rejects)
        self._show_health(self._health_of)

    def _sync_series(self, case: Case, above: QTreeWidgetItem, wanted: set[Key]) -> None:
        for number, series in enumerate(sorted(case.series, key=lambda one: one.kind in BEHIND_IMAGES)):
            key = Key(Level.SERIES, series.uid)
            wanted.add(key)
            item = self._put(key, above, number, self._rows.series(case, series))
            self._mark(item, series)
            volume = case.volume_of_series(series.uid)
            for place, segmentation in enumerate(case.segmentations_on(volume.id) if volume is not None else ()):
                inner = Key(Level.SEGMENTATION, segmentation.id)
                wanted.add(inner)
                self._put(inner, item, place, self._rows.segmentation(segmentation))

    def _put(self, key: Key, parent: QTreeWidgetItem, place: int, row: Row) -> QTreeWidgetItem:
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = QTreeWidgetItem()
            item.setData(0, KEY_ROLE, key)
            parent.insertChild(place, item)
            if key.level is not Level.SEGMENTATION:
                item.setExpanded(True)
            else:
                parent.setExpanded(True)
            if key.level is Level.STUDY:
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

    def _filter(self, _: str = "") -> None:
        wanted = self.search.text().casefold().split()
        _show_matching(self.tree.invisibleRootItem(), wanted, "")


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
