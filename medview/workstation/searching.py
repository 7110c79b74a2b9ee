"""Finds out what was dropped: series that can be read, series that cannot, and files of no use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from medview.core.case import Reject, Series
from medview.core.errors import InputError, MedViewError, UnreadableFileError, UnsupportedSeriesError
from medview.core.garbage import rare_collections
from medview.core.progress import Progress
from medview.core.text import Text
from medview.formats import image_files

if TYPE_CHECKING:
    # pydicom comes with these; it is loaded by the first search, not before the window is up
    from medview.formats.dicom_header import Header
    from medview.formats.dicom_series import DicomSeries

Source: TypeAlias = "DicomSeries | Path"
"""What a series is read from: DICOM headers in slice order, or an image file."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found: every series with what it is read from, and the unusable files."""

    sources: tuple[tuple[Series, Source], ...]
    rejects: tuple[Reject, ...]

    @property
    def series(self) -> tuple[Series, ...]:
        """The series alone."""
        return tuple(facts for facts, _ in self.sources)


def search(
    paths: Sequence[Path],
    known: Mapping[str, tuple[Header, ...]],
    progress: Progress,
    announce: Callable[[tuple[Series, ...]], None],
    remembered: Path | None = None,
) -> Found:
    """Find series, say so as they come, and judge them when all files have been seen.

    Args:
        paths: What was dropped.
        known: Headers from earlier drops by series UID; files that are found now join them.
        progress: Told how many files have been looked at.
        announce: Called with series of which files have just been found; more may come, and none is judged yet.
        remembered: Where headers are kept from one search to the next; None to keep none.

    Raises:
        Cancelled: The progress says so.
    """
    with rare_collections():
        return _search(paths, known, progress, announce, remembered)


def _search(
    paths: Sequence[Path],
    known: Mapping[str, tuple[Header, ...]],
    progress: Progress,
    announce: Callable[[tuple[Series, ...]], None],
    remembered: Path | None,
) -> Found:
    from medview.formats import dicom_files, dicom_series, header_cache

    gathered: dict[str, dict[Path, Header]] = {}

    def found(batch: tuple[Header, ...]) -> None:
        for header in batch:
            before = known.get(header.series_uid, ())
            mine = gathered.setdefault(header.series_uid, {one.path: one for one in before})
            mine[header.path] = header
        fresh = {header.series_uid for header in batch} - known.keys()
        announce(tuple(dicom_series.unjudged(gathered[uid].values()) for uid in fresh))

    with header_cache.HeaderCache(remembered) if remembered is not None else nullcontext() as cache:
        scan = dicom_files.scan(paths, progress, found, cache)
    sources: list[tuple[Series, Source]] = []
    for members in gathered.values():
        sources.extend((one.facts, one) for one in dicom_series.group(members.values(), progress))
    rejects = list(scan.rejects)
    for path in scan.image_files:
        progress.raise_if_cancelled()
        try:
            sources.append((image_files.describe(path), path))
        except MedViewError as error:
            rejects.append(Reject(path, error.what))
    return Found(tuple(sources), tuple(rejects))


def nothing_to_open(found: Found) -> InputError | None:
    """What to say when a drop holds nothing to look at; None when it does."""
    series, rejects = found.series, found.rejects
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
