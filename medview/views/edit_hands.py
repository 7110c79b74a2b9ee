"""The tools that correct masks, as they are used in a slice view."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from medview.core.errors import MedViewError
from medview.core.geometry import Floats
from medview.core.segmentation import Color
from medview.editing import outline
from medview.editing.brush import Stamp
from medview.views.brush_hand import BrushHand
from medview.views.edit_hand import EditHand, ToolHand
from medview.views.edit_preview import REMOVED_COLOR
from medview.views.grow_hand import GrowHand
from medview.views.hint_hand import HintHand
from medview.views.island_hand import IslandHand
from medview.views.outline_hand import OutlineHand
from medview.views.seed_hand import SeedHand
from medview.views.slice_view import SliceView
from medview.views.threshold_hand import ThresholdHand
from medview.views.wire_hands import LevelHand, LiveWireHand
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

    def outlined(tool: EditTool, points: Floats, axis: int, index: int, adds: bool) -> None:
        put_outline(editing.correction, points, axis, index, adds=adds, tool=tool)

    def filled(points: Floats, axis: int, index: int, adds: bool) -> tuple[Color, Stamp | None]:
        stamp = outline.inside(view.volume.geometry, points, axis, index) if view.volume is not None else None
        return editing.color() if adds else REMOVED_COLOR, editing.effect(stamp, adds=adds)

    def cut(points: Floats, axis: int, index: int, first_side: bool) -> None:
        editing.cutting.cut(points, axis, index, other_side=not first_side)

    def taken(points: Floats, axis: int, index: int, first_side: bool) -> tuple[Color, Stamp | None]:
        lost = editing.cutting.on_slice(points, axis, index, other_side=not first_side)
        return REMOVED_COLOR, editing.effect(lost, adds=False)

    color, check = editing.color, editing.check
    brush = BrushHand(view, editing.tools, editing.correction, color)
    hands: dict[EditTool, ToolHand] = {
        EditTool.BRUSH: brush,
        EditTool.ERASER: brush,
        EditTool.OUTLINE: OutlineHand(view, check, partial(outlined, EditTool.OUTLINE), filled),
        EditTool.WIRE: LiveWireHand(view, check, partial(outlined, EditTool.WIRE), filled),
        EditTool.LEVEL: LevelHand(view, check, partial(outlined, EditTool.LEVEL), filled),
        EditTool.GROW: GrowHand(view, editing),
        EditTool.THRESHOLD: ThresholdHand(view, editing.threshold, color),
        EditTool.SEEDS: SeedHand(view, editing),
        EditTool.SCISSORS: OutlineHand(view, check, cut, taken),
        EditTool.ISLAND: IslandHand(view, editing),
        EditTool.HINT: HintHand(view, editing),
    }
    return EditHand(editing.tools, editing.viewing, hands, tell)
