"""What has arrived whole: one line for each file of a study, with its size and checksum."""

from __future__ import annotations

import threading
import zlib
from dataclasses import dataclass, field
from pathlib import Path

_NAME = ".received"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class _Entry:
    size_bytes: int
    crc: int


@dataclass
class Sum:
    """Size and checksum (CRC-32) of bytes as they come."""

    size_bytes: int = 0
    crc: int = 0

    def add(self, piece: bytes | memoryview) -> None:
        """Count these, too."""
        self.size_bytes += len(piece)
        self.crc = zlib.crc32(piece, self.crc)


@dataclass
class Ledger:
    """The list of a study's folder, kept in the folder itself as a hidden file. Safe to call from any thread.

    A file that is not in it, because the program ended between the two, counts as not there and is fetched again.

    Args:
        folder: The study's folder.
    """

    folder: Path
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        try:
            lines = (self.folder / _NAME).read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError):
            return
        for line in lines:
            size, crc, name = (*line.split(" ", 2), "", "")[:3]
            if name and size.isdecimal() and crc.isdecimal():
                self._entries[name] = _Entry(int(size), int(crc))

    def add(self, path: Path, sum: Sum) -> None:
        """Say that a file of the folder is there, whole.

        Raises:
            OSError: It could not be noted.
        """
        name = path.relative_to(self.folder).as_posix()
        with self._lock:
            self._entries[name] = _Entry(sum.size_bytes, sum.crc)
            with (self.folder / _NAME).open("a", encoding="utf-8") as file:
                file.write(f"{sum.size_bytes} {sum.crc} {name}\n")

    def is_whole(self, path: Path) -> bool:
        """Whether a file is there and every byte of it as it arrived."""
        entry = self._entries.get(path.relative_to(self.folder).as_posix())
        if entry is None:
            return False
        found = Sum()
        try:
            with path.open("rb") as file:
                while piece := file.read(_CHUNK):
                    found.add(piece)
        except OSError:
            return False
        return (found.size_bytes, found.crc) == (entry.size_bytes, entry.crc)
