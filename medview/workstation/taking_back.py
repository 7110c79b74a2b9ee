"""Undo and redo of whatever is at hand: measurements while reading, hints while they are given, corrections."""

from __future__ import annotations

from medview.core.text import Text
from medview.workstation.correction import Correction
from medview.workstation.editing import Editing
from medview.workstation.measuring import Measuring
from medview.workstation.view_state import Mode, Viewing


class TakingBack:
    """One undo for measurements, hints and corrections. Main thread only."""

    def __init__(self, viewing: Viewing, measuring: Measuring, correction: Correction, editing: Editing) -> None:
        self._viewing = viewing
        self._measuring = measuring
        self._correction = correction
        self._editing = editing

    @property
    def can_undo(self) -> bool:
        """Whether there is anything to take back."""
        return self._undoes_measuring or self._editing.gives_hints or self._correction.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is anything to do again."""
        return self._redoes_measuring or self._correction.can_redo

    @property
    def undo_name(self) -> Text:
        """What `undo` would take back; empty when there is nothing."""
        if self._editing.gives_hints:
            return Text("Hint")
        name = self._measuring.undo_name if self._undoes_measuring else None
        return name if name is not None else self._correction.undo_name

    @property
    def redo_name(self) -> Text:
        """What `redo` would do again; empty when there is nothing."""
        name = self._measuring.redo_name if self._redoes_measuring else None
        return name if name is not None else self._correction.redo_name

    def undo(self) -> None:
        """Take the last step back.

        Raises:
            MedViewError: It cannot be.
        """
        if self._undoes_measuring:
            self._measuring.undo()
        elif self._editing.gives_hints:
            self._editing.hinting.undo()
        else:
            self._correction.undo()

    def redo(self) -> None:
        """Do the last step that was taken back again.

        Raises:
            MedViewError: It cannot be.
        """
        if self._redoes_measuring:
            self._measuring.redo()
        else:
            self._correction.redo()

    @property
    def _undoes_measuring(self) -> bool:
        return self._viewing.state.mode is Mode.VIEW and self._measuring.undo_name is not None

    @property
    def _redoes_measuring(self) -> bool:
        return self._viewing.state.mode is Mode.VIEW and self._measuring.redo_name is not None
