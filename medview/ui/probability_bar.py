"""A probability as a bar: how far it reaches, where the model's threshold is, and the interval of its answers."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from medview.core.finding import Interval
from medview.ui.theme import current_theme

_HEIGHT_PX, _BAR_PX, _MARK_PX = 10, 4, 2
_BAND_OPACITY = 0.45


class ProbabilityBar(QWidget):
    """Shows it; says and holds nothing else."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.probability = 0.0
        self.threshold: float | None = None
        self.interval: Interval | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_probability(self, probability: float, threshold: float | None, interval: Interval | None) -> None:
        """Show a probability, 0..1, with the threshold and the interval where there are some."""
        self.probability, self.threshold, self.interval = probability, threshold, interval
        self.update()

    def sizeHint(self) -> QSize:
        """As high as the mark of the threshold."""
        return QSize(40, _HEIGHT_PX)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Draw the bar, the interval over it, and the threshold across."""
        theme, width = current_theme(), float(self.width())
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        top = (self.height() - _BAR_PX) / 2
        painter.fillRect(QRectF(0, top, width, _BAR_PX), QColor(theme.line))
        painter.fillRect(QRectF(0, top, width * self.probability, _BAR_PX), QColor(theme.accent))
        if self.interval is not None:
            band = QColor(theme.text)
            band.setAlphaF(_BAND_OPACITY)
            low, high = width * self.interval.low, width * self.interval.high
            painter.fillRect(QRectF(low, top, max(high - low, 1.0), _BAR_PX), band)
        if self.threshold is not None:
            place = round(min(max(width * self.threshold - _MARK_PX / 2, 0.0), width - _MARK_PX))  # on whole pixels
            painter.fillRect(QRectF(place, 0, _MARK_PX, self.height()), QColor(theme.warning))
        painter.end()
