"""What can be run on the series that is shown, and what came of it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QFileDialog, QFrame, QLabel, QScrollArea, QVBoxLayout, QWidget

from medview.catalog.effort import Effort, effort_of
from medview.catalog.fit import Fit
from medview.catalog.plugins import PluginRecord, PluginState
from medview.core.case import CaseChange, VolumeComplete
from medview.core.errors import MedViewError
from medview.core.proof import Proof
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference.plugin import SegmentationResult
from medview.learning.examples import Saved
from medview.ui.banner import Answer, Banner, Kind, Message
from medview.ui.findings_list import FindingsList
from medview.ui.folding import Folding
from medview.ui.plugin_card import PluginCard
from medview.ui.theme import STEP_PX, set_role
from medview.ui.translation import render
from medview.workstation.analysis import Finished
from medview.workstation.jobs import Job, JobState
from medview.workstation.station import Workstation
from medview.workstation.workspace import CaseOpened, WorkspaceChange

_SHORT_ID = 8


class AnalysisPanel(QWidget):
    """Shows the plugins, those that fit the series first, and runs them. Main thread only.

    Args:
        station: Whose plugins and whose series.
    """

    finished = Signal()
    """A run ended, and its segmentation is in the case."""

    def __init__(self, station: Workstation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._station = station
        station.analysis.words = render
        self._job: Job[SegmentationResult] | None = None
        self._saving: Job[tuple[Proof, ...]] | None = None
        self._running_id = ""
        self._last: Finished | None = station.analysis.last
        self._cards: dict[str, PluginCard] = {}
        self._efforts: dict[str, tuple[PluginRecord, Effort]] = {}
        self.banner = Banner()
        self._heading = QLabel()
        set_role(self._heading, "heading")
        self._hint = QLabel()
        self._hint.setWordWrap(True)
        set_role(self._hint, "quiet")
        self._fitting = _column()
        rest = QWidget()
        self._rest = _column()
        rest.setLayout(self._rest)
        self.others = Folding(rest)
        self.findings = FindingsList(station)
        self.findings.failed.connect(self.banner.show_error)
        self.findings.written.connect(self._findings_written)
        self.findings.card_asked.connect(self._show_card)
        self.findings.kept.connect(self._findings_kept)
        self.findings.evidence.save_asked.connect(self._choose_evidence_folder)

        inside = QWidget()
        content = _column()
        inside.setLayout(content)
        content.setContentsMargins(2 * STEP_PX, 2 * STEP_PX, 2 * STEP_PX, 2 * STEP_PX)
        for widget in (self.banner, self._heading, self._hint):
            content.addWidget(widget)
        content.addLayout(self._fitting)
        content.addWidget(self.findings)
        content.addWidget(self.others)
        content.addStretch(1)
        self._area = area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inside)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)

        # Plugins are looked for when somebody looks at them, and once per turn of the event loop.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._sync)
        self._connections = [
            station.workspace.changed.connect(self._workspace_changed),
            station.analysis.changed.connect(self._analysis_changed),
            station.jobs.changed.connect(self._job_changed),
            *(case.changed.connect(self._case_changed) for case in station.workspace.cases),
        ]
        self._write_texts()

    def close_down(self) -> None:
        """Stop listening."""
        self.findings.close_down()
        for connection in self._connections:
            connection.close()
        self._soon.stop()

    def card(self, plugin_id: str) -> PluginCard | None:
        """The card of the first plugin with this id."""
        record = next((one for one in self._station.analysis.plugins() if one.id == plugin_id), None)
        return self._cards.get(str(record.folder)) if record is not None else None

    def run(self, plugin_id: str, *, anew: bool = False) -> None:
        """Run a plugin on the series that is shown; what stands in the way is told in place.

        Args:
            plugin_id: Which one.
            anew: Whether it is run although an earlier run has given the answer.
        """
        self.banner.clear()
        self._running_id = plugin_id
        try:
            self._station.analysis.run(plugin_id, anew=anew)
            self._station.shelf.note_run(self._station.shelf.record(plugin_id))
        except MedViewError as error:
            self.banner.show_error(error)

    def save_maps(self, folder: Path) -> None:
        """Save the maps of the latest answer into a folder, in the background; what comes of it is told in place."""
        self.banner.clear()
        try:
            self._saving = self._station.save_maps(folder)
        except MedViewError as error:
            self.banner.show_error(error)

    def save_evidence(self, folder: Path) -> None:
        """Save the evidence that is drawn into a folder, in the background; what comes of it is told in place."""
        self.banner.clear()
        try:
            self._saving = self._station.save_evidence(folder)
        except MedViewError as error:
            self.banner.show_error(error)

    def _choose_evidence_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Choose a folder"))
        if chosen:
            self.save_evidence(Path(chosen))

    def _choose_maps_folder(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Choose a folder"))
        if chosen:
            self.save_maps(Path(chosen))

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write_texts()
            self._soon.start()

    def showEvent(self, event: QShowEvent) -> None:
        """Look at the plugins."""
        super().showEvent(event)
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

    def _analysis_changed(self, _: None) -> None:
        analysis = self._station.analysis
        if analysis.running is not None:
            self._job = analysis.running
        self._soon.start()
        last = analysis.last
        if last is not self._last:
            self._last = last
            if last is not None and last.segmentation is not None:
                self.finished.emit()

    def _maps_saved(self, job: Job[tuple[Proof, ...]]) -> None:
        self._saving = None
        if job.state is JobState.FAILED and job.error is not None:
            self.banner.show_error(job.error)
        elif job.result is not None:
            names = ", ".join(proof.path.name for proof in job.result)
            folder = str(job.result[0].path.parent)
            self.banner.show_message(
                Message(
                    Kind.DONE,
                    Text.of("Saved and read back: {names}.", names=names),
                    Text.of("In {folder}.", folder=folder),
                )
            )

    def _job_changed(self, job: Job[Any]) -> None:
        if job is self._saving and job.state.is_final:
            self._maps_saved(job)
        if job is not self._job:
            return
        if job.state.is_final:
            self._job = None
            if job.state is JobState.FAILED and job.error is not None:
                self.banner.show_error(job.error)
        for card in self._cards.values():
            if card.is_running:
                card.show_job(self._job)
        self._soon.start()

    def _findings_written(self, path: Path) -> None:
        self.banner.show_message(
            Message(Kind.DONE, Text.of("{name} was written, and read back as meant.", name=path.name))
        )

    def _findings_kept(self, saved: Saved) -> None:
        what = Text.of(
            "Example {name} saved, revision {revision}",
            name=saved.example.example_id[:_SHORT_ID], revision=saved.example.revision,
        )  # fmt: skip
        self.banner.show_message(Message(Kind.DONE, what, Text("proved: read back and equal")))

    def _show_card(self, plugin_id: str) -> None:
        """Open what is told about a plugin, and bring it into sight."""
        card = self.card(plugin_id)
        if card is None:
            return
        if self._rest.indexOf(card) >= 0:
            self.others.button.setChecked(True)
        card.model.button.setChecked(True)
        QTimer.singleShot(0, card, lambda: self._area.ensureWidgetVisible(card))

    def _cancel(self) -> None:
        if self._job is not None:
            self._job.cancel()
            self._soon.start()

    def _write_texts(self) -> None:
        self._heading.setText(self.tr("Plugins that fit"))

    def _sync(self) -> None:
        if not self.isVisible():
            return
        judged = self._judged()
        volume = self._station.workspace.active_volume
        fitting = [one for one in judged if _is_in_front(*one)]
        others = [one for one in judged if not _is_in_front(*one)]
        hindrance = self._hindrance()
        for place, (record, fit) in enumerate((*fitting, *others)):
            in_front = _is_in_front(record, fit)
            column = self._fitting if in_front else self._rest
            card = self._card_of(record)
            number = place if in_front else place - len(fitting)
            if column.indexOf(card) != number:
                column.insertWidget(number, card)
            card.show_plugin(record, fit, hindrance, is_new=fit.ok and self._station.shelf.is_new(record))
            card.show_removable(self._station.shelf.can_remove(record))
            self._offer_inputs(card, record)
            segments = record.manifest.segments if record.manifest is not None else ()
            card.show_box(self._station.analysis.search.size_mm, possible=volume is not None and volume.is_spatial)
            options = self._station.analysis.options(record.id)
            card.offer_choices(self._effort_of(record), options, segments, _pictures(record, volume))
            running = self._job is not None and record.id == self._running_id
            card.show_job(self._job if running else None)
            mine = self._last is not None and self._last.volume is volume and self._last.plugin.folder == record.folder
            card.show_result(self._last.result if mine and self._last is not None else None)
            card.show()
        here = {str(record.folder) for record, _ in judged}
        for key in [key for key in self._cards if key not in here]:
            self._cards.pop(key).deleteLater()
        self._write_hint(bool(fitting), bool(judged))
        self._heading.setVisible(bool(fitting))
        self.others.setVisible(bool(others))
        count = len(others)
        title = Text.of("Plugins ({count})", count=count)
        if volume is not None:
            title = Text.of("Other plugins ({count})", count=count)
        self.others.set_title(render(title))

    def _judged(self) -> tuple[tuple[PluginRecord, Fit], ...]:
        volume = self._station.workspace.active_volume
        if volume is not None:
            return self._station.analysis.fitting(volume)
        return tuple(
            (record, Fit(False, (record.reason,) if record.reason else ()))
            for record in self._station.analysis.plugins()
        )

    def _card_of(self, record: PluginRecord) -> PluginCard:
        key = str(record.folder)
        card = self._cards.get(key)
        if card is None:
            card = self._cards[key] = PluginCard(record)
            card.run_asked.connect(partial(self.run, record.id))
            card.anew_asked.connect(partial(self.run, record.id, anew=True))
            card.maps_asked.connect(self._choose_maps_folder)
            card.cancel_asked.connect(self._cancel)
            card.trust_asked.connect(partial(self._trust, record.id))
            card.remove_asked.connect(partial(self._ask_removal, record))
            card.input_chosen.connect(partial(self._choose_input, record.id))
            card.box_asked.connect(partial(self._station.analysis.set_box, record.id))
            card.box_removed.connect(self._station.analysis.search.clear)
            card.options_chosen.connect(partial(self._station.analysis.choose, record.id))
        return card

    def _effort_of(self, record: PluginRecord) -> Effort:
        """What a plugin can do for a better answer; its folders are only read when something is new about it."""
        key = str(record.folder)
        if key not in self._efforts or self._efforts[key][0] != record:
            self._efforts[key] = (record, effort_of(record))
        return self._efforts[key][1]

    def _trust(self, plugin_id: str) -> None:
        self.banner.clear()
        try:
            self._station.shelf.trust(plugin_id)
        except MedViewError as error:
            self.banner.show_error(error)

    def _ask_removal(self, record: PluginRecord) -> None:
        def remove() -> None:
            self._station.shelf.remove(record.id, failed=self.banner.show_error)

        self.banner.show_message(
            Message(
                Kind.OFFER,
                Text.of("Remove the plugin {name}?", name=Text(record.name)),
                Text("Its files are deleted from your folder of plugins. What it has found stays."),
                "",
                (Answer(Text("Remove it"), remove), Answer(Text("Keep it"), lambda: None, primary=True)),
            )
        )

    def _choose_input(self, plugin_id: str, name: str, volume: Volume) -> None:
        try:
            self._station.analysis.inputs.remember(plugin_id, name, volume)
        except MedViewError as error:
            self.banner.show_error(error)
        self._soon.start()

    def _offer_inputs(self, card: PluginCard, record: PluginRecord) -> None:
        workspace = self._station.workspace
        case, volume = workspace.active_case, workspace.active_volume
        manifest = record.manifest
        several = manifest is not None and len(manifest.input) > 1 and case is not None and volume is not None
        card.inputs.setVisible(several)
        if not several or manifest is None or case is None or volume is None:
            return
        known = {modality for one in manifest.input for modality in one.modality}
        ready = [one for one in case.volumes.values() if case.is_complete(one.id) and one.modality in known]
        taken = self._station.analysis.inputs.proposed(manifest, case, volume)
        card.inputs.offer([one.name for one in manifest.input], ready, taken)

    def _hindrance(self) -> str:
        workspace = self._station.workspace
        case, volume = workspace.active_case, workspace.active_volume
        if case is not None and volume is not None and not case.is_complete(volume.id):
            return self.tr("The series is still being read.")
        if self._job is not None:
            return self.tr("Another plugin is running.")
        return ""

    def _write_hint(self, any_fits: bool, any_found: bool) -> None:
        if not any_found:
            words = self.tr("No plugins are installed.")
        elif self._station.workspace.active_volume is None:
            words = self.tr("Open a series to see which plugins fit it.")
        elif not any_fits:
            words = self.tr("No plugin fits this series. The reasons are below.")
        else:
            words = ""
        self._hint.setText(words)
        self._hint.setVisible(bool(words))


def _pictures(record: PluginRecord, volume: Volume | None) -> int:
    """How many pictures of an image a classifier looks at one by one; 1 where it looks at all of it at once."""
    manifest = record.manifest
    if manifest is None or volume is None or manifest.task != "classify" or manifest.input[0].dims != 2:
        return 1
    return volume.geometry.shape[0]


def _is_in_front(record: PluginRecord, fit: Fit) -> bool:
    """What can be run, also inside a box, and what only waits for the reader's word."""
    return fit.ok or fit.needs_box or record.state is PluginState.NEEDS_TRUST


def _column() -> QVBoxLayout:
    layout = QVBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(2 * STEP_PX)
    return layout
