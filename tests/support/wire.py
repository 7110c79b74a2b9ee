"""A wire between a program and a server of this machine that can be watched, encrypted, held up and cut."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator

_PIECE = 1 << 14


class Wire:
    """Relays what comes to its port.

    Args:
        to_port: Where to.
        tls: How to be an encrypted server in front of a plain one.

    Attributes:
        port: Where to connect to.
        carried: How many bytes have come from the server.
        cut_after: After so many bytes from the server all connections are cut; None: never.
        hold_after: After so many bytes from the server nothing moves any more; None: never.
        cut_after_sent: After so many bytes to the server all connections are cut; None: never.
    """

    def __init__(self, to_port: int, tls: ssl.SSLContext | None = None) -> None:
        self._to_port = to_port
        self._tls = tls
        self._lock = threading.Lock()
        self._links: set[socket.socket] = set()
        self._ended = threading.Event()
        self.carried = 0
        self.sent = 0
        self.cut_after: int | None = None
        self.cut_after_sent: int | None = None
        self.hold_after: int | None = None
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End it, and all connections."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._cut()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        try:
            near = self._tls.wrap_socket(link, server_side=True) if self._tls else link
            far = socket.create_connection(("127.0.0.1", self._to_port))
        except OSError:
            link.close()
            return
        with self._lock:
            self._links |= {near, far}
        back = threading.Thread(target=self._carry, args=(far, near, True), daemon=True)
        back.start()
        self._carry(near, far, False)
        back.join()
        with self._lock:
            self._links -= {near, far}
        near.close()
        far.close()

    def _carry(self, source: socket.socket, target: socket.socket, from_server: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                if from_server:
                    self.carried += len(piece)
                    if self.hold_after is not None and self.carried >= self.hold_after:
                        self._ended.wait()
                        return  # what was held up never arrives
                    if self.cut_after is not None and self.carried >= self.cut_after:
                        self._cut()
                        return
                else:
                    self.sent += len(piece)
                    if self.cut_after_sent is not None and self.sent >= self.cut_after_sent:
                        self._cut()
                        return
                target.sendall(piece)
        for link in (source, target):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def _cut(self) -> None:
        with self._lock:
            links = list(self._links)
        for link in links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def wire(to_port: int, tls: ssl.SSLContext | None = None) -> Iterator[Wire]:
    """A wire; ended at the end."""
    made = Wire(to_port, tls)
    try:
        yield made
    finally:
        made.close()
