"""One plugin: what it is, how to run it, how far it is, and what it found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from medview.catalog.effort import Effort
from medview.catalog.fit import Fit
from medview.catalog.manifest import PluginManifest
from medview.catalog.plugins import PluginRecord, PluginState
from medview.core.segmentation import Segment
from medview.core.text import Text
from medview.inference.options import RunOptions
from medview.inference.plugin import SegmentationResult
from medview.ui import quantities
from medview.ui.box_choice import BoxChoice
from medview.ui.folding import Folding
from medview.ui.input_choice import InputChoice
from medview.ui.labels import wrapped
from medview.ui.run_choices import RunChoices
from medview.ui.theme import STEP_PX, current_theme, set_role
from medview.ui.translation import render
from medview.ui.trust_box import TrustBox
from medview.workstation.jobs import Job, JobState

_PER_MILLE = 1000


class PluginCard(QFrame):
    """Shows one plugin. It says what was clicked, and does nothing itself."""

    run_asked = Signal()
    anew_asked = Signal()
    maps_asked = Signal()
    cancel_asked = Signal()
    trust_asked = Signal()
    remove_asked = Signal()
    input_chosen = Signal(str, object)
    options_chosen = Signal(object)
    box_asked = Signal()
    box_removed = Signal()

    def __init__(self, record: PluginRecord, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._record = record
        self._fit = Fit(True)
        self._hindrance = ""
        self._has_box = False
        self._is_new = False
        self._job: Job[SegmentationResult] | None = None
        self._result: SegmentationResult | None = None
        self._name = wrapped("title")
        self.run_button = QPushButton()
        set_role(self.run_button, "primary")
        self.run_button.clicked.connect(self.run_asked)
        self.trust_button = QPushButton()
        self.trust_button.clicked.connect(self._explain_trust)
        self.trust_box = TrustBox()
        self.trust_box.hide()
        self.trust_box.declined.connect(self.trust_box.hide)
        self.trust_box.trusted.connect(self._trust)
        self.inputs = InputChoice()
        self.inputs.hide()
        self.inputs.chosen.connect(self.input_chosen)
        self.choices = RunChoices()
        self.choices.chosen.connect(self.options_chosen)
        self.box = BoxChoice()
        self.box.asked.connect(self.box_asked)
        self.box.removed.connect(self.box_removed)
        ways = QWidget()
        column = QVBoxLayout(ways)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.choices)
        column.addWidget(self.box)
        self.options = Folding(ways)
        self.box_button = QPushButton()
        set_role(self.box_button, "primary")
        self.box_button.clicked.connect(self.box_asked)
        self._facts = wrapped("quiet")
        self._summary = wrapped("")
        self.reason = wrapped("warning")

        self._work = QWidget()
        self._work_text = wrapped("quiet")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.cancel_button = QPushButton()
        self.cancel_button.clicked.connect(self.cancel_asked)
        work = QVBoxLayout(self._work)
        work.setContentsMargins(0, STEP_PX, 0, 0)
        work.setSpacing(STEP_PX)
        line = QHBoxLayout()
        line.addWidget(self._work_text, 1)
        line.addWidget(self.cancel_button)
        work.addWidget(self.bar)
        work.addLayout(line)

        self.outcome = wrapped("good")
        self.anew_button = QPushButton()
        self.anew_button.clicked.connect(self.anew_asked)
        self.maps_button = QPushButton()
        self.maps_button.clicked.connect(self.maps_asked)
        self._outcome = QWidget()
        outcome = QVBoxLayout(self._outcome)
        outcome.setContentsMargins(0, 0, 0, 0)
        outcome.setSpacing(STEP_PX)
        outcome.addWidget(self.outcome)
        buttons = QHBoxLayout()
        buttons.addWidget(self.anew_button)
        buttons.addWidget(self.maps_button)
        buttons.addStretch(1)
        outcome.addLayout(buttons)
        self.notes = wrapped("warning")
        self._model = wrapped("")
        self._model.setTextFormat(Qt.TextFormat.RichText)
        self.model = Folding(self._model)
        self.model.button.toggled.connect(self._write_removal)
        self._is_removable = False
        self.remove_button = QPushButton()
        self.remove_button.clicked.connect(self.remove_asked)

        head = QHBoxLayout()
        head.setSpacing(2 * STEP_PX)
        names = QVBoxLayout()
        names.setSpacing(0)
        names.addWidget(self._name)
        names.addWidget(self._facts)
        head.addLayout(names, 1)
        head.addWidget(self.run_button, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.box_button, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.trust_button, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * STEP_PX, 2 * STEP_PX, 2 * STEP_PX, STEP_PX)
        layout.setSpacing(STEP_PX)
        layout.addLayout(head)
        for widget in (self._summary, self.reason, self.trust_box, self.inputs, self._work, self._outcome, self.notes):
            layout.addWidget(widget)
        layout.addWidget(self.options)
        layout.addWidget(self.model)
        layout.addWidget(self.remove_button, 0, Qt.AlignmentFlag.AlignLeft)
        set_role(self, "card")
        self._write()

    @property
    def is_running(self) -> bool:
        """Whether a run is shown."""
        return self._job is not None

    def show_plugin(self, record: PluginRecord, fit: Fit, hindrance: str, *, is_new: bool = False) -> None:
        """Show a plugin and whether it suits what is open.

        Args:
            record: The plugin as it is now.
            fit: Whether it can run on the series.
            hindrance: Why it cannot be run just now, although it fits; empty when it can.
            is_new: Whether it has never been run: what it is for, and what not, is then shown unasked.
        """
        if is_new != self._is_new:
            self._is_new = is_new
            self.model.button.setChecked(is_new)
        if (record, fit, hindrance) != (self._record, self._fit, self._hindrance):
            self._record, self._fit, self._hindrance = record, fit, hindrance
            self._write()

    def offer_choices(
        self, effort: Effort, options: RunOptions, segments: Sequence[Segment], pictures: int = 1
    ) -> None:
        """Show what can be asked of a run; the arguments are those of `RunChoices.offer`."""
        self.choices.offer(effort, options, segments, pictures)
        self.choices.setVisible(not self.choices.is_empty)

    def show_box(self, size_mm: tuple[float, float, float] | None, *, possible: bool) -> None:
        """Show the box inside which it looks.

        Args:
            size_mm: Left to right, front to back, foot to head; None: there is none.
            possible: Whether the image can have one.
        """
        self.box.show_size(size_mm)
        self.box.setVisible(possible)
        if self._has_box != (size_mm is not None):
            self._has_box = size_mm is not None
            self._write()
        self.options.setVisible((self._fit.ok or size_mm is not None) and (possible or not self.choices.is_empty))

    def show_removable(self, removable: bool) -> None:
        """Offer to remove the plugin, or not; the offer stands at the end of what is told about it."""
        self._is_removable = removable
        self._write_removal()

    def show_job(self, job: Job[SegmentationResult] | None) -> None:
        """Show how far a run is; None: there is none."""
        self._job = job
        self._write_job()

    def show_result(self, result: SegmentationResult | None) -> None:
        """Show what the last run found; None: nothing is known."""
        if result is not self._result:
            self._result = result
            self._write_result()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write()

    def _write(self) -> None:
        record, manifest = self._record, self._record.manifest
        self._name.setText(self._own(record.name) if manifest is not None else record.name)
        self._name.setToolTip(str(record.folder))
        self.run_button.setText(self.tr("Run"))
        self.run_button.setVisible(self._fit.ok)
        self.run_button.setEnabled(not self._hindrance)
        self.run_button.setToolTip(self._hindrance or self.tr("Run this plugin on the series that is shown"))
        needs_trust = record.state is PluginState.NEEDS_TRUST
        self.trust_button.setText(self.tr("Trust ..."))
        self.trust_button.setToolTip(self.tr("Says what trusting this plugin means, and asks"))
        self.trust_button.setVisible(needs_trust)
        if not needs_trust:
            self.trust_box.hide()
        self._facts.setText(self._facts_of(manifest))
        self._summary.setText(self._own(manifest.summary) if manifest is not None else "")
        self._summary.setVisible(manifest is not None and (self._fit.ok or self._fit.needs_box))
        # of what is too large about the image, the way out says enough
        reasons = self._fit.reasons[-1:] if self._fit.needs_box and not self._has_box else self._fit.reasons
        if record.state is PluginState.FAILED and record.reason:
            reasons = (*reasons, record.reason)
        self.reason.setText("\n".join(render(reason) for reason in reasons))
        self.reason.setVisible(bool(reasons))
        set_role(
            self.reason,
            "danger"
            if record.state is PluginState.BROKEN
            else "warning"
            if self._fit.ok or self._fit.needs_box
            else "quiet",
        )
        self.options.set_title(self.tr("How it runs"))
        self.box_button.setText(self.tr("Set a box"))
        self.box_button.setToolTip(self.tr("Around the crosshair; drag its sides in the views to change it"))
        self.box_button.setVisible(self._fit.needs_box)
        self.model.set_title(self.tr("About this plugin"))
        self.model.setVisible(manifest is not None)
        if manifest is not None:
            self._model.setText(self._model_card(manifest))
        self.cancel_button.setText(self.tr("Cancel"))
        self.remove_button.setText(self.tr("Remove ..."))
        self.remove_button.setToolTip(self.tr("Takes this plugin off your computer, after a question"))
        self._write_removal()
        self._write_job()
        self._write_result()

    def _write_removal(self) -> None:
        told = self._record.manifest is None or self.model.is_open
        self.remove_button.setVisible(self._is_removable and told and self._job is None)

    def _explain_trust(self) -> None:
        self.trust_box.setVisible(not self.trust_box.isVisible())

    def _trust(self) -> None:
        self.trust_box.hide()
        self.trust_asked.emit()

    def _facts_of(self, manifest: PluginManifest | None) -> str:
        states = {
            PluginState.FOUND: self.tr("found"),
            PluginState.NEEDS_TRUST: self.tr("needs trust"),
            PluginState.READY: self.tr("ready"),
            PluginState.RUNNING: self.tr("running"),
            PluginState.FAILED: self.tr("failed the last time"),
            PluginState.BLOCKED: self.tr("cannot be used here"),
            PluginState.BROKEN: self.tr("broken"),
        }
        state = states[self._record.state]
        if manifest is None:
            return state
        modality = " / ".join(manifest.input[0].modality)
        tasks = {
            "segment": self.tr("Segmentation"),
            "classify": self.tr("Classification"),
            "detect": self.tr("Detection"),
            "landmark": self.tr("Landmarks"),
        }
        parts = (modality, tasks[manifest.task], manifest.license.short, state)
        return " · ".join(parts)

    def _model_card(self, manifest: PluginManifest) -> str:
        levels = {
            "research": self.tr("for research only"),
            "evaluation": self.tr("for evaluation"),
            "cleared": self.tr("cleared for clinical use"),
        }
        license_ = manifest.license
        use = manifest.intended_use
        lines = (
            (self.tr("Intended use"), f"{self._own(use.text)} ({levels[use.level]})"),
            (self.tr("Not for"), "; ".join(self._own(one) for one in use.not_for)),
            (self.tr("Trained on"), self._own(manifest.trained_on)),
            (self.tr("Measured"), self._scores(manifest)),
            (self.tr("Finds"), ", ".join(self._own(name) for name in manifest.names)),
            (self.tr("Licence of the code"), license_.code),
            (self.tr("Licence of the weights"), license_.weights),
            (self.tr("Licence of the data"), license_.data),
            (self.tr("Attribution"), license_.attribution),
            (self.tr("Version"), f"{manifest.version} ({manifest.id})"),
        )
        quiet = current_theme().quiet
        summary = "" if self._fit.ok else f"<p style='margin:0 0 4px 0'>{escape(self._own(manifest.summary))}</p>"
        return summary + "".join(
            f"<p style='margin:0 0 4px 0'><span style='color:{quiet}'>{escape(name)}</span><br>{_lines(value)}</p>"
            for name, value in lines
            if value
        )

    def _scores(self, manifest: PluginManifest) -> str:
        lines = [f"{self._own(one.name)} {one.value:g} ({self._own(one.data)})" for one in manifest.score]
        return "\n".join(lines) or self.tr("Its authors do not say how good it is.")

    def _write_job(self) -> None:
        job = self._job
        self._work.setVisible(job is not None)
        self._write_removal()
        self.run_button.setVisible(self._fit.ok and job is None)
        self.anew_button.setEnabled(job is None and not self._hindrance)
        if job is None:
            return
        self.bar.setRange(0, 0 if job.fraction is None else _PER_MILLE)
        if job.fraction is not None:
            self.bar.setValue(round(job.fraction * _PER_MILLE))
        self.cancel_button.setEnabled(not job.cancel_asked)
        if job.cancel_asked:
            words = self.tr("Stopping ...")
        elif job.state is JobState.QUEUED:
            words = self.tr("Waiting for its turn")
        else:
            parts = [render(job.message) or self.tr("Running")]
            if job.seconds_left is not None:
                parts.append(render(quantities.time_left(job.seconds_left)))
            words = "\n".join(part for part in parts if part)
        self._work_text.setText(words)

    def _write_result(self) -> None:
        result = self._result
        self._outcome.setVisible(result is not None)
        # with what was found stands what was noted of it
        self.notes.setVisible(result is not None and bool(result.remarks) and result.findings.is_empty)
        if result is None:
            return
        device = self.tr("graphics card") if result.device.startswith("cuda") else self.tr("processor")
        done = Text.of("Done in {seconds} s on the {device}.", seconds=f"{result.seconds:.1f}", device=device)
        if result.earlier is not None:
            done = Text.of("From an earlier run, {when}.", when=quantities.moment(result.earlier, datetime.now(UTC)))
        self.outcome.setText(render(done))
        self.maps_button.setText(self.tr("Save maps ..."))
        self.maps_button.setToolTip(self.tr("As NIfTI, and from DICOM series as parametric maps: numbers from 0 to 1"))
        self.maps_button.setVisible(bool(result.maps))
        self.anew_button.setText(self.tr("Run anew"))
        self.anew_button.setToolTip(self.tr("Computes it again instead of taking the answer that was kept"))
        self.anew_button.setVisible(result.earlier is not None)
        self.anew_button.setEnabled(self._job is None and not self._hindrance)
        self.notes.setText("\n".join(render(note) for note in result.remarks))

    def _own(self, words: str) -> str:
        """A sentence of the plugin in the language of the window."""
        return render(Text(words))


def _lines(text: str) -> str:
    return escape(text).replace("\n", "<br>")
