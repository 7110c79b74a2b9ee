"""Having an archive send instances: over the same association (C-GET), or to a receiver of our own (C-MOVE)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydicom.dataset import Dataset
from pynetdicom import build_context, evt

from medview.core.errors import TransferError
from medview.network import services
from medview.network.address import Address
from medview.network.association import association, status_error, unknown_destination
from medview.network.connecting import broken
from medview.network.inbox import Intake, Request
from medview.network.interruption import Interruption
from medview.network.receiver import Receiver, store_into
from medview.network.services import GET, MOVE

_AT_ONCE = 64
"""How many instances are named in one request: they all have to go into one value."""
_PENDING = (0xFF00, 0xFF01)
_SOME_FAILED = 0xB000
_NOT_DONE_HERE = (0x0122, 0x0211)


def fetch(address: Address, intake: Intake, interruption: Interruption) -> None:
    """Have everything sent that the intake misses; C-GET first, C-MOVE where the archive does not do that.

    Raises:
        NetworkError: It broke off.
        Cancelled: It was interrupted.
    """
    try:
        _get(address, intake, interruption)
    except (_NoGetError, TransferError):
        # Some archives break the connection where they do not allow C-GET.
        if intake.fetched:
            raise
        _move(address, intake, interruption)


class _NoGetError(Exception):
    """The archive does not do C-GET."""


def _get(address: Address, intake: Intake, interruption: Interruption) -> None:
    kinds = services.to_fetch(intake.missing)
    with association(
        address,
        [build_context(GET), *kinds],
        interruption,
        roles=services.takers(kinds),
        handlers=[(evt.EVT_C_STORE, store_into(intake))],
    ) as link:
        if not any(one.abstract_syntax == GET for one in link.accepted_contexts):
            raise _NoGetError
        for identifier in _identifiers(intake.requests()):
            answers = (status for status, _ in link.send_c_get(identifier, GET))
            _follow(address, answers, intake, interruption)


def _move(address: Address, intake: Intake, interruption: Interruption) -> None:
    with (
        Receiver(address, store_into(intake)),
        association(address, [build_context(MOVE)], interruption) as link,
    ):
        for identifier in _identifiers(intake.requests()):
            answers = (status for status, _ in link.send_c_move(identifier, address.calling_ae, MOVE))
            try:
                _follow(address, answers, intake, interruption)
            except TransferError as error:
                if intake.fetched:
                    raise
                # The status for it is 0xA801; some archives only say that they failed.
                raise unknown_destination(address) from error


def _follow(address: Address, answers: Iterable[Dataset], intake: Intake, interruption: Interruption) -> None:
    """Go with a transfer until it ends."""
    for status in answers:
        interruption.raise_if_asked()
        if intake.refused is not None:
            raise intake.refused
        if "Status" not in status:
            raise broken(address)
        code = int(status.Status)
        if code in _NOT_DONE_HERE and not intake.fetched:
            raise _NoGetError
        if code not in (0, _SOME_FAILED, *_PENDING):
            raise status_error(address, status)


def _identifiers(requests: Iterable[Request]) -> Iterator[Dataset]:
    for request in requests:
        identifier = Dataset()
        identifier.StudyInstanceUID = request.study_uid
        identifier.SeriesInstanceUID = request.series_uid
        if request.whole:
            identifier.QueryRetrieveLevel = "SERIES"
            yield identifier
            continue
        identifier.QueryRetrieveLevel = "IMAGE"
        uids = [one.uid for one in request.instances]
        for start in range(0, len(uids), _AT_ONCE):
            identifier.SOPInstanceUID = uids[start : start + _AT_ONCE]
            yield identifier
