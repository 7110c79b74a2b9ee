"""Finds out what was dropped: DICOM headers, image files, and what is of no use, with the reason."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medview.core.case import Reject
from medview.core.progress import Progress
from medview.core.text import Text
from medview.formats import archives, dicomdir, plausibility
from medview.formats.dicom_header import Header, HeaderReader, quiet_pydicom
from medview.formats.file_walk import Listing, is_passed_over, list_folder, walk
from medview.formats.header_cache import HeaderCache
from medview.formats.image_files import is_data_of_image_file, is_image_file, is_name_of_data

_BATCH_INTERVAL_S = 0.25
_BUFFER = 1 << 15
_LONGEST_FIRST_ELEMENT = 1 << 16
_ASK_EVERY = 16
_DAMAGED = Text("The file is damaged: its DICOM header cannot be read.")
_OTHER_KINDS = (
    (b"7z\xbc\xaf", Text("It is packed (7z): unpack it first.")),
    (b"%PDF", Text("It is a PDF document, not an image.")),
)
PACKED = Text("It is packed within a packed file: unpack it first.")
"""What is said of an archive that nobody unpacks."""
_CMS_OBJECT_IDENTIFIER = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"
"""How a file starts that is encrypted as a whole (DICOM PS3.15, secure file: a CMS envelope)."""


@dataclass(frozen=True, slots=True)
class Scan:
    """What is in the files that were dropped.

    Attributes:
        headers: Of the DICOM files that can be used.
        image_files: Files of other kinds that may hold an image.
        rejects: Files of no use, and why.
        archives: What is packed.
        is_passing: Whether the same files may give something else next time: the system did not let one be read, or
            had no memory for it.
    """

    headers: tuple[Header, ...]
    image_files: tuple[Path, ...]
    rejects: tuple[Reject, ...]
    archives: tuple[Path, ...] = ()
    is_passing: bool = False


@dataclass
class _Findings:
    found: Callable[[tuple[Header, ...]], None] | None
    headers: list[Header] = field(default_factory=list)
    image_files: list[Path] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    archives: list[Path] = field(default_factory=list)
    is_passing: bool = False
    told: int = 0
    told_at: float = field(default_factory=time.monotonic)

    def told_all(self) -> Scan:
        self.tell(now=True)
        return Scan(
            tuple(self.headers),
            tuple(self.image_files),
            tuple(self.rejects),
            tuple(self.archives),
            is_passing=self.is_passing,
        )

    def put(self, header: Header) -> None:
        self.headers.append(header)
        self.tell()

    def unreadable(self, folder: Path, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        self.rejects.append(Reject(folder, Text.of("The folder cannot be read: {reason}.", reason=reason)))

    def tell(self, *, now: bool = False) -> None:
        if self.found is None or self.told == len(self.headers):
            return
        if now or time.monotonic() - self.told_at > _BATCH_INTERVAL_S:
            batch = tuple(self.headers[self.told :])
            self.told, self.told_at = len(self.headers), time.monotonic()
            self.found(batch)


def scan(
    paths: Sequence[Path],
    progress: Progress,
    found: Callable[[tuple[Header, ...]], None] | None = None,
    cache: HeaderCache | None = None,
) -> Scan:
    """Read the headers of all DICOM files among what was dropped; no pixels.

    A folder is searched with all its subfolders. One single DICOM file stands for its whole series: its folder is
    searched too, and the files of the same series are taken. A DICOMDIR stands for the files that it names. Archives
    are named, and not looked into.

    Args:
        paths: Files and folders.
        progress: Told how many files have been looked at.
        found: Called with the headers that are new since the last call, a few times a second, in this thread.
        cache: What is known from earlier scans, open; learns what is read now.

    Raises:
        Cancelled: The progress says so.
    """
    if is_single_file(paths):
        findings = _Findings(found)
        quiet_pydicom()
        _scan_one(paths[0], progress, findings, cache)
        return findings.told_all()
    listings, rejects = list_files(paths, progress)
    return scan_listed(listings, progress, found, cache, rejects)


def is_single_file(paths: Sequence[Path]) -> bool:
    """Whether what was dropped is one file, which stands for its series."""
    return len(paths) == 1 and paths[0].is_file() and not dicomdir.is_directory(paths[0])


def list_files(paths: Sequence[Path], progress: Progress) -> tuple[list[Listing], list[Reject]]:
    """The files in what was dropped, those that a DICOMDIR names among them, and the folders that cannot be read.

    Raises:
        Cancelled: The progress says so.
    """
    findings = _Findings(None)
    named = [one for path in paths for one in _named_by(path)]
    return list(walk(named, progress, findings.unreadable)), findings.rejects


def scan_listed(
    listings: Sequence[Listing],
    progress: Progress,
    found: Callable[[tuple[Header, ...]], None] | None = None,
    cache: HeaderCache | None = None,
    rejects: Sequence[Reject] = (),
) -> Scan:
    """As `scan`, of what `list_files` has found."""
    findings = _Findings(found, rejects=list(rejects))
    quiet_pydicom()
    _scan_all(listings, progress, findings, cache)
    return findings.told_all()


def may_be_image(name: str, start: bytes) -> bool:
    """Whether a file in an archive is worth unpacking, by its name and its first 132 bytes or more."""
    path = Path(name)
    if dicomdir.is_directory(path):
        return True
    if is_passed_over(path.name):
        return False
    is_part = is_image_file(path) or is_name_of_data(path)
    is_dicom = start[128:132] == b"DICM" or _looks_like_a_data_set(start)
    return is_part or is_dicom or start.startswith((archives.ZIP, archives.GZIP))


def read_header(path: Path) -> Header | None:
    """The header of one file; None when it is not a DICOM image."""
    quiet_pydicom()
    try:
        header = _header(path, HeaderReader())
    except (OSError, MemoryError):
        return None
    return header if isinstance(header, Header) else None


def _named_by(path: Path) -> Sequence[Path]:
    """The files that a DICOMDIR names, and its folder where it names none; anything else stands for itself."""
    if not (path.is_file() and dicomdir.is_directory(path)):
        return (path,)
    directory = dicomdir.read(path)
    return (path, *directory.files) if directory is not None and directory.files else (path.parent,)


def _scan_one(path: Path, progress: Progress, findings: _Findings, cache: HeaderCache | None) -> None:
    first = _look_at(path, HeaderReader(), findings)
    if first is None:
        return
    findings.put(first)
    findings.tell(now=True)
    listing = list_folder(path.parent, progress, findings.unreadable)
    siblings = tuple(
        (name, stamp)
        for name, stamp in listing.files
        if name != path.name and not dicomdir.is_directory(path.with_name(name))
    )
    _scan_all([Listing(path.parent, siblings, is_whole=False)], progress, findings, cache, only_series=first.series_uid)


def _scan_all(
    listings: Sequence[Listing],
    progress: Progress,
    findings: _Findings,
    cache: HeaderCache | None,
    only_series: str | None = None,
) -> None:
    """Look at files, or only for those of a series: then what the others are is nobody's concern."""
    reader = HeaderReader()
    number, count = 0, sum(len(listing.files) for listing in listings)
    aside = findings if only_series is None else _Findings(None)
    for listing in listings:
        known = cache.known(listing, progress) if cache is not None else {}
        for name, stamp in listing.files:
            if number % _ASK_EVERY == 0:
                progress.raise_if_cancelled()
                progress.report(number / count, Text.of("{number} files looked at", number=number))
            number += 1
            header = known.get(name)
            if header is None:
                header = _look_at(listing.folder / name, reader, aside)
                if header is not None and cache is not None:
                    cache.learn(name, stamp, header)
            if header is not None and only_series in (None, header.series_uid):
                findings.put(header)


def _say_what_is_missing(path: Path, findings: _Findings) -> None:
    directory = dicomdir.read(path)
    for missing in directory.missing if directory is not None else ():
        text = Text.of("It is missing, although {list} names it.", list=path.name)
        findings.rejects.append(Reject(missing, text))


def _look_at(path: Path, reader: HeaderReader, findings: _Findings) -> Header | None:
    """The header of a DICOM file; what another file is goes to the findings."""
    if dicomdir.is_directory(path):
        _say_what_is_missing(path, findings)
        return None
    if is_image_file(path):
        findings.image_files.append(path)
        return None
    if is_data_of_image_file(path):
        return None
    try:
        header = _header(path, reader)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        findings.rejects.append(Reject(path, Text.of("It cannot be read: {reason}.", reason=reason)))
        findings.is_passing = True
        return None
    except MemoryError:  # mostly what a damaged file asks for, but there may be more memory next time
        findings.rejects.append(Reject(path, _DAMAGED))
        findings.is_passing = True
        return None
    if isinstance(header, Header):
        return header
    if header is PACKED:
        findings.archives.append(path)
    else:
        findings.rejects.append(Reject(path, header))
    return None


def _header(path: Path, reader: HeaderReader) -> Header | Text:
    """The header, or why there is none."""
    with path.open("rb", buffering=_BUFFER) as file:
        start = file.read(132)
        has_preamble = start[128:132] == b"DICM"
        if not has_preamble and not _looks_like_a_data_set(start):
            return _what_it_is_instead(start)
        try:
            header = reader.read(file, path, has_preamble=has_preamble)
        except Exception as error:  # pydicom raises anything on damaged files; whatever it is, the file is of no use
            if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno is not None):
                raise
            return _DAMAGED
        size = os.fstat(file.fileno()).st_size
    if not header.sop_class_uid and not header.rows:
        return Text("It is not a DICOM file.") if not has_preamble else Text("It is a DICOM file without an image.")
    if header.pixels is None and header.rows and header.columns:
        return Text("It holds no pixels: it is not an image, or the file is cut off.")
    return plausibility.disbelief(header, size) or header


def _looks_like_a_data_set(start: bytes) -> bool:
    """Whether a file without preamble starts with an element of group 0002 or 0008, in any transfer syntax."""
    if len(start) < 16:
        return False
    for order in ("<", ">"):
        group, length = struct.unpack(order + "H2xL", start[:8])
        if group in (0x0002, 0x0008):
            return (start[4:6].isalpha() and start[4:6].isupper()) or length < _LONGEST_FIRST_ELEMENT
    return False


def _what_it_is_instead(start: bytes) -> Text:
    if not start:
        return Text("The file is empty.")
    if start.startswith((archives.ZIP, archives.GZIP)):
        return PACKED
    if _CMS_OBJECT_IDENTIFIER in start[:64]:
        return Text("The file is encrypted.")
    return next((reason for magic, reason in _OTHER_KINDS if start.startswith(magic)), Text("It is not a DICOM file."))
