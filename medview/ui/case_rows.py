"""What the rows of the list of cases show: patients, studies, series and segmentations in words and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PySide6.QtGui import QPixmap

from medview.core.case import Case, Patient, Series, SeriesKind
from medview.core.segmentation import Segmentation
from medview.core.text import Text
from medview.core.volume import Modality
from medview.ui.case_tree import Row, pixmap
from medview.ui.translation import render
from medview.workstation.workspace import Workspace

BEHIND_IMAGES = (SeriesKind.MASK, SeriesKind.DOCUMENT)
"""What opens without a grid of its own, and stands below the images."""


class Level(StrEnum):
    """What a row stands for."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    SEGMENTATION = "segmentation"


@dataclass(frozen=True, slots=True)
class Key:
    """Which row: its level, and the id of what it stands for."""

    level: Level
    id: str


class CaseRows:
    """Makes the rows of a workspace. Main thread only.

    Args:
        workspace: What is open.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._pictures: dict[str, tuple[NDArray[np.uint8], QPixmap]] = {}

    def forget(self, series_uid: str) -> None:
        """Let go of the picture of a series."""
        self._pictures.pop(series_uid, None)

    def patient(self, patient: Patient) -> Row:
        """Name, birth date and sex."""
        title = patient.name or patient.key or render(Text("Unnamed patient"))
        facts = "  ".join(part for part in (patient.birth_date, patient.sex) if part)
        return Row(title, facts, f"{patient.name} {patient.key}", heading=True)

    def study(self, case: Case) -> Row:
        """Date and description."""
        study = case.study
        title = "  ".join(part for part in (study.date, study.description) if part) or render(Text("Study"))
        return Row(title, "", f"{title} {study.accession_number}", quiet=True)

    def series(self, case: Case, series: Series) -> Row:
        """Description, what it holds or why it cannot be opened, and a picture."""
        volume = self._workspace.active_volume
        modality = "" if series.modality is Modality.OTHER else series.modality.value
        count = render(count_of(series))
        facts = " · ".join(part for part in (modality, count) if part)
        refusal = series.refusal
        if refusal is not None:
            facts = render(refusal.text)
        elif series.geometry is None and not series.remarks:
            facts = render(Text.of("{facts}, looking ...", facts=facts))
        return Row(
            series.description or _unnamed(series),
            facts,
            f"{series.description} {modality} {series.body_part} {case.study.date}",
            with_picture=True,
            picture=self._picture(case, series.uid),
            symbol="text-box-outline" if series.kind is SeriesKind.DOCUMENT else "",
            active=volume is not None and volume.series_uid == series.uid,
            quiet=series.geometry is None,
        )

    def segmentation(self, segmentation: Segmentation) -> Row:
        """Its title, and the colours of its segments."""
        return Row(
            render(segmentation.title) or render(Text("Segmentation")),
            "",
            " ".join(segment.name for segment in segmentation.segments),
            colors=tuple(segment.color for segment in segmentation.segments),
            active=segmentation is self._workspace.active_segmentation,
        )

    def _picture(self, case: Case, series_uid: str) -> QPixmap | None:
        array = case.thumbnails.get(series_uid)
        if array is None:
            return None
        known = self._pictures.get(series_uid)
        if known is None or known[0] is not array:
            known = self._pictures[series_uid] = (array, pixmap(array))
        return known[1]


def count_of(series: Series) -> Text:
    """How much a series holds."""
    if series.kind is SeriesKind.MASK:
        return Text("masks")
    if series.kind is SeriesKind.DOCUMENT:
        return (_what(series) if series.description else None) or Text("document")
    if series.kind is SeriesKind.PICTURES:
        return Text("1 picture") if series.slices == 1 else Text.of("{count} pictures", count=series.slices)
    if series.phases:
        phases = len(series.phases)
        return Text.of("{phases} x {count} slices", phases=phases, count=series.slices // phases)
    return Text("1 slice") if series.slices == 1 else Text.of("{count} slices", count=series.slices)


def _what(series: Series) -> Text | None:
    """What a document is, as its remark says: a report, a PDF document ..."""
    told = (value for remark in series.remarks for name, value in remark.text.values if name == "thing")
    return next((value for value in told if isinstance(value, Text)), None)


def _unnamed(series: Series) -> str:
    thing = _what(series)
    title = render(thing) if thing is not None else render(Text("Unnamed series"))
    return title[:1].upper() + title[1:]


def patient_id(case: Case) -> str:
    """What tells patients apart in the list."""
    return f"{case.study.patient.key}\n{case.study.patient.name}"
