"""Finds out what was dropped: series that can be read, series that cannot, and files of no use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from medview.core.case import Reject, Series, SeriesKind
from medview.core.errors import InputError, MedViewError, UnreadableFileError, UnsupportedSeriesError
from medview.core.garbage import rare_collections
from medview.core.progress import Progress
from medview.core.text import Text
from medview.formats import image_files
from medview.workstation.settings import user_folder

if TYPE_CHECKING:
    # pydicom comes with these; it is loaded by the first search, not before the window is up
    from medview.formats.dicom_files import Scan
    from medview.formats.dicom_header import Header
    from medview.formats.dicom_series import DicomSeries
    from medview.formats.file_walk import Listing
    from medview.formats.header_cache import HeaderCache

_STORE = "unpacked"
"""The folder, within the user's, in which archives are unpacked."""
_DEEPEST_ARCHIVE = 2

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
    known: Mapping[str, Source],
    progress: Progress,
    announce: Callable[[tuple[Series, ...]], None],
    remembered: Path | None = None,
) -> Found:
    """Find series, say so as they come, and judge them when all files have been seen.

    Args:
        paths: What was dropped.
        known: What earlier drops have brought, by series UID; files that are found now join them.
        progress: Told how many files have been looked at.
        announce: Called with series of which files have just been found; more may come, and none is judged yet.
        remembered: Where it is kept what files say, from one search to the next; None to keep nothing.

    Raises:
        Cancelled: The progress says so.
    """
    from medview.formats import dicom_files, header_cache, search_record

    with rare_collections():
        if remembered is None:
            return _look(paths, known, progress, announce, None).found
        with header_cache.HeaderCache(remembered) as cache:
            if dicom_files.is_single_file(paths):
                return _look(paths, known, progress, announce, cache).found
            listed = dicom_files.list_files(paths, progress)
            name = None if listed[1] else search_record.name_of(listed[0])
            again = _again(name, known, cache, remembered)
            if again is not None:
                announce(again.series)
                return again
            looked = _look(paths, known, progress, announce, cache, listed)
            found = looked.found
            series = [source for _, source in found.sources if not isinstance(source, Path)]
            if name is not None and looked.would_be_same and not _joined(found, known):
                cache.keep_search(name, search_record.packed(series, found.rejects))
            return found


@dataclass(frozen=True, slots=True)
class _Looked:
    """What was found, and whether the same files would surely give the same again.

    They would not where something is read that lies elsewhere, as what was unpacked, nor where something was refused
    that another time may let pass.
    """

    found: Found
    would_be_same: bool


def _again(name: bytes | None, known: Mapping[str, Source], cache: HeaderCache, remembered: Path) -> Found | None:
    """What the same search has found before; None when it is not known, or when there is more of its series now."""
    from medview.formats import search_record

    content = cache.search_named(name) if name is not None else None
    if content is None:
        return None
    try:
        series, rejects = search_record.unpacked(content, remembered)
    except ValueError:
        return None
    found = Found(tuple((one.facts, one) for one in series), rejects)
    return None if _joined(found, known) else found


def _joined(found: Found, known: Mapping[str, Source]) -> bool:
    """Whether files of earlier drops belong to series that were found."""
    return any(one.uid in known and not set(_files_of(known[one.uid])) <= set(one.files) for one in found.series)


def _files_of(source: Source) -> tuple[Path, ...]:
    """The files of a source."""
    return (source,) if isinstance(source, Path) else source.facts.files


def _look(
    paths: Sequence[Path],
    known: Mapping[str, Source],
    progress: Progress,
    announce: Callable[[tuple[Series, ...]], None],
    cache: HeaderCache | None,
    listed: tuple[list[Listing], list[Reject]] | None = None,
) -> _Looked:
    from medview.formats import dicom_files, dicom_series

    gathered: dict[str, dict[Path, Header]] = {}

    def found(batch: tuple[Header, ...]) -> None:
        for header in batch:
            mine = gathered.get(header.series_uid)
            if mine is None:
                mine = gathered[header.series_uid] = {
                    one.path: one for one in _headers_of(known.get(header.series_uid))
                }
            mine[header.path] = header
        fresh = {header.series_uid for header in batch} - known.keys()
        announce(tuple(dicom_series.unjudged(gathered[uid].values()) for uid in fresh))

    if listed is None:
        scan = dicom_files.scan(paths, progress, found, cache)
    else:
        scan = dicom_files.scan_listed(listed[0], progress, found, cache, listed[1])
    would_be_same = not (scan.archives or scan.image_files or scan.is_passing)
    scan = _with_unpacked(scan, progress, found, cache)
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
    refusals = [facts.refusal for facts, _ in sources]
    would_be_same &= all(one is None or one.code != dicom_series.CONTRADICTORY for one in refusals)
    return _Looked(Found(tuple(sources), tuple(rejects)), would_be_same)


def _headers_of(before: Source | None) -> tuple[Header, ...]:
    """What an earlier drop has read of a series; nothing where its files have changed since."""
    if before is None or isinstance(before, Path):
        return ()
    try:
        return before.headers
    except UnreadableFileError:
        return ()


def _with_unpacked(
    scan: Scan, progress: Progress, found: Callable[[tuple[Header, ...]], None], cache: HeaderCache | None
) -> Scan:
    """Look through the archives among files too, and the archives in these, but no deeper."""
    from medview.formats import archives, dicom_files

    headers, image_files, rejects = list(scan.headers), list(scan.image_files), list(scan.rejects)
    waiting = [(path, path, 1) for path in scan.archives]
    while waiting:
        path, shown, depth = waiting.pop(0)
        try:
            unpacked = archives.unpack(path, user_folder() / _STORE, dicom_files.may_be_image, progress)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            rejects.append(Reject(shown, Text.of("It cannot be unpacked: {reason}.", reason=reason)))
            continue
        rejects += [Reject(shown / one.path.relative_to(path), one.reason) for one in unpacked.rejects]
        if unpacked.folder is None:
            continue
        inner = dicom_files.scan([unpacked.folder], progress, found, cache)
        headers += inner.headers
        image_files += inner.image_files
        # files of an archive as people know them, not where they lie now
        rejects += [Reject(shown / one.path.relative_to(unpacked.folder), one.reason) for one in inner.rejects]
        for archive in inner.archives:
            known_as = shown / archive.relative_to(unpacked.folder)
            if depth < _DEEPEST_ARCHIVE:
                waiting.append((archive, known_as, depth + 1))
            else:
                rejects.append(Reject(known_as, dicom_files.PACKED))
    return dicom_files.Scan(tuple(headers), tuple(image_files), tuple(rejects))


def nothing_to_open(found: Found) -> InputError | None:
    """What to say when a drop holds nothing to look at; None when it does."""
    series, rejects = found.series, found.rejects
    if any(one.geometry is not None or one.kind is SeriesKind.DOCUMENT for one in series):
        return None
    if any(one.kind is SeriesKind.MASK for one in series):
        return UnsupportedSeriesError(
            Text("There are masks in what was dropped, and no images."), Text("Drop the images that they belong to.")
        )
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
