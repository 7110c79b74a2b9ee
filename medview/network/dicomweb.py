"""An archive that speaks DICOMweb: QIDO-RS, WADO-RS, STOW-RS (PS3.18)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import requests

from medview.core.progress import Progress
from medview.network import qido, stow
from medview.network.address import Address
from medview.network.archive import MOST_STUDIES
from medview.network.connecting import ANSWER_S, CONNECT_S, broken
from medview.network.inbox import Intake, Request
from medview.network.interruption import Interruption, interruptible
from medview.network.multipart import CutOffError, Parts, boundary_of
from medview.network.quiet import quiet_libraries
from medview.network.records import FoundInstance, FoundSeries, FoundStudies, Outcome, Outgoing, Query
from medview.network.web_errors import in_plain_words, no_dicomweb

_PIECE = 1 << 15
_AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
T = TypeVar("T")


class DicomwebArchive:
    """See `archive.Archive`.

    Args:
        address: Where it is.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._root = address.url.rstrip("/")

    def echo(self, progress: Progress) -> None:
        """DICOMweb has no echo: one study is asked for."""
        self._ask(lambda session: qido.answers(session, f"{self._root}/studies", {"limit": "1"}), progress)

    def find_studies(self, query: Query, progress: Progress) -> FoundStudies:
        """QIDO-RS for studies."""
        url = f"{self._root}/studies"
        answers = self._ask(lambda session: qido.studies(session, url, query, MOST_STUDIES + 1), progress)
        return FoundStudies(tuple(answers[:MOST_STUDIES]), len(answers) <= MOST_STUDIES)

    def find_series(self, study_uid: str, progress: Progress) -> tuple[FoundSeries, ...]:
        """QIDO-RS for series."""
        url = f"{self._study(study_uid)}/series"
        return tuple(self._ask(lambda session: qido.series(session, url, study_uid), progress))

    def find_instances(self, study_uid: str, series_uid: str, progress: Progress) -> tuple[FoundInstance, ...]:
        """QIDO-RS for instances."""
        url = f"{self._study(study_uid)}/series/{quote(series_uid)}/instances"
        return tuple(self._ask(lambda session: qido.instances(session, url, study_uid, series_uid), progress))

    def fetch(self, intake: Intake, progress: Progress) -> None:
        """WADO-RS: a whole series in one answer, or single instances where some of it are there already."""

        def work(interruption: Interruption) -> None:
            with self._session() as session, in_plain_words(self.address):
                for request in intake.requests():
                    for url in self._urls(request):
                        interruption.raise_if_asked()
                        self._fetch_one(session, url, intake, interruption)

        interruptible(work, progress)

    def send(self, files: Sequence[Outgoing], told: Callable[[Outcome], None], progress: Progress) -> None:
        """STOW-RS, one file a request: so each file has an answer of its own."""

        def work(interruption: Interruption) -> None:
            with self._session() as session, in_plain_words(self.address):
                stow.send(self.address, session, f"{self._root}/studies", files, told, progress, interruption)

        interruptible(work, progress)

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        quiet_libraries()
        address = self.address
        with requests.Session() as session:
            # Else a bundle of certificates that the environment names would win over the one that was chosen here.
            session.trust_env = False
            session.proxies.update(requests.utils.get_environ_proxies(self._root))
            if address.encrypted:
                address.client_tls()  # says in plain words what is wrong with the files
            session.verify = str(Path(address.ca_file).expanduser()) if address.ca_file else True
            if address.certificate_file:
                own = str(Path(address.certificate_file).expanduser())
                session.cert = (own, str(Path(address.key_file).expanduser())) if address.key_file else own
            if token := address.token.get_secret_value():
                session.headers["Authorization"] = f"Bearer {token}"
            elif address.user:
                # RFC 7617: names and passwords in UTF-8; the library would take Latin-1 only.
                pair = f"{address.user}:{address.password.get_secret_value()}".encode()
                session.headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
            yield session

    def _ask(self, search: Callable[[requests.Session], list[T]], progress: Progress) -> list[T]:
        def work(_: Interruption) -> list[T]:
            with self._session() as session, in_plain_words(self.address):
                return search(session)

        return interruptible(work, progress)

    def _study(self, uid: str) -> str:
        return f"{self._root}/studies/{quote(uid)}"

    def _urls(self, request: Request) -> Iterator[str]:
        series = f"{self._study(request.study_uid)}/series/{quote(request.series_uid)}"
        if request.whole:
            yield series
        else:
            yield from (f"{series}/instances/{quote(one.uid)}" for one in request.instances)

    def _fetch_one(self, session: requests.Session, url: str, intake: Intake, interruption: Interruption) -> None:
        accept = {"Accept": _AS_STORED}
        with session.get(url, headers=accept, stream=True, timeout=(CONNECT_S, ANSWER_S)) as answer:
            answer.raise_for_status()

            def pieces() -> Iterator[bytes]:
                for piece in answer.iter_content(_PIECE):
                    interruption.raise_if_asked()
                    yield piece

            kind = answer.headers.get("Content-Type", "")
            boundary = boundary_of(kind)
            if boundary is None and "application/dicom" not in kind:
                raise no_dicomweb(self.address)
            try:
                for part in Parts(pieces(), boundary) if boundary is not None else [pieces()]:
                    intake.take(part)
            except CutOffError as error:
                raise broken(self.address) from error
