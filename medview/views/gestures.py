"""What mouse and wheel do, as the table that the Help shows."""

from __future__ import annotations

from dataclasses import dataclass

from medview.core.text import Text
from medview.workstation.view_state import Mode


@dataclass(frozen=True, slots=True)
class Gesture:
    """One row of the table; `mode` is None where both modes do the same."""

    mode: Mode | None
    gesture: Text
    action: Text


GESTURES = (
    Gesture(Mode.VIEW, Text("Left drag"), Text("Window: sideways the width, up and down the level")),
    Gesture(Mode.VIEW, Text("Click"), Text("Put the crosshair here, in all views")),
    Gesture(Mode.VIEW, Text("Ctrl + left drag"), Text("Window from the region")),
    Gesture(Mode.VIEW, Text("Right drag"), Text("Zoom")),
    Gesture(Mode.VIEW, Text("Left drag, or clicks, with a measuring tool"), Text("Measure")),
    Gesture(Mode.VIEW, Text("Left drag on a measurement"), Text("Move it, or the point under the mouse")),
    Gesture(
        Mode.VIEW,
        Text("Left drag on a side, a corner or the middle of the box"),
        Text("Change where plugins look, or move all of it"),
    ),
    Gesture(Mode.EDIT, Text("Left drag"), Text("Paint with the tool")),
    Gesture(Mode.EDIT, Text("Right drag"), Text("Erase")),
    Gesture(
        Mode.EDIT, Text("Ctrl + left drag"), Text("The other way round: erase with the brush, paint with the eraser")
    ),
    Gesture(
        Mode.EDIT,
        Text("Left or right, click or drag, with Scribble and click"),
        Text("Say what is inside the structure, or outside it"),
    ),
    Gesture(Mode.EDIT, Text("Shift + wheel"), Text("Radius of the brush")),
    Gesture(None, Text("Middle drag"), Text("Pan")),
    Gesture(None, Text("Wheel"), Text("Slice by slice")),
    Gesture(None, Text("Ctrl + wheel"), Text("Zoom where the mouse is")),
    Gesture(None, Text("Shift + move"), Text("The crosshair follows, in all views")),
    Gesture(Mode.VIEW, Text("Double click"), Text("One view large, or all four")),
)
