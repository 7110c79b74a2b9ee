"""What is said of archives that answer, and do not do what they should: small servers that answer as a test wants."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from medview.core.errors import NetworkError, RefusedError, TransferError
from medview.core.progress import NoProgress
from medview.network.address import Address
from medview.network.archive import MOST_STUDIES, archive_at
from medview.network.receiver import stop_listening
from medview.network.records import Fate, Query
from medview.network.transfers import outgoing, send
from tests.support.orthanc import free_port
from tests.unit.network.test_archives import files_in

QUIET = NoProgress()
Answers = Callable[[evt.Event], Iterator[tuple[int, Dataset | None]]]


@contextmanager
def server(store: int = 0x0000, find: Answers | None = None, **options: object) -> Iterator[Address]:
    """An archive that answers every C-STORE with one status, and C-FIND as told; without `find` it has no C-FIND."""
    port = free_port()
    entity = ApplicationEntity(ae_title="SERVER")
    for name, value in options.items():
        setattr(entity, name, value)
    entity.add_supported_context(Verification)
    entity.add_supported_context(CTImageStorage)
    handlers: list[tuple[evt.EventType, Callable[[evt.Event], object]]] = [(evt.EVT_C_STORE, lambda _: store)]
    if find is not None:
        entity.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        handlers.append((evt.EVT_C_FIND, find))
    entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)  # type: ignore[arg-type]
    try:
        yield Address(name="Test archive", host="127.0.0.1", port=port, called_ae="SERVER")
    finally:
        stop_listening(entity)


def nothing(_: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
    yield 0x0000, None


def test_an_archive_that_takes_and_does_not_keep_is_found_out(small_series_folder: Path) -> None:
    files = outgoing(files_in(small_series_folder)[:3], QUIET)
    with server(find=nothing) as address:
        sent = send(archive_at(address), files, QUIET)
    assert [one.fate for one in sent.outcomes] == [Fate.MISSING] * 3
    assert not sent.is_well


def test_a_full_archive_is_named(small_series_folder: Path) -> None:
    files = outgoing(files_in(small_series_folder)[:3], QUIET)
    with server(0xA700) as address, pytest.raises(TransferError, match="is out of resources"):
        send(archive_at(address), files, QUIET)


def test_a_file_that_is_refused_is_told_with_its_status(small_series_folder: Path) -> None:
    files = outgoing(files_in(small_series_folder)[:2], QUIET)
    with server(0xC123) as address:
        sent = send(archive_at(address), files, QUIET)
    assert [one.fate for one in sent.outcomes] == [Fate.REFUSED] * 2
    assert "0xC123" in str(sent.outcomes[0].reason)


def test_a_search_that_fails_says_the_status() -> None:
    def failing(_: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        yield 0xC001, None

    with server(find=failing) as address, pytest.raises(NetworkError, match="0xC001"):
        archive_at(address).find_studies(Query(), QUIET)


def test_an_archive_without_search_says_so() -> None:
    with server() as address, pytest.raises(RefusedError, match="does not offer this service"):
        archive_at(address).find_studies(Query(), QUIET)


def test_an_unknown_workstation_and_a_busy_archive_are_told_apart() -> None:
    with server(require_calling_aet=["FRIEND"]) as address:
        with pytest.raises(RefusedError, match="does not know this workstation: MEDVIEW"):
            archive_at(address).echo(QUIET)
        archive_at(address.model_copy(update={"calling_ae": "FRIEND"})).echo(QUIET)


def test_a_search_with_too_many_answers_is_stopped_and_says_so() -> None:
    asked_to_stop = []

    def endless(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        for number in range(2 * MOST_STUDIES):
            if number > MOST_STUDIES:  # one more than wanted is out: whoever asked must say now that it is enough
                deadline = time.monotonic() + 30
                while time.monotonic() < deadline:
                    if event.is_cancelled:  # it says so once
                        asked_to_stop.append(number)
                        yield 0xFE00, None
                        return
                    time.sleep(0.01)
                return
            answer = Dataset()
            answer.QueryRetrieveLevel, answer.StudyInstanceUID = "STUDY", f"1.2.{number}"
            yield 0xFF00, answer

    with server(find=endless) as address:
        found = archive_at(address).find_studies(Query(), QUIET)
    assert len(found.studies) == MOST_STUDIES
    assert not found.complete
    assert asked_to_stop
