"""What can be done with a row of the list of cases: its menu, and the dialogs behind it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QMenu, QTreeWidgetItem, QWidget

from medview.core.case import Case, CaseId
from medview.core.errors import MedViewError
from medview.ui.banner import Banner
from medview.ui.case_rows import BEHIND_IMAGES, Key, Level, patient_id
from medview.ui.case_tree import KEY_ROLE, ROW_ROLE
from medview.ui.deidentify_dialog import DeidentifyDialog
from medview.ui.send_dialog import Cargo, SendDialog, cargo_of
from medview.ui.theme import icon
from medview.workstation.station import Workstation


class CaseMenu(QObject):
    """Makes the menus of rows.

    Args:
        station: Whose workspace.
        banner: Says what went wrong.
        panel: The list.
    """

    open_asked = Signal(QTreeWidgetItem)
    save_asked = Signal(str)
    """Which segmentation is to be saved as files, by its id."""

    def __init__(self, station: Workstation, banner: Banner, panel: QWidget) -> None:
        super().__init__(panel)
        self._station, self._banner, self._panel = station, banner, panel

    def of(self, item: QTreeWidgetItem) -> QMenu | None:
        """What can be done with a row; None for a patient with several cases."""
        key: Key = item.data(0, KEY_ROLE)
        case = self._case_of(key)
        if case is None:
            return None
        menu = QMenu(self._panel)
        if key.level in (Level.SERIES, Level.SEGMENTATION):
            series = case.series_with(key.id) if key.level is Level.SERIES else None
            show = menu.addAction(self.tr("Open"), partial(self.open_asked.emit, item))
            show.setEnabled(series is None or series.geometry is not None or series.kind in BEHIND_IMAGES)
        if key.level is Level.SEGMENTATION:
            menu.addAction(
                icon("content-save-outline"), self.tr("Save masks as ..."), partial(self.save_asked.emit, key.id)
            )
        files = self._files_of(key, case)
        if files:
            title = item.data(0, ROW_ROLE).title
            menu.addAction(self.tr("Save a copy without names ..."), partial(self.save_without_names, title, files))
        if key.level is not Level.PATIENT:
            cargo = cargo_of(self._station, case, key.id)
            send = menu.addAction(self.tr("Send to an archive ..."), partial(self._send, cargo))
            send.setEnabled(cargo is not None)
        menu.addAction(icon("close"), self.tr("Close case"), partial(self.close_case, case.id))
        return menu

    def _send(self, cargo: Cargo | None) -> None:
        if cargo is not None:
            SendDialog(self._station, cargo, self._panel.window()).show()

    def save_without_names(self, title: str, files: tuple[Path, ...]) -> DeidentifyDialog:
        """Open the dialog that copies files without names."""
        dialog = DeidentifyDialog(self._station, title, files, self._panel.window())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.show()
        return dialog

    def _files_of(self, key: Key, case: Case) -> tuple[Path, ...]:
        """The files behind a row: of a series, or of all series of a study; none behind a segmentation."""
        series = {
            Level.SERIES: [one for one in case.series if one.uid == key.id],
            Level.SEGMENTATION: [],
        }.get(key.level, list(case.series))
        return tuple(dict.fromkeys(path for one in series for path in one.files))

    def _case_of(self, key: Key) -> Case | None:
        cases = self._station.workspace.cases
        if key.level is Level.PATIENT:
            same = [case for case in cases if patient_id(case) == key.id]
            return same[0] if len(same) == 1 else None
        if key.level is Level.STUDY:
            return next((case for case in cases if case.id == key.id), None)
        if key.level is Level.SERIES:
            return self._station.workspace.case_with_series(key.id)
        return next((case for case in cases if key.id in case.segmentations), None)

    def close_case(self, case_id: CaseId) -> None:
        """Close a case, if nothing forbids it."""
        case = next((one for one in self._station.workspace.cases if one.id == case_id), None)
        if case is not None:
            try:
                self._station.workspace.close_case(case)
            except MedViewError as error:
                self._banner.show_error(error)
