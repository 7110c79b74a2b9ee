"""An association with an archive, and what to say when there is none or it breaks."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from pydicom.dataset import Dataset
from pynetdicom import _config, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from medview.core.errors import NetworkError, RefusedError, TransferError
from medview.core.text import Text
from medview.network.address import Address
from medview.network.connecting import ANSWER_S, CONNECT_S, broken, connection
from medview.network.interruption import Interruption
from medview.network.quiet import quiet_libraries

_ASSOCIATE_S = 10.0
_LARGEST_PDU = 1 << 18
_TOO_BUSY = (2, 3)
"""A-ASSOCIATE-RJ (PS3.8, 9.3.4): the source is the provider's presentation layer, or its local limit."""

# Files go out as they are, from the disk, without being taken apart and put together again.
_config.STORE_SEND_CHUNKED_DATASET = True
_config.LOG_HANDLER_LEVEL = "none"
_config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False

Handlers = Sequence[tuple[evt.EventType, Callable[[evt.Event], object]]]


class _Link(AssociationSocket):
    """A connection that is made before the library asks for it: it would keep the reason of a failure to itself."""

    def __init__(self, assoc: Association, link: socket.socket) -> None:
        self._link = link
        super().__init__(assoc, address=AddressInformation("127.0.0.1", 0))

    def _create_socket(self, address: AddressInformation) -> socket.socket:
        self._is_connected = False
        return self._link

    def connect(self, primitive: T_CONNECT) -> None:
        """Say that the connection is there."""
        self._is_connected = True
        primitive.result = "Evt2"
        self.provider_queue.put(primitive)
        self._ready.set()


class _Entity(ApplicationEntity):
    """This workstation, with a connection that is there already."""

    link: socket.socket | None = None

    def _create_socket(
        self, assoc: Association, address: AddressInformation, tls_args: tuple[ssl.SSLContext, str] | None
    ) -> AssociationSocket:
        if self.link is None:
            return super()._create_socket(assoc, address, tls_args)
        return _Link(assoc, self.link)


def entity(address: Address) -> _Entity:
    """This workstation, as the archive knows it."""
    quiet_libraries()
    own = _Entity(ae_title=address.calling_ae.strip())
    own.connection_timeout = CONNECT_S
    own.acse_timeout = _ASSOCIATE_S
    own.dimse_timeout = ANSWER_S
    own.network_timeout = ANSWER_S
    own.maximum_pdu_size = _LARGEST_PDU
    return own


@contextmanager
def association(
    address: Address,
    contexts: Sequence[PresentationContext],
    interruption: Interruption,
    *,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Handlers = (),
) -> Iterator[Association]:
    """An open association; released at the end, aborted when something went wrong.

    Args:
        address: With whom.
        contexts: What it shall be used for.
        interruption: Ends whatever waits on it.
        roles: Who takes what part.
        handlers: Called for what the archive asks of us.

    Raises:
        UnreachableError: Nobody is there.
        NotTrustedError: The encryption failed.
        RefusedError: The archive does not want to.
        Cancelled: It was interrupted.
    """
    own = entity(address)
    own.link = link = connection(address)
    try:
        interruption.raise_if_asked()
        made = own.associate(
            _number_of(address, link),
            address.port,
            contexts=list(contexts),
            ae_title=address.called_ae.strip(),
            ext_neg=list(roles),
            max_pdu=_LARGEST_PDU,
            evt_handlers=[(event, handler) for event, handler in handlers],
        )
        with interruption.by(lambda: _break(made, link)):
            if not made.is_established:
                raise _why_not(address, made)
            try:
                yield made
            except BaseException:
                _break(made, link)
                interruption.raise_if_asked()
                raise
            made.release()
    finally:
        link.close()


def status_error(address: Address, status: Dataset) -> NetworkError:
    """The sentence for a status that an archive answered with (PS3.7, annex C; PS3.4, annexes B and C)."""
    code = int(status.Status)
    name = address.name
    if 0xA700 <= code <= 0xA7FF and code != 0xA702:
        return TransferError(
            Text.of("{archive} is out of resources: its disk or memory is full.", archive=name),
            "Try again later, or ask whoever runs the archive.",
        )
    if code == 0xA801:
        return unknown_destination(address)
    if code == 0x0124:
        return RefusedError(
            Text.of("{archive} does not allow this to {title}.", archive=name, title=address.calling_ae),
            "Ask whoever runs the archive to allow it.",
        )
    if code in (0x0122, 0x0211):
        return RefusedError(Text.of("{archive} cannot do this.", archive=name), "Choose another archive.")
    return TransferError(
        Text.of(
            "{archive} failed and answered {code}: {comment}",
            archive=name,
            code=f"0x{code:04X}",
            comment=str(status.get("ErrorComment", "") or "-"),
        ),
        "Try again; if it happens again, ask whoever runs the archive.",
    )


def unknown_destination(address: Address) -> RefusedError:
    """The sentence for an archive that sends (C-MOVE) nothing to this workstation."""
    return RefusedError(
        Text.of(
            "{archive} does not send to this workstation: {title}.", archive=address.name, title=address.calling_ae
        ),
        Text.of(
            "Have this workstation entered there with AE title {title}, its network address and port {port}.",
            title=address.calling_ae,
            port=address.receive_port,
        ),
    )


def not_offered(address: Address) -> RefusedError:
    """The sentence for an archive that was reached and does not take part in a service."""
    return RefusedError(
        Text.of("{archive} does not offer this service to this workstation.", archive=address.name),
        Text.of("Ask whoever runs the archive to allow it to {title}.", title=address.calling_ae),
    )


def _number_of(address: Address, link: socket.socket) -> str:
    try:
        return str(link.getpeername()[0])
    except OSError as error:
        raise broken(address) from error


def _break(made: Association, link: socket.socket) -> None:
    made.abort(block=False)
    # Aborting ends the connection, and not what waits for an answer on it.
    made.dimse.msg_queue.put((None, None))
    with suppress(OSError):  # it may be closed already
        link.shutdown(socket.SHUT_RDWR)


def _why_not(address: Address, made: Association) -> NetworkError:
    """Why there is a connection, and no association."""
    if made.is_rejected:
        return _rejected(address, made)
    answer = made.acceptor.primitive
    if answer is not None and answer.result == 0:
        return not_offered(address)
    return RefusedError(
        Text.of("{place} accepts connections and does not speak DICOM with us.", place=address.place),
        "Check the port, and whether the archive wants encryption (TLS) or a certificate of this workstation.",
    )


def _rejected(address: Address, made: Association) -> RefusedError:
    answer = made.acceptor.primitive
    source, reason = (answer.result_source, answer.diagnostic) if answer is not None else (None, None)
    if source == 1 and reason == 7:
        return RefusedError(
            Text.of("{host} has no archive with the AE title {title}.", host=address.host, title=address.called_ae),
            "Check the archive's AE title; capitals matter.",
        )
    if source == 1 and reason == 3:
        return RefusedError(
            Text.of(
                "{archive} does not know this workstation: {title}.", archive=address.name, title=address.calling_ae
            ),
            "Have this AE title entered there, or use one that the archive knows.",
        )
    if source in _TOO_BUSY:
        return RefusedError(
            Text.of("{archive} takes no more connections at the moment.", archive=address.name), "Try again later."
        )
    return RefusedError(
        Text.of("{archive} refuses to talk to {title}.", archive=address.name, title=address.calling_ae),
        "Check both AE titles, and ask whoever runs the archive.",
    )
