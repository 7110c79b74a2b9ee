"""Multipart answers (RFC 2046) taken apart as they come, in memory that does not grow with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from email.message import Message

_LONGEST_HEAD = 1 << 16


class CutOffError(Exception):
    """The answer ends before its last part is closed."""


def boundary_of(content_type: str) -> bytes | None:
    """The boundary that a Content-Type names; None when the answer is not multipart."""
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_boundary()
    return boundary.encode() if boundary and message.get_content_maintype() == "multipart" else None


class Parts:
    """Iterates over the parts of an answer; each is an iterator over its bytes, without its head.

    A part has to be read, or is passed over, before the next one begins.

    Args:
        pieces: The answer's bytes, in any pieces.
        boundary: As in its Content-Type.
    """

    def __init__(self, pieces: Iterable[bytes], boundary: bytes) -> None:
        self._pieces = iter(pieces)
        self._delimiter = b"\r\n--" + boundary
        # The first boundary may stand at the very start.
        self._buffer = bytearray(b"\r\n")

    def __iter__(self) -> Iterator[Iterator[bytes]]:
        """The parts.

        Raises:
            CutOffError: The answer ends too early.
        """
        _pass_over(self._content())
        while not self._is_last():
            self._until(b"\r\n\r\n")
            content = self._content()
            yield content
            _pass_over(content)

    def _is_last(self) -> bool:
        """Whether the boundary that was just passed is the closing one."""
        while len(self._buffer) < 2:
            self._more()
        return self._buffer.startswith(b"--")

    def _until(self, mark: bytes) -> None:
        while (place := self._buffer.find(mark)) < 0:
            if len(self._buffer) > _LONGEST_HEAD:
                raise CutOffError
            self._more()
        del self._buffer[: place + len(mark)]

    def _content(self) -> Iterator[bytes]:
        """Everything up to the next boundary, which is passed."""
        keep = len(self._delimiter) - 1
        while (place := self._buffer.find(self._delimiter)) < 0:
            if len(self._buffer) > keep:
                piece = bytes(self._buffer[:-keep])
                del self._buffer[:-keep]
                yield piece
            self._more()
        if place:
            yield bytes(self._buffer[:place])
        del self._buffer[: place + len(self._delimiter)]

    def _more(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            raise CutOffError
        self._buffer += piece


def _pass_over(content: Iterator[bytes]) -> None:
    for _ in content:
        pass
