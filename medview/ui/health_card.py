"""The state of health of a series: its mark, and the card with the words."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from medview.core.case import Series, Severity, Use
from medview.ui.theme import STEP_PX, current_theme, icon, set_role
from medview.ui.translation import render


class HealthCard(QFrame):
    """What there is to say about one series."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        set_role(self, "card")
        self._series: Series | None = None
        self._title = QLabel()
        self._title.setWordWrap(True)
        set_role(self._title, "title")
        self.closed = QToolButton()
        set_role(self.closed, "flat")
        self._lines = QVBoxLayout()
        self._lines.setSpacing(STEP_PX)
        head = QHBoxLayout()
        head.addWidget(self._title, 1)
        head.addWidget(self.closed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * STEP_PX, 2 * STEP_PX, STEP_PX, 2 * STEP_PX)
        layout.setSpacing(STEP_PX)
        layout.addLayout(head)
        layout.addLayout(self._lines)
        self.hide()

    def write_texts(self) -> None:
        """Follow language and theme."""
        self.closed.setIcon(icon("close"))
        self.closed.setToolTip(self.tr("Close"))
        series, self._series = self._series, None
        self.show_series(series)

    def show_series(self, series: Series | None) -> None:
        """Show what is to be said; None: nothing."""
        self.setVisible(series is not None)
        if series == self._series:
            return
        self._series = series
        while (item := self._lines.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.deleteLater()
        if series is None:
            return
        self._title.setText(series.description or self.tr("Unnamed series"))
        if not series.remarks:
            pending = series.geometry is None
            words = (
                self.tr("Its files are still being found.")
                if pending
                else self.tr("Nothing is wrong with this series.")
            )
            self._lines.addWidget(_remark(words, None))
        for remark in series.remarks:
            self._lines.addWidget(_remark(render(remark.text), remark.severity))
        if series.geometry is not None and series.refusal is None:
            self._lines.addWidget(self._uses(series))

    def _uses(self, series: Series) -> QWidget:
        """One word for everything that a series may be used for, with a mark that says whether it is safe."""
        words = {
            Use.MEASURE: self.tr("Measure"),
            Use.VOLUME: self.tr("3D"),
            Use.ANALYSE: self.tr("Analyse"),
            Use.EXPORT: self.tr("Export"),
        }
        line = QWidget()
        layout = QHBoxLayout(line)
        layout.setContentsMargins(0, STEP_PX, 0, 0)
        layout.setSpacing(STEP_PX)
        for use, word in words.items():
            doubt = series.unsafe_for(use)
            mark, name = QLabel(), QLabel(word)
            mark.setPixmap(mark_icon(None if doubt is None else Severity.WARNING).pixmap(16, 16))
            set_role(name, "quiet")
            tip = self.tr("Safe for this") if doubt is None else render(doubt.text)
            for label in (mark, name):
                label.setToolTip(tip)
                layout.addWidget(label)
        layout.addStretch(1)
        return line


def mark_icon(severity: Severity | None) -> QIcon:
    """The mark of a remark; None: all is well."""
    theme = current_theme()
    name, color = {
        None: ("check-circle-outline", theme.good),
        Severity.NOTE: ("information-outline", theme.accent),
        Severity.WARNING: ("alert-outline", theme.warning),
        Severity.REFUSED: ("cancel", theme.danger),
    }[severity]
    return icon(name, color)


def _remark(words: str, severity: Severity | None) -> QWidget:
    line = QWidget()
    mark = QLabel()
    mark.setPixmap(mark_icon(severity).pixmap(16, 16))
    text = QLabel(words)
    text.setWordWrap(True)
    layout = QHBoxLayout(line)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(mark)
    layout.setAlignment(mark, Qt.AlignmentFlag.AlignTop)
    layout.addWidget(text, 1)
    return line


def worst(series: Series) -> Severity | None:
    """The gravest thing to say about a series; None: all is well."""
    order = list(Severity)
    return max((remark.severity for remark in series.remarks), key=order.index, default=None)
