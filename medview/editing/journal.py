"""The journal of one segmentation: every finished step on disk, so that a killed program loses none.

Steps are packed, written and synced by a thread of their own, so the mouse does not wait for the disk. A written step
survives the end of the program, a synced one also the end of the power. Who ends a step waits a moment until it is
written; who begins the next, until it is synced: both are mostly so already. What could not be written (full disk,
folder gone) stays in memory, in order, and is tried again with every further step.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, wait
from pathlib import Path

from medview.core.errors import StorageError
from medview.core.geometry import Box, Index
from medview.core.segmentation import Labels
from medview.core.text import Text
from medview.editing import blocks
from medview.editing.file_lock import FileLock
from medview.editing.journal_records import BASE, HEADER, LOCK, STROKES, Head, Header, Step, encode, encode_header

_log = logging.getLogger(__name__)


class Journal:
    """Writes the journal of one segmentation.

    Args:
        folder: The journal's own folder.
        writer: One thread, in which everything is written, in order.
        lock: Held already when a journal that was read is gone on with; else taken with the first write.
        notify: Called from the writer's thread with the problem when writing starts to fail, and with None when all
            that waited is on disk after all.
    """

    def __init__(
        self,
        folder: Path,
        writer: Executor,
        notify: Callable[[StorageError | None], None],
        lock: FileLock | None = None,
    ) -> None:
        self.folder = folder
        self._writer = writer
        self._notify = notify
        self._lock = lock or FileLock(folder / LOCK)
        self._waiting: deque[Callable[[], None]] = deque()
        self._written: Future[None] | None = None
        self._synced: Future[None] | None = None
        self._problem: StorageError | None = None
        self._length = 0

    @property
    def problem(self) -> StorageError | None:
        """Why the last steps are not on disk; None when they are."""
        return self._problem

    def begin(self, header: Header, labels: Callable[[], Labels | None]) -> None:
        """Start the journal.

        Args:
            header: Whose work it is.
            labels: Asked once, in the writer's thread: (k, j, i), the labels as they are now, not changed by anybody
                from now on; None: all background.
        """
        asked: tuple[Labels | None] | None = None
        images: dict[Index, bytes] | None = None

        def write() -> None:
            # Packing and writing may fail and be tried again, with what was given and packed then.
            nonlocal asked, images
            if images is None:
                asked = asked or (labels(),)
                images = _packed(asked[0])
                asked = (None,)
            self._write_beginning(header, images)

        self._do(write)

    def go_on(self, length: int) -> None:
        """Go on with a journal that was read; `length` bytes of its strokes are whole, and the rest is cut off."""
        self._length = length

    def append(self, head: Head, values: Mapping[Index, Labels]) -> None:
        """Add a step.

        Args:
            head: What was done.
            values: By block, (k, j, i), the labels after the step; not changed by anybody from now on.
        """
        self._add(lambda: encode(head, {block: blocks.pack(one) for block, one in values.items()}))

    def append_packed(self, steps: Sequence[tuple[Head, Mapping[Index, bytes]]]) -> None:
        """Add steps that are taken together: for each its head and, by block, the labels after it, packed already."""
        self._add(lambda: b"".join(encode(head, images) for head, images in steps))

    def wait_until_written(self, timeout_s: float) -> bool:
        """Wait until all steps are with the system; False when they are not: a problem, or the time is over."""
        return self._wait(self._written, timeout_s)

    def wait_until_synced(self, timeout_s: float) -> bool:
        """Wait until all steps are on the disk itself; False when they are not: a problem, or the time is over."""
        return self._wait(self._synced, timeout_s)

    def close(self, *, keep: bool) -> None:
        """Write what is left and let go of the folder; without `keep`, remove it. Nothing is added after this."""
        self._writer.submit(self._end, keep).result()

    def _add(self, record: Callable[[], bytes]) -> None:
        self._written = self._do(lambda: self._append(record()))
        self._synced = self._do(self._sync)

    def _wait(self, future: Future[None] | None, timeout_s: float) -> bool:
        if future is None:
            return True
        wait([future], timeout_s)
        return future.done() and self._problem is None

    def _do(self, task: Callable[[], None]) -> Future[None]:
        self._waiting.append(task)
        return self._writer.submit(self._work)

    def _work(self) -> None:
        """In the writer's thread: do what waits, until something fails."""
        problem: StorageError | None = None
        try:
            while self._waiting:
                self._waiting[0]()
                self._waiting.popleft()
        except Exception as error:
            _log.warning("The journal %s cannot be written.", self.folder, exc_info=True)
            problem = not_protected(error)
        before, self._problem = self._problem, problem
        if (before is None) != (problem is None):
            self._notify(problem)

    def _end(self, keep: bool) -> None:
        if keep:
            self._work()
        self._waiting.clear()
        self._lock.release()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _write_beginning(self, header: Header, images: Mapping[Index, bytes]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._lock.acquire():
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        head = Head(Step.BASE, Text(""), header.began_at)
        _replace(self.folder / BASE, encode(head, images))
        _replace(self.folder / HEADER, encode_header(header))
        _sync_folder(self.folder)
        _sync_folder(self.folder.parent)

    def _append(self, record: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        handle = os.open(self.folder / STROKES, flags, 0o600)
        try:
            if os.fstat(handle).st_size < self._length:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            # What a step that failed left behind, or a program that was killed, goes before the next is written.
            os.ftruncate(handle, self._length)
            _write_all(handle, record)
            self._length += len(record)
        finally:
            os.close(handle)

    def _sync(self) -> None:
        handle = os.open(self.folder / STROKES, os.O_WRONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _packed(labels: Labels | None) -> dict[Index, bytes]:
    """The blocks of labels, (k, j, i), that are not all background."""
    images: dict[Index, bytes] = {}
    if labels is not None:
        for block in blocks.covering(Box.whole(labels.shape), labels.shape):
            values = labels[blocks.box_of(block, labels.shape).slices]
            if values.any():
                images[block] = blocks.pack(values)
    return images


def copies_of(labels: Labels, touched: Mapping[Index, object]) -> dict[Index, Labels]:
    """The blocks of labels as they are now, copied.

    Args:
        labels: (k, j, i).
        touched: Which blocks.
    """
    return {block: labels[blocks.box_of(block, labels.shape).slices].copy() for block in touched}


def not_protected(error: Exception) -> StorageError:
    """What the user is told when the journal cannot be written."""
    return StorageError(
        Text.of(
            "Your strokes cannot be saved to disk: {reason}.",
            reason=getattr(error, "strerror", None) or type(error).__name__,
        ),
        "You can go on, but save the work soon; make room on the disk or let MedView write to its folder.",
    )


def _write_all(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _sync_folder(folder: Path) -> None:
    """Make the names of new files last; Windows does so by itself."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
