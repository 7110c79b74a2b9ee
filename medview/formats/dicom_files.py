"""Finds out what was dropped: DICOM headers, image files, and what is of no use, with the reason."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medview.core.case import Reject
from medview.core.progress import Progress
from medview.core.text import Text
from medview.formats import archives, dicomdir, plausibility
from medview.formats.dicom_header import Header, HeaderReader, quiet_pydicom
from medview.formats.image_files import is_data_of_image_file, is_image_file, is_name_of_data

_BATCH_INTERVAL_S = 0.25
_LONGEST_FIRST_ELEMENT = 1 << 16
_IGNORED = frozenset({"thumbs.db", "desktop.ini", "dicomdir", "__macosx"})
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
    """What is in the files that were dropped."""

    headers: tuple[Header, ...]
    image_files: tuple[Path, ...]
    rejects: tuple[Reject, ...]
    archives: tuple[Path, ...] = ()


@dataclass
class _Findings:
    found: Callable[[tuple[Header, ...]], None] | None
    headers: list[Header] = field(default_factory=list)
    image_files: list[Path] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    archives: list[Path] = field(default_factory=list)
    told: int = 0
    told_at: float = field(default_factory=time.monotonic)

    def tell(self, *, now: bool = False) -> None:
        if self.found is None or self.told == len(self.headers):
            return
        if now or time.monotonic() - self.told_at > _BATCH_INTERVAL_S:
            batch = tuple(self.headers[self.told :])
            self.told, self.told_at = len(self.headers), time.monotonic()
            self.found(batch)


def scan(paths: Sequence[Path], progress: Progress, found: Callable[[tuple[Header, ...]], None] | None = None) -> Scan:
    """Read the headers of all DICOM files among what was dropped; no pixels.

    A folder is searched with all its subfolders. One single DICOM file stands for its whole series: its folder is
    searched too, and the files of the same series are taken. A DICOMDIR stands for the files that it names. Archives
    are named, and not looked into.

    Args:
        paths: Files and folders.
        progress: Told how many files have been looked at.
        found: Called with the headers that are new since the last call, a few times a second, in this thread.

    Raises:
        Cancelled: The progress says so.
    """
    findings = _Findings(found)
    quiet_pydicom()
    if len(paths) == 1 and paths[0].is_file() and not dicomdir.is_directory(paths[0]):
        _scan_one(paths[0], progress, findings)
    else:
        named = [one for path in paths for one in _named_by(path)]
        _scan_all(list(_walk(named, progress, findings)), progress, findings)
    findings.tell(now=True)
    return Scan(tuple(findings.headers), tuple(findings.image_files), tuple(findings.rejects), tuple(findings.archives))


def may_be_image(name: str, start: bytes) -> bool:
    """Whether a file in an archive is worth unpacking, by its name and its first 132 bytes or more."""
    path = Path(name)
    if dicomdir.is_directory(path):
        return True
    if _is_passed_over(path):
        return False
    is_part = is_image_file(path) or is_name_of_data(path)
    is_dicom = start[128:132] == b"DICM" or _looks_like_a_data_set(start)
    return is_part or is_dicom or start.startswith((archives.ZIP, archives.GZIP))


def read_header(path: Path) -> Header | None:
    """The header of one file; None when it is not a DICOM image."""
    quiet_pydicom()
    try:
        header = _header(path, HeaderReader())
    except OSError:
        return None
    return header if isinstance(header, Header) else None


def _named_by(path: Path) -> Sequence[Path]:
    """The files that a DICOMDIR names, and its folder where it names none; anything else stands for itself."""
    if not (path.is_file() and dicomdir.is_directory(path)):
        return (path,)
    directory = dicomdir.read(path)
    return (path, *directory.files) if directory is not None and directory.files else (path.parent,)


def _scan_one(path: Path, progress: Progress, findings: _Findings) -> None:
    reader = HeaderReader()
    _look_at(path, reader, findings)
    findings.tell(now=True)
    if not findings.headers:
        return
    series = findings.headers[0].series_uid
    siblings = sorted(other for other in path.parent.iterdir() if other.is_file() and other != path)
    for number, sibling in enumerate(siblings):
        progress.raise_if_cancelled()
        progress.report(number / len(siblings), Text.of("{number} files looked at", number=number))
        if _is_passed_over(sibling) or is_image_file(sibling):
            continue
        aside = _Findings(None)
        _look_at(sibling, reader, aside)
        findings.headers.extend(header for header in aside.headers if header.series_uid == series)
        findings.tell()


def _scan_all(files: list[Path], progress: Progress, findings: _Findings) -> None:
    reader = HeaderReader()
    for number, path in enumerate(files):
        if number % 16 == 0:
            progress.raise_if_cancelled()
            progress.report(number / len(files), Text.of("{number} files looked at", number=number))
        _look_at(path, reader, findings)
        findings.tell()


def _walk(paths: Sequence[Path], progress: Progress, findings: _Findings) -> Iterator[Path]:
    """Every file once, in a stable order, without what systems leave in folders."""
    seen: set[Path] = set()

    def unreadable(error: OSError) -> None:
        folder = Path(error.filename or "")
        reason = error.strerror or type(error).__name__
        findings.rejects.append(Reject(folder, Text.of("The folder cannot be read: {reason}.", reason=reason)))

    for path in paths:
        if not path.is_dir():
            if dicomdir.is_directory(path):
                _say_what_is_missing(path, findings)
            elif path not in seen:
                seen.add(path)
                yield path
            continue
        for folder, folders, names in os.walk(path, onerror=unreadable):
            progress.raise_if_cancelled()
            folders[:] = sorted(name for name in folders if not _is_passed_over(Path(name)))
            for name in sorted(names):
                file = Path(folder, name)
                if dicomdir.is_directory(file):
                    _say_what_is_missing(file, findings)
                if file not in seen and not _is_passed_over(file):
                    seen.add(file)
                    yield file


def _say_what_is_missing(path: Path, findings: _Findings) -> None:
    directory = dicomdir.read(path)
    for missing in directory.missing if directory is not None else ():
        text = Text.of("It is missing, although {list} names it.", list=path.name)
        findings.rejects.append(Reject(missing, text))


def _is_passed_over(path: Path) -> bool:
    """Hidden files, the "._" twins that macOS leaves, and what Windows leaves: not worth a word."""
    return path.name.startswith(".") or path.name.lower() in _IGNORED


def _look_at(path: Path, reader: HeaderReader, findings: _Findings) -> None:
    if is_image_file(path):
        findings.image_files.append(path)
        return
    if is_data_of_image_file(path):
        return
    try:
        header = _header(path, reader)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        findings.rejects.append(Reject(path, Text.of("It cannot be read: {reason}.", reason=reason)))
        return
    if isinstance(header, Header):
        findings.headers.append(header)
    elif header is PACKED:
        findings.archives.append(path)
    else:
        findings.rejects.append(Reject(path, header))


def _header(path: Path, reader: HeaderReader) -> Header | Text:
    """The header, or why there is none."""
    with path.open("rb") as file:
        start = file.read(132)
        has_preamble = start[128:132] == b"DICM"
        if not has_preamble and not _looks_like_a_data_set(start):
            return _what_it_is_instead(start)
        try:
            header = reader.read(file, path, has_preamble=has_preamble)
        except Exception as error:  # pydicom raises anything on damaged files; whatever it is, the file is of no use
            if isinstance(error, OSError) and error.errno is not None:
                raise
            return Text("The file is damaged: its DICOM header cannot be read.")
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
