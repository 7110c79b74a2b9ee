"""Joins the keys with what a reader checks: what differs from the model, and where."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject
from PySide6.QtWidgets import QWidget

from medview.core.errors import InputError, MedViewError
from medview.core.review import Judgement
from medview.ui.actions import Actions
from medview.ui.checking_sections import CheckingSections
from medview.workstation.station import Workstation


class CheckingDesk(QObject):
    """Has done what the keys of checking ask for, and says when nobody is at work any more.

    Args:
        station: Whose masks.
        actions: The window's actions.
        sections: Where comments are written.
        show: Brings the panel with the sections to the front.
        tell: Gets what went wrong.
        window: Whose leaving means that nobody is at work.
    """

    def __init__(
        self,
        station: Workstation,
        actions: Actions,
        sections: CheckingSections,
        show: Callable[[], None],
        tell: Callable[[MedViewError], None],
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._station = station
        self._sections = sections
        self._show = show
        self._tell = tell
        self._window = window
        comparing = station.comparing
        actions.on("compare", comparing.turn)
        actions.on("next-change", lambda: comparing.go_to_changed_slice(1))
        actions.on("previous-change", lambda: comparing.go_to_changed_slice(-1))
        actions.on("next-doubt", lambda: self._go_to_doubt(1))
        actions.on("previous-doubt", lambda: self._go_to_doubt(-1))
        actions.on("accept", self._accept)
        actions.on("comment", self._comment)
        actions.on("next-case", lambda: self._go_to_case(1))
        actions.on("previous-case", lambda: self._go_to_case(-1))
        station.reviewing.record.failed.connect(tell)
        station.viewing.changed.connect(self._somebody_is_there)
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Whoever leaves the window is not at work here."""
        if event.type() == QEvent.Type.WindowDeactivate:
            self._station.reviewing.look_away()
        return super().eventFilter(watched, event)

    def _somebody_is_there(self, _: object) -> None:
        if self._window.isActiveWindow():
            self._station.reviewing.attend()

    def _accept(self) -> None:
        try:
            self._station.reviewing.judge(Judgement.ACCEPTED)
        except MedViewError as error:
            self._tell(error)

    def _go_to_doubt(self, steps: int) -> None:
        try:
            self._station.doubts.go(steps)
        except MedViewError as error:
            self._tell(error)

    def _comment(self) -> None:
        self._show()
        self._sections.begin_comment()

    def _go_to_case(self, steps: int) -> None:
        if not self._station.worklist.go(steps):
            self._tell(InputError("No other case is open.", "Open further cases; they are listed on the left."))
