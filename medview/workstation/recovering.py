"""Bringing back what was corrected in a program that was closed or killed before it was saved."""

from __future__ import annotations

from collections.abc import Callable

from medview.core.case import Case
from medview.core.errors import InputError
from medview.core.segmentation import Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.journals import Recovery, Restored, restore
from medview.workstation.work_in_hand import WorkInHand
from medview.workstation.workspace import Workspace


class Recovering:
    """Offers left work, and puts it back onto its volume. Main thread only.

    Args:
        workspace: The open cases.
        jobs: Read the journals.
        work: Takes what they find.
        activate: Shows a segmentation that was brought back.
    """

    def __init__(
        self,
        workspace: Workspace,
        jobs: JobQueue,
        work: WorkInHand,
        activate: Callable[[Case, Volume, Segmentation], None],
    ) -> None:
        self._workspace = workspace
        self._jobs = jobs
        self._work = work
        self._activate = activate

    def recoveries(self) -> tuple[Recovery, ...]:
        """Unsaved work of a program that was closed or killed, the latest first."""
        return self._work.journals.recoveries()

    def restore(self, recovery: Recovery) -> Job[Restored]:
        """Bring work back onto its volume, with its history.

        Raises:
            MedViewError: The work is damaged, or its series is not open, or still loading.
        """
        if recovery.problem is not None:
            raise recovery.problem
        case = self._workspace.case_with_series(recovery.series_uid)
        volume = case.volume_of_series(recovery.series_uid) if case is not None else None
        if case is None or volume is None:
            raise InputError("The series of this work is not open.", "Open its files, then bring the work back.")
        if not case.is_complete(volume.id):
            raise still_loading()
        limit = self._work.undo_limit_bytes
        return self._jobs.submit(
            Text.of("Bring back {title}", title=recovery.title),
            lambda progress: restore(recovery, volume.geometry, limit, progress),
            lane=Lane.DISK,
            then=lambda restored: self._restored(case, volume, restored),
        )

    def discard(self, recovery: Recovery) -> None:
        """Remove left work for good.

        Raises:
            StorageError: Another program is working with it, or it cannot be removed.
        """
        self._work.journals.discard(recovery)

    def _restored(self, case: Case, volume: Volume, restored: Restored) -> None:
        if case not in self._workspace.cases or volume.id not in case.volumes:
            restored.lock.release()
            return
        self._work.put_back(restored, case, volume.id)
        self._activate(case, volume, restored.segmentation)


def still_loading() -> InputError:
    """What is said when a volume is to be corrected before all of it is there."""
    return InputError("The series is still loading.", "Wait until all its slices are there.")
