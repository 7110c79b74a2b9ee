"""Sending files with STOW-RS (PS3.18, 10.5), straight from the disk."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, BinaryIO

import requests

from medview.core.progress import Progress
from medview.core.text import Text
from medview.network.address import Address
from medview.network.connecting import CONNECT_S
from medview.network.interruption import Interruption
from medview.network.records import Fate, Outcome, Outgoing
from medview.network.web_errors import no_dicomweb, status_error

_ANSWER_S = 120.0
_MB = 1e6
_STORED, _FAILED, _REASON = "00081199", "00081198", "00081197"
"""Referenced SOP Sequence, Failed SOP Sequence, Failure Reason."""
_REASONS = {
    0xA700: Text("The archive is out of resources."),
    0xA900: Text("The file does not match what its kind of object asks for."),
    0xC000: Text("The archive cannot understand the file."),
    0xC122: Text("The archive does not take its compression."),
    0x0110: Text("The archive failed to process the file."),
    0x0122: Text("The archive does not take this kind of object."),
    0x0124: Text("The archive does not allow this to you."),
}


class _Body:
    """The body of a request with one file, read from the disk while it goes out; its length is known before."""

    def __init__(self, file: BinaryIO, size_bytes: int, boundary: str, moved: Callable[[int], None]) -> None:
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\nContent-Length: {size_bytes}\r\n\r\n".encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        self._streams: list[BinaryIO] = [BytesIO(head), file, BytesIO(tail)]
        self._length = len(head) + size_bytes + len(tail)
        self._moved = moved

    def __len__(self) -> int:
        return self._length

    def read(self, size: int = -1) -> bytes:
        """The next bytes; empty at the end."""
        while self._streams:
            piece = self._streams[0].read(size)
            if piece:
                self._moved(len(piece))
                return piece
            del self._streams[0]
        return b""


def send(
    address: Address,
    session: requests.Session,
    url: str,
    files: Sequence[Outgoing],
    told: Callable[[Outcome], None],
    progress: Progress,
    interruption: Interruption,
) -> None:
    """Send files; `told` hears of each one.

    Raises:
        NetworkError: The archive failed.
        requests.RequestException: The connection failed.
        Cancelled: It was interrupted.
    """
    total = sum(file.size_bytes for file in files) or 1
    gone = 0
    for number, file in enumerate(files):
        start = gone

        def moved(size: int, number: int = number) -> None:
            nonlocal gone
            interruption.raise_if_asked()
            gone += size
            text = Text.of("{done} of {total} files, {mb} MB", done=number, total=len(files), mb=f"{gone / _MB:.1f}")
            progress.report(min(gone / total, 1.0), text)

        told(_send_one(address, session, url, file, moved))
        gone = start + file.size_bytes


def _send_one(
    address: Address, session: requests.Session, url: str, file: Outgoing, moved: Callable[[int], None]
) -> Outcome:
    boundary = uuid.uuid4().hex
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Accept": "application/dicom+json",
    }
    with file.path.open("rb") as content:
        body = _Body(content, file.size_bytes, boundary, moved)
        with session.post(url, data=body, headers=headers, timeout=(CONNECT_S, _ANSWER_S)) as answer:
            return _judged(address, file, answer)


def _judged(address: Address, file: Outgoing, answer: requests.Response) -> Outcome:
    """What the archive says of the file (PS3.18, 10.5.3: 200 stored, 202 with remarks, 409 not stored)."""
    code = answer.status_code
    if code not in (200, 202, 409):
        raise status_error(address, code, answer.reason)
    try:
        said: Any = answer.json() if answer.content else {}
    except ValueError as error:
        raise no_dicomweb(address) from error
    said = said[0] if isinstance(said, list) and said else said
    failed = _items(said, _FAILED)
    if failed or (code == 409 and not _items(said, _STORED)):
        values = failed[0].get(_REASON, {}).get("Value", []) if failed else []
        reason = int(values[0]) if values else code
        text = _REASONS.get(reason) or _REASONS.get(reason & 0xFF00)
        return Outcome(file, Fate.REFUSED, text or Text.of("The archive answered {code}.", code=f"0x{reason:04X}"))
    return Outcome(file, Fate.ACCEPTED)


def _items(said: Any, tag: str) -> list[dict[str, Any]]:
    value = said.get(tag, {}).get("Value", []) if isinstance(said, dict) else []
    return [one for one in value if isinstance(one, dict)]
