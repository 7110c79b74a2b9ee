"""Joins the keys with the tools that correct."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from medview.ui.actions import Actions
from medview.views.edit_hand import EditKey
from medview.workstation.edit_tools import EditTool, EditTools
from medview.workstation.view_state import Mode, ViewChange, Viewing

EDIT_ACTIONS = tuple((tool, f"edit-{tool.value}") for tool in EditTool)


class EditingDesk:
    """Takes tools when their actions are chosen, and shows which one is in hand.

    Args:
        tools: Holds the tool in hand.
        viewing: Goes into the mode of correcting when a tool is taken.
        actions: The window's actions.
        key: Offers a key to the tool in hand; says whether it was meant for it.
    """

    def __init__(self, tools: EditTools, viewing: Viewing, actions: Actions, key: Callable[[EditKey], bool]) -> None:
        self._tools = tools
        self._viewing = viewing
        self._actions = actions
        self._key = key
        for tool, id in EDIT_ACTIONS:
            actions.on(id, partial(self.use, tool))
        actions.on("other-tool", self._use_other)
        actions.on("step-back", self._step_back)
        actions.on("pick-values", lambda: key(EditKey.PICK))
        self._connections = [tools.changed.connect(self._tools_changed), viewing.changed.connect(self._view_changed)]
        self._mark()

    def use(self, tool: EditTool) -> None:
        """Take a tool, and begin to correct."""
        self._tools.use(tool)
        self._viewing.update(mode=Mode.EDIT)
        self._mark()

    def confirm(self) -> bool:
        """Enter; whether the tool in hand took it."""
        return self._key(EditKey.CONFIRM)

    def escape(self) -> bool:
        """Esc; whether the tool in hand took it."""
        return self._key(EditKey.CANCEL)

    def _use_other(self) -> None:
        if self._viewing.state.mode is Mode.EDIT:
            self.use(EditTool.ERASER if self._tools.tool is EditTool.BRUSH else EditTool.BRUSH)

    def _step_back(self) -> None:
        if not self._key(EditKey.BACK):
            self._actions["delete-measurement"].trigger()

    def _tools_changed(self, _: None) -> None:
        self._mark()

    def _view_changed(self, change: ViewChange) -> None:
        if change.touches("mode"):
            self._mark()

    def _mark(self) -> None:
        editing = self._viewing.state.mode is Mode.EDIT
        for tool, id in EDIT_ACTIONS:
            self._actions[id].setChecked(editing and tool is self._tools.tool)
