"""The cases that are open, and the one that is worked on."""

from __future__ import annotations

from dataclasses import dataclass

from medview.core.case import Case, CaseId, Reject, Study
from medview.core.events import Event
from medview.core.segmentation import Segmentation
from medview.core.volume import Volume, VolumeId


@dataclass(frozen=True, slots=True)
class CaseOpened:
    """A study was added."""

    case_id: CaseId


@dataclass(frozen=True, slots=True)
class CaseClosed:
    """A study was let go."""

    case_id: CaseId


@dataclass(frozen=True, slots=True)
class ActiveChanged:
    """Another volume, or none, is worked on."""


@dataclass(frozen=True, slots=True)
class PreviewChanged:
    """What a running model has found so far is drawn from now on, or no longer."""


@dataclass(frozen=True, slots=True)
class RejectsChanged:
    """The list of unusable files grew or was cleared."""


WorkspaceChange = CaseOpened | CaseClosed | ActiveChanged | PreviewChanged | RejectsChanged


class Workspace:
    """The open cases and what is active. Main thread only."""

    def __init__(self) -> None:
        self.changed: Event[WorkspaceChange] = Event()
        self._cases: dict[CaseId, Case] = {}
        self._rejects: tuple[Reject, ...] = ()
        self._case: Case | None = None
        self._volume: Volume | None = None
        self._segmentation: Segmentation | None = None
        self._preview: tuple[VolumeId, Segmentation] | None = None

    @property
    def cases(self) -> tuple[Case, ...]:
        """Open cases, in the order in which they came."""
        return tuple(self._cases.values())

    @property
    def rejects(self) -> tuple[Reject, ...]:
        """Files that could not be used, and why."""
        return self._rejects

    @property
    def active_case(self) -> Case | None:
        """The case of the active volume."""
        return self._case

    @property
    def active_volume(self) -> Volume | None:
        """The volume that is shown."""
        return self._volume

    @property
    def active_segmentation(self) -> Segmentation | None:
        """The segmentation that is edited, and drawn where no model is at work on the same volume."""
        return self._segmentation

    @property
    def drawn_segmentation(self) -> Segmentation | None:
        """What is drawn: what a running model has found so far in the active volume, else the active segmentation."""
        if self._preview is not None and self._volume is not None and self._preview[0] == self._volume.id:
            return self._preview[1]
        return self._segmentation

    def set_preview(self, volume_id: VolumeId, segmentation: Segmentation) -> None:
        """Draw, on a volume, what a running model has found so far."""
        self._preview = (volume_id, segmentation)
        self.changed.emit(PreviewChanged())

    def clear_preview(self) -> None:
        """Draw no preview any more."""
        if self._preview is not None:
            self._preview = None
            self.changed.emit(PreviewChanged())

    def case_of(self, study: Study) -> Case:
        """The open case of a study; opened when it is not."""
        case = self._cases.get(CaseId(study.uid))
        if case is None:
            case = Case(study)
            self._cases[case.id] = case
            self.changed.emit(CaseOpened(case.id))
        return case

    def case_with_series(self, series_uid: str) -> Case | None:
        """The open case that has this series."""
        return next((case for case in self.cases if case.series_with(series_uid) is not None), None)

    def close_case(self, case: Case) -> None:
        """Let a case go."""
        if self._cases.pop(case.id, None) is not None:
            if self._case is case:
                self.activate(None, None)
            self.changed.emit(CaseClosed(case.id))

    def activate(self, case: Case | None, volume: Volume | None, segmentation: Segmentation | None = None) -> None:
        """Work on a volume and, if given, on one of its segmentations."""
        if (case, volume, segmentation) != (self._case, self._volume, self._segmentation):
            self._case, self._volume, self._segmentation = case, volume, segmentation
            self.changed.emit(ActiveChanged())

    def add_rejects(self, rejects: tuple[Reject, ...]) -> None:
        """Remember files that could not be used; a file is listed once."""
        known = {reject.path for reject in self._rejects}
        new = tuple(reject for reject in rejects if reject.path not in known)
        if new:
            self._rejects += new
            self.changed.emit(RejectsChanged())
