"""Joins the keys with what a reader checks: what differs from the model, and where."""

from __future__ import annotations

from medview.ui.actions import Actions
from medview.workstation.station import Workstation


class CheckingDesk:
    """Has done what the keys of checking ask for.

    Args:
        station: Whose masks.
        actions: The window's actions.
    """

    def __init__(self, station: Workstation, actions: Actions) -> None:
        comparing = station.comparing
        actions.on("compare", comparing.turn)
        actions.on("next-change", lambda: comparing.go_to_changed_slice(1))
        actions.on("previous-change", lambda: comparing.go_to_changed_slice(-1))
