"""The window: what do I have (left), what do I see (middle), what do I do with it (right)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QDialog,
    QFileDialog,
    QMainWindow,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from medview.core.errors import InputError, MedViewError, StorageError
from medview.core.text import Text
from medview.ui.actions import Actions
from medview.ui.analysis_panel import AnalysisPanel
from medview.ui.archive_dialog import ArchiveDialog
from medview.ui.banner import Banner
from medview.ui.case_panel import CasePanel
from medview.ui.checking_desk import CheckingDesk
from medview.ui.correction_panel import CorrectionPanel
from medview.ui.editing_desk import EditingDesk
from medview.ui.empty_state import EmptyState
from medview.ui.help import Help
from medview.ui.measuring_desk import MeasuringDesk
from medview.ui.plugin_desk import PluginDesk
from medview.ui.reading_room import ReadingRoom
from medview.ui.save_dialog import SaveDialog
from medview.ui.settings_dialog import SettingsDialog
from medview.ui.status_bar import StatusBar
from medview.ui.teaching_panel import TeachingPanel
from medview.ui.tool_bar import MEASURE_TOOLS, ToolBar
from medview.ui.translation import render
from medview.workstation import presets
from medview.workstation.jobs import Job, JobState, Lane
from medview.workstation.measuring_tools import MarkChanged, MeasurementsChanged, MeasuringChange
from medview.workstation.settings import Settings
from medview.workstation.station import Workstation
from medview.workstation.view_state import Mode, ViewChange
from medview.workstation.workspace import ActiveChanged, CaseClosed, WorkspaceChange

_LEFT_PX, _RIGHT_PX = 264, 320
_LEAST_WIDTH, _LEAST_HEIGHT = 1024, 640


class MainWindow(QMainWindow):
    """Joins panels, views and bars with the workstation; decides nothing clinical.

    Args:
        station: The workstation.
        dress: Puts language and theme of the settings into force.
    """

    def __init__(self, station: Workstation, dress: Callable[[Settings], None]) -> None:
        super().__init__()
        self._station = station
        self._dress = dress
        self._dialogs: dict[type[QWidget], QWidget] = {}
        self.setWindowTitle("MedView")
        self.setMinimumSize(_LEAST_WIDTH, _LEAST_HEIGHT)
        self.resize(QSize(1500, 900).boundedTo(self.screen().availableSize()))
        self.setAcceptDrops(True)
        self._status = StatusBar(station.jobs, self)
        self.setStatusBar(self._status)
        self._banner = Banner()
        self._banner.setObjectName("window-banner")
        self._empty = EmptyState()
        self._room = ReadingRoom(station, self._status.show_probe, self._banner.show_error)
        self._stack = QStackedWidget()
        self._stack.addWidget(self._empty)
        self._stack.addWidget(self._room)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._banner)
        column.addWidget(self._stack, 1)
        self._cases = CasePanel(station)
        self._analysis = AnalysisPanel(station)
        self._correction = CorrectionPanel(station)
        self._teaching = TeachingPanel(station)
        self._tabs = QTabWidget()
        self._tabs.setDocumentMode(True)
        for panel in (self._analysis, self._correction, self._teaching):
            self._tabs.addTab(panel, "")
        self._plugins = PluginDesk(station, self._banner, lambda: self._tabs.setCurrentWidget(self._analysis))
        self._splitter = QSplitter(Qt.Orientation.Horizontal)
        for widget in (self._cases, middle, self._tabs):
            self._splitter.addWidget(widget)
        self._splitter.setSizes([_LEFT_PX, 1500 - _LEFT_PX - _RIGHT_PX, _RIGHT_PX])
        self._splitter.setStretchFactor(0, 0)
        self._splitter.setStretchFactor(1, 1)
        self._splitter.setStretchFactor(2, 0)
        self._splitter.setHandleWidth(4)
        self._splitter.setChildrenCollapsible(False)
        self.setCentralWidget(self._splitter)
        self._actions = Actions(self, self._room)
        self._measuring = MeasuringDesk(station.measuring, self._actions, self._cases.measurements.copy_text)
        self._editing = EditingDesk(station.tools, station.viewing, self._actions, self._room.edit_key)
        self._checking = CheckingDesk(
            station,
            self._actions,
            self._correction.checking,
            lambda: self._tabs.setCurrentWidget(self._correction),
            self._banner.show_error,
            self,
        )
        self._bar = ToolBar(self._actions, station.viewing, self._room.arrange, self)
        self.addToolBar(self._bar)
        self._connect_actions()
        self._listen()
        self._write()
        self._show_state()
        self._empty.show_recent(station.settings.current.recent)

    # Files

    def open_paths(self, paths: Sequence[Path]) -> None:
        """Find what is in files and folders, and open it."""
        wanted = [Path(path) for path in paths]
        if not wanted:
            return
        self._banner.clear()
        self._station.importing.open_paths(wanted)
        try:
            self._station.settings.remember(wanted[0])
        except StorageError as error:
            self._banner.show_error(error)

    def open_sample(self) -> None:
        """Make the sample study where it is not there yet, and open it."""
        # The sample is made by code that the window does not need for anything else.
        from medview.workstation import sample_study

        home = self._station.home
        self._station.jobs.submit(
            Text("Making the sample study"),
            lambda progress: sample_study.ensure(home, progress),
            lane=Lane.DISK,
            then=lambda folder: self.open_paths([folder]),
        )

    def show_error(self, error: MedViewError) -> None:
        """Tell what went wrong, above the views."""
        self._banner.show_error(error)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files are welcome."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what was dropped; a plugin is offered for installation."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        event.acceptProposedAction()
        self._plugins.take(paths, self.open_paths)

    def closeEvent(self, event: QCloseEvent) -> None:
        """Let go, in this order: work in hand, scenes, OpenGL. Nothing is asked: unsaved strokes are in the journal."""
        for dialog in self._dialogs.values():
            if isinstance(dialog, ArchiveDialog):
                dialog.close_down()
            dialog.close()
            if isinstance(dialog, SaveDialog):
                dialog.close_down()
        for panel in (self._cases, self._analysis, self._correction, self._teaching):
            panel.close_down()
        self._station.close()
        self._status.close_down()
        self._room.close_gl()
        super().closeEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange) and hasattr(self, "_bar"):
            self._write()

    # Joining

    def _connect_actions(self) -> None:
        on, station, room = self._actions.on, self._station, self._room
        correction, viewing = station.correction, station.viewing
        on("open-folder", self._ask_folder)
        on("open-files", self._ask_files)
        on("archive", lambda: self._show_dialog(ArchiveDialog, lambda: ArchiveDialog(station, self)))
        on("sample", self.open_sample)
        on("save-example", self._save_example)
        on("save-masks", self._save_active)
        on("close-case", self._close_case)
        on("quit", self.close)
        on("view", lambda: viewing.update(mode=Mode.VIEW))
        on("edit", lambda: viewing.update(mode=Mode.EDIT))
        for id, slices in (("up", -1), ("down", 1), ("up-ten", -10), ("down-ten", 10)):
            on(id, partial(self._scroll, slices))
        on("first", lambda: room.go_to_end(last=False))
        on("last", lambda: room.go_to_end(last=True))
        on("next-series", lambda: self._other_series(1))
        on("previous-series", lambda: self._other_series(-1))
        on("next-view", room.next_view)
        on("play", room.player.toggle)
        on("next-phase", lambda: room.player.step(1))
        on("previous-phase", lambda: room.player.step(-1))
        on("maximise", self._maximise)
        on("reset", self._reset)
        on("stored-window", self._stored_window)
        on("invert", lambda: viewing.update(inverted=not viewing.state.inverted))
        on("voxels", lambda: viewing.update(interpolated=not viewing.state.interpolated))
        on("masks", lambda: viewing.update(labels_shown=not viewing.state.labels_shown))
        on("annotations", lambda: viewing.update(annotations_shown=not viewing.state.annotations_shown))
        on("smaller", lambda: room.hand.resize_tool(-1))
        on("larger", lambda: room.hand.resize_tool(1))
        on("copy-up", lambda: self._copy_slice(-1))
        on("copy-down", lambda: self._copy_slice(1))
        on("next-segment", lambda: correction.select_next_segment(1))
        on("previous-segment", lambda: correction.select_next_segment(-1))
        on("undo", lambda: self._try(station.taking_back.undo))
        on("redo", lambda: self._try(station.taking_back.redo))
        on("panels", self._fold)
        on("full-screen", lambda: self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen))
        on("settings", lambda: self._show_dialog(SettingsDialog, lambda: SettingsDialog(station.settings, self)))
        on("help", lambda: self._show_dialog(Help, lambda: Help(self)))
        for digit in range(1, 10):
            on(f"digit-{digit}", partial(self._digit, digit))

    def _listen(self) -> None:
        station = self._station
        station.workspace.changed.connect(self._workspace_changed)
        station.viewing.changed.connect(self._viewing_changed)
        for part in (station.correction, station.hinting, station.tools):
            part.changed.connect(self._correction_changed)
        station.measuring.changed.connect(self._measuring_changed)
        station.measuring.files.failed.connect(self._banner.show_error)
        station.jobs.changed.connect(self._job_changed)
        station.settings.changed.connect(self._settings_changed)
        self._empty.open_asked.connect(self._ask_folder)
        self._empty.sample_asked.connect(self.open_sample)
        self._empty.recent_asked.connect(lambda path: self.open_paths([Path(path)]))
        for panel in (self._cases, self._correction):
            panel.save_asked.connect(self._save_masks)
        self._analysis.finished.connect(lambda: self._tabs.setCurrentWidget(self._correction))

    def _workspace_changed(self, change: WorkspaceChange) -> None:
        if isinstance(change, ActiveChanged | CaseClosed):
            self._show_state()

    def _viewing_changed(self, change: ViewChange) -> None:
        self._mark_actions()
        if change.touches("mode") and change.new.mode is Mode.EDIT:
            self._tabs.setCurrentWidget(self._correction)

    def _measuring_changed(self, change: MeasuringChange) -> None:
        if isinstance(change, MeasurementsChanged):
            self._mark_undoing()
        if isinstance(change, MeasurementsChanged | MarkChanged):
            self._mark_measuring()

    def _mark_measuring(self) -> None:
        measuring = self._station.measuring
        self._actions["delete-measurement"].setEnabled(measuring.selected is not None)
        self._actions["copy-measurements"].setEnabled(bool(measuring.shown))
        for tool in MEASURE_TOOLS:
            self._actions[tool].setEnabled(self._station.workspace.active_volume is not None)

    def _correction_changed(self, _: None) -> None:
        self._mark_undoing()

    def _mark_undoing(self) -> None:
        back = self._station.taking_back
        for id, can, name in (
            ("undo", back.can_undo, back.undo_name),
            ("redo", back.can_redo, back.redo_name),
        ):
            action = self._actions[id]
            action.setEnabled(can)
            key = action.shortcut().toString()
            tip = f"{action.text()}: {render(name)}" if name else action.text()
            action.setToolTip(f"{tip}  ({key})")

    def _job_changed(self, job: Job[Any]) -> None:
        busy = [one for one in self._station.jobs.open_jobs if one.lane is Lane.DISK]
        self._empty.show_busy(render(busy[0].title) if busy else "")
        # What fails in another lane, and in teaching, is told by the panel or the dialog that asked for it.
        if job.lane is Lane.NETWORK:
            elsewhere = any(dialog.isVisible() for dialog in self.findChildren(QDialog))
        else:
            elsewhere = job.lane is not Lane.DISK or self._tabs.currentWidget() is self._teaching
        if job.state is JobState.FAILED and job.error is not None and not elsewhere:
            self._banner.show_error(job.error)

    def _settings_changed(self, settings: Settings) -> None:
        self._dress(settings)
        self._empty.show_recent(settings.recent)

    def _show_state(self) -> None:
        workspace = self._station.workspace
        volume, case = workspace.active_volume, workspace.active_case
        shown = self._room if volume is not None else self._empty
        if self._stack.currentWidget() is not shown:
            self._stack.setCurrentWidget(shown)
            if volume is not None:
                self._room.take_keys()
        self._bar.show_volume(volume)
        patient = case.study.patient if case is not None else None
        name = " ".join((patient.name.replace("^", " ") or patient.key).split()) if patient is not None else ""
        parts = [part for part in (name, volume.description if volume is not None else "") if part]
        self.setWindowTitle(" – ".join((*parts, "MedView")))
        self._mark_actions()
        self._mark_measuring()

    def _mark_actions(self) -> None:
        state, actions = self._station.viewing.state, self._actions
        actions["view"].setChecked(state.mode is Mode.VIEW)
        actions["edit"].setChecked(state.mode is Mode.EDIT)
        actions["invert"].setChecked(state.inverted)
        actions["voxels"].setChecked(not state.interpolated)
        actions["masks"].setChecked(state.labels_shown)
        actions["annotations"].setChecked(state.annotations_shown)
        self._mark_undoing()

    def _write(self) -> None:
        self._actions.write()
        for number, text in enumerate((self.tr("Analyse"), self.tr("Correct"), self.tr("Teach"))):
            self._tabs.setTabText(number, text)
        self._mark_undoing()

    # Doing

    def _ask_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Open a folder"), self._last_folder())
        if chosen:
            self.open_paths([Path(chosen)])

    def _ask_files(self) -> None:
        chosen, _ = QFileDialog.getOpenFileNames(self, self.tr("Open files"), self._last_folder())
        self.open_paths([Path(one) for one in chosen])

    def _last_folder(self) -> str:
        recent = self._station.settings.current.recent
        return str(Path(recent[0]).parent) if recent else str(Path.home())

    def _save_example(self) -> None:
        """Save where the result is told."""
        self._tabs.setCurrentWidget(self._teaching)
        self._teaching.save()

    def _save_active(self) -> None:
        segmentation = self._station.workspace.active_segmentation
        if segmentation is None or not segmentation.segments:
            self._banner.show_error(InputError("There are no masks to save.", "Run a model or draw a structure first."))
        else:
            self._save_masks(segmentation.id)

    def _save_masks(self, segmentation_id: str) -> None:
        """Ask how a segmentation shall be saved as files."""
        found = [
            one for case in self._station.workspace.cases for one in case.segmentations.values()
            if one.id == segmentation_id
        ]  # fmt: skip
        if found:
            self._show_dialog(SaveDialog, lambda: SaveDialog(self._station, self))
            dialog = self._dialogs[SaveDialog]
            assert isinstance(dialog, SaveDialog)
            dialog.offer(found[0], Path(self._last_folder()))

    def _close_case(self) -> None:
        case = self._station.workspace.active_case
        if case is not None:
            self._station.workspace.close_case(case)

    def _scroll(self, slices: int) -> None:
        self._room.hand.scroll(slices)

    def _reset(self) -> None:
        if self._station.correction.is_painting:
            self._station.correction.abort_stroke()
            return
        if self._editing.escape() or self._measuring.escape():
            return
        self._room.reset()
        volume = self._station.workspace.active_volume
        if volume is not None:
            from medview.workstation.windowing import initial_window

            self._station.viewing.update(
                window=initial_window(volume), inverted=False, cursor=volume.geometry.center_mm, maximised=None
            )

    def _stored_window(self) -> None:
        volume = self._station.workspace.active_volume
        if volume is not None and volume.windows:
            self._station.viewing.update(window=volume.windows[0])

    def _digit(self, digit: int) -> None:
        volume, segmentation = self._station.workspace.active_volume, self._station.workspace.active_segmentation
        if self._station.viewing.state.mode is Mode.EDIT:
            if segmentation is not None and digit <= len(segmentation.segments):
                self._station.correction.select_segment(segmentation.segments[digit - 1].label)
        elif volume is not None:
            window = presets.window_for_key(volume.modality, digit)
            if window is not None:
                self._station.viewing.update(window=window)

    def _other_series(self, step: int) -> None:
        case, volume = self._station.workspace.active_case, self._station.workspace.active_volume
        if case is None:
            return
        readable = [series.uid for series in case.series if series.geometry is not None and series.refusal is None]
        if volume is not None and volume.series_uid in readable:
            place = readable.index(volume.series_uid) + step
            if 0 <= place < len(readable):
                self._station.importing.load(readable[place])

    def _maximise(self) -> None:
        if self._editing.confirm():
            return
        state = self._station.viewing.state
        self._station.viewing.update(maximised=None if state.maximised is not None else state.active_view)

    def _copy_slice(self, steps: int) -> None:
        state = self._station.viewing.state
        plane = state.active_view.plane
        if state.mode is Mode.EDIT and plane is not None:
            self._try(lambda: self._station.editing.combining.copy_to_next(plane, steps))

    def _fold(self) -> None:
        folded = self._cases.isVisible() or self._tabs.isVisible()
        self._cases.setVisible(not folded)
        self._tabs.setVisible(not folded)

    def _show_dialog(self, kind: type[QWidget], make: Callable[[], QWidget]) -> None:
        if kind not in self._dialogs:
            self._dialogs[kind] = make()
        self._dialogs[kind].show()
        self._dialogs[kind].raise_()
        self._dialogs[kind].activateWindow()

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except MedViewError as error:
            self._banner.show_error(error)
