"""What a reader may ask of a plugin's run, with what each wish costs said beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import QEvent, Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QLabel, QSizePolicy, QVBoxLayout, QWidget

from medview.catalog.effort import Effort
from medview.core.segmentation import Segment
from medview.core.text import Text
from medview.inference.options import RunOptions
from medview.ui.theme import STEP_PX, set_role
from medview.ui.translation import render

_SAMPLES = 10
"""How often a classifier is asked again with dropout."""


class RunChoices(QWidget):
    """Check boxes for the options of a run. Says what was chosen, and does nothing itself."""

    chosen = Signal(object)
    """The options as they are wished now."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._effort = Effort()
        self._options = RunOptions()
        self.mirroring = QCheckBox()
        self.ensemble = QCheckBox()
        self.dropout = QCheckBox()
        self.one_picture = QCheckBox()
        self._pictures = 1
        self.uncertainty = QCheckBox()
        self.probability = QComboBox()
        self.probability.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._segments: tuple[Segment, ...] = ()
        self.cost = QLabel()
        self.cost.setWordWrap(True)
        set_role(self.cost, "quiet")
        self.mirroring.clicked.connect(lambda on: self._choose(replace(self._options, mirroring=on)))
        self.ensemble.clicked.connect(lambda on: self._choose(replace(self._options, ensemble=on)))
        self.dropout.clicked.connect(lambda on: self._choose(replace(self._options, dropout=_SAMPLES if on else 0)))
        self.one_picture.clicked.connect(lambda on: self._choose(replace(self._options, one_picture=on)))
        self.uncertainty.clicked.connect(lambda on: self._choose(replace(self._options, uncertainty=on)))
        self.probability.activated.connect(
            lambda _: self._choose(replace(self._options, probability=int(self.probability.currentData())))
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, STEP_PX)
        layout.setSpacing(STEP_PX)
        for widget in (
            self.one_picture,
            self.mirroring,
            self.ensemble,
            self.dropout,
            self.cost,
            self.uncertainty,
            self.probability,
        ):
            layout.addWidget(widget)
        self._write()

    def offer(self, effort: Effort, options: RunOptions, segments: Sequence[Segment], pictures: int = 1) -> None:
        """Show what can be asked of a plugin.

        Args:
            effort: What it can do, and how many times the work that is.
            options: What is asked of it now.
            segments: What it finds.
            pictures: How many the image has that it looks at one by one; 1 where it looks at all of it.
        """
        if (effort, options, tuple(segments), pictures) != (
            self._effort, self._options, self._segments, self._pictures
        ):  # fmt: skip
            self._effort, self._options, self._segments, self._pictures = effort, options, tuple(segments), pictures
            self._write()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to choose."""
        return self._pictures == 1 and replace(self._effort, classifies=False, evidence=()) == Effort()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._write()

    def _choose(self, options: RunOptions) -> None:
        self._options = options
        self._write()
        self.chosen.emit(options)

    def _write(self) -> None:
        effort, options = self._effort, self._options
        template = "Mirrored windows too: up to {times}× the time"
        if not effort.is_most:
            template = "Mirrored windows too: {times}× the time"
        if effort.classifies:
            template = "The image mirrored, too: {times}× the time"
        self.mirroring.setText(render(Text.of(template, times=effort.mirrored)))
        self.mirroring.setToolTip(self.tr("Every window is also shown mirrored, and what is said of it is averaged"))
        self.mirroring.setChecked(effort.mirrored_unasked if options.mirroring is None else options.mirroring)
        self.mirroring.setVisible(effort.mirrored > 1)
        self.ensemble.setText(render(Text.of("All {count} sets of weights: {count}× the time", count=effort.weights)))
        self.ensemble.setToolTip(self.tr("What they say is averaged; without, the first set alone is used"))
        self.ensemble.setChecked(effort.averaged_unasked if options.ensemble is None else options.ensemble)
        self.ensemble.setVisible(effort.weights > 1)
        asked = Text.of("Dropout left on: {times}× the time", times=1 + _SAMPLES)
        self.dropout.setText(render(asked))
        self.dropout.setToolTip(
            self.tr("Each time some values are left out by chance; how far the answers differ stands beside the number")
        )
        self.dropout.setChecked(options.dropout > 0)
        self.dropout.setVisible(effort.has_dropout)
        self.one_picture.setText(render(Text.of("Only the picture shown, of {count}", count=self._pictures)))
        self.one_picture.setChecked(options.one_picture)
        self.one_picture.setVisible(self._pictures > 1)
        calls = options.calls(effort)
        self.cost.setText(render(Text.of("Together: {times}× the time of a single pass", times=calls)))
        self.cost.setVisible(calls > 1)
        self.uncertainty.setText(self.tr("Map of uncertainty"))
        self.uncertainty.setToolTip(
            self.tr("An image of its own, in percent: the entropy of the model's probabilities, 0 where it is sure")
        )
        self.uncertainty.setChecked(options.uncertainty)
        self.uncertainty.setVisible(effort.gives_values)
        self._write_structures()

    def _write_structures(self) -> None:
        box = self.probability
        box.clear()
        box.addItem(self.tr("No map of probability"), 0)
        for one in self._segments:
            box.addItem(render(Text.of("Map of the probability of {name}", name=Text(one.name))), one.label)
        box.setCurrentIndex(max(0, box.findData(self._options.probability)))
        box.setToolTip(self.tr("An image of its own, in percent, as the model has it; it is not calibrated"))
        box.setVisible(self._effort.gives_values)
