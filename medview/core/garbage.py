"""How Python looks after its memory while very many records are made."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_RARELY = 50_000
_lock = threading.Lock()
_open = 0
_usual = gc.get_threshold()


@contextmanager
def rare_collections() -> Iterator[None]:
    """Search for unreachable cycles seldom: records that all stay make every search longer, and free nothing.

    Python searches after 700 new objects, and through everything that there is after some ten thousand. Several threads
    may ask for this at a time; the usual rhythm is back when the last has done.
    """
    global _open, _usual
    with _lock:
        if _open == 0:
            _usual = gc.get_threshold()
            gc.set_threshold(_RARELY, *_usual[1:])
        _open += 1
    try:
        yield
    finally:
        with _lock:
            _open -= 1
            if _open == 0:
                gc.set_threshold(*_usual)
