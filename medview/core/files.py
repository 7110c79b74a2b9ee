"""Files that are there whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medview.core.errors import StorageError
from medview.core.progress import Progress
from medview.core.text import Text

_DOUBLE_SUFFIX = ".gz"
_PART = ".part-"
_CHUNK = 1 << 22
_LEFT_BEHIND_S = 86_400.0


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file under a temporary name beside its place, and put it there when it is complete and on the disk.

    The temporary name keeps the suffix, by which some libraries choose the format. An error leaves nothing behind and
    an older file of that name as it was.

    Args:
        path: Where the file shall be; its folder is made when missing.

    Raises:
        StorageError: The disk is full, or nothing may be written there.
    """
    suffix = "".join(path.suffixes[-2:]) if path.suffix == _DOUBLE_SUFFIX else path.suffix
    temporary = path.parent / f"{_PART}{uuid.uuid4().hex}{suffix}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush(path.parent)
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Put these bytes into a file, whole or not at all.

    Raises:
        StorageError: The disk is full, or nothing may be written there.
    """
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside its place; gone at the end unless `rename_folder` gave it its name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f"{_PART}{uuid.uuid4().hex}"
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def rename_folder(temporary: Path, target: Path) -> bool:
    """Give a complete folder its name; False when somebody else was first."""
    flush(temporary)
    try:
        temporary.rename(target)
    except OSError:
        if target.is_dir():
            return False
        raise
    flush(target.parent)
    return True


def sweep(folder: Path) -> None:
    """Remove what programs that were killed left half-written anywhere below, once it is a day old."""
    for path in folder.rglob(f"{_PART}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _LEFT_BEHIND_S:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()


def put_once(temporary: Path, target: Path) -> None:
    """Give a complete file its name unless there is one."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        if not target.exists():
            temporary.replace(target)


def file_hash(path: Path, progress: Progress | None = None) -> str:
    """SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            if progress is not None:
                progress.raise_if_cancelled()
    return digest.hexdigest()


def flush(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk before going on."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def not_written(path: Path, error: OSError) -> StorageError:
    """The sentence for a system that refused to write."""
    reason = error.strerror or type(error).__name__
    return StorageError(
        Text.of("{name} could not be written: {reason}.", name=path.name, reason=reason),
        Text.of("Check that {folder} can be written to and that the disk is not full.", folder=str(path.parent)),
    )
