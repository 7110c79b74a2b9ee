"""What to say when a DICOMweb service cannot be reached, does not let us in, or fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import NameResolutionError, ProtocolError, ReadTimeoutError

from medview.core.errors import LoginError, NetworkError, NotThereError, RefusedError, TransferError
from medview.core.text import Text
from medview.network.address import Address
from medview.network.connecting import broken, no_encryption, no_such_machine, unreachable, untrusted

_ASK_THEM = "Try again; if it happens again, ask whoever runs the archive."


@contextmanager
def in_plain_words(address: Address) -> Iterator[None]:
    """Turn what the HTTP library raises into errors with a sentence."""
    try:
        yield
    except requests.HTTPError as error:
        answer = error.response
        if answer is None:
            raise broken(address) from error
        raise status_error(address, answer.status_code, answer.reason) from error
    except requests.exceptions.SSLError as error:
        raise _of_encryption(address, error) from error
    except requests.ConnectTimeout as error:
        raise unreachable(address, TimeoutError()) from error
    except (requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise broken(address) from error
    except requests.ConnectionError as error:
        raise _of_connection(address, error) from error
    except (requests.RequestException, ValueError) as error:
        raise no_dicomweb(address) from error


def no_dicomweb(address: Address) -> RefusedError:
    """The sentence for a server that answers something else."""
    return RefusedError(
        Text.of("{place} answers, but not as a DICOMweb service.", place=address.url),
        "Check the URL: its path often ends in /dicom-web, /dicomweb or /rs.",
    )


def status_error(address: Address, code: int, reason: str = "") -> NetworkError:
    """The sentence for a status of HTTP."""
    name = address.name
    if code == 401:
        if address.user or address.token.get_secret_value():
            return LoginError(
                Text.of("{archive} does not accept the user's name and password, or the token.", archive=name),
                "Enter them again in the archive's settings.",
            )
        return LoginError(
            Text.of("{archive} asks for a user's name and password, or a token.", archive=name),
            "Enter them in the archive's settings.",
        )
    if code == 403:
        return RefusedError(
            Text.of("{archive} does not allow this to you.", archive=name),
            "Ask whoever runs the archive to allow it.",
        )
    if code == 404:
        return NotThereError(
            Text.of("{archive} does not have what was asked for.", archive=name),
            "Check the URL; its path often ends in /dicom-web, /dicomweb or /rs. Or search again.",
        )
    if code in (405, 501, 415, 406):
        return RefusedError(Text.of("{archive} cannot do this.", archive=name), "Choose another archive.")
    if code in (413, 507):
        return TransferError(
            Text.of("{archive} is out of resources: its disk or memory is full.", archive=name),
            "Try again later, or ask whoever runs the archive.",
        )
    return TransferError(
        Text.of("{archive} failed and answered {code}: {comment}", archive=name, code=code, comment=reason or "-"),
        _ASK_THEM,
    )


def _of_encryption(address: Address, error: Exception) -> NetworkError:
    cause = next((one for one in _causes(error) if hasattr(one, "verify_message")), None)
    return untrusted(address, cause) if cause is not None else no_encryption(address)


def _of_connection(address: Address, error: requests.ConnectionError) -> NetworkError:
    causes = list(_causes(error))
    if any(isinstance(one, NameResolutionError) for one in causes):
        return no_such_machine(urlsplit(address.url).hostname or address.url)
    refused = next((one for one in causes if isinstance(one, ConnectionRefusedError)), None)
    if refused is None and any(isinstance(one, ConnectionError | ProtocolError | ReadTimeoutError) for one in causes):
        return broken(address)
    return unreachable(address, refused or error)


def _causes(error: Exception) -> Iterator[Exception]:
    """An error, and those that led to it, also where the library only wraps them."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, Exception) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
