"""The tools that correct: a button for each, and beneath them the options of the one in hand."""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QGridLayout, QToolButton, QVBoxLayout, QWidget

from medview.core.text import Text
from medview.ui.actions import TABLE
from medview.ui.brush_tools import BrushTools
from medview.ui.editing_desk import EDIT_ACTIONS
from medview.ui.grow_options import GrowOptionsRow
from medview.ui.hint_options import HintOptions
from medview.ui.island_options import IslandOptions
from medview.ui.labels import wrapped
from medview.ui.rule_rows import RuleRows
from medview.ui.scissors_options import ScissorsOptionsRow
from medview.ui.seed_options import SeedOptions
from medview.ui.theme import STEP_PX, icon
from medview.ui.threshold_options import ThresholdOptions
from medview.ui.translation import render
from medview.workstation.edit_tools import TOOL_WORDS, EditTool
from medview.workstation.station import Workstation
from medview.workstation.view_state import Mode, ViewChange

_COLUMNS = 6
_ENTRIES = {tool: next(entry for entry in TABLE if entry.id == id) for tool, id in EDIT_ACTIONS}


class ToolPalette(QWidget):
    """Shows the tools; choosing one begins to correct.

    Args:
        station: Whose tools.
    """

    failed = Signal(object)
    """A `MedViewError`: why nothing was done."""

    def __init__(self, station: Workstation, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tools = station.tools
        self._viewing = station.viewing
        self.buttons = {tool: self._button() for tool in EditTool}
        grid = QGridLayout()
        grid.setSpacing(STEP_PX)
        grid.setColumnStretch(_COLUMNS, 1)
        for number, (tool, button) in enumerate(self.buttons.items()):
            button.clicked.connect(partial(self._choose, tool))
            grid.addWidget(button, number // _COLUMNS, number % _COLUMNS)
        self._name = wrapped("quiet")
        self.brush = BrushTools(station.correction)
        self.grow = GrowOptionsRow(station.editing.growing, station.tools, station.viewing)
        self.threshold = ThresholdOptions(station.editing.threshold, station.tools, station.viewing)
        self.islands = IslandOptions(station.tools)
        self.scissors = ScissorsOptionsRow(station.tools)
        self.seeds = SeedOptions(station.editing.seeding, station.tools, station.jobs)
        self.hints = HintOptions(station)
        self._options: dict[EditTool, tuple[QWidget, ...]] = {
            EditTool.BRUSH: (self.brush,),
            EditTool.ERASER: (self.brush,),
            EditTool.GROW: (self.grow,),
            EditTool.THRESHOLD: (self.threshold,),
            EditTool.SEEDS: (self.brush, self.seeds),
            EditTool.SCISSORS: (self.scissors,),
            EditTool.ISLAND: (self.islands,),
            EditTool.HINT: (self.hints,),
        }
        self._parts = (
            self.brush,
            self.grow,
            self.threshold,
            self.seeds,
            self.scissors,
            self.islands,
            self.hints,
        )
        for part in self._parts:
            if isinstance(part, ThresholdOptions | SeedOptions | HintOptions):
                part.failed.connect(self.failed)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2 * STEP_PX)
        layout.addLayout(grid)
        layout.addWidget(self._name)
        for part in self._parts:
            layout.addWidget(part)
        self.rules = RuleRows(station.correction, station.viewing, station.analysis.search)
        layout.addWidget(self.rules)
        self._connections = [
            self._tools.changed.connect(self._tools_changed),
            self._viewing.changed.connect(self._view_changed),
        ]
        self._write_texts()
        self._show_tool()

    def close_down(self) -> None:
        """Stop listening."""
        for part in (*self._parts, self.rules):
            part.close_down()
        for connection in self._connections:
            connection.close()

    def changeEvent(self, event: QEvent) -> None:
        """Follow language and theme."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.LanguageChange, QEvent.Type.PaletteChange):
            self._write_texts()
            self._show_tool()

    def _choose(self, tool: EditTool) -> None:
        self._tools.use(tool)
        self._viewing.update(mode=Mode.EDIT)
        self._show_tool()

    def _tools_changed(self, _: None) -> None:
        self._show_tool()

    def _view_changed(self, change: ViewChange) -> None:
        if change.touches("mode"):
            self._show_tool()

    def _show_tool(self) -> None:
        tool, editing = self._tools.tool, self._viewing.state.mode is Mode.EDIT
        for one, button in self.buttons.items():
            button.setChecked(editing and one is tool)
        words = TOOL_WORDS[tool]
        self._name.setText(render(Text.of("{name}. {help}", name=words.name, help=words.help)))
        for part in self._parts:
            part.setVisible(part in self._options.get(tool, ()))

    def _write_texts(self) -> None:
        for tool, button in self.buttons.items():
            entry, words = _ENTRIES[tool], TOOL_WORDS[tool]
            button.setIcon(icon(entry.icon))
            button.setAccessibleName(render(words.name))
            key = QKeySequence(entry.keys[0]).toString(QKeySequence.SequenceFormat.NativeText) if entry.keys else ""
            title = f"{render(words.name)} ({key})" if key else render(words.name)
            button.setToolTip(f"<p><b>{title}</b><br>{render(words.help)}</p>")

    def _button(self) -> QToolButton:
        button = QToolButton(self)
        button.setCheckable(True)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
        return button
