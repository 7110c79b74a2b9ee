"""The offer to bring back work that a killed program left behind."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QWidget

from medview.core.case import CaseChange, VolumeComplete
from medview.core.errors import MedViewError
from medview.core.text import Text
from medview.ui.banner import Answer, Banner, Kind, Message
from medview.workstation.jobs import Job, JobState
from medview.workstation.journals import Recovery
from medview.workstation.station import Workstation
from medview.workstation.workspace import CaseClosed, CaseOpened, WorkspaceChange


class RecoveryOffer(Banner):
    """Offers the latest unsaved work; hidden while there is none.

    A closed offer comes back with the next case that is closed.

    Args:
        station: Whose journals.
        errors: Where it is told what went wrong.
    """

    def __init__(self, station: Workstation, errors: Banner, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._station = station
        self._errors = errors
        self._wanted: Recovery | None = None
        self._job: Job[Any] | None = None
        # Looking for journals reads the disk; it may wait until the window stands.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self.look)
        self._connections = [
            station.workspace.changed.connect(self._workspace_changed),
            station.jobs.changed.connect(self._job_changed),
            *(case.changed.connect(self._case_changed) for case in station.workspace.cases),
        ]
        self._soon.start()

    def close_down(self) -> None:
        """Stop listening."""
        for connection in self._connections:
            connection.close()
        self._soon.stop()

    def look(self) -> None:
        """Look for unsaved work, and offer the latest."""
        if self._job is not None or self._wanted is not None:
            return
        recoveries = self._station.correction.recovering.recoveries()
        if recoveries:
            self._offer(recoveries[0])
        else:
            self.clear()

    def _offer(self, recovery: Recovery) -> None:
        discard = Answer(Text("Discard ..."), partial(self._ask_discard, recovery))
        when = recovery.when.astimezone().strftime("%Y-%m-%d %H:%M")
        what = Text.of("Unsaved corrections: {title}", title=recovery.title)
        facts = Text.of(
            "{patient}, {series}. Edits: {strokes}, the last one at {when}.",
            patient=recovery.patient,
            series=recovery.series_description,
            strokes=recovery.strokes,
            when=when,
        )
        if recovery.damaged:
            facts = Text.of(
                "{facts} The journal is damaged: {places} of it cannot be read, and what was done there is lost; all "
                "that was done after it is there, but the history is not.",
                facts=facts,
                places=Text("one place") if recovery.damaged == 1 else Text.of("{n} places", n=recovery.damaged),
            )
        if recovery.problem is not None:
            self.show_message(Message(Kind.ERROR, what, recovery.problem.what, "", (discard,)))
            return
        opened = self._is_open(recovery)
        text = Text("Bring back") if opened else Text("Open and bring back")
        bring = Answer(text, partial(self._bring_back, recovery), primary=True)
        self.show_message(Message(Kind.OFFER, what, facts, "", (bring, discard)))

    def _is_open(self, recovery: Recovery) -> bool:
        case = self._station.workspace.case_with_series(recovery.series_uid)
        volume = case.volume_of_series(recovery.series_uid) if case is not None else None
        return case is not None and volume is not None and case.is_complete(volume.id)

    def _bring_back(self, recovery: Recovery) -> None:
        try:
            if self._is_open(recovery):
                self._wanted = None
                self._job = self._station.correction.recovering.restore(recovery)
                return
            self._wanted = recovery
            if self._station.workspace.case_with_series(recovery.series_uid) is not None:
                self._job = self._station.importing.load(recovery.series_uid)
            else:
                self._job = self._station.importing.open_paths(recovery.paths)
        except MedViewError as error:
            self._wanted = None
            self._errors.show_error(error)
            self._soon.start()

    def _ask_discard(self, recovery: Recovery) -> None:
        what = Text.of("Discard the unsaved work on {title} for good?", title=recovery.title)
        discard = Answer(Text("Discard for good"), partial(self._discard, recovery))
        keep = Answer(Text("Keep"), self._soon.start, primary=True)
        self.show_message(
            Message(Kind.OFFER, what, Text("They cannot be brought back after this."), "", (keep, discard))
        )

    def _discard(self, recovery: Recovery) -> None:
        try:
            self._station.correction.recovering.discard(recovery)
        except MedViewError as error:
            self._errors.show_error(error)
        self._soon.start()

    def _workspace_changed(self, change: WorkspaceChange) -> None:
        if isinstance(change, CaseOpened):
            for case in self._station.workspace.cases:
                if case.id == change.case_id:
                    self._connections.append(case.changed.connect(self._case_changed))
        elif isinstance(change, CaseClosed):
            self._soon.start()

    def _case_changed(self, change: CaseChange) -> None:
        if not isinstance(change, VolumeComplete):
            return
        wanted = self._wanted
        if wanted is not None and self._is_open(wanted):
            self._bring_back(wanted)
        elif self.message is not None:
            self._soon.start()

    def _job_changed(self, job: Job[Any]) -> None:
        if job is not self._job or not job.state.is_final:
            return
        self._job = None
        if job.state is not JobState.DONE:
            self._wanted = None
        if job.error is not None:
            self._errors.show_error(job.error)
        if self._wanted is None:
            self._soon.start()
