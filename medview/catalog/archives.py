"""Takes archives apart without trusting what they say: what would leave the folder, or fill the disk, is refused.

Python's own `extractall` follows what an archive names. Here every name is judged before anything is written, links
and devices are refused rather than followed, and bytes are counted as they come out, not as the archive declares them.
"""

from __future__ import annotations

import lzma
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from medview.core.errors import InputError, StorageError
from medview.core.files import not_written
from medview.core.progress import NoProgress, Progress
from medview.core.text import Text

MOST_FILES = 20_000
MOST_BYTES = 40 * 2**30
MOST_GROWTH = 200
"""How many times larger than its archive the content may be, from `_GROWTH_COUNTS_FROM` on."""
_GROWTH_COUNTS_FROM = 256 * 2**20
_LONGEST_NAME = 240
_DEEPEST = 24
_CHUNK = 1 << 20
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    NotImplementedError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What the standard library raises when an archive is not what it says."""
_RESERVED = re.compile(r"^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$", re.IGNORECASE)
_UNUSABLE = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')


@dataclass(frozen=True, slots=True)
class _Member:
    """A file of an archive: its path, its declared size, and the archive's own record of it."""

    path: PurePosixPath
    size: int
    record: zipfile.ZipInfo | tarfile.TarInfo


def is_archive(path: Path) -> bool:
    """Whether a file is an archive that `unpack` takes, by its content."""
    try:
        return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))
    except _BROKEN:
        return False


def names(path: Path) -> tuple[PurePosixPath, ...]:
    """The files in an archive, judged; nothing is written.

    Raises:
        InputError: The archive is damaged, or not one to be taken apart.
    """
    with _opened(path) as archive:
        return tuple(member.path for member in _judged(archive, path))


def unpack(path: Path, folder: Path, progress: Progress | None = None) -> None:
    """Take an archive (zip, tar, tar.gz, tar.xz, tar.bz2) apart into an empty folder.

    Raises:
        InputError: The archive is damaged, or not one to be taken apart. What was written until then stays.
        StorageError: The disk is full, or nothing may be written there.
        Cancelled: The user has cancelled.
    """
    progress = progress or NoProgress()
    limit = _limit(path)
    with _opened(path) as archive:
        members = _judged(archive, path)
        whole, written = max(1, sum(member.size for member in members)), 0
        for member in members:
            target = folder.joinpath(*member.path.parts)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with _stream(archive, member) as source, target.open("xb") as file:
                    for piece in _pieces(source, path):
                        written += len(piece)
                        if written > limit:
                            raise _too_large(path)
                        file.write(piece)
                        progress.raise_if_cancelled()
                        progress.report(min(1.0, written / whole), Text("Unpacking"))
            except OSError as error:
                raise not_written(target, error) from error


def check_name(name: str) -> PurePosixPath:
    """A path inside an archive or a folder, when every system can hold it and it stays inside.

    Raises:
        ValueError: It does not, or they cannot.
    """
    slashed = name.replace("\\", "/")
    parts = PurePosixPath(slashed).parts
    if not parts or slashed.startswith("/") or ".." in slashed.split("/"):
        raise ValueError(name)
    if len(parts) > _DEEPEST or len(slashed) > _LONGEST_NAME:
        raise ValueError(name)
    for part in parts:
        if _UNUSABLE.search(part) or _RESERVED.match(part) or part != part.rstrip(". "):
            raise ValueError(name)
    return PurePosixPath(*parts)


def check_names(paths: Sequence[PurePosixPath], where: str) -> None:
    """Refuse names that are one file where upper and lower case are the same, or a file and a folder at once.

    Raises:
        InputError: There are such.
    """
    seen: dict[str, PurePosixPath] = {}
    folders = {str(parent).casefold() for path in paths for parent in path.parents if parent.parts}
    for path in paths:
        key = str(path).casefold()
        if key in seen or key in folders:
            raise InputError(
                Text.of("{file} holds {name} twice, in capital and small letters.", file=where, name=str(path)),
                Text("Such a plugin is not the same on every system. Ask its author for another archive."),
            )
        seen[key] = path


class _Archive:
    """An open zip or tar."""

    def __init__(self, path: Path) -> None:
        self.zip = zipfile.ZipFile(path) if zipfile.is_zipfile(path) else None
        self.tar = tarfile.open(path, "r:*") if self.zip is None else None  # noqa: SIM115 - closed by __exit__

    def __enter__(self) -> _Archive:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self.zip, self.tar):
            if one is not None:
                one.close()


def _opened(path: Path) -> _Archive:
    try:
        return _Archive(path)
    except FileNotFoundError as error:
        raise InputError(Text.of("There is no file {file}.", file=str(path)), Text("Check the path.")) from error
    except _BROKEN as error:
        raise _damaged(path) from error


def _judged(archive: _Archive, path: Path) -> list[_Member]:
    found: list[_Member] = []
    limit, total = _limit(path), 0
    try:
        for count, (name, is_folder, is_file, size, record) in enumerate(_records(archive, path), 1):
            if count > MOST_FILES:
                raise InputError(
                    Text.of("{file} holds more than {count} files.", file=path.name, count=MOST_FILES),
                    Text("It was not unpacked: no plugin needs so many."),
                )
            member = _named(name, path)
            if member is None or is_folder:
                continue
            if not is_file:
                raise InputError(
                    Text.of("{file} holds a link or a device: {name}.", file=path.name, name=name[:80]),
                    Text("It was not unpacked. Ask the plugin's author for an archive of plain files."),
                )
            total += max(0, size)
            if total > limit:
                raise _too_large(path)
            found.append(_Member(member, size, record))
    except _BROKEN as error:
        raise _damaged(path) from error
    check_names([member.path for member in found], path.name)
    return found


def _records(archive: _Archive, path: Path) -> Iterator[tuple[str, bool, bool, int, zipfile.ZipInfo | tarfile.TarInfo]]:
    """Name, whether it is a folder, whether it is a plain file, size, and the record, of everything in an archive."""
    if archive.zip is not None:
        for info in archive.zip.infolist():
            if info.flag_bits & 1:
                raise InputError(
                    Text.of("{file} is locked with a password.", file=path.name), Text("Unlock it, and try again.")
                )
            # `orig_filename` is what the archive says; zipfile cuts names at a zero and turns slashes.
            kind = stat.S_IFMT(info.external_attr >> 16)
            folder = info.is_dir()
            yield info.orig_filename, folder, not folder and kind in (0, stat.S_IFREG), info.file_size, info
    elif archive.tar is not None:
        for member in archive.tar:
            plain = member.isreg() and not member.issparse()
            yield member.name, member.isdir(), plain, member.size, member


def _named(name: str, path: Path) -> PurePosixPath | None:
    """The path of a member; None for the archive's own root."""
    stripped = name.rstrip("/")
    while stripped.startswith("./"):
        stripped = stripped[2:].lstrip("/") if not stripped.startswith(".//") else stripped[2:]
    if stripped in ("", "."):
        if name.startswith("/"):
            raise _bad_name(name, path)
        return None
    try:
        return check_name(stripped)
    except ValueError as error:
        raise _bad_name(name, path) from error


def _bad_name(name: str, path: Path) -> InputError:
    return InputError(
        Text.of(
            "{file} holds a file whose name leads out of its folder, or that not every system can hold: {name}.",
            file=path.name,
            name=name[:80].encode("unicode_escape").decode("ascii"),
        ),
        Text("It was not unpacked. Do not use this archive unless you know who made it."),
    )


def _stream(archive: _Archive, member: _Member) -> IO[bytes]:
    if archive.zip is not None and isinstance(member.record, zipfile.ZipInfo):
        return archive.zip.open(member.record)
    stream = (
        archive.tar.extractfile(member.record) if archive.tar and isinstance(member.record, tarfile.TarInfo) else None
    )
    if stream is None:
        raise StorageError(Text.of("{name} could not be unpacked.", name=str(member.path)))
    return stream


def _pieces(source: IO[bytes], path: Path) -> Iterator[bytes]:
    while True:
        try:
            piece = source.read(_CHUNK)
        except _BROKEN as error:
            raise _damaged(path) from error
        if not piece:
            return
        yield piece


def _limit(path: Path) -> int:
    try:
        size = path.stat().st_size
    except OSError:
        size = 0
    return min(MOST_BYTES, max(_GROWTH_COUNTS_FROM, size * MOST_GROWTH))


def _too_large(path: Path) -> InputError:
    return InputError(
        Text.of("{file} unpacks to far more than its size allows.", file=path.name),
        Text("It was not unpacked: it would fill the disk. Do not use it unless you know who made it."),
    )


def _damaged(path: Path) -> InputError:
    return InputError(Text.of("{file} is damaged, or no zip or tar archive.", file=path.name), Text("Fetch it again."))
