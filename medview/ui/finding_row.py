"""One finding: what, how probable, the reader's word on it, and the way to what the model looked at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QGridLayout, QLabel, QMenu, QPushButton, QToolButton, QWidget

from medview.core.evidence import METHOD_NAMES, Cost
from medview.core.finding import Interval, Verdict
from medview.core.text import Text
from medview.ui import quantities
from medview.ui.labels import wrapped
from medview.ui.probability_bar import ProbabilityBar
from medview.ui.theme import STEP_PX, icon, set_role
from medview.ui.translation import render
from medview.workstation.evidence_desk import Offer
from medview.workstation.finding_record import Entry

REASONS = (Text("Nothing there"), Text("Artefact"), Text("Normal variant"), Text("Poor image"))
_PERCENT = 100


class FindingRow(QWidget):
    """Shows a finding, and asks for what the reader says. Main thread only."""

    confirmed = Signal()
    rejected = Signal(str)
    """Why."""
    corrected = Signal(str)
    """What it is instead."""
    reopened = Signal()
    clicked = Signal()
    evidence_asked = Signal(object)
    """How: an `EvidenceMethod`."""
    box_asked = Signal()
    card_asked = Signal(str)
    """The id of the plugin whose card is to be shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.name = wrapped("")
        self.share = QLabel()
        self.bar = ProbabilityBar()
        self.details = wrapped("quiet")
        self.confirm_button, self.reject_button, self.reopen_button = QToolButton(), QToolButton(), QToolButton()
        self.evidence_button, self.card_button = QToolButton(), QToolButton()
        self.box_button = QPushButton()
        self.box_button.clicked.connect(self.box_asked)
        self.evidence_menu = QMenu(self.evidence_button)
        self.evidence_button.setMenu(self.evidence_menu)
        for button in (*self._buttons, self.evidence_button, self.card_button):
            set_role(button, "flat")
        self.card_button.clicked.connect(self._ask_card)
        self.menu = QMenu(self.reject_button)
        self.reject_button.setMenu(self.menu)
        for button in (self.reject_button, self.evidence_button):
            button.setStyleSheet("QToolButton::menu-indicator { image: none; width: 0; }")
            button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.confirm_button.clicked.connect(self.confirmed)
        self.reopen_button.clicked.connect(self.reopened)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, STEP_PX, 0, STEP_PX)
        layout.setHorizontalSpacing(STEP_PX)
        layout.setVerticalSpacing(2)
        layout.setColumnStretch(0, 1)
        layout.addWidget(self.name, 0, 0)
        layout.addWidget(self.share, 0, 1)
        layout.addWidget(self.card_button, 0, 2)
        layout.addWidget(self.evidence_button, 0, 3)
        layout.addWidget(self.confirm_button, 0, 4)
        layout.addWidget(self.reject_button, 0, 5)
        layout.addWidget(self.reopen_button, 0, 6)
        layout.addWidget(self.bar, 1, 0, 1, 7)
        layout.addWidget(self.details, 2, 0, 1, 7)
        layout.addWidget(self.box_button, 3, 0, 1, 7, Qt.AlignmentFlag.AlignLeft)
        self._entry: Entry | None = None
        self._alternatives: tuple[str, ...] = ()
        self._offers: tuple[Offer, ...] = ()
        self._by_model = False

    @property
    def _buttons(self) -> tuple[QToolButton, ...]:
        return self.confirm_button, self.reject_button, self.reopen_button

    def show_entry(
        self, entry: Entry, alternatives: tuple[str, ...], offers: Sequence[Offer] = (), *, by_model: bool = False
    ) -> None:
        """Show a finding as it stands.

        Args:
            entry: The finding.
            alternatives: What else it may be, by the model's own names.
            offers: The ways in which its model can be asked where it looked.
            by_model: Whether it stands among those of other models, under the name of the class: it then bears the
                name of its model.
        """
        self._entry, self._alternatives, self._offers, self._by_model = entry, alternatives, tuple(offers), by_model
        self._write()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """A click shows where it is."""
        super().mouseReleaseEvent(event)
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.clicked.emit()

    def _write(self) -> None:
        entry = self._entry
        if entry is None:
            return
        finding = entry.finding
        self.name.setText(render(Text(entry.source if self._by_model else finding.name)))
        set_role(self.name, "title" if finding.is_positive or finding.verdict is Verdict.CONFIRMED else "")
        known = finding.probability is not None
        self.share.setVisible(known)
        self.bar.setVisible(known)
        if finding.probability is not None:
            self._write_share(finding.probability, finding.interval)
            point = finding.operating_point
            threshold = point.threshold if point is not None else None
            self.bar.show_probability(finding.probability, threshold, finding.interval)
        details = self._details(entry)
        self.details.setText("\n".join(details))
        self.details.setVisible(bool(details))
        is_open = finding.verdict is Verdict.OPEN
        self.confirm_button.setVisible(is_open)
        self.reject_button.setVisible(is_open)
        self.reopen_button.setVisible(not is_open)
        self.confirm_button.setIcon(icon("check"))
        self.confirm_button.setToolTip(self.tr("Accept"))
        self.reject_button.setIcon(icon("close"))
        self.reject_button.setToolTip(self.tr("Reject, or say what it is instead"))
        self.reopen_button.setIcon(icon("undo"))
        self.reopen_button.setToolTip(self.tr("Take the decision back; the record keeps that it was made"))
        self.evidence_button.setIcon(icon("image-search-outline"))
        self.evidence_button.setToolTip(self.tr("Evidence: where the model looked, drawn over the image"))
        self.evidence_button.setVisible(bool(self._offers))
        self.card_button.setIcon(icon("information-outline"))
        self.card_button.setToolTip(self.tr("What this model is for, what not, and how good it is"))
        self.card_button.setVisible(self._by_model)
        self.box_button.setText(self.tr("Use as box"))
        self.box_button.setToolTip(self.tr("Plugins then look inside it: so it can seed a segmentation"))
        self.box_button.setVisible(finding.size_mm is not None and finding.verdict is Verdict.CONFIRMED)
        self._fill_menu()
        self._fill_evidence()

    def _write_share(self, probability: float, interval: Interval | None) -> None:
        percent = f"{_PERCENT * probability:.0f}"
        if interval is None:
            self.share.setText(f"{percent} %")
            self.share.setToolTip("")
            return
        low, high = f"{_PERCENT * interval.low:.0f}", f"{_PERCENT * interval.high:.0f}"
        self.share.setText(render(Text.of("{percent} % ({low} to {high} %)", percent=percent, low=low, high=high)))
        told = Text.of("The middle 95 % of {count} answers lie between these", count=interval.answers)
        self.share.setToolTip(render(told))

    def _fill_menu(self) -> None:
        self.menu.clear()
        for reason in REASONS:
            self.menu.addAction(render(reason), partial(self.rejected.emit, str(reason)))
        if self._alternatives:
            self.menu.addSeparator()
        for name in self._alternatives:
            shown = Text.of("It is: {name}", name=Text(name))
            self.menu.addAction(render(shown), partial(self.corrected.emit, name))

    def _fill_evidence(self) -> None:
        self.evidence_menu.clear()
        for offer in self._offers:
            words = Text.of("{method}: {cost}", method=METHOD_NAMES[offer.method], cost=_cost(offer.cost))
            self.evidence_menu.addAction(render(words), partial(self.evidence_asked.emit, offer.method))

    def _ask_card(self) -> None:
        if self._entry is not None and self._entry.finding.algorithm is not None:
            self.card_asked.emit(self._entry.finding.algorithm.plugin_id)

    def _details(self, entry: Entry) -> list[str]:
        finding, lines = entry.finding, list[str]()
        if finding.size_mm is not None:
            x, y, z = (f"{one:.0f}" for one in finding.size_mm)
            lines.append(render(Text.of("{x} × {y} × {z} mm", x=x, y=y, z=z)))
        if finding.frame is not None:
            lines.append(render(Text.of("picture {number}", number=finding.frame + 1)))
        point = finding.operating_point
        if point is not None:
            percent = f"{_PERCENT * point.threshold:.0f}"
            above = Text.of("above the threshold of {percent} %", percent=percent)
            below = Text.of("below the threshold of {percent} %", percent=percent)
            lines.append(render(above if finding.is_positive else below))
            if point.sensitivity is not None and point.specificity is not None:
                measured = Text.of(
                    "there it had a sensitivity of {sensitivity} and a specificity of {specificity}",
                    sensitivity=f"{point.sensitivity:.2f}",
                    specificity=f"{point.specificity:.2f}",
                )
                lines.append(render(measured))
        if self._by_model:
            version = finding.algorithm.version if finding.algorithm is not None else ""
            when = quantities.moment(entry.found_at, datetime.now(UTC))
            lines += [render(Text(note)) for note in entry.notes]
            lines.append(render(Text.of("version {version}, {when}", version=version, when=when)))
        if finding.verdict is Verdict.CONFIRMED:
            lines.append(render(Text.of("accepted by {reader}", reader=entry.reader or "-")))
        elif finding.verdict is Verdict.REJECTED:
            lines.append(
                render(Text.of("rejected by {reader}: {reason}", reader=entry.reader or "-", reason=Text(entry.reason)))
            )
        return lines


def _cost(cost: Cost) -> Text:
    """What asking costs, before it is asked."""
    passes = Text.of("{count} passes of the model", count=cost.passes)
    if cost.backward:
        passes = Text.of("{count} passes of the model and their gradient", count=cost.passes)
    if cost.seconds is None:
        return passes
    return Text.of("{passes}, about {time}", passes=passes, time=quantities.about(cost.seconds))
