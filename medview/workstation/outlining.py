"""Adding and taking away what an outline goes around."""

from __future__ import annotations

import numpy as np

from medview.core.geometry import Floats, Point
from medview.editing import outline
from medview.editing.reshape import Proposal
from medview.workstation.correction import Correction
from medview.workstation.edit_tools import TOOL_WORDS, EditTool


def put_outline(correction: Correction, points: Floats, axis: int, index: int, *, adds: bool, tool: EditTool) -> None:
    """Add what an outline on a slice goes around to the segment in work, or take it away, as one step.

    Args:
        correction: Whose segment.
        points: (n, 3) x, y, z, LPS, mm.
        axis: The index axis that the slice stands on.
        index: Which slice along it.
        adds: Add, or take away.
        tool: Names the step.

    Raises:
        MedViewError: No volume is open, it is still loading, or the segment in work is locked.
    """
    x, y, z = (float(value) for value in points[0])
    start: Point = (x, y, z)
    found = correction.in_work(start, adds=adds)
    if found is None:
        return
    box, mask = outline.inside(found.segmentation.geometry, points, axis, index)
    nothing = np.zeros_like(mask)
    proposal = Proposal(box, mask, nothing) if adds else Proposal(box, nothing, mask)
    correction.put(found.segmentation, found.label, TOOL_WORDS[tool].name, proposal, drawn=True)
