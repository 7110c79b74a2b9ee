"""Joins the keys, the tool bar and the cursor with the measuring."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QCursor, QPainter, QPen, QPixmap
from PySide6.QtWidgets import QWidget

from medview.ui.actions import TABLE, Actions
from medview.ui.theme import icon
from medview.workstation.measuring import Measuring
from medview.workstation.measuring_tools import MeasuringChange, Tool, ToolChanged

TOOL_ACTIONS = tuple((tool, f"measure-{tool.value}") for tool in Tool)
_CURSOR_PX = 32
_ICON_PX = 16
_HOT = 10.5
_ARM, _GAP = 9.0, 2.5


class MeasuringDesk:
    """Takes tools when their actions are chosen, and shows which one is in hand.

    Args:
        measuring: Whose tools.
        actions: The window's actions.
        copied: Copies all measurements.
    """

    def __init__(self, measuring: Measuring, actions: Actions, copied: Callable[[], object]) -> None:
        self._measuring = measuring
        self._actions = actions
        for tool, id in TOOL_ACTIONS:
            actions.on(id, partial(self._toggle, tool))
        actions.on("delete-measurement", measuring.delete_selected)
        actions.on("copy-measurements", copied)
        self._connection = measuring.changed.connect(self._changed)

    def escape(self) -> bool:
        """Put away what is being drawn or moved, else the tool, else the selection; whether there was anything."""
        measuring = self._measuring
        if measuring.draft is not None or measuring.is_reshaping:
            measuring.discard()
        elif measuring.tool is not None:
            measuring.use(None)
        elif measuring.selected is not None:
            measuring.select(None)
        else:
            return False
        return True

    def _toggle(self, tool: Tool) -> None:
        self._measuring.use(None if self._measuring.tool is tool else tool)
        self._mark()

    def _changed(self, change: MeasuringChange) -> None:
        if isinstance(change, ToolChanged):
            self._mark()

    def _mark(self) -> None:
        for tool, id in TOOL_ACTIONS:
            self._actions[id].setChecked(tool is self._measuring.tool)


def tool_cursor(action: str, on: QWidget) -> QCursor:
    """A cross with the icon of the action beside it that takes a tool, white with a dark rim."""
    name = next(entry.icon for entry in TABLE if entry.id == action)
    ratio = on.devicePixelRatioF()
    picture = QPixmap(round(_CURSOR_PX * ratio), round(_CURSOR_PX * ratio))
    picture.setDevicePixelRatio(ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for color, width in ((QColor(0, 0, 0, 200), 3.0), (QColor("white"), 1.0)):
        painter.setPen(QPen(color, width))
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            way = QPointF(dx, dy)
            middle = QPointF(_HOT, _HOT)
            painter.drawLine(middle + way * _GAP, middle + way * _ARM)
    place = _CURSOR_PX - _ICON_PX
    for shade, shift in (("#000000", 1), ("#ffffff", 0)):
        painter.drawPixmap(place - 1 + shift, place - 1 + shift, icon(name, shade).pixmap(_ICON_PX, _ICON_PX))
    painter.end()
    return QCursor(picture, round(_HOT), round(_HOT))
