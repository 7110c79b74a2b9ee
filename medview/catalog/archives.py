"""Takes archives apart without trusting what they say: what would leave the folder, or fill the disk, is refused.

Python's own `extractall` follows what an archive names. Here every name is judged before anything is written, links
and devices are refused rather than followed, and bytes are counted as they come out, not as the archive declares them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medview.core import archives
from medview.core.archives import BROKEN, Budget, Limits, Member, MemberKind, OverfullError, is_archive, parts_within
from medview.core.errors import InputError
from medview.core.files import not_written
from medview.core.progress import NoProgress, Progress
from medview.core.text import Text

__all__ = ["LIMITS", "check_name", "check_names", "is_archive", "names", "unpack"]
LIMITS = Limits(members=20_000, always_bytes=256 << 20, ratio=200, most_bytes=40 << 30)
_LONGEST_NAME = 240
_DEEPEST = 24
_RESERVED = re.compile(r"^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$", re.IGNORECASE)
_UNUSABLE = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')


@dataclass(frozen=True, slots=True)
class _Judged:
    """A file of an archive, and the path that it may have."""

    path: PurePosixPath
    member: Member


def names(path: Path) -> tuple[PurePosixPath, ...]:
    """The files in an archive, judged; nothing is written.

    Raises:
        InputError: The archive is damaged, or not one to be taken apart.
    """
    with _opened(path) as members:
        return tuple(one.path for one in _judged(members, path))


def unpack(path: Path, folder: Path, progress: Progress | None = None) -> None:
    """Take an archive (zip, tar, tar.gz, tar.xz, tar.bz2) apart into an empty folder.

    Raises:
        InputError: The archive is damaged, or not one to be taken apart. What was written until then stays.
        StorageError: The disk is full, or nothing may be written there.
        Cancelled: The user has cancelled.
    """
    progress = progress or NoProgress()
    budget = Budget(path, LIMITS)
    with _opened(path) as members:
        judged = _judged(members, path)
        whole, written = max(1, sum(one.member.size for one in judged)), 0
        for one in judged:
            target = folder.joinpath(*one.path.parts)
            for piece in _written(one.member, target, path):
                written += _counted(piece, budget, path)
                progress.raise_if_cancelled()
                progress.report(min(1.0, written / whole), Text("Unpacking"))


def _written(member: Member, target: Path, path: Path) -> Iterator[bytes]:
    """Write a file piece by piece; each piece is given out before it is written."""
    try:
        source = member.open()
    except BROKEN as error:
        raise _damaged(path) from error
    with source:
        pieces = archives.pieces(source)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                while piece := _next(pieces, path):
                    yield piece
                    file.write(piece)
        except OSError as error:
            raise not_written(target, error) from error


def _next(pieces: Iterator[bytes], path: Path) -> bytes:
    try:
        return next(pieces, b"")
    except BROKEN as error:
        raise _damaged(path) from error


def _counted(piece: bytes, budget: Budget, path: Path) -> int:
    try:
        budget.take(len(piece))
    except OverfullError as error:
        raise _too_large(path) from error
    return len(piece)


def check_name(name: str) -> PurePosixPath:
    """A path inside an archive or a folder, when every system can hold it and it stays inside.

    Raises:
        ValueError: It does not, or they cannot.
    """
    parts = parts_within(name)
    if parts is None or len(parts) > _DEEPEST or len(name) > _LONGEST_NAME:
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


@contextmanager
def _opened(path: Path) -> Iterator[Iterator[Member]]:
    if path.is_file() and not is_archive(path):
        raise _damaged(path)
    try:
        with archives.opened(path, LIMITS.members) as members:
            yield members
    except FileNotFoundError as error:
        raise InputError(Text.of("There is no file {file}.", file=str(path)), Text("Check the path.")) from error
    except BROKEN as error:
        raise _damaged(path) from error


def _judged(members: Iterator[Member], path: Path) -> list[_Judged]:
    found: list[_Judged] = []
    budget = Budget(path, LIMITS)
    try:
        for count, member in enumerate(members, 1):
            if count > LIMITS.members:
                raise InputError(
                    Text.of("{file} holds more than {count} files.", file=path.name, count=LIMITS.members),
                    Text("It was not unpacked: no plugin needs so many."),
                )
            judged = _judge(member, path)
            if judged is not None:
                budget.take(member.size)
                found.append(judged)
    except OverfullError as error:
        raise _too_large(path) from error
    check_names([one.path for one in found], path.name)
    return found


def _judge(member: Member, path: Path) -> _Judged | None:
    """A file that may be unpacked; None for a folder, which comes with its files."""
    if member.is_locked:
        raise InputError(
            Text.of("{file} is locked with a password.", file=path.name), Text("Unlock it, and try again.")
        )
    place = _named(member.name, path)
    if place is None or member.kind is MemberKind.FOLDER:
        return None
    if member.kind is MemberKind.OTHER:
        raise InputError(
            Text.of("{file} holds a link or a device: {name}.", file=path.name, name=member.name[:80]),
            Text("It was not unpacked. Ask the plugin's author for an archive of plain files."),
        )
    return _Judged(place, member)


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


def _too_large(path: Path) -> InputError:
    return InputError(
        Text.of("{file} unpacks to far more than its size allows.", file=path.name),
        Text("It was not unpacked: it would fill the disk. Do not use it unless you know who made it."),
    )


def _damaged(path: Path) -> InputError:
    return InputError(Text.of("{file} is damaged, or no zip or tar archive.", file=path.name), Text("Fetch it again."))
