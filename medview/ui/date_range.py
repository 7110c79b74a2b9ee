"""A range of dates: one of the usual ones, or from a day to a day."""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum

from PySide6.QtCore import QDate, QEvent
from PySide6.QtWidgets import QComboBox, QDateEdit, QHBoxLayout, QLabel, QWidget

from medview.ui.theme import STEP_PX


class Span(StrEnum):
    """The ranges that are asked for most."""

    ANY = "any"
    TODAY = "today"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"
    DAYS = "days"


_DAYS_BACK = {Span.TODAY: 0, Span.WEEK: 6, Span.MONTH: 30, Span.YEAR: 365}


class DateRange(QWidget):
    """Chooses a range; the two days show only where they are needed."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.span = QComboBox()
        for span in Span:
            self.span.addItem("", span)
        self.first, self.last = _day_edit(QDate.currentDate().addDays(-30)), _day_edit(QDate.currentDate())
        self._to = QLabel("–")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(STEP_PX)
        for widget in (self.span, self.first, self._to, self.last):
            layout.addWidget(widget)
        self.span.currentIndexChanged.connect(self._show_days)
        self.write()
        self._show_days()

    @property
    def days(self) -> tuple[date | None, date | None]:
        """The earliest and the latest day; None where there is no limit."""
        span = Span(self.span.currentData())
        if span is Span.ANY:
            return None, None
        if span is Span.DAYS:
            first, last = (_date(edit.date()) for edit in (self.first, self.last))
            return min(first, last), max(first, last)
        today = date.today()
        return today - timedelta(days=_DAYS_BACK[span]), today

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange and hasattr(self, "_to"):
            self.write()

    def write(self) -> None:
        """Put the words into the present language."""
        texts = (
            self.tr("Any date"),
            self.tr("Today"),
            self.tr("Last 7 days"),
            self.tr("Last 31 days"),
            self.tr("Last year"),
            self.tr("From - to"),
        )
        for number, text in enumerate(texts):
            self.span.setItemText(number, text)

    def _show_days(self) -> None:
        for widget in (self.first, self._to, self.last):
            widget.setVisible(Span(self.span.currentData()) is Span.DAYS)


def _day_edit(day: QDate) -> QDateEdit:
    edit = QDateEdit(day)
    edit.setDisplayFormat("yyyy-MM-dd")
    edit.setCalendarPopup(True)
    return edit


def _date(day: QDate) -> date:
    return date(day.year(), day.month(), day.day())
