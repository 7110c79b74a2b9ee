"""ZIP archives and packed single files: what may be an image in them is unpacked into a folder of our own.

An archive is somebody else's word on names and sizes: names that lead out of the folder are left out, and no more is
unpacked than the archive can reasonably hold and the disk has room for.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import shutil
import tarfile
import time
import uuid
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from medview.core.archives import (
    BROKEN,
    GZIP,
    Budget,
    Limits,
    Member,
    MemberKind,
    OverfullError,
    opened,
    parts_within,
    pieces,
)
from medview.core.case import Reject
from medview.core.progress import Progress
from medview.core.text import Text

__all__ = ["GZIP", "ZIP", "Unpacked", "Wanted", "unpack"]
ZIP = b"PK\x03\x04"
LIMITS = Limits(members=500_000, always_bytes=1 << 30, ratio=100, most_bytes=1 << 50, kept_free_bytes=2 << 30)
_KEPT_S = 7 * 86_400.0
"""An archive that was not opened for so long is forgotten: its files are unpacked anew when it is."""
_START_BYTES = 400
_FORBIDDEN = dict.fromkeys([*range(32), *map(ord, '<>:"|?*')], "_")
_DONE = ".unpacked"
_DAMAGED = (EOFError, gzip.BadGzipFile, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, zlib.error)

Wanted = Callable[[str, bytes], bool]
"""Whether a file may be of use, by its name and its first bytes."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What came out of an archive.

    Attributes:
        folder: Where it lies; None when there is nothing.
        rejects: What was left out or could not be unpacked, and why.
    """

    folder: Path | None
    rejects: tuple[Reject, ...]


def unpack(path: Path, store: Path, wanted: Wanted, progress: Progress) -> Unpacked:
    """Unpack what may be of use in a ZIP archive or a packed file, unless that was done before and is all still there.

    Args:
        path: The archive.
        store: The folder in which every archive gets a folder of its own; folders that nobody asked for lately go.
        wanted: Which files are unpacked.
        progress: Asked for cancellation.

    Returns:
        The files, and what is to be said of the rest. Damaged archives are said so; nothing is raised for them.

    Raises:
        Cancelled: The progress says so.
        OSError: Nothing can be written into the store.
    """
    _forget_old(store)
    folder = store / _key(path)
    if _is_whole(folder):
        (folder / _DONE).touch()
        return Unpacked(folder, ())
    part = store / f".part-{uuid.uuid4().hex}"
    part.mkdir(parents=True, mode=0o700)
    try:
        rejects, count = _fill(path, part, wanted, progress)
        if not count:
            return Unpacked(None, tuple(rejects) or (Reject(path, Text("There is no image in it.")),))
        if not rejects:
            (part / _DONE).write_text(str(_files_in(part)), encoding="ascii")
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
        return Unpacked(folder, tuple(rejects))
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    """Whether everything that was unpacked into a folder is still there."""
    try:
        return int((folder / _DONE).read_text(encoding="ascii")) == _files_in(folder)
    except (OSError, ValueError):
        return False


def _files_in(folder: Path) -> int:
    """How many files were unpacked into a folder."""
    return sum(name != _DONE for _, _, names in os.walk(folder) for name in names)


def _key(path: Path) -> str:
    """The same for the same archive, and another when it has changed."""
    status = path.stat()
    return hashlib.sha256(f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}".encode()).hexdigest()[:24]


def _fill(path: Path, folder: Path, wanted: Wanted, progress: Progress) -> tuple[list[Reject], int]:
    """Unpack into a folder: what went wrong, and how many files there are."""
    rejects: list[Reject] = []
    count = 0
    budget = Budget(path, LIMITS, folder)
    try:
        with opened(path, LIMITS.members) as members:
            for member in members:
                progress.raise_if_cancelled()
                progress.report(None, Text.of("Unpacking {name}", name=path.name))
                written = _unpack_one(member, folder, wanted, budget, progress)
                if isinstance(written, Text):
                    rejects.append(Reject(path / (_place(member.name) or Path(member.name).name), written))
                else:
                    count += written
    except OverfullError as error:
        too_much = Text("It unpacks to far more than such files hold: the rest was left out.")
        rejects.append(Reject(path, Text("The disk has no room to unpack it.") if error.is_disk else too_much))
    except BROKEN:
        rejects.append(Reject(path, Text("The archive is damaged.")))
    return rejects, count


def _unpack_one(member: Member, folder: Path, wanted: Wanted, budget: Budget, progress: Progress) -> bool | Text:
    """Whether a file was unpacked; or why not, if there is something to say."""
    place = _place(member.name)
    if member.kind is MemberKind.FOLDER:
        return False
    if place is None:
        return Text("Its name leads out of the archive: it was left out.")
    if member.is_locked:
        return Text("It is protected by a password: unpack the archive first.")
    if member.kind is MemberKind.OTHER:
        return Text("It is a link or a device: it was left out.")
    target = folder / place
    try:
        with member.open() as source:
            start = source.read(_START_BYTES)
            if not start or not wanted(place.name, start):
                return False
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                for piece in chain((start,), pieces(source)):
                    budget.take(len(piece))
                    file.write(piece)
                    progress.raise_if_cancelled()
    except NotImplementedError:
        return Text("It is packed in a way that MedView cannot unpack.")
    except _DAMAGED:
        target.unlink(missing_ok=True)
        return Text("It is damaged in the archive.")
    return True


def _place(name: str) -> Path | None:
    """Where a file goes within the folder; None when its name leads out of it."""
    parts = parts_within(name)
    if parts is None:
        return None
    # what systems cannot write in a name, and blanks and dots at its end, which Windows drops
    safe = [part.translate(_FORBIDDEN).rstrip(" .")[:120] or "_" for part in parts[:-1]]
    last = parts[-1].translate(_FORBIDDEN).rstrip(" .")
    return Path(*safe, last[-120:] or "_")


def _forget_old(store: Path) -> None:
    now = time.time()
    with suppress(OSError):
        for folder in store.iterdir():
            mark = folder / _DONE
            with suppress(OSError):
                used = (mark if mark.is_file() else folder).stat().st_mtime
                if now - used > _KEPT_S:
                    shutil.rmtree(folder, ignore_errors=True)
