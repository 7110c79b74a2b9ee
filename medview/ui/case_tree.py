"""The tree of patients, studies, series and segmentations: its rows, and how a row is painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QIcon, QImage, QPainter, QPixmap
from PySide6.QtWidgets import (
    QApplication,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTreeWidget,
    QWidget,
)

from medview.core.segmentation import Color
from medview.ui.theme import STEP_PX, current_theme, icon

ROW_ROLE = Qt.ItemDataRole.UserRole
KEY_ROLE = Qt.ItemDataRole.UserRole + 1
THUMBNAIL_PX = 44
MARK_PX = 28
_GAP_PX = 2 * STEP_PX
_MOST_SWATCHES = 4


@dataclass(frozen=True, slots=True)
class Row:
    """What one row of the tree shows.

    Attributes:
        title: The first line.
        facts: The second line, quieter; empty for rows of one line.
        words: What the search looks through.
        with_picture: Whether there is room for a thumbnail.
        picture: The thumbnail; None while there is none.
        symbol: The name of an icon that stands in for the thumbnail.
        colors: Swatches in front of the title.
        active: Whether it is what is worked on.
        quiet: Whether it cannot be opened, or not yet.
        heading: Whether it stands above others.
    """

    title: str
    facts: str = ""
    words: str = ""
    with_picture: bool = False
    picture: QPixmap | None = None
    symbol: str = ""
    colors: tuple[Color, ...] = ()
    active: bool = False
    quiet: bool = False
    heading: bool = False


class RowPainter(QStyledItemDelegate):
    """Paints a `Row`: thumbnail or swatches, title, facts; both lines are shortened to the width there is."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        """Paint one cell."""
        row = index.data(ROW_ROLE)
        if index.column() != 0 or not isinstance(row, Row):
            super().paint(painter, option, index)
            return
        blank = QStyleOptionViewItem(option)
        self.initStyleOption(blank, index)
        blank.text, blank.icon = "", QIcon()
        if blank.state & QStyle.StateFlag.State_Selected:
            # The second line would be lost on the colour that other lists use.
            painter.fillRect(blank.rect, QColor(current_theme().line))
            blank.state &= ~QStyle.StateFlag.State_Selected
        style = QApplication.style()
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, blank, painter, blank.widget)
        painter.save()
        self._paint_row(painter, blank.rect, blank.font, row)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        """As high as the lines and the thumbnail need."""
        row = index.data(ROW_ROLE)
        line = QFontMetrics(option.font).height()
        height = line + 2 * STEP_PX
        if isinstance(row, Row):
            height = (2 * line if row.facts else line) + 2 * STEP_PX
            if row.with_picture:
                height = max(height, THUMBNAIL_PX + STEP_PX)
        return QSize(0, height)

    def _paint_row(self, painter: QPainter, rect: QRect, font: QFont, row: Row) -> None:
        theme = current_theme()
        if row.active:
            painter.fillRect(QRect(rect.left(), rect.top() + 2, 3, rect.height() - 4), QColor(theme.accent))
        left = rect.left() + _GAP_PX
        if row.with_picture:
            left += self._paint_picture(painter, QRect(left, rect.top(), THUMBNAIL_PX, rect.height()), row)
        for number, color in enumerate(row.colors[:_MOST_SWATCHES]):
            size = QFontMetrics(font).ascent()
            painter.fillRect(QRect(left + number * (size // 2 + 2), rect.top() + 6, size // 2, size), QColor(*color))
        if row.colors:
            left += len(row.colors[:_MOST_SWATCHES]) * (QFontMetrics(font).ascent() // 2 + 2) + STEP_PX
        strong = QFont(font)
        strong.setBold(row.heading or row.active)
        line = QFontMetrics(font).height()
        width = rect.right() - left
        top = rect.top() + (rect.height() - (2 * line if row.facts else line)) // 2
        painter.setPen(QColor(theme.quiet if row.quiet else theme.text))
        painter.setFont(strong)
        _line(painter, QRect(left, top, width, line), row.title)
        if row.facts:
            painter.setPen(QColor(theme.quiet))
            painter.setFont(font)
            _line(painter, QRect(left, top + line, width, line), row.facts)

    def _paint_picture(self, painter: QPainter, room: QRect, row: Row) -> int:
        frame = QRect(0, 0, THUMBNAIL_PX, THUMBNAIL_PX)
        frame.moveCenter(room.center())
        painter.fillRect(frame, QColor("black" if row.picture is not None else current_theme().field))
        if row.picture is not None:
            place = QRect(0, 0, row.picture.width(), row.picture.height())
            place.moveCenter(frame.center())
            painter.setOpacity(0.4 if row.quiet else 1.0)
            painter.drawPixmap(place, row.picture)
            painter.setOpacity(1.0)
        elif row.symbol:
            place = QRect(0, 0, THUMBNAIL_PX // 2, THUMBNAIL_PX // 2)
            place.moveCenter(frame.center())
            icon(row.symbol, current_theme().quiet).paint(painter, place)
        return THUMBNAIL_PX + _GAP_PX


class CaseTree(QTreeWidget):
    """Two columns: the row, and its mark or button at the right edge. Never wider than its place."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setColumnCount(2)
        self.setHeaderHidden(True)
        header = self.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(MARK_PX)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Fixed)
        header.resizeSection(1, MARK_PX)
        self.setIndentation(3 * STEP_PX)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollMode(QTreeWidget.ScrollMode.ScrollPerPixel)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setExpandsOnDoubleClick(False)
        self.setIconSize(QSize(16, 16))
        self.setItemDelegate(RowPainter(self))


def pixmap(picture: NDArray[np.uint8]) -> QPixmap:
    """A thumbnail as Qt paints it. `picture`: (row, column) or (row, column, 3) uint8."""
    rows, columns = picture.shape[:2]
    kind = QImage.Format.Format_RGB888 if picture.ndim == 3 else QImage.Format.Format_Grayscale8
    image = QImage(picture.tobytes(), columns, rows, picture.nbytes // rows, kind)
    return QPixmap.fromImage(image).scaled(
        THUMBNAIL_PX,
        THUMBNAIL_PX,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )


def _line(painter: QPainter, rect: QRect, text: str) -> None:
    shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, rect.width())
    painter.drawText(rect, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, shown)
