"""Opens what is dropped: finds series in the background, and reads the one that is wanted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.case import Case, CaseId, Reject, Series
from medview.core.errors import InputError, MedViewError, UnreadableFileError, UnsupportedSeriesError
from medview.core.geometry import Geometry, Point
from medview.core.progress import Progress
from medview.core.segmentation import Segmentation
from medview.core.text import Text
from medview.core.volume import Volume, VolumeId, Window
from medview.formats import dicom_files, dicom_series, dicom_volume, image_files, thumbnails
from medview.formats.dicom_header import Header
from medview.formats.dicom_series import DicomSeries
from medview.workstation.jobs import Job, JobQueue, JobState, Lane
from medview.workstation.main_queue import MainQueue
from medview.workstation.view_state import Viewing
from medview.workstation.windowing import initial_window
from medview.workstation.workspace import CaseClosed, Workspace, WorkspaceChange

Source = DicomSeries | Path
"""What a series is read from: DICOM headers in slice order, or an image file."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What was found in what was dropped: the series by UID, and the unusable files."""

    series: tuple[Series, ...]
    rejects: tuple[Reject, ...]


@dataclass
class _Search:
    """A drop that is being searched: what it has found, and the cases that the user has closed meanwhile."""

    closed: set[CaseId] = field(default_factory=set)
    found: list[str] = field(default_factory=list)
    job: Job[Opened] | None = None


@dataclass
class _Load:
    """A series that is being read, and what was active before it."""

    series_uid: str
    case: Case
    before: tuple[Case | None, Volume | None, Segmentation | None]
    volume: Volume | None = None
    job: Job[Volume] | None = None


class Importing:
    """Brings files into the workspace. Main thread only; its jobs run in the disk lane."""

    def __init__(self, workspace: Workspace, viewing: Viewing, jobs: JobQueue, queue: MainQueue) -> None:
        self._workspace = workspace
        self._viewing = viewing
        self._jobs = jobs
        self._queue = queue
        self._sources: dict[str, Source] = {}
        self._searches: list[_Search] = []
        self._loads: dict[str, _Load] = {}
        self._seen: dict[VolumeId, tuple[Point, Window]] = {}
        workspace.changed.connect(self._workspace_changed)
        jobs.changed.connect(self._job_changed)

    def open_paths(self, paths: Sequence[Path]) -> Job[Opened]:
        """Find the series in files and folders, and then open the largest volume among them.

        Series appear in the workspace while the search goes on, and are judged when it is over. One single DICOM file
        stands for its whole series. What is open already stays as it is.

        Returns:
            The search. It fails, in plain words, when there is nothing that can be opened.
        """
        search, look = self._new_search(paths)

        def work(progress: Progress) -> Opened:
            opened = look(progress)
            refused = _nothing_to_open(opened.series, opened.rejects)
            if refused is not None:
                progress.report(1.0, refused.what)
                raise refused
            return opened

        def end(error: MedViewError | None = None) -> None:
            self._make_thumbnails(search.found)

        def opened(found: Opened) -> None:
            self._open_largest(found)
            end()

        title = Text("Looking through files")
        search.job = self._jobs.submit(title, work, lane=Lane.DISK, then=opened, failed=end)
        return search.job

    def find(self, paths: Sequence[Path]) -> Job[Opened]:
        """Find the series in files and folders as `open_paths` does, and open none of them.

        Returns:
            The search. It does not fail because of what it finds.
        """
        search, look = self._new_search(paths)
        search.job = self._jobs.submit(Text("Looking through files"), look, lane=Lane.DISK)
        return search.job

    def load(self, series_uid: str) -> Job[Volume] | None:
        """Open a series: read it in the background, and show it as soon as its first slice is in.

        Returns:
            The job that reads it; None when it is in memory, or not known: then it is only shown.
        """
        case = self._workspace.case_with_series(series_uid)
        source = self._sources.get(series_uid)
        if case is None or source is None:
            return None
        volume = case.volume_of_series(series_uid)
        load = self._loads.get(series_uid)
        if volume is not None:
            self._show(case, volume)
            return load.job if load is not None else None
        if load is not None:
            return load.job
        workspace = self._workspace
        load = _Load(series_uid, case, (workspace.active_case, workspace.active_volume, workspace.active_segmentation))
        self._loads[series_uid] = load
        series = case.series_with(series_uid)
        title = Text.of("Opening {series}", series=series.description if series is not None else "")
        load.job = self._jobs.submit(
            title, self._reading(load, source), lane=Lane.DISK, then=lambda read: self._complete(load, read)
        )
        return load.job

    def source(self, series_uid: str) -> Source | None:
        """What a series is read from."""
        return self._sources.get(series_uid)

    def _new_search(self, paths: Sequence[Path]) -> tuple[_Search, Callable[[Progress], Opened]]:
        search = _Search()
        known = {uid: source.headers for uid, source in self._sources.items() if isinstance(source, DicomSeries)}
        self._searches.append(search)
        wanted = tuple(Path(path) for path in paths)
        return search, lambda progress: self._search(wanted, known, search, progress)

    def _search(
        self,
        paths: tuple[Path, ...],
        known: Mapping[str, tuple[Header, ...]],
        search: _Search,
        progress: Progress,
    ) -> Opened:
        """In the job's thread: find series, say so as they come, and judge them at the end."""
        gathered: dict[str, dict[Path, Header]] = {}

        def found(batch: tuple[Header, ...]) -> None:
            for header in batch:
                before = known.get(header.series_uid, ())
                mine = gathered.setdefault(header.series_uid, {one.path: one for one in before})
                mine[header.path] = header
            fresh = {header.series_uid for header in batch} - known.keys()
            series = [one.facts for uid in fresh for one in dicom_series.group(gathered[uid].values())]
            self._queue.post(lambda: self._announce(search, series))

        scan = dicom_files.scan(paths, progress, found)
        sources: list[tuple[Series, Source]] = []
        for members in gathered.values():
            sources.extend((one.facts, one) for one in dicom_series.group(members.values()))
        rejects = list(scan.rejects)
        for path in scan.image_files:
            try:
                sources.append((image_files.describe(path), path))
            except MedViewError as error:
                rejects.append(Reject(path, error.what))
        self._queue.post(lambda: self._put(search, sources, tuple(rejects)))
        return Opened(tuple(facts for facts, _ in sources), tuple(rejects))

    def _announce(self, search: _Search, series: Sequence[Series]) -> None:
        """Show series whose files are still being found: without judgement, and not yet to be opened."""
        for facts in series:
            if CaseId(facts.study.uid) not in search.closed:
                case = self._workspace.case_of(facts.study)
                case.put_series(replace(facts, geometry=None, remarks=()))

    def _put(self, search: _Search, found: Sequence[tuple[Series, Source]], rejects: tuple[Reject, ...]) -> None:
        for facts, source in found:
            if CaseId(facts.study.uid) in search.closed:
                continue
            case = self._workspace.case_of(facts.study)
            if isinstance(source, DicomSeries) or facts.uid not in self._sources:
                self._sources[facts.uid] = source
                case.put_series(facts)
            search.found.append(facts.uid)
        if rejects:
            self._workspace.add_rejects(rejects)

    def _open_largest(self, opened: Opened) -> None:
        readable = [one for one in opened.series if one.geometry is not None and one.uid in self._sources]
        largest = max(readable, key=_voxel_count, default=None)
        if largest is not None:
            self.load(largest.uid)

    def _make_thumbnails(self, uids: Sequence[str]) -> None:
        wanted = [(uid, source) for uid in uids if isinstance(source := self._sources.get(uid), DicomSeries)]
        if not wanted:
            return

        def work(progress: Progress) -> None:
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

        def started(volume: Volume, slices: slice = slice(None)) -> None:
            window = initial_window(volume, slices)
            self._queue.post(lambda: self._started(load, volume, window))

        def arrived(start: int, stop: int) -> None:
            self._queue.post(lambda: self._arrived(load, start, stop))

        def work(progress: Progress) -> Volume:
            if isinstance(source, DicomSeries):
                first = len(source.headers) // 2
                return dicom_volume.read(
                    source,
                    progress,
                    first_slice=first,
                    started=lambda volume: started(volume, slice(first, first + 1)),
                    arrived=arrived,
                )
            volume = image_files.read_volume(source, progress)
            started(volume)
            arrived(0, volume.geometry.shape[0])
            return volume

        return work

    def _started(self, load: _Load, volume: Volume, window: Window) -> None:
        if load.job is not None and load.job.cancel_asked:
            return
        load.volume = volume
        self._seen[volume.id] = (volume.geometry.center_mm, window)
        load.case.add_volume(volume, complete=False)
        self._show(load.case, volume)

    def _arrived(self, load: _Load, start: int, stop: int) -> None:
        if load.volume is not None:
            load.case.slices_arrived(load.volume.id, start, stop)

    def _complete(self, load: _Load, volume: Volume) -> None:
        self._loads.pop(load.series_uid, None)
        load.case.complete_volume(volume.id)
        source = self._sources.get(load.series_uid)
        facts = load.case.series_with(load.series_uid)
        if isinstance(source, Path) and facts is not None:
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
        segmentation = next(iter(reversed(case.segmentations_on(volume.id))), None)
        self._workspace.activate(case, volume, segmentation)
        self._viewing.update(
            volume_id=volume.id,
            segmentation_id=segmentation.id if segmentation is not None else None,
            cursor=cursor,
            window=window,
            inverted=False,
        )

    def _job_changed(self, job: Job[Any]) -> None:
        """A load that has failed or was cancelled takes its half-read volume with it."""
        if job.state.is_final:
            self._searches = [search for search in self._searches if search.job is not job]
        load = next((one for one in self._loads.values() if one.job is job), None)
        if load is None or job.state not in (JobState.FAILED, JobState.CANCELLED):
            return
        del self._loads[load.series_uid]
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
        for search in self._searches:
            search.closed.add(change.case_id)
        for load in self._loads.values():
            if load.case.id == change.case_id and load.job is not None:
                load.job.cancel()
        for uid in [uid for uid, source in self._sources.items() if _case_id(uid, source) == change.case_id]:
            del self._sources[uid]
        if self._workspace.active_volume is None:
            self._viewing.update(volume_id=None, segmentation_id=None)


def _case_id(uid: str, source: Source) -> CaseId:
    return CaseId(source.facts.study.uid if isinstance(source, DicomSeries) else uid)


def _voxel_count(series: Series) -> int:
    return math.prod(series.geometry.shape) if series.geometry is not None else 0


def _share_space(one: Geometry, other: Geometry) -> bool:
    return one.frame_of_reference_uid is not None and one.frame_of_reference_uid == other.frame_of_reference_uid


def _nothing_to_open(series: Sequence[Series], rejects: Sequence[Reject]) -> InputError | None:
    """What to say when a drop holds nothing to look at; None when it does."""
    if any(one.geometry is not None for one in series):
        return None
    if len(series) == 1 and (refusal := series[0].refusal) is not None:
        return UnsupportedSeriesError(refusal.text)
    if series:
        return UnsupportedSeriesError(
            Text.of("None of the {n} series can be opened.", n=len(series)),
            Text("The list says of each one why."),
        )
    if len(rejects) == 1:
        return UnreadableFileError(
            Text.of("{file} cannot be opened. {reason}", file=rejects[0].path.name, reason=rejects[0].reason)
        )
    if rejects:
        return UnreadableFileError(
            Text.of("None of the {n} files is an image that MedView can open.", n=len(rejects)),
            Text("The list of unused files says of each one why."),
        )
    return UnreadableFileError(Text("There are no files in what was dropped."))
