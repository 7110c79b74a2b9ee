"""What is in an archive, read without trusting it: zip, tar (also compressed), and single files packed by gzip.

Nothing here writes. Who unpacks judges each name with `parts_within` and counts every byte that comes out with a
`Budget`, because what an archive says of names and sizes is somebody else's word. Links and devices are told, never
followed.
"""

from __future__ import annotations

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, cast

BROKEN = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What the standard library raises when an archive is not what it says; `NotImplementedError` is among them."""
GZIP = b"\x1f\x8b"
_CHUNK = 1 << 20
_ENCRYPTED, _UTF_8 = 0x1, 0x800


class MemberKind(StrEnum):
    """What a member of an archive is. OTHER: a link, a device, a file with holes."""

    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of an archive, as the archive tells it.

    Attributes:
        name: As it stands there; it may lead anywhere.
        kind: What it is.
        size: How large it says that it is, bytes.
        is_locked: Whether it needs a password.
        open: Gives what is in it; raises one of `BROKEN` when it is damaged.
    """

    name: str
    kind: MemberKind
    size: int
    is_locked: bool
    open: Callable[[], IO[bytes]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may come out of an archive.

    Attributes:
        members: At most so many.
        always_bytes: So much is allowed whatever the size of the archive.
        ratio: Beyond that, at most so many times the size of the archive ...
        most_bytes: ... and never more than this.
        kept_free_bytes: What is left free on the disk.
    """

    members: int
    always_bytes: int
    ratio: int
    most_bytes: int
    kept_free_bytes: int = 0


class OverfullError(Exception):
    """More comes out of an archive than it may hold, or, if `is_disk`, than the disk has room for."""

    def __init__(self, *, is_disk: bool) -> None:
        super().__init__("disk" if is_disk else "archive")
        self.is_disk = is_disk


class Budget:
    """How much may still be unpacked.

    Args:
        archive: The file.
        limits: Of its kind.
        folder: Where it is unpacked; None when nothing is written.
    """

    def __init__(self, archive: Path, limits: Limits, folder: Path | None = None) -> None:
        try:
            size = archive.stat().st_size
        except OSError:
            size = 0
        self._left = min(limits.most_bytes, max(limits.always_bytes, size * limits.ratio))
        free = shutil.disk_usage(folder).free if folder is not None and limits.kept_free_bytes else None
        self._on_disk = None if free is None else free - limits.kept_free_bytes

    def take(self, size: int) -> None:
        """Count some bytes.

        Raises:
            OverfullError: It is too much.
        """
        self._left -= size
        if self._left < 0:
            raise OverfullError(is_disk=False)
        if self._on_disk is not None:
            self._on_disk -= size
            if self._on_disk < 0:
                raise OverfullError(is_disk=True)


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or a tar, by its content."""
    try:
        return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))
    except BROKEN:
        return False


@contextmanager
def opened(path: Path, most_members: int) -> Iterator[Iterator[Member]]:
    """The members of an archive, in its order, and at most one more than there may be.

    Raises:
        FileNotFoundError: There is no file.
        OSError, ValueError, ...: It is damaged (one of `BROKEN`); going through the members may raise them too.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield islice(_of_zip(archive), most_members + 1)
    elif _is_tar(path):
        with tarfile.open(path, "r:*") as tar:
            yield islice(_of_tar(tar), most_members + 1)
    else:
        with path.open("rb") as file:
            if file.read(len(GZIP)) != GZIP:
                raise ValueError("neither zip nor tar nor gzip")
        one = Member(path.stem or path.name, MemberKind.FILE, 0, False, partial(_unzipped, path))
        yield iter((one,))


def parts_within(name: str) -> tuple[str, ...] | None:
    """The parts of a path within a folder, dots left out; None when it leads out of it, or nowhere."""
    slashed = name.replace("\\", "/")
    parts = tuple(part for part in slashed.split("/") if part not in ("", "."))
    is_absolute = slashed.startswith("/") or (len(name) > 1 and name[1] == ":")
    return None if is_absolute or ".." in parts or not parts else parts


def pieces(source: IO[bytes]) -> Iterator[bytes]:
    """What a member holds, in pieces that fit into memory."""
    while piece := source.read(_CHUNK):
        yield piece


def _is_tar(path: Path) -> bool:
    with suppress(*BROKEN):
        return tarfile.is_tarfile(path)
    return False


def _of_zip(archive: zipfile.ZipFile) -> Iterator[Member]:
    for info in archive.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.is_dir():
            what = MemberKind.FOLDER
        else:
            what = MemberKind.FILE if kind in (0, stat.S_IFREG) else MemberKind.OTHER
        yield Member(
            _zip_name(info), what, info.file_size, bool(info.flag_bits & _ENCRYPTED), partial(archive.open, info)
        )


def _of_tar(archive: tarfile.TarFile) -> Iterator[Member]:
    for info in archive:
        if info.isdir():
            what = MemberKind.FOLDER
        else:
            what = MemberKind.FILE if info.isreg() and not info.issparse() else MemberKind.OTHER
        yield Member(info.name, what, max(0, info.size), False, partial(_extracted, archive, info))


def _extracted(archive: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(info)
    if stream is None:
        raise tarfile.ReadError(info.name)
    return stream


def _unzipped(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb"))


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The whole name that the archive gives, which zipfile cuts at a zero and whose slashes it turns.

    Archives that do not say in which characters it is are mostly UTF-8 or, in China, GBK.
    """
    name = info.orig_filename
    if info.flag_bits & _UTF_8:
        return name
    raw = name.encode("cp437", "replace")
    for encoding in ("utf-8", "gb18030"):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return name
