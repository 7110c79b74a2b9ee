"""Every file in what was dropped, folder by folder, with what the system says of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from medview.core.progress import Progress
from medview.core.text import Text

_IGNORED = frozenset({"thumbs.db", "desktop.ini", "__macosx"})
_ASK_EVERY = 64


class Stamp(NamedTuple):
    """What tells whether a file is still the one that was read.

    Attributes:
        size: Bytes.
        modified_ns: When its content changed, nanoseconds since 1970.
        changed_ns: When anything of it changed; on Windows when it was made.
        inode: Its number in the file system; 0 where that is not told.
    """

    size: int
    modified_ns: int
    changed_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Listing:
    """Files of one folder.

    Attributes:
        folder: The folder.
        files: Their names and stamps; no stamp where the system did not tell.
        is_whole: Whether these are all that it holds.
    """

    folder: Path
    files: tuple[tuple[str, Stamp | None], ...]
    is_whole: bool


def walk(paths: Sequence[Path], progress: Progress, unreadable: Callable[[Path, OSError], None]) -> Iterator[Listing]:
    """Every file once, in a stable order, without what systems leave in folders.

    Args:
        paths: Files, and folders with all their subfolders.
        progress: Asked for cancellation, and told how many files there are.
        unreadable: Called with a folder that cannot be read.

    Raises:
        Cancelled: The progress says so.
    """
    seen: dict[Path, set[str]] = {}
    found = 0
    for listing in _listings(paths, progress, unreadable):
        names = seen.setdefault(listing.folder, set())
        fresh = tuple({name: stamp for name, stamp in listing.files if name not in names}.items())
        names.update(name for name, _ in fresh)
        found += len(fresh)
        progress.report(None, Text.of("{number} files found", number=found))
        if fresh:
            yield Listing(listing.folder, fresh, listing.is_whole)


def is_passed_over(name: str) -> bool:
    """Hidden files, what macOS leaves beside files and in archives, and what Windows leaves: not worth a word."""
    return name.startswith(".") or name.lower() in _IGNORED


def _listings(
    paths: Sequence[Path], progress: Progress, unreadable: Callable[[Path, OSError], None]
) -> Iterator[Listing]:
    for is_folder, members in groupby(paths, key=Path.is_dir):
        progress.raise_if_cancelled()
        if not is_folder:
            yield from by_folder(members)
            continue
        for path in members:
            yield from _below(path, progress, unreadable)


def by_folder(files: Iterable[Path]) -> Iterator[Listing]:
    """Files as they are now, those of one folder together that follow each other."""
    for folder, members in groupby(files, key=lambda path: path.parent):
        yield Listing(folder, tuple((path.name, stamp_of(path)) for path in members), is_whole=False)


def stamp_of(path: Path | os.DirEntry[str]) -> Stamp | None:
    """What the system says of a file; None when it does not."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def list_folder(folder: Path, progress: Progress, unreadable: Callable[[Path, OSError], None]) -> Listing:
    """The files of one folder, without those in its subfolders. Takes and raises what `walk` does."""
    return _list(folder, progress, unreadable)[0]


def _below(folder: Path, progress: Progress, unreadable: Callable[[Path, OSError], None]) -> Iterator[Listing]:
    listing, folders = _list(folder, progress, unreadable)
    yield listing
    for name in folders:
        yield from _below(folder / name, progress, unreadable)


def _list(folder: Path, progress: Progress, unreadable: Callable[[Path, OSError], None]) -> tuple[Listing, list[str]]:
    """The files of a folder, and the names of the folders in it."""
    files: list[tuple[str, Stamp | None]] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number % _ASK_EVERY == 0:
                    progress.raise_if_cancelled()
                if is_passed_over(entry.name):
                    continue
                if entry.is_dir():
                    if not entry.is_symlink():
                        folders.append(entry.name)
                elif (stamp := stamp_of(entry)) is None or entry.is_file():  # pipes would keep whoever reads waiting
                    files.append((entry.name, stamp))
    except OSError as error:
        unreadable(folder, error)
    return Listing(folder, tuple(sorted(files, key=itemgetter(0))), is_whole=True), sorted(folders)
