"""The segments of the active segmentation, one row each."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from medview.core.errors import MedViewError
from medview.core.review import SegmentState
from medview.core.segmentation import Color, Segmentation, SegmentationId
from medview.core.text import Text
from medview.ui.segment_row import SegmentRow
from medview.workstation.correction import Correction
from medview.workstation.reviewing import Reviewing
from medview.workstation.view_state import Viewing


class SegmentList(QWidget):
    """Shows the segments, and tells the correction what is done with them.

    Args:
        correction: Whose segments.
        viewing: Which of them are drawn.
        reviewing: How far they are.
    """

    failed = Signal(MedViewError)
    """Something that was clicked could not be done."""

    def __init__(
        self, correction: Correction, viewing: Viewing, reviewing: Reviewing, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._correction = correction
        self._reviewing = reviewing
        self._connection = reviewing.changed.connect(self._reviewed)
        self._viewing = viewing
        self._of: SegmentationId | None = None
        self.rows: dict[int, SegmentRow] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(1)

    def sync(self, segmentation: Segmentation | None) -> None:
        """Bring the rows to what a segmentation holds; rows of the same segment stay."""
        if (segmentation.id if segmentation is not None else None) != self._of:
            self._clear()
            self._of = segmentation.id if segmentation is not None else None
        if segmentation is None:
            return
        hidden = self._viewing.state.hidden_of(segmentation.id)
        active, locked = self._correction.active_label, self._correction.locked
        for place, segment in enumerate(segmentation.segments):
            row = self.rows.get(segment.label)
            if row is None:
                row = self.rows[segment.label] = SegmentRow(segment)
                self._connect(row, segment.label)
            if self._layout.indexOf(row) != place:
                self._layout.insertWidget(place, row)
            row.show_segment(
                segment,
                active=segment.label == active,
                shown=segment.label not in hidden,
                locked=segment.label in locked,
            )
        here = {segment.label for segment in segmentation.segments}
        for label in [label for label in self.rows if label not in here]:
            self._drop(self.rows.pop(label))
        self._reviewed(None)

    def close_down(self) -> None:
        """Stop listening."""
        self._connection.close()

    def show_volumes(self, segmentation: Segmentation, caution: Text | None) -> None:
        """Ask for the volumes, and show them; `caution` says why no volume on this image can be trusted."""
        volumes = self._correction.volumes_ml(segmentation)
        for label, row in self.rows.items():
            row.show_volume(volumes.get(label, 0.0), caution)

    def _connect(self, row: SegmentRow, label: int) -> None:
        row.chosen.connect(partial(self._correction.select_segment, label))
        row.renamed.connect(partial(self._rename, label))
        row.recoloured.connect(partial(self._recolour, label))
        row.shown.connect(partial(self._show, label))
        row.stated.connect(partial(self._say_state, label))
        row.locked.connect(partial(self._correction.set_locked, label))

    def _reviewed(self, _: None) -> None:
        for label, state in self._reviewing.states().items():
            if label in self.rows:
                self.rows[label].show_state(state)

    def _say_state(self, label: int, state: str) -> None:
        self._reviewing.say_state(label, SegmentState(state))

    def _rename(self, label: int, name: str) -> None:
        try:
            self._correction.rename_segment(label, name)
        except MedViewError as error:
            self.failed.emit(error)

    def _recolour(self, label: int, color: Color) -> None:
        try:
            self._correction.recolour_segment(label, color)
        except MedViewError as error:
            self.failed.emit(error)

    def _show(self, label: int, shown: bool) -> None:
        if self._of is not None:
            state = self._viewing.state
            hidden = state.hidden_of(self._of)
            self._viewing.put(state.with_hidden(self._of, hidden - {label} if shown else hidden | {label}))

    def _clear(self) -> None:
        for row in self.rows.values():
            self._drop(row)
        self.rows.clear()

    def _drop(self, row: SegmentRow) -> None:
        self._layout.removeWidget(row)
        row.hide()
        row.deleteLater()
