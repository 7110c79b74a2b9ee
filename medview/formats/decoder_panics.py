"""Decoders written in Rust end in a panic on some damaged pixels, which no `except Exception` catches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_RUST = "pyo3_runtime"


@contextmanager
def caught() -> Iterator[None]:
    """Let a decoder's panic come out as an error like any other.

    Raises:
        RuntimeError: A decoder has panicked.
    """
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        if type(error).__module__ == _RUST:
            raise RuntimeError(str(error)) from error
        raise
