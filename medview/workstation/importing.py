"""Opens what is dropped: finds series in the background, and reads the one that is wanted."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.case import Case, CaseId, Remark, Series, Severity
from medview.core.document import Document
from medview.core.errors import MedViewError
from medview.core.geometry import Geometry, Point
from medview.core.progress import Progress
from medview.core.segmentation import Segmentation
from medview.core.text import Text
from medview.core.volume import Volume, VolumeId, Window
from medview.formats import image_files
from medview.workstation.jobs import Job, JobQueue, JobState, Lane
from medview.workstation.main_queue import MainQueue
from medview.workstation.searching import Found, Source, nothing_to_open, search
from medview.workstation.view_state import Viewing
from medview.workstation.windowing import initial_window
from medview.workstation.workspace import CaseClosed, Workspace, WorkspaceChange

_MOST_BYTES_OF_PHASES = 2 * 2**30
"""How much memory the volumes of a 4D series may take before the oldest are let go."""
_FIRST_PICTURE_S = 3.0
"""How long the reading of a series waits at most for its first slice to be on screen: a window that is covered or stuck
never says so."""
_ASK_S = 0.05


@dataclass
class _Drop:
    """A drop that is being searched: what it has found, and the cases that the user has closed meanwhile."""

    closed: set[CaseId] = field(default_factory=set)
    found: list[str] = field(default_factory=list)
    announced: dict[str, Series] = field(default_factory=dict)
    job: Job[Found] | None = None


@dataclass
class _Load:
    """A volume that is being read, and what was active before it."""

    series_uid: str
    phase: int
    case: Case
    before: tuple[Case | None, Volume | None, Segmentation | None]
    volume: Volume | None = None
    job: Job[Volume] | None = None


class Importing:
    """Brings files into the workspace. Main thread only; its jobs run in the disk lane.

    Args:
        workspace: Gets what is found.
        viewing: Shows what is opened.
        jobs: Runs the work.
        queue: Brings it home.
        remembered: Where headers of files are kept from one search to the next; None to keep none.

    Attributes:
        when_on_screen: Makes a call when what has been shown is on screen. Who has a screen puts his own here.
    """

    def __init__(
        self,
        workspace: Workspace,
        viewing: Viewing,
        jobs: JobQueue,
        queue: MainQueue,
        remembered: Path | None = None,
    ) -> None:
        self._workspace = workspace
        self._viewing = viewing
        self._jobs = jobs
        self._queue = queue
        self._remembered = remembered
        self.when_on_screen: Callable[[Callable[[], None]], None] = queue.post
        self._sources: dict[str, Source] = {}
        self._drops: list[_Drop] = []
        self._loads: dict[tuple[str, int], _Load] = {}
        self._phases: dict[str, int] = {}
        self._seen: dict[VolumeId, tuple[Point, Window]] = {}
        workspace.changed.connect(self._workspace_changed)
        jobs.changed.connect(self._job_changed)

    def open_paths(self, paths: Sequence[Path]) -> Job[Found]:
        """Find the series in files and folders, and then open the largest volume among them.

        Series appear in the workspace while the search goes on, and are judged when it is over. One single DICOM file
        stands for its whole series. What is open already stays as it is.

        Returns:
            The search. It fails, in plain words, when there is nothing that can be opened.
        """
        drop, look = self._new_drop(paths)

        def work(progress: Progress) -> Found:
            found = look(progress)
            refused = nothing_to_open(found)
            if refused is not None:
                progress.report(1.0, refused.what)
                raise refused
            return found

        def end(error: MedViewError | None = None) -> None:
            self._make_thumbnails(drop.found)

        def opened(found: Found) -> None:
            self._open_largest(found)
            end()

        title = Text("Looking through files")
        drop.job = self._jobs.submit(title, work, lane=Lane.DISK, then=opened, failed=end)
        return drop.job

    def find(self, paths: Sequence[Path]) -> Job[Found]:
        """Find the series in files and folders as `open_paths` does, and open none of them.

        Returns:
            The search. It does not fail because of what it finds.
        """
        drop, look = self._new_drop(paths)
        drop.job = self._jobs.submit(Text("Looking through files"), look, lane=Lane.DISK)
        return drop.job

    def load(self, series_uid: str, phase: int | None = None) -> Job[Volume] | None:
        """Open a series: read it in the background, and show it as soon as its first slice is in.

        Args:
            series_uid: The series.
            phase: Which of its volumes, where it has several; None for the one that was shown last.

        Returns:
            The job that reads it; None when it is in memory, or not known: then it is only shown.
        """
        case = self._workspace.case_with_series(series_uid)
        source = self._sources.get(series_uid)
        made = case.volume_of_series(series_uid) if case is not None else None
        if case is not None and source is None and made is not None:
            self._show(case, made)  # it was made here, and has no files
        if case is None or source is None:
            return None
        phase = self._phases.get(series_uid, 0) if phase is None else phase
        self._phases[series_uid] = phase
        volume = case.volume_of_series(series_uid, phase)
        load = self._loads.get((series_uid, phase))
        if volume is not None:
            self._show(case, volume)
            return load.job if load is not None else None
        if load is not None:
            return load.job
        workspace = self._workspace
        before = (workspace.active_case, workspace.active_volume, workspace.active_segmentation)
        load = self._loads[series_uid, phase] = _Load(series_uid, phase, case, before)
        series = case.series_with(series_uid)
        name = (series.description or series.modality.value) if series is not None else ""
        title = Text.of("Opening {series}", series=name)
        load.job = self._jobs.submit(
            title, self._reading(load, source), lane=Lane.DISK, then=lambda read: self._complete(load, read)
        )
        return load.job

    def read_document(self, series_uid: str, then: Callable[[Document], None]) -> Job[Document] | None:
        """Read a document that came with a study, in the background.

        Args:
            series_uid: The series that it is.
            then: Called with it, on the main thread.

        Returns:
            The job; None when the series is not known.
        """
        case = self._workspace.case_with_series(series_uid)
        series = case.series_with(series_uid) if case is not None else None
        if series is None:
            return None
        path = series.files[0]

        def work(_: Progress) -> Document:
            from medview.formats import documents

            return documents.read(path)

        title = Text.of("Opening {series}", series=series.description or path.name)
        return self._jobs.submit(title, work, lane=Lane.DISK, then=then)

    def source(self, series_uid: str) -> Source | None:
        """What a series is read from."""
        return self._sources.get(series_uid)

    def _new_drop(self, paths: Sequence[Path]) -> tuple[_Drop, Callable[[Progress], Found]]:
        """A drop, and the work that searches it in a job's thread and puts what it finds into the workspace."""
        drop = _Drop()
        known = dict(self._sources)
        self._drops.append(drop)
        wanted = tuple(Path(path) for path in paths)

        def look(progress: Progress) -> Found:
            found = search(
                wanted,
                known,
                progress,
                lambda series: self._queue.post(partial(self._announce, drop, series)),
                self._remembered,
            )
            self._queue.post(lambda: self._put(drop, found))
            return found

        return drop, look

    def _announce(self, drop: _Drop, series: Sequence[Series]) -> None:
        """Show series whose files are still being found: without judgement, and not yet to be opened."""
        for facts in series:
            if CaseId(facts.study.uid) not in drop.closed:
                drop.announced[facts.uid] = facts = replace(facts, geometry=None, remarks=())
                self._workspace.case_of(facts.study).put_series(facts)

    def _put(self, drop: _Drop, found: Found) -> None:
        for facts, source in found.sources:
            if CaseId(facts.study.uid) in drop.closed:
                continue
            case = self._workspace.case_of(facts.study)
            if not isinstance(source, Path) or facts.uid not in self._sources:
                self._sources[facts.uid] = source
                case.put_series(facts)
            drop.found.append(facts.uid)
        if found.rejects:
            self._workspace.add_rejects(found.rejects)

    def _give_up(self, drop: _Drop) -> None:
        """Say of the series of a stopped search that nobody knows whether they are whole."""
        text = Text("The search was stopped before all files had been seen; drop the folder again.")
        for uid, facts in drop.announced.items():
            case = self._workspace.case_with_series(uid)
            if case is not None and uid not in self._sources:
                case.put_series(replace(facts, remarks=(Remark(Severity.REFUSED, "search-stopped", text),)))

    def _open_largest(self, found: Found) -> None:
        readable = [one for one in found.series if one.geometry is not None and one.uid in self._sources]
        largest = max(readable, key=voxel_count, default=None)
        if largest is not None:
            self.load(largest.uid)

    def _make_thumbnails(self, uids: Sequence[str]) -> None:
        wanted = [
            (uid, source)
            for uid in uids
            if (source := self._sources.get(uid)) is not None and not isinstance(source, Path)
        ]
        if not wanted:
            return

        def work(progress: Progress) -> None:
            from medview.formats import thumbnails

            for number, (uid, source) in enumerate(wanted):
                progress.raise_if_cancelled()
                progress.report(number / len(wanted))
                picture = thumbnails.of_series(source)
                if picture is not None:
                    self._queue.post(partial(self._put_thumbnail, uid, picture))

        self._jobs.submit(Text("Making previews"), work, lane=Lane.DISK)

    def _put_thumbnail(self, uid: str, picture: NDArray[np.uint8]) -> None:
        case = self._workspace.case_with_series(uid)
        if case is not None:
            case.put_thumbnail(uid, picture)

    def _reading(self, load: _Load, source: Source) -> Callable[[Progress], Volume]:
        """The work of reading one series."""
        shown = Event()

        def show(volume: Volume, window: Window) -> None:
            self._started(load, volume, window)
            self.when_on_screen(shown.set)

        def started(volume: Volume, progress: Progress, slices: slice = slice(None)) -> None:
            window = initial_window(volume, slices)
            self._queue.post(lambda: show(volume, window))
            # The first picture has the right of way: the other slices come when it is on screen.
            deadline = time.monotonic() + _FIRST_PICTURE_S
            while not shown.wait(_ASK_S) and time.monotonic() < deadline:
                progress.raise_if_cancelled()

        def arrived(start: int, stop: int) -> None:
            self._queue.post(lambda: self._arrived(load, start, stop))

        def work(progress: Progress) -> Volume:
            if not isinstance(source, Path):
                from medview.formats import dicom_volume

                geometry = source.facts.geometry
                first = geometry.shape[0] // 2 if geometry is not None else 0
                return dicom_volume.read(
                    source,
                    progress,
                    phase=load.phase,
                    first_slice=first,
                    started=lambda volume: started(volume, progress, slice(first, first + 1)),
                    arrived=arrived,
                )
            volume = image_files.read_volume(source, progress)
            started(volume, progress)
            arrived(0, volume.geometry.shape[0])
            return volume

        return work

    def _started(self, load: _Load, volume: Volume, window: Window) -> None:
        if load.job is not None and load.job.cancel_asked:
            return
        load.volume = volume
        self._make_room(load.case, volume)
        old, state = self._workspace.active_volume, self._viewing.state
        same_series = old is not None and old.series_uid == volume.series_uid
        self._seen[volume.id] = (state.cursor, state.window) if same_series else (volume.geometry.center_mm, window)
        load.case.add_volume(volume, complete=False)
        self._show(load.case, volume)

    def _make_room(self, case: Case, volume: Volume) -> None:
        """Let go of the oldest phases of a series that nobody has drawn on: a long one must not fill the memory."""
        phases = [one for one in case.volumes.values() if one.series_uid == volume.series_uid]
        held = sum(one.voxels.nbytes for one in phases) + volume.voxels.nbytes
        for one in phases:
            if held <= _MOST_BYTES_OF_PHASES:
                return
            if one is not self._workspace.active_volume and not case.segmentations_on(one.id):
                held -= one.voxels.nbytes
                self._seen.pop(one.id, None)
                case.remove_volume(one.id)

    def _arrived(self, load: _Load, start: int, stop: int) -> None:
        if load.volume is not None:
            load.case.slices_arrived(load.volume.id, start, stop)

    def _complete(self, load: _Load, volume: Volume) -> None:
        self._loads.pop((load.series_uid, load.phase), None)
        load.case.complete_volume(volume.id)
        source = self._sources.get(load.series_uid)
        facts = load.case.series_with(load.series_uid)
        if isinstance(source, Path) and facts is not None:
            from medview.formats import thumbnails

            load.case.put_series(image_files.with_guess(facts, volume))
            load.case.put_thumbnail(facts.uid, thumbnails.of_volume(volume))

    def _show(self, case: Case, volume: Volume) -> None:
        """Make a volume the active one: as it was last seen, or where the reader looks in the same patient space."""
        state = self._viewing.state
        old = self._workspace.active_volume
        if old is volume:
            return
        cursor, window = self._seen.get(volume.id, (volume.geometry.center_mm, initial_window(volume)))
        if old is not None:
            self._seen[old.id] = (state.cursor, state.window)
            if _share_space(old.geometry, volume.geometry) and volume.geometry.voxel_at(state.cursor) is not None:
                cursor = state.cursor
            if old.series_uid == volume.series_uid:
                window = state.window
        segmentation = next(iter(reversed(case.segmentations_on(volume.id))), None)
        self._workspace.activate(case, volume, segmentation)
        self._viewing.update(
            volume_id=volume.id,
            segmentation_id=segmentation.id if segmentation is not None else None,
            cursor=cursor,
            window=window,
            inverted=state.inverted if old is not None and old.series_uid == volume.series_uid else False,
        )

    def _job_changed(self, job: Job[Any]) -> None:
        """A load that has failed or was cancelled takes its half-read volume with it."""
        drop = next((one for one in self._drops if one.job is job), None)
        if drop is not None and job.state.is_final:
            self._drops.remove(drop)
            if job.state is not JobState.DONE:
                self._give_up(drop)
        load = next((one for one in self._loads.values() if one.job is job), None)
        if load is None or job.state not in (JobState.FAILED, JobState.CANCELLED):
            return
        del self._loads[load.series_uid, load.phase]
        volume = load.volume
        if volume is None:
            return
        if self._workspace.active_volume is volume:
            self._return_to(load.before)
        load.case.remove_volume(volume.id)

    def _return_to(self, before: tuple[Case | None, Volume | None, Segmentation | None]) -> None:
        case, volume, _ = before
        if case is not None and volume is not None and volume.id in case.volumes and case in self._workspace.cases:
            self._show(case, volume)
        else:
            self._workspace.activate(None, None)
            self._viewing.update(volume_id=None, segmentation_id=None)

    def _workspace_changed(self, change: WorkspaceChange) -> None:
        if not isinstance(change, CaseClosed):
            return
        for drop in self._drops:
            drop.closed.add(change.case_id)
        for load in self._loads.values():
            if load.case.id == change.case_id and load.job is not None:
                load.job.cancel()
        for uid in [uid for uid, source in self._sources.items() if _case_id(uid, source) == change.case_id]:
            del self._sources[uid]
        if self._workspace.active_volume is None:
            self._viewing.update(volume_id=None, segmentation_id=None)


def _case_id(uid: str, source: Source) -> CaseId:
    return CaseId(uid if isinstance(source, Path) else source.facts.study.uid)


def voxel_count(series: Series) -> int:
    """How many voxels a series has; 0 when it cannot be loaded as a volume."""
    return math.prod(series.geometry.shape) if series.geometry is not None else 0


def _share_space(one: Geometry, other: Geometry) -> bool:
    return one.frame_of_reference_uid is not None and one.frame_of_reference_uid == other.frame_of_reference_uid
