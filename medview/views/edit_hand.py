"""What the mouse and a few keys do in a slice view while correcting: they go to the tool in hand.

A tool is one small class that derives from `ToolHand`. To add one: a member and its words in
`workstation/edit_tools.py`, the class, its line in `views/edit_hands.py`, an icon and a key in `ui/actions.py`, and its
options, if it has any, in `ui/tool_palette.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from medview.core.errors import MedViewError
from medview.views.pointer import Button, Pointer
from medview.workstation.edit_tools import EditTool, EditTools
from medview.workstation.view_state import Mode, ViewChange, Viewing


class EditKey(StrEnum):
    """What a key may ask of a tool: Enter, Escape, Backspace, and the one that picks values under the mouse."""

    CONFIRM = "confirm"
    CANCEL = "cancel"
    BACK = "back"
    PICK = "pick"


class ToolHand:
    """One tool in one slice view; here it does nothing. What goes wrong is raised as `MedViewError`, and told.

    Buttons are the left and the right one; the middle one, the wheel and Ctrl + wheel stay those of the view.
    """

    @property
    def is_busy(self) -> bool:
        """Whether something is begun and not finished: the wheel waits for it."""
        return False

    def press(self, pointer: Pointer) -> None:
        """A button went down."""

    def double_click(self, pointer: Pointer) -> None:
        """A button went down for the second time at the same place; the first time was a press, too."""
        self.press(pointer)

    def drag(self, pointer: Pointer) -> None:
        """The mouse moved while the button is held."""

    def release(self, pointer: Pointer) -> None:
        """The button went up."""

    def hover(self, pointer: Pointer) -> None:
        """The mouse is here, with or without a button: draw what the tool would do. Called after every move."""

    def refresh(self) -> None:
        """The tool came into the hand, works in another way, or the view shows something else."""

    def leave(self) -> None:
        """The mouse left the view: nothing is drawn at it any more."""

    def resize(self, steps: int) -> None:
        """Shift and the wheel, or the keys for size: larger by some steps, or with negative ones smaller."""

    def key(self, key: EditKey) -> bool:
        """A key; whether it was meant for this tool."""
        return False

    def put_down(self) -> None:
        """Give up what is begun: another tool, another mode, or Esc."""


class EditHand:
    """Hands mouse and keys in one slice view on to the tool in hand.

    Args:
        tools: Says which it is.
        viewing: Says when the view shows something else.
        hands: The tools in this view; one hand may serve several.
        tell: Gets what went wrong, to be shown to the user.
    """

    def __init__(
        self,
        tools: EditTools,
        viewing: Viewing,
        hands: Mapping[EditTool, ToolHand],
        tell: Callable[[MedViewError], None],
    ) -> None:
        self._tools = tools
        self._viewing = viewing
        self._hands = hands
        self._tell = tell
        self._last = self._hand
        self._connections = [tools.changed.connect(self._tools_changed), viewing.changed.connect(self._view_changed)]

    def close(self) -> None:
        """Stop listening."""
        for connection in self._connections:
            connection.close()

    @property
    def is_busy(self) -> bool:
        """Whether something is begun and not finished."""
        return self._hand.is_busy

    def press(self, pointer: Pointer, *, twice: bool = False) -> None:
        """The left or the right button went down; `twice` for the second time of a double click."""
        self._try(lambda: (self._hand.double_click if twice else self._hand.press)(pointer))

    def drag(self, pointer: Pointer) -> None:
        """The mouse moved while the button is held."""
        self._try(lambda: self._hand.drag(pointer))

    def release(self, pointer: Pointer) -> None:
        """The button went up."""
        self._try(lambda: self._hand.release(pointer))

    def hover(self, pointer: Pointer) -> None:
        """The mouse is here."""
        self._try(lambda: self._hand.hover(pointer))

    def leave(self) -> None:
        """The mouse left the view."""
        self._hand.leave()

    def resize(self, steps: int) -> None:
        """Larger by some steps, or with negative ones smaller."""
        self._try(lambda: self._hand.resize(steps))

    def key(self, key: EditKey) -> bool:
        """A key; whether it was meant for the tool."""
        taken: list[bool] = []
        self._try(lambda: taken.append(self._hand.key(key)))
        return not taken or taken[0]

    def put_down(self) -> None:
        """Give up what is begun."""
        self._hand.put_down()
        self._hand.leave()

    @property
    def _hand(self) -> ToolHand:
        return self._hands[self._tools.tool]

    def _tools_changed(self, _: None) -> None:
        if self._hand is not self._last:
            self._last.put_down()
            self._last.leave()
            self._last = self._hand
        self._refresh()

    def _view_changed(self, _: ViewChange) -> None:
        self._refresh()

    def _refresh(self) -> None:
        if self._viewing.state.mode is Mode.EDIT:
            self._try(self._hand.refresh)

    def _try(self, call: Callable[[], object]) -> None:
        try:
            call()
        except MedViewError as error:
            self._tell(error)


def takes_away(pointer: Pointer) -> bool:
    """Whether a press takes away instead of adding: the right button, or Ctrl."""
    return pointer.button is Button.RIGHT or pointer.ctrl
