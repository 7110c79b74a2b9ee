"""The journals of all segmentations in work, and the work that a killed program left behind."""

from __future__ import annotations

import logging
import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from medview.core.errors import GridMismatchError, StorageError
from medview.core.events import Event
from medview.core.geometry import Geometry
from medview.core.progress import Progress
from medview.core.segmentation import Segmentation
from medview.core.text import Text
from medview.editing import blocks, journal_records, measure
from medview.editing.file_lock import FileLock
from medview.editing.history import Recorder, UndoStack, write_blocks
from medview.editing.journal import Journal
from medview.editing.journal_records import HEADER, LOCK, Record, Step, Stored
from medview.workstation.edit_summary import EditTally
from medview.workstation.jobs import JobQueue

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovery:
    """Unsaved work in a journal that no program is writing.

    Attributes:
        folder: The journal.
        title: What the segmentation is called.
        patient: The patient's name, or the ID where there is none.
        series_description: What people call the series.
        series_uid: The series that has to be open to bring the work back.
        paths: The files of that series.
        when: The last step, UTC.
        strokes: How many edits there are.
        damaged: At how many places steps are lost because the journal is damaged there; those after them are not.
        problem: Why it cannot be brought back; None when it can.
    """

    folder: Path
    title: Text
    patient: str
    series_description: str
    series_uid: str
    paths: tuple[Path, ...]
    when: datetime
    strokes: int
    damaged: int = 0
    problem: StorageError | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """Work that was read back.

    Attributes:
        segmentation: Bit for bit as it was after the last finished step.
        history: Its edits, to undo and redo.
        tally: What was changed since it was adopted.
        folder: The journal.
        length: How much of the journal is whole.
        lock: Held on the journal.
    """

    segmentation: Segmentation
    history: UndoStack
    tally: EditTally
    folder: Path
    length: int
    lock: FileLock


class Journals:
    """Opens, finds and closes journals. Main thread only; the writing happens in one thread of its own.

    Args:
        folder: Where the journals lie, one folder each; made when the first is written.
        jobs: For the way home from the writer's thread.
    """

    def __init__(self, folder: Path, jobs: JobQueue) -> None:
        self.problem_changed: Event[StorageError | None] = Event()
        self._folder = folder
        self._jobs = jobs
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._problem: StorageError | None = None

    @property
    def problem(self) -> StorageError | None:
        """Why the last steps are not on disk; None when they are."""
        return self._problem

    def new(self) -> Journal:
        """A journal in a folder of its own, not begun."""
        name = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:12]}"
        return Journal(self._folder / name, self._writer, self._notify)

    def opened(self, restored: Restored) -> Journal:
        """The journal of work that was read back, to go on with."""
        journal = Journal(restored.folder, self._writer, self._notify, restored.lock)
        journal.go_on(restored.length)
        return journal

    def recoveries(self) -> tuple[Recovery, ...]:
        """Unsaved work that no running program holds, the latest first. Journals with nothing unsaved are removed."""
        folders = sorted(self._folder.glob("*/")) if self._folder.is_dir() else []
        found = [recovery for recovery in map(_examined, folders) if recovery is not None]
        return tuple(sorted(found, key=lambda one: one.when, reverse=True))

    def discard(self, recovery: Recovery) -> None:
        """Remove a journal for good.

        Raises:
            StorageError: Another program is working with it, or it cannot be removed.
        """
        lock = _held(recovery.folder)
        lock.release()
        try:
            shutil.rmtree(recovery.folder)
        except OSError as error:
            raise StorageError("The work cannot be removed.", "Check who may write to MedView's folder.") from error

    def close(self) -> None:
        """Wait for the writer's thread."""
        self._writer.shutdown(wait=True)

    def _notify(self, problem: StorageError | None) -> None:
        self._jobs.post(lambda: self._set_problem(problem))

    def _set_problem(self, problem: StorageError | None) -> None:
        self._problem = problem
        self.problem_changed.emit(problem)


def restore(recovery: Recovery, geometry: Geometry, limit_bytes: int, progress: Progress) -> Restored:
    """Read work back, step by step.

    Args:
        recovery: Which work.
        geometry: The grid of the volume that it belongs on.
        limit_bytes: Of the undo history.
        progress: Told how far it is; may cancel.

    Raises:
        StorageError: Another program holds the journal, or it is damaged.
        GridMismatchError: The volume has another grid now.
    """
    lock = _held(recovery.folder)
    try:
        stored = journal_records.read(recovery.folder)
        if not stored.header.grid.geometry.same_grid(geometry):
            raise GridMismatchError(
                "The work was done on other slices than the open series has.", "Open the files that it was done on."
            )
        return _replayed(stored, geometry, limit_bytes, progress, recovery.folder, lock)
    except BaseException:
        lock.release()
        raise


def _replayed(
    stored: Stored, geometry: Geometry, limit_bytes: int, progress: Progress, folder: Path, lock: FileLock
) -> Restored:
    header = stored.header
    hinted = (*header.provenance.hinted, *(one for record in stored.records for one in record.head.hinted))
    segmentation = Segmentation(
        geometry,
        stored.base_labels(),
        header.segments,
        title=header.title,
        provenance=replace(header.provenance, hinted=hinted),
        id=header.segmentation_id,
    )
    history = UndoStack(limit_bytes)
    counts = measure.count_voxels(segmentation.labels)
    tally = EditTally(segmentation, first_counts=lambda: counts)
    try:
        for number, record in enumerate(stored.records):
            progress.raise_if_cancelled()
            progress.report(number / len(stored.records))
            if stored.damaged:
                _write_again(record, segmentation, tally)
            else:
                _replay(record, segmentation, history, tally)
    except ValueError as error:
        raise StorageError("The journal of this work is damaged.", "Discard it; other work is not affected.") from error
    if stored.records:
        tally.seconds = stored.records[-1].head.seconds
    return Restored(segmentation, history, tally, folder, stored.length, lock)


def _replay(record: Record, segmentation: Segmentation, history: UndoStack, tally: EditTally) -> None:
    head = record.head
    if head.step is Step.SAVED:
        return
    if head.step is not Step.EDIT:
        edit = history.undo(segmentation) if head.step is Step.UNDO else history.redo(segmentation)
        if edit is not None:
            tally.exchanged(edit)
    # What the record says is written in any case: an undo may reach further back than the history that is left.
    recorder = Recorder(segmentation, head.label)
    shape, dtype = segmentation.geometry.shape, segmentation.labels.dtype
    values = {}
    for block, image in record.images.items():
        box = blocks.box_of(block, shape)
        if head.step is Step.EDIT:
            recorder.touch(box)
        values[block] = blocks.unpack(image, box.shape, dtype)
    if head.segments is not None:
        segmentation.set_segments(head.segments)
    write_blocks(segmentation, values)
    if head.step is Step.EDIT:
        edit = recorder.finish(head.name, head.at)
        if edit is not None:
            history.push(edit)
            tally.edited(edit)


def _write_again(record: Record, segmentation: Segmentation, tally: EditTally) -> None:
    """Put a step of a damaged journal there, without its history: what it followed upon may be lost."""
    shape, dtype = segmentation.geometry.shape, segmentation.labels.dtype
    recorder = Recorder(segmentation)
    values = {}
    for block, image in record.images.items():
        box = blocks.box_of(block, shape)
        recorder.touch(box)
        values[block] = blocks.unpack(image, box.shape, dtype)
    if record.head.segments is not None:
        segmentation.set_segments(record.head.segments)
    write_blocks(segmentation, values)
    edit = recorder.finish(record.head.name)
    if edit is not None:
        tally.edited(edit)


def _examined(folder: Path) -> Recovery | None:
    """What a folder offers; None when a program is writing it, or it has nothing unsaved, or it never began."""
    lock = FileLock(folder / LOCK)
    try:
        if not (folder / LOCK).exists() or not lock.acquire():
            return None
        began = (folder / HEADER).exists()
        stored = journal_records.read(folder) if began else None
    except StorageError as problem:
        _log.warning("The journal %s cannot be read.", folder, exc_info=True)
        when = datetime.fromtimestamp((folder / HEADER).stat().st_mtime, UTC)
        return Recovery(folder, Text("Work that cannot be read"), "", "", "", (), when, 0, problem=problem)
    except OSError:
        _log.warning("The journal %s cannot be looked at.", folder, exc_info=True)
        return None
    finally:
        lock.release()
    if stored is None or not stored.is_unsaved:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    header = stored.header
    return Recovery(
        folder,
        header.title,
        header.study.patient.name or header.study.patient.key,
        header.series_description,
        header.series_uid,
        header.paths,
        stored.last_at,
        stored.strokes,
        stored.damaged,
    )


def _held(folder: Path) -> FileLock:
    lock = FileLock(folder / LOCK)
    try:
        if lock.acquire():
            return lock
    except OSError as error:
        raise StorageError("The journal of this work is gone.", "It may have been discarded already.") from error
    raise StorageError("Another MedView is working on this.", "Go on there, or close it first.")
