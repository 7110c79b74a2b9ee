"""What an archive has: studies, and under each its series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTreeWidget, QTreeWidgetItem, QWidget

from medview.core.text import Text
from medview.formats.dicom_text import iso_date, written_name
from medview.network.records import FoundSeries, FoundStudy
from medview.ui.translation import render

_ROLE = Qt.ItemDataRole.UserRole
_WIDTHS_PX = (210, 120, 96, 70, 250, 80)
_IMAGES = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """A study that is to be retrieved, or some of its series."""

    study: FoundStudy
    series: tuple[FoundSeries, ...] = ()

    @property
    def title(self) -> str:
        """What it is, in one line."""
        study = self.study
        what = [one.description or one.modality for one in self.series] or [study.description]
        parts = (written_name(study.patient_name) or study.patient_id, iso_date(study.date), ", ".join(what))
        return "  ".join(part for part in parts if part)


class ArchiveResults(QTreeWidget):
    """Studies as rows; series appear when a study is unfolded.

    Signals:
        unfolded: A study whose series are not known yet was unfolded.
        wanted: A row was double-clicked, or Enter pressed on it.
    """

    unfolded = Signal(object)
    wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._studies: dict[str, QTreeWidgetItem] = {}
        self.setColumnCount(len(_WIDTHS_PX))
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setUniformRowHeights(True)
        self.setAllColumnsShowFocus(True)
        header = self.header()
        header.setStretchLastSection(False)
        for number, width in enumerate(_WIDTHS_PX):
            header.resizeSection(number, width)
        header.setSectionResizeMode(4, QHeaderView.ResizeMode.Stretch)
        self.headerItem().setTextAlignment(_IMAGES, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.itemExpanded.connect(self._expanded)
        self.itemActivated.connect(lambda _item, _column: self.wanted.emit())
        self.setExpandsOnDoubleClick(False)
        self.write()

    def show_studies(self, studies: Sequence[FoundStudy]) -> None:
        """Show what was found, the latest first."""
        self.clear()
        self._studies.clear()
        for study in sorted(studies, key=lambda one: (one.date, one.time), reverse=True):
            item = QTreeWidgetItem(self)
            item.setData(0, _ROLE, study)
            item.setChildIndicatorPolicy(QTreeWidgetItem.ChildIndicatorPolicy.ShowIndicator)
            self._studies[study.uid] = item
        self.write()
        first = self.topLevelItem(0)
        if first is not None:
            self.setCurrentItem(first)

    def show_series(self, study_uid: str, series: Sequence[FoundSeries]) -> None:
        """Show the series of a study."""
        above = self._studies.get(study_uid)
        if above is None or above.childCount():
            return
        for one in sorted(series, key=lambda one: (one.number is None, one.number or 0)):
            item = QTreeWidgetItem(above)
            item.setData(0, _ROLE, one)
        self.write()

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What is selected: whole studies, and series of the others."""
        rows = [item.data(0, _ROLE) for item in self.selectedItems()]
        studies = [row for row in rows if isinstance(row, FoundStudy)]
        chosen = [Choice(study) for study in studies]
        series: dict[str, list[FoundSeries]] = {}
        for row in rows:
            if isinstance(row, FoundSeries) and row.study_uid not in {one.uid for one in studies}:
                series.setdefault(row.study_uid, []).append(row)
        for uid, members in series.items():
            chosen.append(Choice(self._studies[uid].data(0, _ROLE), tuple(members)))
        return tuple(chosen)

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange and hasattr(self, "_studies"):
            self.write()

    def write(self) -> None:
        """Put the words into the present language."""
        self.setHeaderLabels(
            [
                self.tr("Patient"),
                self.tr("Patient ID"),
                self.tr("Study date"),
                self.tr("Modality"),
                self.tr("Description"),
                self.tr("Images"),
            ]
        )
        for item in self._studies.values():
            _fill(item, _of_study(item.data(0, _ROLE)))
            for number in range(item.childCount()):
                below = item.child(number)
                if below is not None:
                    _fill(below, _of_series(below.data(0, _ROLE)))

    def _expanded(self, item: QTreeWidgetItem) -> None:
        row = item.data(0, _ROLE)
        if isinstance(row, FoundStudy) and not item.childCount():
            self.unfolded.emit(row)


def _fill(item: QTreeWidgetItem, texts: Sequence[str]) -> None:
    for column, text in enumerate(texts):
        item.setText(column, text)
        item.setToolTip(column, text)
    item.setTextAlignment(_IMAGES, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)


def _of_study(study: FoundStudy) -> tuple[str, ...]:
    what = "  ".join(part for part in (study.description, study.accession_number) if part)
    return (
        written_name(study.patient_name) or render(Text("Unnamed patient")),
        study.patient_id,
        iso_date(study.date),
        ", ".join(study.modalities),
        what,
        _count(study.instances),
    )


def _of_series(series: FoundSeries) -> tuple[str, ...]:
    name = render(Text("Series")) if series.number is None else render(Text.of("Series {n}", n=series.number))
    what = series.description or series.body_part
    return (name, "", "", series.modality, what, _count(series.instances))


def _count(number: int | None) -> str:
    return "" if number is None else str(number)
