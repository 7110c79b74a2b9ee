"""Volume and mean of the segment in work, following the brush."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QTimer
from PySide6.QtWidgets import QLabel, QWidget

from medview.core.text import Text
from medview.ui import quantities
from medview.ui.theme import number_font
from medview.ui.translation import render
from medview.workstation.live_numbers import Live

_FOLLOWS_AFTER_MS = 50


class LiveLine(QLabel):
    """Hidden while there is nothing to tell. Main thread only.

    Args:
        live: The numbers.
    """

    def __init__(self, live: Live, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._live = live
        self.setFont(number_font(self.font(), 13))
        # A stroke changes labels hundreds of times a second; an eye follows some twenty.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_FOLLOWS_AFTER_MS)
        self._soon.timeout.connect(self._sync)
        self._connection = live.changed.connect(self._changed)
        self._sync()

    def close_down(self) -> None:
        """Stop listening."""
        self._connection.close()
        self._soon.stop()

    def changeEvent(self, event: QEvent) -> None:
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._soon.start()

    def _changed(self, _: None) -> None:
        if not self._soon.isActive():
            self._soon.start()

    def _sync(self) -> None:
        numbers = self._live.numbers()
        self.setVisible(numbers is not None)
        if numbers is None:
            return
        doubtful = numbers.caution is not None
        volume = quantities.millilitres(numbers.ml, doubtful=doubtful)
        text = Text.of("In work: {volume}", volume=volume)
        if numbers.mean is not None:
            mean = quantities.voxel_value(numbers.mean, numbers.unit)
            text = Text.of("In work: {volume}, mean {mean}", volume=volume, mean=mean)
        self.setText(render(text))
        self.setToolTip(render(numbers.caution) if numbers.caution is not None else "")
