"""Icons are those that QtAwesome, whose font they come from, would draw."""

from __future__ import annotations

from pathlib import Path

import pytest
import qtawesome
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QIcon, QImage
from PySide6.QtWidgets import QApplication
from pytestqt.logging import _QtMessageCapture
from qtawesome.iconic_font import IconicFont

from medview.ui.signs import sign_icon

COLOR, DISABLED = "#dde3ea", "#3a4450"
MODES = (QIcon.Mode.Normal, QIcon.Mode.Disabled, QIcon.Mode.Active, QIcon.Mode.Selected)


@pytest.fixture
def reference(qapp: QApplication) -> IconicFont:
    fonts = Path(qtawesome.__file__).parent / "fonts"
    font, names = (next(fonts.glob(f"materialdesignicons6-*.{ending}")) for ending in ("ttf", "json"))
    return IconicFont(("mdi6", font.name, names.name))


def _image(icon: QIcon, size: int, ratio: float, mode: QIcon.Mode) -> QImage:
    return icon.pixmap(QSize(size, size), ratio, mode, QIcon.State.Off).toImage()


@pytest.mark.parametrize("name", ["folder-open-outline", "eraser", "undo"])
def test_a_sign_is_drawn_as_its_makers_draw_it(reference: IconicFont, name: str) -> None:
    ours = sign_icon(name, COLOR, DISABLED)
    theirs = reference.icon(f"mdi6.{name}", color=COLOR, color_disabled=DISABLED, color_active=COLOR)
    for mode in MODES:
        for size in (16, 20, 33):
            for ratio in (1.0, 1.5, 2.0):
                assert _image(ours, size, ratio, mode) == _image(theirs, size, ratio, mode)


def test_it_has_the_colour_asked_for(qapp: QApplication) -> None:
    icon = sign_icon("square", COLOR, DISABLED)
    for mode, color in zip(MODES, (COLOR, DISABLED, COLOR, COLOR), strict=True):
        assert _image(icon, 32, 1.0, mode).pixelColor(16, 16) == QColor(color)
        assert _image(icon, 32, 1.0, mode).pixelColor(0, 0).alpha() == 0


def test_no_size_gives_no_picture(qapp: QApplication, qtlog: _QtMessageCapture) -> None:
    assert sign_icon("eraser", COLOR, DISABLED).pixmap(QSize(0, 0)).isNull()
    assert sign_icon("eraser", COLOR, DISABLED).pixmap(QSize(-1, -1)).isNull()
    assert not qtlog.records
