"""What can be done with an archive, however it speaks: one interface for DIMSE and DICOMweb."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from medview.core.progress import Progress
from medview.network.address import Address, Kind
from medview.network.inbox import Intake
from medview.network.records import FoundInstance, FoundSeries, FoundStudies, Outcome, Outgoing, Query

MOST_STUDIES = 500
"""How many studies a search brings at most."""


class Archive(Protocol):
    """An archive. Every call makes its own connections and ends them.

    Every call raises a `NetworkError` that says in plain words what went wrong and what to do, and `Cancelled` within a
    second after the progress says so.
    """

    address: Address

    def echo(self, progress: Progress) -> None:
        """Find out whether the archive is there and lets this workstation in."""

    def find_studies(self, query: Query, progress: Progress) -> FoundStudies:
        """The studies that match, up to `MOST_STUDIES`; when there are none, other spellings of the name are tried."""

    def find_series(self, study_uid: str, progress: Progress) -> tuple[FoundSeries, ...]:
        """The series of a study; none when the archive does not have it."""

    def find_instances(self, study_uid: str, series_uid: str, progress: Progress) -> tuple[FoundInstance, ...]:
        """The instances of a series; none when the archive does not have it."""

    def fetch(self, intake: Intake, progress: Progress) -> None:
        """Have everything sent that the intake misses."""

    def send(self, files: Sequence[Outgoing], told: Callable[[Outcome], None], progress: Progress) -> None:
        """Send files; `told` hears of each what the archive said: ACCEPTED or REFUSED.

        When it raises, the files of which nothing was told have not been sent.
        """


def first_found(query: Query, search: Callable[[Query], FoundStudies]) -> FoundStudies:
    """The studies of the first spelling of a query that brings any."""
    found = FoundStudies(())
    for spelling in query.spellings():
        found = search(spelling)
        if found.studies:
            break
    return found


def archive_at(address: Address) -> Archive:
    """The archive at an address. Connects to nothing yet.

    Raises:
        InputError: The address is none.
    """
    address.require()
    if address.kind is Kind.DICOMWEB:
        from medview.network.dicomweb import DicomwebArchive

        return DicomwebArchive(address)
    from medview.network.dimse import DimseArchive

    return DimseArchive(address)
