"""Searching archives, bringing studies from them, and sending to them: jobs of the network lane."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from medview.core.case import Case
from medview.core.errors import InputError, MedViewError
from medview.core.progress import PartOf, Progress
from medview.core.segmentation import Segmentation, SegmentationId
from medview.core.text import Text
from medview.network.address import Address
from medview.network.records import FoundSeries, FoundStudies, Query, Retrieved, Sent
from medview.workstation import masks
from medview.workstation.archive_list import ArchiveList
from medview.workstation.importing import Importing
from medview.workstation.jobs import Job, JobQueue, Lane
from medview.workstation.workspace import Workspace

if TYPE_CHECKING:
    from medview.network.archive import Archive

T = TypeVar("T")
Then = Callable[[T], None]
Failed = Callable[[MedViewError], None]


class Archives:
    """The archives of the user. Main thread only; its jobs run in the network lane.

    Args:
        home: The user's folder: the list of archives and the inbox lie there.
        workspace: What is open.
        jobs: Where the work is done.
        importing: Opens what has arrived.
    """

    def __init__(self, home: Path, workspace: Workspace, jobs: JobQueue, importing: Importing) -> None:
        self.list = ArchiveList(home)
        self.inbox_folder = home / "inbox"
        self._outbox = home / "outbox"
        self._workspace = workspace
        self._jobs = jobs
        self._importing = importing

    def echo(self, address: Address, then: Then[None] | None = None, failed: Failed | None = None) -> Job[None]:
        """Find out whether an archive is there and lets us in."""

        def work(progress: Progress) -> None:
            _archive(address).echo(progress)

        return self._submit(Text.of("Asking {archive}", archive=address.name), work, then, failed)

    def find(
        self,
        address: Address,
        query: Query,
        then: Then[FoundStudies] | None = None,
        failed: Failed | None = None,
    ) -> Job[FoundStudies]:
        """Look for studies."""
        title = Text.of("Searching {archive}", archive=address.name)
        return self._submit(title, lambda progress: _archive(address).find_studies(query, progress), then, failed)

    def find_series(
        self,
        address: Address,
        study_uid: str,
        then: Then[tuple[FoundSeries, ...]] | None = None,
        failed: Failed | None = None,
    ) -> Job[tuple[FoundSeries, ...]]:
        """Look what a study consists of."""
        title = Text.of("Searching {archive}", archive=address.name)
        return self._submit(title, lambda progress: _archive(address).find_series(study_uid, progress), then, failed)

    def retrieve(
        self,
        address: Address,
        study_uid: str,
        series_uids: Sequence[str] = (),
        then: Then[Retrieved] | None = None,
        failed: Failed | None = None,
        *,
        opens: bool = True,
    ) -> Job[Retrieved]:
        """Bring a study, or some series of it, into the inbox, and open what has come.

        After a transfer that broke off or was cancelled, the same call fetches only what is not there yet.

        Args:
            address: Where from.
            study_uid: The study.
            series_uids: Which of its series; all when empty.
            then: Called when it is there, before it is opened.
            failed: Called when it broke off.
            opens: Whether it is opened.
        """
        folder = self.inbox_folder

        def work(progress: Progress) -> Retrieved:
            from medview.network import transfers
            from medview.network.inbox import Inbox

            return transfers.retrieve(_archive(address), study_uid, series_uids, Inbox(folder), progress)

        def arrived(retrieved: Retrieved) -> None:
            if then is not None:
                then(retrieved)
            if opens:
                wanted = [retrieved.folder / uid for uid in series_uids]
                self._importing.open_paths([one for one in wanted if one.is_dir()] or [retrieved.folder])

        return self._submit(Text.of("Retrieving from {archive}", archive=address.name), work, arrived, failed)

    def send(
        self,
        address: Address,
        paths: Sequence[Path],
        then: Then[Sent] | None = None,
        failed: Failed | None = None,
    ) -> Job[Sent]:
        """Send DICOM files, and have the archive asked afterwards whether it has them.

        After a transfer that broke off or was cancelled, the same call sends only what the archive does not have.
        """
        files = tuple(paths)

        def work(progress: Progress) -> Sent:
            return _send(address, files, progress)

        return self._submit(Text.of("Sending to {archive}", archive=address.name), work, then, failed)

    def send_segmentation(
        self,
        address: Address,
        segmentation_id: SegmentationId,
        then: Then[Sent] | None = None,
        failed: Failed | None = None,
    ) -> Job[Sent]:
        """Write a segmentation as DICOM SEG, prove it by reading it back, and send it.

        The labels are copied now; they may be edited while the job runs.

        Raises:
            InputError: Its image is not DICOM, or still loading.
        """
        case = next(one for one in self._workspace.cases if segmentation_id in one.segmentations)
        volume = case.volume_under(segmentation_id)
        if not case.is_complete(volume.id):
            raise InputError("The series is still loading.", "Wait until it is complete and send again.")
        sources = self.files_of_series(case, volume.series_uid)
        if not sources:
            raise InputError(
                "DICOM masks refer to DICOM images, and this series has none.",
                "Save it as NIfTI, or name the DICOM series.",
            )
        shown = case.segmentations[segmentation_id]
        copy = Segmentation(
            shown.geometry,
            shown.labels.copy(),
            shown.segments,
            title=shown.title,
            provenance=shown.provenance,
        )
        path = self._outbox / f"{uuid.uuid4().hex}.dcm"

        def work(progress: Progress) -> Sent:
            try:
                masks.write_mask(copy, volume, sources, path, PartOf(progress, 0.0, 0.3))
                return _send(address, (path,), PartOf(progress, 0.3, 1.0))
            finally:
                path.unlink(missing_ok=True)

        return self._submit(Text.of("Sending to {archive}", archive=address.name), work, then, failed)

    def files_of_series(self, case: Case, series_uid: str) -> tuple[Path, ...]:
        """The DICOM files of a series; none when it does not come from DICOM."""
        series = case.series_with(series_uid)
        source = self._importing.source(series_uid)
        return series.files if series is not None and not isinstance(source, Path) else ()

    def files_of_case(self, case: Case) -> tuple[Path, ...]:
        """The DICOM files of a study, each once."""
        files = (path for one in case.series for path in self.files_of_series(case, one.uid))
        return tuple(dict.fromkeys(files))

    def _submit(
        self, title: Text, work: Callable[[Progress], T], then: Then[T] | None, failed: Failed | None
    ) -> Job[T]:
        return self._jobs.submit(title, work, lane=Lane.NETWORK, then=then, failed=failed)


def _archive(address: Address) -> Archive:
    from medview.network.archive import archive_at

    return archive_at(address)


def _send(address: Address, paths: Sequence[Path], progress: Progress) -> Sent:
    from medview.network import transfers

    return transfers.send(_archive(address), transfers.outgoing(paths, progress), progress)
