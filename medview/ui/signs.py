"""The signs of the Material Design family, drawn from the font that QtAwesome brings.

QtAwesome itself is not imported: it makes a layer over every binding of Qt first, which takes about as long as to build
the whole window.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QIcon, QIconEngine, QPainter, QPixmap

_SHARE = 0.875
"""Of the height of an icon; the rest is the room around a sign."""


def sign_icon(name: str, color: str, disabled: str) -> QIcon:
    """An icon of any size.

    Args:
        name: As in the family, "folder-open".
        color: Its colour, "#rrggbb".
        disabled: Its colour where it cannot be used.
    """
    return QIcon(_Engine(chr(int(_code_points()[name], 16)), QColor(color), QColor(disabled)))


class _Engine(QIconEngine):
    """Draws one sign."""

    def __init__(self, sign: str, color: QColor, disabled: QColor) -> None:
        super().__init__()
        self._sign = sign
        self._color = color
        self._disabled = disabled

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, _state: QIcon.State) -> None:
        """Draw it in a rectangle."""
        font = QFont(_family())
        font.setPixelSize(round(_SHARE * rect.height()))
        painter.save()
        painter.setFont(font)
        painter.setPen(self._disabled if mode == QIcon.Mode.Disabled else self._color)
        painter.drawText(rect, Qt.AlignmentFlag.AlignCenter, self._sign)
        painter.restore()

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        """Draw it on nothing."""
        drawn = QPixmap(size)
        if drawn.isNull():  # Qt asks for no size at all where a place shows no icon
            return drawn
        drawn.fill(Qt.GlobalColor.transparent)
        painter = QPainter(drawn)
        self.paint(painter, QRect(0, 0, size.width(), size.height()), mode, state)
        painter.end()
        return drawn


@cache
def _family() -> str:
    """The family's name, once Qt knows the font."""
    return QFontDatabase.applicationFontFamilies(QFontDatabase.addApplicationFont(str(_file("ttf"))))[0]


@cache
def _code_points() -> dict[str, str]:
    """Signs by name, as "0xf0770"."""
    points: dict[str, str] = json.loads(_file("json").read_text(encoding="utf-8"))
    return points


def _file(ending: str) -> Path:
    found = importlib.util.find_spec("qtawesome")
    assert found is not None
    assert found.origin is not None
    return next((Path(found.origin).parent / "fonts").glob(f"materialdesignicons6-*.{ending}"))
