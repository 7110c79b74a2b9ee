"""The evidence that is asked for or drawn: what it is and is not, how strong it is drawn, and the way to end it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QProgressBar, QPushButton, QSlider, QVBoxLayout, QWidget

from medview.core.evidence import METHOD_NAMES, NOT_THE_DISEASE
from medview.core.text import Text
from medview.ui import quantities
from medview.ui.labels import wrapped
from medview.ui.theme import STEP_PX, set_role
from medview.ui.translation import render
from medview.workstation.evidence_desk import Asked, EvidenceDesk
from medview.workstation.view_state import Viewing

_PER_MILLE, _PERCENT = 1000, 100


class EvidenceStrip(QFrame):
    """Hidden while nothing is asked and nothing is drawn. Main thread only.

    Args:
        desk: Asks.
        viewing: Says how strong maps are drawn.
    """

    save_asked = Signal()

    def __init__(self, desk: EvidenceDesk, viewing: Viewing, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self._viewing = viewing
        self.title = wrapped("title")
        self.caution = wrapped("warning")
        self.notes = wrapped("quiet")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.cancel_button, self.hide_button, self.save_button = QPushButton(), QPushButton(), QPushButton()
        self.save_button.clicked.connect(self.save_asked)
        self.cancel_button.clicked.connect(desk.cancel)
        self.hide_button.clicked.connect(desk.hide)
        self._strength = QLabel()
        set_role(self._strength, "quiet")
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, _PERCENT)
        self.opacity.setMinimumWidth(40)
        self.opacity.valueChanged.connect(lambda percent: viewing.update(map_opacity=percent / _PERCENT))
        foot = QHBoxLayout()
        foot.setSpacing(2 * STEP_PX)
        foot.addWidget(self._strength)
        foot.addWidget(self.opacity, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * STEP_PX, STEP_PX, 2 * STEP_PX, STEP_PX)
        layout.setSpacing(STEP_PX)
        for widget in (self.title, self.caution, self.notes, self.bar):
            layout.addWidget(widget)
        layout.addLayout(foot)
        buttons = QHBoxLayout()
        buttons.setSpacing(2 * STEP_PX)
        for button in (self.save_button, self.hide_button, self.cancel_button):
            buttons.addWidget(button)
        buttons.addStretch(1)
        layout.addLayout(buttons)
        set_role(self, "card")
        self.sync()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self.sync()

    def sync(self) -> None:
        """Show what is asked or drawn now."""
        job, asked, shown = self._desk.running, self._desk.asked, self._desk.shown
        busy = job is not None and asked is not None
        self.setVisible(busy or shown is not None)
        self.cancel_button.setText(self.tr("Cancel"))
        self.hide_button.setText(self.tr("Hide"))
        self.save_button.setText(self.tr("Save ..."))
        self.save_button.setToolTip(self.tr("As NIfTI, and from DICOM series as parametric maps: numbers from 0 to 1"))
        self._strength.setText(self.tr("Opacity"))
        for widget in (self.bar, self.cancel_button):
            widget.setVisible(busy)
        for one in (self.caution, self._strength, self.opacity, self.hide_button, self.save_button):
            one.setVisible(not busy)
        if job is not None and asked is not None:
            self._name(asked)
            self.bar.setRange(0, 0 if job.fraction is None else _PER_MILLE)
            self.bar.setValue(round((job.fraction or 0.0) * _PER_MILLE))
            words = [self.tr("Stopping ...") if job.cancel_asked else render(job.message)]
            if job.seconds_left is not None and not job.cancel_asked:
                words.append(render(quantities.time_left(job.seconds_left)))
            self._say(words)
            self.cancel_button.setEnabled(not job.cancel_asked)
        elif shown is not None:
            self._name(shown)
            self.caution.setText(render(NOT_THE_DISEASE))
            self._say([render(note) for note in shown.notes])
            self.opacity.setValue(round(self._viewing.state.map_opacity * _PERCENT))

    def _name(self, asked: Asked) -> None:
        what = Text.of("Evidence for {name}, {method}", name=Text(asked.name), method=METHOD_NAMES[asked.method])
        self.title.setText(render(what))

    def _say(self, words: list[str]) -> None:
        said = "\n".join(one for one in words if one)
        self.notes.setText(said)
        self.notes.setVisible(bool(said))
