"""Takes what archives store: as part of C-GET, or as a server of our own that C-MOVE sends to."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable
from types import TracebackType

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode_file_meta

from medview.core.errors import Cancelled, MedViewError, RefusedError, StorageError
from medview.core.text import Text
from medview.network import services
from medview.network.address import Address
from medview.network.association import entity
from medview.network.inbox import Intake

_WELL, _NOT_WANTED, _NO_ROOM, _USELESS = 0x0000, 0x0124, 0xA700, 0xC000
_FAREWELL_S, _GLANCE_S = 2.0, 0.01
_PREAMBLE = b"\0" * 128 + b"DICM"


def store_into(intake: Intake) -> Callable[[evt.Event], int]:
    """What to do with a C-STORE: the object goes to the disk as it comes, byte for byte, behind a file header."""

    def store(event: evt.Event) -> int:
        content = event.request.DataSet if isinstance(event.request, C_STORE) else None
        if content is None:
            return _USELESS
        head = _PREAMBLE + encode_file_meta(event.file_meta)
        try:
            with content.getbuffer() as body:
                return _WELL if intake.take((head, body)) else _NOT_WANTED
        except StorageError:
            return _NO_ROOM
        except (MedViewError, Cancelled):
            return _USELESS

    return store


class Receiver:
    """Listens while it is entered. It takes what was asked for, from whoever sends it, and nothing else.

    Args:
        address: The archive that will send; says our AE title, our port, and our certificate.
        store: What is done with each object.
    """

    def __init__(self, address: Address, store: Callable[[evt.Event], int]) -> None:
        self._address = address
        self._store = store
        self._entity: ApplicationEntity | None = None

    def __enter__(self) -> Receiver:
        """Start to listen.

        Raises:
            RefusedError: The port is taken.
            NotTrustedError: The certificate cannot be used.
        """
        own = entity(self._address)
        own.require_called_aet = True
        own.supported_contexts = services.to_take()
        try:
            own.start_server(
                (_listen_at(self._address.host), self._address.receive_port),
                block=False,
                ssl_context=self._address.server_tls(),
                evt_handlers=[(evt.EVT_C_STORE, self._store)],
            )
        except OSError as error:
            raise RefusedError(
                Text.of(
                    "This computer cannot listen on port {port}: {reason}.",
                    port=self._address.receive_port,
                    reason=error.strerror or type(error).__name__,
                ),
                "Choose another port to receive on, and have it entered in the archive.",
            ) from error
        self._entity = own
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening."""
        if self._entity is not None:
            stop_listening(self._entity)


def stop_listening(listening: ApplicationEntity) -> None:
    """End the servers of an entity and whatever is connected to them."""
    # An association that is released, refused or closed from the other side ends by itself in a moment; the library's
    # state machine fails when such a one is aborted. Who stays beyond that is aborted.
    deadline = time.monotonic() + _FAREWELL_S
    while time.monotonic() < deadline and listening.active_associations:
        time.sleep(_GLANCE_S)
    listening.shutdown()


def _listen_at(host: str) -> str:
    """Only on this computer for an archive on this computer; else on all its networks."""
    try:
        number = ipaddress.ip_address(socket.gethostbyname(host.strip()))
    except (OSError, ValueError):
        return "0.0.0.0"
    return "127.0.0.1" if number.is_loopback else "0.0.0.0"
