"""Icons are the signs of the font, as FreeType draws them through Pillow, sharp at the sizes that the window uses."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import numpy as np
import pytest
import qtawesome
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QIcon, QImage
from PySide6.QtWidgets import QApplication

from medview.ui.signs import sign_icon

COLOR, DISABLED = "#dde3ea", "#3a4450"
MODES = (QIcon.Mode.Normal, QIcon.Mode.Disabled, QIcon.Mode.Active, QIcon.Mode.Selected)
FONTS = Path(qtawesome.__file__).parent / "fonts"


def _image(icon: QIcon, size: int, ratio: float, mode: QIcon.Mode) -> QImage:
    return icon.pixmap(QSize(size, size), ratio, mode, QIcon.State.Off).toImage()


def _coverage(image: QImage) -> NDArray[np.float64]:
    """(y, x), 0 to 1."""
    alpha = image.convertToFormat(QImage.Format.Format_Alpha8)
    rows = np.frombuffer(alpha.constBits(), np.uint8).reshape(alpha.height(), alpha.bytesPerLine())
    return rows[:, : alpha.width()] / 255


def _reference(name: str, size: int) -> NDArray[np.float64]:
    """(y, x), 0 to 1: the sign in the middle of a square, in the font's 7/8 of its height."""
    names = json.loads(next(FONTS.glob("materialdesignicons6-*.json")).read_text(encoding="utf-8"))
    font = ImageFont.truetype(str(next(FONTS.glob("materialdesignicons6-*.ttf"))), round(size * 7 / 8))
    drawn = Image.new("L", (size, size))
    ImageDraw.Draw(drawn).text((size / 2, size / 2), chr(int(names[name], 16)), fill=255, font=font, anchor="mm")
    return np.asarray(drawn) / 255


@pytest.mark.parametrize("name", ["folder-open-outline", "eraser", "undo", "square"])
def test_a_sign_is_drawn_as_another_program_draws_it(qapp: QApplication, name: str) -> None:
    icon = sign_icon(name, COLOR, DISABLED)
    for size in (16, 18, 48):
        ours, theirs = _coverage(_image(icon, size, 1.0, QIcon.Mode.Normal)), _reference(name, size)
        # Up to a voxel of the raster each way: programs round the place of a sign differently.
        shifted = [np.roll(theirs, step, (0, 1)) for step in ((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1))]
        common = max(np.minimum(ours, one).sum() / np.maximum(ours, one).sum() for one in shifted)
        assert common > 0.8, (size, common)


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
def test_it_fills_the_size_asked_for(qapp: QApplication, ratio: float) -> None:
    for size in (14, 16, 20, 33):
        image = _image(sign_icon("square", COLOR, DISABLED), size, ratio, QIcon.Mode.Normal)
        rows, columns = np.nonzero(_coverage(image) > 0.5)
        assert min(image.width(), image.height()) >= min(round(size * ratio), 48)
        assert rows.max() - rows.min() == pytest.approx(0.65 * image.height(), abs=2)
        assert columns.max() - columns.min() == pytest.approx(0.65 * image.width(), abs=2)


def test_it_has_the_colour_asked_for(qapp: QApplication) -> None:
    icon = sign_icon("square", COLOR, DISABLED)
    for mode, color in zip(MODES, (COLOR, DISABLED, COLOR, COLOR), strict=True):
        assert _image(icon, 32, 1.0, mode).pixelColor(16, 16) == QColor(color)
        assert _image(icon, 32, 1.0, mode).pixelColor(0, 0).alpha() == 0


def test_no_size_gives_no_picture(qapp: QApplication) -> None:
    assert sign_icon("eraser", COLOR, DISABLED).pixmap(QSize(0, 0)).isNull()
    assert sign_icon("eraser", COLOR, DISABLED).pixmap(QSize(-1, -1)).isNull()


def test_icons_in_circles_of_objects_are_let_go_in_any_order(qapp: QApplication) -> None:
    gc.freeze()  # what earlier tests have left is not looked through every time
    for _ in range(50):
        icons = [sign_icon("eraser", COLOR, DISABLED), sign_icon("undo", COLOR, DISABLED)]
        copy = QIcon(icons[0])
        circle: list[object] = [*icons]
        circle.append(circle)
        del circle, icons
        gc.collect()
        assert _image(copy, 16, 1.0, QIcon.Mode.Normal).size() == QSize(16, 16)
    gc.unfreeze()
