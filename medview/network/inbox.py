"""Where files from archives land: study/series/instance.dcm, each whole or not there."""

from __future__ import annotations

import hashlib
import re
import threading
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from medview.core.errors import StorageError, TransferError
from medview.core.files import flush, not_written, sweep
from medview.core.progress import Progress
from medview.core.text import Text
from medview.network.ledger import Ledger, Sum
from medview.network.records import FoundInstance, by_series

_UID = re.compile(r"[0-9.]{1,64}")
_PART = ".part-"
_ARRIVING = ".arriving"
_MB = 1e6


class Inbox:
    """The folder. A name of it is made from a UID only where that is one: nothing can be put outside.

    Args:
        folder: Where; made when something arrives.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arriving = folder / _ARRIVING

    def tidy(self) -> None:
        """Remove what programs that were killed left half-arrived."""
        sweep(self.arriving)

    def study_folder(self, study_uid: str) -> Path:
        """Where the series of a study lie."""
        return self.folder / _name(study_uid)

    def place(self, instance: FoundInstance) -> Path:
        """Where an instance lies once it is there."""
        series = self.study_folder(instance.study_uid) / _name(instance.series_uid)
        return series / f"{_name(instance.uid)}.dcm"

    def ledger(self, study_uid: str) -> Ledger:
        """What of a study has arrived."""
        return Ledger(self.study_folder(study_uid))

    def missing(self, instances: Iterable[FoundInstance], progress: Progress) -> tuple[FoundInstance, ...]:
        """Those that are not there, or not byte for byte as they arrived.

        Raises:
            Cancelled: The progress says so.
        """
        absent: list[FoundInstance] = []
        ledgers: dict[str, Ledger] = {}
        for instance in instances:
            progress.raise_if_cancelled()
            ledger = ledgers.setdefault(instance.study_uid, self.ledger(instance.study_uid))
            if not ledger.is_whole(self.place(instance)):
                absent.append(instance)
        return tuple(absent)


@dataclass(frozen=True, slots=True)
class Request:
    """Instances of one series to ask for; `whole` when they are all that the archive has of it."""

    study_uid: str
    series_uid: str
    instances: tuple[FoundInstance, ...]
    whole: bool


class Intake:
    """Takes instances as they come, whoever brings them: puts each in its place, counts, and reports.

    Safe to call from any thread. What was not asked for is not kept.

    Args:
        inbox: Where to.
        all: What the archive has.
        missing: What of it is not in the inbox.
        progress: Told how far it is.
    """

    def __init__(
        self, inbox: Inbox, all: Sequence[FoundInstance], missing: Sequence[FoundInstance], progress: Progress
    ) -> None:
        self._inbox = inbox
        self._progress = progress
        self._lock = threading.Lock()
        self._open = {one.uid: one for one in missing}
        self._sizes = {key: len(members) for key, members in by_series(all).items()}
        self._ledgers = {uid: inbox.ledger(uid) for uid in {one.study_uid for one in missing}}
        self._wanted = len(missing)
        self.size_bytes = 0
        self.refused: StorageError | None = None

    @property
    def fetched(self) -> int:
        """How many have come."""
        return self._wanted - len(self._open)

    @property
    def missing(self) -> tuple[FoundInstance, ...]:
        """What has not come yet."""
        with self._lock:
            return tuple(self._open.values())

    def requests(self) -> tuple[Request, ...]:
        """What to ask for, series by series."""
        return tuple(
            Request(*key, tuple(members), len(members) == self._sizes.get(key))
            for key, members in by_series(self.missing).items()
        )

    def take(self, pieces: Iterable[bytes | memoryview]) -> bool:
        """Write one instance, and give it its name when it is whole and on the disk.

        Args:
            pieces: The bytes of a DICOM file, preamble and all, in any pieces.

        Returns:
            Whether it is one that was asked for.

        Raises:
            StorageError: It could not be written; the same is kept in `refused`.
            TransferError: It is no DICOM file.
            Cancelled: The progress says so.
        """
        temporary = self._inbox.arriving / f"{_PART}{uuid.uuid4().hex}"
        try:
            sum = self._write(pieces, temporary)
            instance = self._identify(temporary)
            if instance is None:
                return False
            self._progress.raise_if_cancelled()
            place = self._inbox.place(instance)
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary.replace(place)
            self._ledgers[instance.study_uid].add(place, sum)
        except OSError as error:
            self.refused = not_written(self._inbox.folder, error)
            raise self.refused from error
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        with self._lock:
            self._open.pop(instance.uid, None)
        self._report()
        return True

    def _write(self, pieces: Iterable[bytes | memoryview], temporary: Path) -> Sum:
        temporary.parent.mkdir(parents=True, exist_ok=True)
        sum = Sum()
        with temporary.open("wb") as file:
            for piece in pieces:
                self._progress.raise_if_cancelled()
                file.write(piece)
                sum.add(piece)
                with self._lock:
                    self.size_bytes += len(piece)
                self._report()
        flush(temporary)
        return sum

    def _identify(self, temporary: Path) -> FoundInstance | None:
        import pydicom

        from medview.network.quiet import quiet_libraries

        quiet_libraries()
        try:
            header = pydicom.dcmread(temporary, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
            uid = str(header.get("SOPInstanceUID", ""))
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise TransferError(  # pydicom raises anything on what is no DICOM
                "The archive sent something that is no DICOM file.", "Retrieve again, and tell whoever runs it."
            ) from error
        with self._lock:
            return self._open.get(uid)

    def _report(self) -> None:
        mb = self.size_bytes / _MB
        text = Text.of("{done} of {total} images, {mb} MB", done=self.fetched, total=self._wanted, mb=f"{mb:.1f}")
        self._progress.report(self.fetched / self._wanted if self._wanted else 1.0, text)


def _name(uid: str) -> str:
    if _UID.fullmatch(uid) and uid.strip("."):
        return uid
    return f"x{hashlib.sha256(uid.encode()).hexdigest()[:40]}"
