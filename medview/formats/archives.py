"""ZIP archives and packed single files: what may be an image in them is unpacked into a folder of our own.

An archive is somebody else's word on names and sizes: names that lead out of the folder are left out, and no more is
unpacked than the archive can reasonably hold and the disk has room for.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import time
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, cast

from medview.core.case import Reject
from medview.core.progress import Progress
from medview.core.text import Text

ZIP, GZIP = b"PK\x03\x04", b"\x1f\x8b"
_CHUNK = 1 << 20
_ALWAYS_ALLOWED = 1 << 30
_LARGEST_RATIO = 100
_KEPT_FREE = 2 << 30
"""Bytes of the disk that are left to others."""
_KEPT_S = 7 * 86_400.0
"""An archive that was not opened for so long is forgotten: its files are unpacked anew when it is."""
_START_BYTES = 400
_MOST_ENTRIES = 500_000
_ENCRYPTED, _UTF_8 = 0x1, 0x800
_FORBIDDEN = dict.fromkeys([*range(32), *map(ord, '<>:"|?*')], "_")
_DONE = ".unpacked"

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


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    open: Callable[[], IO[bytes]]
    locked: bool = False


class _TooMuchError(Exception):
    """More comes out of the archive than there should be, or than there is room for."""

    def __init__(self, reason: Text) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass
class _Room:
    """How much may still be unpacked, bytes."""

    believable: int
    on_disk: int

    def take(self, size: int) -> None:
        self.believable -= size
        self.on_disk -= size
        if self.believable < 0:
            raise _TooMuchError(Text("It unpacks to far more than such files hold: the rest was left out."))
        if self.on_disk < 0:
            raise _TooMuchError(Text("The disk has no room to unpack it."))


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
    believable = max(_ALWAYS_ALLOWED, _LARGEST_RATIO * path.stat().st_size)
    room = _Room(believable, shutil.disk_usage(folder).free - _KEPT_FREE)
    try:
        for entry in _entries(path):
            progress.raise_if_cancelled()
            progress.report(None, Text.of("Unpacking {name}", name=path.name))
            written = _unpack_one(entry, folder, wanted, room, progress)
            if isinstance(written, Text):
                rejects.append(Reject(path / (_place(entry.name) or Path(entry.name).name), written))
            else:
                count += written
    except _TooMuchError as error:
        rejects.append(Reject(path, error.reason))
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error):
        rejects.append(Reject(path, Text("The archive is damaged.")))
    return rejects, count


def _unpack_one(entry: _Entry, folder: Path, wanted: Wanted, room: _Room, progress: Progress) -> bool | Text:
    """Whether a file was unpacked; or why not, if there is something to say."""
    place = _place(entry.name)
    if place is None:
        return Text("Its name leads out of the archive: it was left out.")
    if entry.locked:
        return Text("It is protected by a password: unpack the archive first.")
    target = folder / place
    try:
        with entry.open() as source:
            data = source.read(_START_BYTES)
            if not wanted(place.name, data):
                return False
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                while data:
                    room.take(len(data))
                    file.write(data)
                    progress.raise_if_cancelled()
                    data = source.read(_CHUNK)
    except NotImplementedError:
        return Text("It is packed in a way that MedView cannot unpack.")
    except (EOFError, zipfile.BadZipFile, zlib.error, gzip.BadGzipFile):
        target.unlink(missing_ok=True)
        return Text("It is damaged in the archive.")
    return True


def _entries(path: Path) -> Iterator[_Entry]:
    with path.open("rb") as file:
        is_zip = file.read(len(ZIP)) == ZIP
    if not is_zip:
        yield _Entry(path.stem or path.name, partial(_opened_gzip, path))
        return
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist()[:_MOST_ENTRIES]:
            if not info.is_dir() and info.file_size:
                yield _Entry(_name(info), partial(archive.open, info), bool(info.flag_bits & _ENCRYPTED))


def _opened_gzip(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb"))


def _name(info: zipfile.ZipInfo) -> str:
    """Its name; archives that do not say in which characters it is are mostly UTF-8 or, in China, GBK."""
    if info.flag_bits & _UTF_8:
        return info.filename
    raw = info.filename.encode("cp437", "replace")
    for encoding in ("utf-8", "gb18030"):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return info.filename


def _place(name: str) -> Path | None:
    """Where a file goes within the folder; None when its name leads out of it."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    is_absolute = name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":")
    if is_absolute or ".." in parts or not parts:
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
