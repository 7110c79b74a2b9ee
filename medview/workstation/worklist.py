"""The cases that wait to be read, one after the other: those that are open, in the order of the list."""

from __future__ import annotations

from medview.core.case import Case, Series
from medview.workstation.importing import Importing, voxel_count
from medview.workstation.workspace import Workspace


class Worklist:
    """Goes from case to case. Main thread only.

    Args:
        workspace: The open cases.
        importing: Opens what is not in memory.
    """

    def __init__(self, workspace: Workspace, importing: Importing) -> None:
        self._workspace = workspace
        self._importing = importing

    @property
    def cases(self) -> tuple[Case, ...]:
        """Those with a series that can be opened."""
        return tuple(case for case in self._workspace.cases if _largest(case) is not None)

    @property
    def place(self) -> int:
        """Which of them is shown, from 0; -1 for none."""
        active = self._workspace.active_case
        return next((number for number, case in enumerate(self.cases) if case is active), -1)

    def go(self, steps: int) -> bool:
        """Show the next case, or with -1 the one before: what of it is in memory, else its largest series.

        The ends meet.

        Returns:
            Whether there is another case.
        """
        cases, here = self.cases, self.place
        if not cases or (len(cases) == 1 and here == 0):
            return False
        goal = (here + steps) % len(cases) if here >= 0 else (0 if steps > 0 else len(cases) - 1)
        case = cases[goal]
        in_memory = [volume.series_uid for volume in case.volumes.values() if case.segmentations_on(volume.id)]
        in_memory += [volume.series_uid for volume in case.volumes.values()]
        known = [uid for uid in in_memory if case.series_with(uid) is not None]
        largest = _largest(case)
        assert largest is not None
        self._importing.load(known[0] if known else largest.uid)
        return True


def _largest(case: Case) -> Series | None:
    readable = [one for one in case.series if one.geometry is not None and one.refusal is None]
    return max(readable, key=voxel_count, default=None)
