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
    WIRE = "wire"
    LEVEL = "level"
    GROW = "grow"
    THRESHOLD = "threshold"
    SEEDS = "seeds"
    SCISSORS = "scissors"
    ISLAND = "island"
    HINT = "hint"


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
        EditTool.WIRE: ToolWords(
            Text("Live wire"),
            Text(
                "Click along an edge: between the corners the outline follows it by itself. Left adds, right or Ctrl "
                "takes away. Enter or a double click closes it, Backspace takes a corner back, Esc gives up."
            ),
        ),
        EditTool.LEVEL: ToolWords(
            Text("Level tracing"),
            Text(
                "The line of equal values under the mouse is drawn; a click takes what it goes around. Left adds, "
                "right or Ctrl takes away."
            ),
        ),
        EditTool.GROW: ToolWords(
            Text("Region"),
            Text(
                "Press on a place and drag away from it: what hangs together with it and has similar values is taken, "
                "the more the farther. A click takes the tolerance used last. Left adds, right or Ctrl takes away."
            ),
        ),
        EditTool.THRESHOLD: ToolWords(
            Text("Threshold"),
            Text(
                "Drag over what is wanted: the range is that of the values under the mouse; with Ctrl it is widened by "
                "them. All that is in the range is shown on the slices, and Enter adds it to the segment."
            ),
        ),
        EditTool.SEEDS: ToolWords(
            Text("Grow from seeds"),
            Text(
                "Paint a little of every structure, each as a segment of its own, and one for what is around them. "
                "Enter grows them all until they meet at edges, and shows it; Enter again takes it, Esc puts it away."
            ),
        ),
        EditTool.SCISSORS: ToolWords(
            Text("Scissors"),
            Text(
                "Draw a closed curve, traced or clicked: the segment is cut along it through all slices, or in the 3D "
                "view into the depth. The right button, or Ctrl, keeps the other side. In the 3D view the right "
                "button turns."
            ),
        ),
        EditTool.ISLAND: ToolWords(
            Text("Islands"),
            Text(
                "Click a part of a segment that does not hang together with the rest: it is kept alone, taken away, or "
                "becomes a segment of its own. The right button, or Ctrl, takes it away."
            ),
        ),
        EditTool.HINT: ToolWords(
            Text("Scribble and click"),
            Text(
                "Click or scribble inside a structure with the left button, outside it with the right one or Ctrl. "
                "What is found is hatched, and follows every hint. Enter takes it into the segment, Ctrl+Z takes the "
                "last hint back, Esc puts all away."
            ),
        ),
    }
)


class IslandAction(StrEnum):
    """What becomes of the part that is picked."""

    KEEP = "keep"
    REMOVE = "remove"
    APART = "apart"


@dataclass(frozen=True, slots=True)
class GrowOptions:
    """How regions grow.

    Attributes:
        tolerance: How far values may be from that of the seed, in the unit of the image; None as long as nobody has
            chosen.
        in_3d: Through all slices, or in the slice only.
    """

    tolerance: float | None = None
    in_3d: bool = False


@dataclass(frozen=True, slots=True)
class ScissorsOptions:
    """What the scissors take.

    Attributes:
        outside: What lies outside of the curve, and not what lies inside.
        slab_mm: How thick the slab is that is cut, around the slice that is drawn on; None: through all slices.
    """

    outside: bool = False
    slab_mm: float | None = None


@dataclass(frozen=True, slots=True)
class ToolOptions:
    """How the tools work. The brush has its own: `BrushOptions`.

    Attributes:
        grow: How regions grow.
        threshold: The lowest and the highest value that are taken; None as long as nobody has chosen.
        seeds_reach_mm: How far around the seeds segments may grow.
        scissors: What the scissors take.
        island: What becomes of a part that is picked.
    """

    grow: GrowOptions = GrowOptions()
    threshold: tuple[float, float] | None = None
    seeds_reach_mm: float = 20.0
    scissors: ScissorsOptions = ScissorsOptions()
    island: IslandAction = IslandAction.KEEP


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
        self._options = ToolOptions()

    @property
    def tool(self) -> EditTool:
        """The tool in hand."""
        return self._tool

    def use(self, tool: EditTool) -> None:
        """Take a tool into the hand."""
        if tool is not self._tool:
            self._tool = tool
            self.changed.emit(None)

    @property
    def options(self) -> ToolOptions:
        """How the tools work."""
        return self._options

    def set_options(self, options: ToolOptions) -> None:
        """Let the tools work in another way."""
        if options != self._options:
            self._options = options
            self.changed.emit(None)
