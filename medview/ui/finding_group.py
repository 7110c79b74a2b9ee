"""The heading of a group of findings: who says so and when, once for all of them, and its model card a click away."""

from __future__ import annotations

from datetime import UTC, datetime

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSlider, QVBoxLayout, QWidget

from medview.core.finding import Relation
from medview.core.geometry import Box
from medview.core.text import Text
from medview.ui import quantities
from medview.ui.labels import wrapped
from medview.ui.theme import STEP_PX, set_role
from medview.ui.translation import render
from medview.workstation.finding_groups import Group, GroupKind

_PERCENT = 100
_RELATIONS = {
    Relation.INDEPENDENT: Text("Each of these holds or does not, by itself"),
    Relation.ORDINAL: Text("Grades, in their order"),
}


class FindingGroup(QWidget):
    """Shows the heading, and holds the rows. Main thread only."""

    least_chosen = Signal(str, float)
    """The id of a plugin, and from which probability on its places are listed."""
    card_asked = Signal(str)
    """The id of the plugin whose card is to be shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._group: Group | None = None
        self.title = wrapped("title")
        self.when = wrapped("quiet")
        self.notes = wrapped("warning")
        self.card_button = QPushButton()
        set_role(self.card_button, "link")
        self.card_button.clicked.connect(self._ask_card)
        self.least = QSlider(Qt.Orientation.Horizontal)
        self.least.setRange(0, _PERCENT)
        self.least.setMinimumWidth(40)
        self.least.valueChanged.connect(self._choose_least)
        self.listed = QLabel()
        set_role(self.listed, "quiet")
        head = QHBoxLayout()
        head.setSpacing(STEP_PX)
        head.addWidget(self.title, 1)
        head.addWidget(self.card_button)
        self.rows = QVBoxLayout()
        self.rows.setSpacing(0)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, STEP_PX, 0, STEP_PX)
        layout.setSpacing(2)
        layout.addLayout(head)
        layout.addWidget(self.when)
        layout.addWidget(self.notes)
        layout.addWidget(self.listed)
        layout.addWidget(self.least)
        layout.addLayout(self.rows)

    def show_group(self, group: Group) -> None:
        """Show who says so."""
        if group != self._group:
            self._group = group
            self._write()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._write()

    def _ask_card(self) -> None:
        if self._group is not None:
            self.card_asked.emit(self._group.plugin_id)

    def _choose_least(self, percent: int) -> None:
        if self._group is not None:
            self.least_chosen.emit(self._group.plugin_id, percent / _PERCENT)

    def _write(self) -> None:
        group = self._group
        if group is None:
            return
        own = group.kind is GroupKind.READER
        title = Text.of("Found by {reader}", reader=group.title or "-") if own else Text(group.title)
        self.title.setText(render(title))
        self.when.setText(self._when(group))
        self.when.setVisible(bool(self.when.text()))
        self.notes.setText("\n".join(render(Text(note)) for note in group.notes))
        self.notes.setVisible(bool(group.notes))
        self.least.setVisible(group.least is not None)
        self.listed.setVisible(group.least is not None)
        if group.least is not None:
            percent = round(_PERCENT * group.least)
            self.least.blockSignals(True)
            self.least.setValue(percent)
            self.least.blockSignals(False)
            told = Text.of(
                "From {percent} % on: {shown} of {count}", percent=percent, shown=len(group.entries), count=group.count
            )
            self.listed.setText(render(told))
        self.card_button.setText(self.tr("Model card"))
        self.card_button.setToolTip(self.tr("What this model is for, what not, and how good it is"))
        self.card_button.setVisible(bool(group.plugin_id))

    def _when(self, group: Group) -> str:
        if group.kind is GroupKind.CLASS:
            return render(Text.of("{count} models", count=len({one.source for one in group.entries})))
        if group.found_at is None:
            return ""
        when = quantities.moment(group.found_at, datetime.now(UTC))
        lines = [Text.of("version {version}, {when}", version=group.version, when=when)]
        if group.region is not None:
            lines.append(_part(group.region))
        if group.relation is not Relation.EXCLUSIVE:
            lines.append(_RELATIONS[group.relation])
        return "\n".join(render(one) for one in lines)


def _part(region: Box) -> Text:
    k, j, i = region.shape
    if k == 1:
        return Text.of("It saw picture {number} alone", number=region.start[0] + 1)
    return Text.of("It saw a box of {i} × {j} × {k} voxels", i=i, j=j, k=k)
