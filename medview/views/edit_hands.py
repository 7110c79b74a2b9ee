"""The tools that correct masks, as they are used in a slice view."""

from __future__ import annotations

from collections.abc import Callable

from medview.core.errors import MedViewError
from medview.core.geometry import Floats
from medview.views.brush_hand import BrushHand
from medview.views.edit_hand import EditHand, ToolHand
from medview.views.grow_hand import GrowHand
from medview.views.outline_hand import OutlineHand
from medview.views.seed_hand import SeedHand
from medview.views.slice_view import SliceView
from medview.views.threshold_hand import ThresholdHand
from medview.workstation.edit_tools import EditTool
from medview.workstation.editing import Editing
from medview.workstation.outlining import put_outline


def edit_hand(view: SliceView, editing: Editing, tell: Callable[[MedViewError], None]) -> EditHand:
    """All tools for one slice view.

    Args:
        view: The view.
        editing: What the tools do.
        tell: Gets what went wrong.
    """

    def outlined(points: Floats, axis: int, index: int, adds: bool) -> None:
        put_outline(editing.correction, points, axis, index, adds=adds, tool=EditTool.OUTLINE)

    color, check = editing.color, editing.check
    brush = BrushHand(view, editing.tools, editing.correction, color)
    hands: dict[EditTool, ToolHand] = {
        EditTool.BRUSH: brush,
        EditTool.ERASER: brush,
        EditTool.OUTLINE: OutlineHand(view, check, outlined, color),
        EditTool.GROW: GrowHand(view, editing),
        EditTool.THRESHOLD: ThresholdHand(view, editing.threshold, color),
        EditTool.SEEDS: SeedHand(view, editing),
    }
    return EditHand(editing.tools, editing.viewing, hands, tell)
