"""The tools that correct masks: which there are, and which one is in hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from medview.core.events import Event
from medview.core.segmentation import Segmentation
from medview.core.text import Text
from medview.core.volume import Volume


class EditTool(StrEnum):
    """What the mouse does in the views while correcting."""

    BRUSH = "brush"
    ERASER = "eraser"
    OUTLINE = "outline"


@dataclass(frozen=True, slots=True)
class ToolWords:
    """What is said of a tool: its name, which is also that of its steps, and how it is used."""

    name: Text
    help: Text


TOOL_WORDS: Mapping[EditTool, ToolWords] = MappingProxyType(
    {
        EditTool.BRUSH: ToolWords(Text("Brush"), Text("Paint the segment in work")),
        EditTool.ERASER: ToolWords(Text("Eraser"), Text("Take away what was painted")),
        EditTool.OUTLINE: ToolWords(
            Text("Outline"),
            Text(
                "Trace an outline with the button held, or click its corners. Left adds, right or Ctrl takes away. "
                "Enter or a double click closes it, Backspace takes a corner back, Esc gives up."
            ),
        ),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class InWork:
    """What a tool changes.

    Attributes:
        volume: The image under the segmentation, on the same grid.
        segmentation: Whose labels.
        label: The segment in work.
    """

    volume: Volume
    segmentation: Segmentation
    label: int


class EditTools:
    """Holds the tool in hand. Main thread only.

    Attributes:
        changed: Emitted when another tool is in hand, or works in another way.
    """

    def __init__(self) -> None:
        self.changed: Event[None] = Event()
        self._tool = EditTool.BRUSH

    @property
    def tool(self) -> EditTool:
        """The tool in hand."""
        return self._tool

    def use(self, tool: EditTool) -> None:
        """Take a tool into the hand."""
        if tool is not self._tool:
            self._tool = tool
            self.changed.emit(None)
