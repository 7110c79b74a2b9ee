"""What to say when there is no connection: nobody there, or no encryption that can be trusted."""

from __future__ import annotations

import socket
import ssl

from medview.core.errors import NotTrustedError, TransferError, UnreachableError
from medview.core.text import Text
from medview.network.address import Address

CONNECT_S = 5.0
ANSWER_S = 60.0
"""How long is waited for a connection, and for an answer."""


def connection(address: Address) -> socket.socket:
    """A connection to an archive that speaks DIMSE, encrypted where its address says so.

    Raises:
        UnreachableError: Nobody is there.
        NotTrustedError: It cannot be encrypted, or the certificate is not trusted.
    """
    context = address.client_tls() if address.tls else None
    host = address.host.strip()
    try:
        link = socket.create_connection((host, address.port), timeout=CONNECT_S)
    except (socket.gaierror, UnicodeError) as error:
        raise no_such_machine(host) from error
    except OSError as error:
        raise unreachable(address, error) from error
    # A message ends with a small packet, and the answer to it must not wait for the next one.
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is None:
        return link
    try:
        return context.wrap_socket(link, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        link.close()
        raise untrusted(address, error) from error
    except (OSError, ValueError) as error:
        link.close()
        raise no_encryption(address) from error


def no_such_machine(host: str) -> UnreachableError:
    """The sentence for a name that nobody knows."""
    return UnreachableError(
        Text.of("There is no machine of the name {host}.", host=host),
        "Check the host of the archive, and whether this computer is on the network.",
    )


def broken(address: Address) -> TransferError:
    """The sentence for a connection that ended in the middle, or an archive that went silent."""
    return TransferError(
        Text.of("The connection to {archive} broke, or it did not answer any more.", archive=address.name),
        "Try again; if it happens again, ask whoever runs the archive.",
    )


def unreachable(address: Address, error: Exception) -> UnreachableError:
    """The sentence for a machine at which nothing answers."""
    if isinstance(error, ConnectionRefusedError):
        what = Text.of("Nothing answers at {place}: the connection was refused.", place=address.place)
    elif isinstance(error, TimeoutError):
        what = Text.of("Nothing answers at {place} within {s} seconds.", place=address.place, s=f"{CONNECT_S:.0f}")
    else:
        what = Text.of("{place} cannot be reached.", place=address.place)
    return UnreachableError(what, "Check host and port, whether the archive runs, and the network or firewall between.")


def untrusted(address: Address, error: Exception) -> NotTrustedError:
    """The sentence for a certificate that is not trusted."""
    reason = getattr(error, "verify_message", "") or str(error)
    return NotTrustedError(
        Text.of("The certificate of {archive} is not trusted: {reason}.", archive=address.name, reason=reason),
        "Nothing was sent. Choose the certificate of the archive's authority, or correct the host's name.",
    )


def no_encryption(address: Address) -> NotTrustedError:
    """The sentence for an encrypted connection that came to nothing."""
    return NotTrustedError(
        Text.of("No encrypted connection to {place} could be made.", place=address.place),
        "Check the port, whether the archive encrypts (TLS), and whether it wants a certificate of this workstation.",
    )
