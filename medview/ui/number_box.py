"""A box for a number that is typed, without buttons: a slider stands beside it, or it is rarely changed."""

from __future__ import annotations

from PySide6.QtWidgets import QDoubleSpinBox, QWidget

# Qt draws no text at all in a styled box that is told to have no buttons.
_PLAIN_BOX = (
    "QDoubleSpinBox { padding: 2px 4px; }"
    "QDoubleSpinBox QLineEdit { border: none; padding: 0; background: transparent; }"
    "QDoubleSpinBox::up-button, QDoubleSpinBox::down-button"
    " { width: 0; height: 0; border: none; background: transparent; image: none; }"
)
_WIDTH_PX = 76
_VALUE_DECIMALS = 4


class NumberBox(QDoubleSpinBox):
    """One number with one decimal, between two others; says so when it was typed, not while it is."""

    def __init__(self, least: float, most: float, suffix: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setRange(least, most)
        self.setDecimals(1)
        self.setSuffix(suffix)
        self.setKeyboardTracking(False)
        self.setStyleSheet(_PLAIN_BOX)
        self.setFixedWidth(_WIDTH_PX)


class ValueBox(NumberBox):
    """A value of an image: whole Hounsfield units, or fractions of a unit where images have such."""

    def __init__(self, least: float, most: float, parent: QWidget | None = None) -> None:
        super().__init__(least, most, "", parent)
        self.setDecimals(_VALUE_DECIMALS)

    def textFromValue(self, value: float) -> str:
        """No more digits than there are."""
        written = f"{value:.{_VALUE_DECIMALS}f}".rstrip("0").rstrip(".")
        return (
            self.locale().toString(0) if written in ("", "-0") else written.replace(".", self.locale().decimalPoint())
        )
