"""Finds out what was dropped: series that can be read, series that cannot, and files of no use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from medview.core.case import Reject, Series, SeriesKind
from medview.core.errors import InputError, MedViewError, UnreadableFileError, UnsupportedSeriesError
from medview.core.progress import Progress
from medview.core.text import Text
from medview.formats import image_files
from medview.workstation.settings import user_folder

if TYPE_CHECKING:
    # pydicom comes with these; it is loaded by the first search, not before the window is up
    from medview.formats.dicom_files import Scan
    from medview.formats.dicom_header import Header
    from medview.formats.dicom_series import DicomSeries

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
    known: Mapping[str, tuple[Header, ...]],
    progress: Progress,
    announce: Callable[[tuple[Series, ...]], None],
) -> Found:
    """Find series, say so as they come, and judge them when all files have been seen.

    Args:
        paths: What was dropped.
        known: Headers from earlier drops by series UID; files that are found now join them.
        progress: Told how many files have been looked at.
        announce: Called with series of which files have just been found; more may come.

    Raises:
        Cancelled: The progress says so.
    """
    from medview.formats import dicom_series

    gathered: dict[str, dict[Path, Header]] = {}

    def found(batch: tuple[Header, ...]) -> None:
        for header in batch:
            before = known.get(header.series_uid, ())
            mine = gathered.setdefault(header.series_uid, {one.path: one for one in before})
            mine[header.path] = header
        fresh = {header.series_uid for header in batch} - known.keys()
        announce(tuple(one.facts for uid in fresh for one in dicom_series.group(gathered[uid].values())))

    scan = _scan(paths, progress, found)
    sources: list[tuple[Series, Source]] = []
    for members in gathered.values():
        sources.extend((one.facts, one) for one in dicom_series.group(members.values()))
    rejects = list(scan.rejects)
    for path in scan.image_files:
        progress.raise_if_cancelled()
        try:
            sources.append((image_files.describe(path), path))
        except MedViewError as error:
            rejects.append(Reject(path, error.what))
    return Found(tuple(sources), tuple(rejects))


def _scan(paths: Sequence[Path], progress: Progress, found: Callable[[tuple[Header, ...]], None]) -> Scan:
    """Look through files, and through the archives among them, and the archives in these, but no deeper."""
    from medview.formats import archives, dicom_files

    scan = dicom_files.scan(paths, progress, found)
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
        inner = dicom_files.scan([unpacked.folder], progress, found)
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
