"""The signs of the Material Design family, drawn from the font that QtAwesome brings.

QtAwesome itself is not imported: it makes a layer over every binding of Qt first, which takes about as long as to build
the whole window.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QIcon, QPainter, QPixmap

_SHARE = 0.875
"""Of the height of an icon; the rest is the room around a sign."""
_SIZES_PX = (16, 18, 48)
"""Those that the window shows, and one that others are scaled down from."""


def sign_icon(name: str, color: str, disabled: str) -> QIcon:
    """An icon, sharp at the sizes of this program on the screens that are there.

    Args:
        name: As in the family, "folder-open".
        color: Its colour, "#rrggbb".
        disabled: Its colour where it cannot be used.
    """
    # Pictures, not an icon engine that draws when asked: an engine written in Python may be let go before its icon, and
    # the icon then ends the program.
    sign = chr(int(_code_points()[name], 16))
    icon = QIcon()
    ratios = {screen.devicePixelRatio() for screen in QGuiApplication.screens()}
    for ratio in ratios:
        for size in _SIZES_PX:
            drawn = _drawn(sign, QColor(color), size, ratio)
            icon.addPixmap(drawn, QIcon.Mode.Normal)
            icon.addPixmap(drawn, QIcon.Mode.Selected)  # Qt would tint it
            icon.addPixmap(_drawn(sign, QColor(disabled), size, ratio), QIcon.Mode.Disabled)
    return icon


def _drawn(sign: str, color: QColor, size: int, ratio: float) -> QPixmap:
    drawn = QPixmap(round(size * ratio), round(size * ratio))
    drawn.fill(Qt.GlobalColor.transparent)
    font = QFont(_family())
    font.setPixelSize(round(_SHARE * drawn.height()))
    painter = QPainter(drawn)
    painter.setFont(font)
    painter.setPen(color)
    painter.drawText(drawn.rect(), Qt.AlignmentFlag.AlignCenter, sign)
    painter.end()
    drawn.setDevicePixelRatio(ratio)
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
