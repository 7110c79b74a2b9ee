"""Correcting: the tools, the segments, and what can be taken back."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from medview.core.case import CaseChange, VolumeComplete
from medview.core.errors import MedViewError
from medview.core.events import Connection
from medview.core.segmentation import LabelsChanged, Segmentation, SegmentsChanged
from medview.core.text import Text
from medview.ui.banner import Banner
from medview.ui.checking_sections import CheckingSections
from medview.ui.combine_tools import CombineTools
from medview.ui.labels import wrapped
from medview.ui.live_line import LiveLine
from medview.ui.recovery_offer import RecoveryOffer
from medview.ui.segment_list import SegmentList
from medview.ui.shaping_tools import ShapingTools
from medview.ui.theme import STEP_PX, icon, set_role
from medview.ui.tool_palette import ToolPalette
from medview.ui.translation import render
from medview.workstation.station import Workstation
from medview.workstation.view_state import ViewChange
from medview.workstation.workspace import CaseOpened, WorkspaceChange

_COUNTED_AFTER_MS = 150
_COUNTING_S = 0.03
"""How long one turn of the event loop counts."""


class CorrectionPanel(QWidget):
    """Shows the active segmentation and corrects it. Main thread only.

    Args:
        station: Whose correction.
    """

    save_asked = Signal(str)
    """Which segmentation is to be saved as files, by its id."""

    def __init__(self, station: Workstation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._station = station
        self._watched: Segmentation | None = None
        self._watch: Connection | None = None
        self.banner = Banner()
        self.offer = RecoveryOffer(station, self.banner)
        self._problem = wrapped("warning")
        self._hint = wrapped("quiet")
        self._tools_heading = _heading()
        self.tools = ToolPalette(station)
        self.tools.failed.connect(self.banner.show_error)
        self._segments_heading = _heading()
        self.segments = SegmentList(station.correction, station.viewing, station.reviewing)
        self.segments.failed.connect(self.banner.show_error)
        self.undo_button, self.redo_button = QToolButton(), QToolButton()
        self.undo_button.clicked.connect(self._undo)
        self.redo_button.clicked.connect(self._redo)
        self.add_button, self.remove_button = QPushButton(), QPushButton()
        self.add_button.clicked.connect(self._add)
        self.remove_button.clicked.connect(self._remove)
        self.shaping = ShapingTools(station.shaping, station.viewing, station.jobs)
        self.shaping.failed.connect(self.banner.show_error)
        self.combine = CombineTools(station.editing.combining)
        self.combine.failed.connect(self.banner.show_error)
        self._shaping_heading, self._combine_heading = _heading(), _heading()
        self.live = LiveLine(station.live)
        self.checking = CheckingSections(station)
        for part in (self.checking.review, self.checking.doubts):
            part.failed.connect(self.banner.show_error)
        self.save_button = QPushButton()
        self.save_button.clicked.connect(self._save)
        self._display_heading = _heading()
        self._opacity_label = QLabel()
        set_role(self._opacity_label, "quiet")
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setMinimumWidth(40)
        self.opacity.valueChanged.connect(lambda percent: station.viewing.update(fill_opacity=percent / 100))
        self.outline = QCheckBox()
        self.outline.toggled.connect(lambda outlined: station.viewing.update(outlined=outlined))
        self.state_line = wrapped("quiet")
        self._lay_out()

        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._sync)
        self._count = QTimer(self)
        self._count.setSingleShot(True)
        self._count.setInterval(_COUNTED_AFTER_MS)
        self._count.timeout.connect(self._count_voxels)
        self._connections = [
            station.correction.changed.connect(self._correction_changed),
            station.viewing.changed.connect(self._view_changed),
            station.workspace.changed.connect(self._workspace_changed),
            *(case.changed.connect(self._case_changed) for case in station.workspace.cases),
        ]
        self._write_texts()
        self._sync()

    def close_down(self) -> None:
        """Stop listening."""
        self.offer.close_down()
        self.tools.close_down()
        self.shaping.close_down()
        self.checking.close_down()
        self.segments.close_down()
        self.live.close_down()
        for connection in self._connections:
            connection.close()
        if self._watch is not None:
            self._watch.close()
        self._soon.stop()
        self._count.stop()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write_texts()
            self._soon.start()
            self._count.start()

    # What happens

    def _correction_changed(self, _: None) -> None:
        self._soon.start()

    def _view_changed(self, change: ViewChange) -> None:
        if change.touches("hidden_segments", "fill_opacity", "outlined", "segmentation_id"):
            self._soon.start()

    def _workspace_changed(self, change: WorkspaceChange) -> None:
        if isinstance(change, CaseOpened):
            for case in self._station.workspace.cases:
                if case.id == change.case_id:
                    self._connections.append(case.changed.connect(self._case_changed))
        self._soon.start()

    def _case_changed(self, change: CaseChange) -> None:
        if isinstance(change, VolumeComplete):
            self._soon.start()

    def _segmentation_changed(self, change: LabelsChanged | SegmentsChanged) -> None:
        if isinstance(change, SegmentsChanged):
            self._soon.start()
        self._count.start()

    # What is done

    def _undo(self) -> None:
        try:
            self._station.correction.undo()
        except MedViewError as error:
            self.banner.show_error(error)

    def _redo(self) -> None:
        try:
            self._station.correction.redo()
        except MedViewError as error:
            self.banner.show_error(error)

    def _add(self) -> None:
        try:
            segment = self._station.correction.add_segment()
        except MedViewError as error:
            self.banner.show_error(error)
            return
        self._sync()
        row = self.segments.rows.get(segment.label)
        if row is not None:
            row.name.edit()

    def _remove(self) -> None:
        try:
            self._station.correction.remove_segment(self._station.correction.active_label)
        except MedViewError as error:
            self.banner.show_error(error)

    def _save(self) -> None:
        segmentation = self._held()
        if segmentation is not None:
            self.save_asked.emit(segmentation.id)

    # What is shown

    def _sync(self) -> None:
        workspace, correction = self._station.workspace, self._station.correction
        case, volume, segmentation = workspace.active_case, workspace.active_volume, workspace.active_segmentation
        ready = case is not None and volume is not None and case.is_complete(volume.id)
        if segmentation is not self._watched:
            self._follow(segmentation)
        self.segments.sync(segmentation)
        any_segment = segmentation is not None and bool(segmentation.segments)
        self.tools.setEnabled(ready)
        self.add_button.setEnabled(ready)
        self.remove_button.setEnabled(ready and any_segment)
        self.shaping.set_ready(ready and any_segment)
        self.combine.sync(ready and any_segment)
        self.save_button.setEnabled(ready and any_segment)
        self._write_hint(volume is not None, ready, any_segment)
        self._write_steps()
        problem = correction.problem
        self._problem.setVisible(problem is not None)
        if problem is not None:
            self._problem.setText(f"{render(problem.what)} {render(problem.remedy)}".strip())
        state = self._station.viewing.state
        for control in (self.opacity, self.outline):
            control.blockSignals(True)
        self.opacity.setValue(round(state.fill_opacity * 100))
        self.outline.setChecked(state.outlined)
        for control in (self.opacity, self.outline):
            control.blockSignals(False)
        self._write_state_line()

    def _follow(self, segmentation: Segmentation | None) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        self._watched = segmentation
        self.state_line.clear()
        if segmentation is not None:
            self._watch = segmentation.changed.connect(self._segmentation_changed)
            self._count.start()

    def _write_hint(self, any_volume: bool, ready: bool, any_segment: bool) -> None:
        words = ""
        if not any_volume:
            words = self.tr("Open a series first.")
        elif not ready:
            words = self.tr("The series is still being read.")
        elif not any_segment:
            words = self.tr("Paint with the brush, or run a plugin, to begin.")
        self._hint.setText(words)
        self._hint.setVisible(bool(words))

    def _write_steps(self) -> None:
        correction = self._station.correction
        self.undo_button.setEnabled(correction.can_undo)
        self.redo_button.setEnabled(correction.can_redo)
        undo = Text.of("Undo: {name} (Ctrl+Z)", name=correction.undo_name)
        redo = Text.of("Redo: {name} (Ctrl+Shift+Z)", name=correction.redo_name)
        self.undo_button.setToolTip(render(undo) if correction.undo_name else self.tr("Nothing to undo"))
        self.redo_button.setToolTip(render(redo) if correction.redo_name else self.tr("Nothing to redo"))

    def _count_voxels(self) -> None:
        segmentation = self._held()
        if segmentation is None:
            return
        work = self._station.correction.work.on(segmentation)
        if self._station.correction.is_painting or not work.tally.is_counted(_COUNTING_S):
            self._count.start()
            return
        volume = self._station.workspace.active_volume
        self.segments.show_volumes(segmentation, volume.caution if volume is not None else None)
        self._write_state_line()

    def _write_state_line(self) -> None:
        segmentation, correction = self._held(), self._station.correction
        self.state_line.setVisible(segmentation is not None)
        if segmentation is None or correction.is_painting:
            return
        strokes = correction.work.on(segmentation).tally.strokes
        counted = Text.of("{count} edits", count=strokes) if strokes != 1 else Text("1 edit")
        if correction.is_unsaved(segmentation):
            state = Text("not saved as an example; kept in the journal")
        elif strokes:
            state = Text("saved")
        else:
            state = Text("nothing changed")
        self.state_line.setText(render(Text.of("{counted}, {state}", counted=counted, state=state)))

    def _held(self) -> Segmentation | None:
        """The active segmentation while it lies on an open case."""
        segmentation = self._station.workspace.active_segmentation
        cases = self._station.workspace.cases
        held = segmentation is not None and any(segmentation.id in case.segmentations for case in cases)
        return segmentation if held else None

    def _write_texts(self) -> None:
        self._tools_heading.setText(self.tr("Tool"))
        self._segments_heading.setText(self.tr("Segments"))
        self.undo_button.setIcon(icon("undo"))
        self.redo_button.setIcon(icon("redo"))
        self.add_button.setText(self.tr("Add"))
        self.add_button.setToolTip(self.tr("Add a segment"))
        self.remove_button.setText(self.tr("Remove"))
        self.remove_button.setToolTip(self.tr("Take the segment in work off the list, with its voxels"))
        self._shaping_heading.setText(self.tr("Whole segment"))
        self._combine_heading.setText(self.tr("With another segment"))
        self.save_button.setIcon(icon("content-save-outline"))
        self.save_button.setText(self.tr("Save masks as ..."))
        self.save_button.setToolTip(self.tr("DICOM SEG, RTSTRUCT, report, NIfTI, NRRD, STL (Ctrl+Shift+S)"))
        self._display_heading.setText(self.tr("Display"))
        self._opacity_label.setText(self.tr("Opacity"))
        self.outline.setText(self.tr("Outline"))

    def _lay_out(self) -> None:
        inside = QWidget()
        content = QVBoxLayout(inside)
        content.setContentsMargins(2 * STEP_PX, 2 * STEP_PX, 2 * STEP_PX, 2 * STEP_PX)
        content.setSpacing(2 * STEP_PX)
        for widget in (self.banner, self.offer, self._problem, self._hint):
            content.addWidget(widget)
        content.addLayout(_row(self._tools_heading, None, self.undo_button, self.redo_button))
        content.addWidget(self.tools)
        content.addWidget(_separator())
        content.addWidget(self._segments_heading)
        content.addWidget(self.segments)
        content.addWidget(self.live)
        content.addLayout(_row(self.add_button, self.remove_button, None))
        content.addWidget(_separator())
        content.addWidget(self._shaping_heading)
        content.addWidget(self.shaping)
        content.addWidget(self._combine_heading)
        content.addWidget(self.combine)
        content.addWidget(_separator())
        content.addWidget(self.checking)
        content.addWidget(_separator())
        content.addWidget(self._display_heading)
        content.addLayout(_row(self._opacity_label, self.opacity, self.outline))
        content.addWidget(self.save_button)
        content.addStretch(1)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inside)
        self.state_line.setContentsMargins(2 * STEP_PX, STEP_PX, 2 * STEP_PX, 2 * STEP_PX)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(area, 1)
        layout.addWidget(self.state_line)


def _row(*widgets: QWidget | None) -> QHBoxLayout:
    """Side by side; None is empty room."""
    layout = QHBoxLayout()
    layout.setSpacing(2 * STEP_PX)
    for widget in widgets:
        if widget is None:
            layout.addStretch(1)
        else:
            layout.addWidget(widget)
    return layout


def _heading() -> QLabel:
    label = QLabel()
    set_role(label, "heading")
    return label


def _separator() -> QFrame:
    line = QFrame()
    set_role(line, "line")
    return line
