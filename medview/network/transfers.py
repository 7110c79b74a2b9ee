"""Retrieving and sending, so that doing it again after it broke off moves only what is not there yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from medview.core.errors import InputError, NetworkError, NotThereError, RefusedError, TransferError
from medview.core.progress import PartOf, Progress
from medview.core.text import Text
from medview.network.archive import Archive
from medview.network.inbox import Inbox, Intake
from medview.network.records import Fate, FoundInstance, Outcome, Outgoing, Retrieved, Sent, by_series

_ASKING = Text("Asking the archive what it has")


def retrieve(
    archive: Archive, study_uid: str, series_uids: Sequence[str], inbox: Inbox, progress: Progress
) -> Retrieved:
    """Fetch a study, or some of its series, into the inbox. What is there already, whole, is not fetched again.

    Args:
        archive: Where from.
        study_uid: The study.
        series_uids: Which of its series; all when empty.
        inbox: Where to.
        progress: Told the number of images and bytes.

    Raises:
        NotThereError: The archive does not have it.
        TransferError: It broke off; what has arrived is kept, and the same call fetches the rest.
        NetworkError: Any other trouble with the archive.
        StorageError: The disk is full, or the inbox cannot be written.
        Cancelled: The progress says so; what has arrived is kept.
    """
    inbox.tidy()
    progress.report(None, _ASKING)
    wanted = tuple(series_uids) or tuple(one.uid for one in archive.find_series(study_uid, progress))
    instances = [one for uid in wanted for one in archive.find_instances(study_uid, uid, progress)]
    if not instances:
        raise NotThereError(
            Text.of("{archive} does not have this study or series any more.", archive=archive.address.name),
            "Search again.",
        )
    missing = inbox.missing(instances, progress)
    intake = Intake(inbox, instances, missing, progress)
    if missing:
        _fetch(archive, intake, len(missing), progress)
    return Retrieved(inbox.study_folder(study_uid), len(instances), intake.fetched, intake.size_bytes)


def _fetch(archive: Archive, intake: Intake, wanted: int, progress: Progress) -> None:
    try:
        archive.fetch(intake, progress)
    except NetworkError as error:
        if intake.refused is not None:
            raise intake.refused from error
        if not intake.fetched:
            raise
        raise TransferError(
            Text.of(
                "The transfer broke off after {done} of {total} images. {reason}",
                done=intake.fetched,
                total=wanted,
                reason=error.what,
            ),
            "What has arrived is kept. Retrieve again: only the rest is fetched.",
        ) from error
    if intake.refused is not None:
        raise intake.refused
    if left := len(intake.missing):
        raise TransferError(
            Text.of(
                "{archive} did not send {count} of {total} images.",
                archive=archive.address.name,
                count=left,
                total=wanted,
            ),
            "What has arrived is kept. Retrieve again: only the rest is fetched.",
        )


def outgoing(paths: Iterable[Path], progress: Progress) -> tuple[Outgoing, ...]:
    """Files that are to be sent, each SOP instance once.

    Raises:
        InputError: One of them is no DICOM file, or lacks what every instance must have.
        Cancelled: The progress says so.
    """
    import pydicom

    from medview.network.quiet import quiet_libraries

    quiet_libraries()
    found: dict[str, Outgoing] = {}
    tags = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
    for path in paths:
        progress.raise_if_cancelled()
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(tags))
            sop_class, uid, study, series = (str(header[tag].value) for tag in tags)
            syntax = str(header.file_meta.TransferSyntaxUID)
        except Exception as error:  # pydicom raises anything on what is no DICOM
            raise InputError(
                Text.of("{name} cannot be sent: it is no complete DICOM file.", name=path.name),
                "Choose DICOM files with a header, an instance, a series and a study of their own.",
            ) from error
        found.setdefault(uid, Outgoing(path, FoundInstance(study, series, uid, sop_class), syntax, path.stat().st_size))
    if not found:
        raise InputError("There are no files to send.")
    return tuple(found.values())


def send(archive: Archive, files: Sequence[Outgoing], progress: Progress) -> Sent:
    """Send files to an archive, and ask it afterwards whether it has them.

    The archive is asked before, too: what it has already is not sent again. An archive that takes but answers no
    queries is believed; its files end as ACCEPTED and not as CONFIRMED.

    Args:
        archive: Where to.
        files: As `outgoing` gives them.
        progress: Told the number of files and bytes.

    Raises:
        NetworkError: It broke off, or did not begin; the same call sends what the archive does not have.
        Cancelled: The progress says so.
    """
    progress.report(None, _ASKING)
    there = _present(archive, files, progress)
    outcomes = {one.instance.uid: Outcome(one, Fate.THERE) for one in files if there and one.instance.uid in there}
    rest = [one for one in files if one.instance.uid not in outcomes]

    def told(outcome: Outcome) -> None:
        outcomes[outcome.file.instance.uid] = outcome

    if rest:
        try:
            archive.send(rest, told, PartOf(progress, 0.0, 0.98))
        except NetworkError as error:
            done = sum(one.fate is Fate.ACCEPTED for one in outcomes.values())
            if not done:
                raise
            raise TransferError(
                Text.of(
                    "Sending broke off after {done} of {total} files. {reason}",
                    done=done,
                    total=len(rest),
                    reason=error.what,
                ),
                "Send again: only what the archive does not have is sent.",
            ) from error
    if there is not None and rest:
        progress.report(0.99, Text("Asking the archive whether it has them"))
        now = _present(archive, rest, progress) or frozenset()
        for uid, one in outcomes.items():
            if one.fate is Fate.ACCEPTED:
                outcomes[uid] = Outcome(one.file, Fate.CONFIRMED if uid in now else Fate.MISSING)
    return Sent(tuple(outcomes[one.instance.uid] for one in files if one.instance.uid in outcomes))


def _present(archive: Archive, files: Sequence[Outgoing], progress: Progress) -> frozenset[str] | None:
    """The instances that the archive has of the series of these files; None when it answers no queries."""
    try:
        return frozenset(
            found.uid
            for study, series in by_series(one.instance for one in files)
            for found in archive.find_instances(study, series, progress)
        )
    except RefusedError:
        return None
