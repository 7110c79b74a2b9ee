"""The tools that correct masks, as they are used in a slice view."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from medview.core.errors import MedViewError
from medview.core.geometry import Floats
from medview.core.segmentation import Color
from medview.views.brush_hand import BrushHand
from medview.views.edit_hand import EditHand, ToolHand
from medview.views.grow_hand import GrowHand
from medview.views.outline_hand import OutlineHand
from medview.views.slice_view import SliceView
from medview.workstation.correction import Correction
from medview.workstation.edit_tools import EditTool, EditTools
from medview.workstation.growing import Growing
from medview.workstation.jobs import JobQueue
from medview.workstation.outlining import put_outline
from medview.workstation.view_state import Viewing
from medview.workstation.workspace import Workspace

_NO_SEGMENT: Color = (255, 255, 255)


def edit_hand(
    view: SliceView,
    workspace: Workspace,
    viewing: Viewing,
    jobs: JobQueue,
    correction: Correction,
    tools: EditTools,
    tell: Callable[[MedViewError], None],
) -> EditHand:
    """All tools for one slice view.

    Args:
        view: The view.
        workspace: Says what is shown.
        viewing: Says how.
        jobs: Compute what takes longer.
        correction: What the tools change.
        tools: Says which is in hand.
        tell: Gets what went wrong.
    """
    color = partial(_color_in_work, workspace, correction)

    def check() -> None:
        correction.check_unlocked(correction.active_label)

    def outlined(points: Floats, axis: int, index: int, adds: bool) -> None:
        put_outline(correction, points, axis, index, adds=adds, tool=EditTool.OUTLINE)

    brush = BrushHand(view, tools, correction, color)
    hands: dict[EditTool, ToolHand] = {
        EditTool.BRUSH: brush,
        EditTool.ERASER: brush,
        EditTool.OUTLINE: OutlineHand(view, check, outlined, color),
        EditTool.GROW: GrowHand(
            view, tools, Growing(jobs, correction), check, color, lambda: viewing.state.window.width
        ),
    }
    return EditHand(tools, hands, tell)


def _color_in_work(workspace: Workspace, correction: Correction) -> Color:
    segmentation = workspace.active_segmentation
    segment = segmentation.segment(correction.active_label) if segmentation is not None else None
    return segment.color if segment is not None else _NO_SEGMENT
