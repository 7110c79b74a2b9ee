"""One line for every file that was saved: green where reading it back gave what was meant, red with what differs."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from medview.core.text import Text
from medview.ui.theme import STEP_PX, current_theme, icon, set_role
from medview.ui.translation import render
from medview.workstation.saving import COMPARED, Verdict

_MARK_PX = 18
_LEAST_PX, _MOST_PX = 60, 260


class VerdictList(QScrollArea):
    """The verdicts of one saving; hidden while there are none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._verdicts: tuple[Verdict, ...] = ()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.hide()

    @property
    def any(self) -> bool:
        """Whether there are some."""
        return bool(self._verdicts)

    @property
    def shown(self) -> tuple[Verdict, ...]:
        """The verdicts on the screen."""
        return self._verdicts

    def clear(self) -> None:
        """Show none."""
        self.show_verdicts(())

    def show_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Show these in place of the others; what failed comes first."""
        self._verdicts = tuple(sorted(verdicts, key=lambda one: one.ok))
        self.write_texts()

    def write_texts(self) -> None:
        """Follow language and theme."""
        self.setVisible(self.any)
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, STEP_PX, 0, STEP_PX)
        column.setSpacing(2 * STEP_PX)
        for verdict in self._verdicts:
            column.addWidget(_line(verdict))
        column.addStretch(1)
        old = self.takeWidget()
        if old is not None:
            # Not at once: Qt may be telling every widget of a new theme, this one among them.
            old.hide()
            old.deleteLater()
        self.setWidget(inside)
        if self.any:
            wanted = inside.sizeHint().height() + 2 * STEP_PX
            self.setMinimumHeight(min(max(wanted, _LEAST_PX), _MOST_PX))


def _line(verdict: Verdict) -> QWidget:
    theme = current_theme()
    line = QFrame()
    set_role(line, "done" if verdict.ok else "error")
    mark = QLabel()
    name, color = ("check-circle", theme.good) if verdict.ok else ("alert-circle", theme.danger)
    mark.setPixmap(icon(name, color).pixmap(_MARK_PX, _MARK_PX))
    file = QLabel(verdict.path.name)
    file.setToolTip(str(verdict.path))
    set_role(file, "title")
    said = QLabel(_said(verdict))
    said.setWordWrap(True)
    said.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    set_role(said, "good" if verdict.ok else "danger")
    layout = QGridLayout(line)
    layout.setContentsMargins(2 * STEP_PX, STEP_PX, 2 * STEP_PX, STEP_PX)
    layout.setHorizontalSpacing(2 * STEP_PX)
    layout.setVerticalSpacing(0)
    layout.addWidget(mark, 0, 0)
    layout.addWidget(file, 0, 1)
    layout.addWidget(said, 1, 1)
    layout.setColumnStretch(1, 1)
    if verdict.ok:
        compared = QLabel(render(Text.of("Compared: {what}", what=COMPARED[verdict.format])))
        compared.setWordWrap(True)
        set_role(compared, "quiet")
        layout.addWidget(compared, 2, 1)
    return line


def _said(verdict: Verdict) -> str:
    if verdict.ok:
        return render(Text("Proved: read back, identical"))
    what = " ".join(render(one) for one in verdict.differences)
    return f"{render(Text('Not saved.'))} {what} {render(verdict.remedy)}".strip()
