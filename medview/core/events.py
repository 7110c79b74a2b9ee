"""Typed events: how a layer tells the layers above it that something changed.

A state object owns its events and calls nothing that listens by name. Bound methods are held weakly, so a view that is
gone needs no farewell; plain functions and lambdas are held strongly until their connection is closed.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from types import MethodType
from typing import Generic, TypeVar

T = TypeVar("T")


class Connection:
    """One listener on one event; `close()` ends it."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._close: Callable[[], None] | None = close

    def close(self) -> None:
        """Stop listening. A second call does nothing."""
        if self._close is not None:
            self._close()
            self._close = None


class Event(Generic[T]):
    """A thing that happens, with a value of one type. Main thread only."""

    def __init__(self) -> None:
        self._listeners: dict[int, Callable[[], Callable[[T], None] | None]] = {}
        self._next = 0

    def connect(self, listener: Callable[[T], None]) -> Connection:
        """Call `listener` with every value from now on. A bound method does not keep its object alive."""
        number = self._next
        self._next += 1
        if isinstance(listener, MethodType):
            self._listeners[number] = weakref.WeakMethod(listener)
        else:
            self._listeners[number] = lambda: listener
        return Connection(lambda: self._listeners.pop(number, None) and None)

    def emit(self, value: T) -> None:
        """Tell every listener, in the order in which they came; listeners may come and go meanwhile."""
        for number, reference in list(self._listeners.items()):
            if number not in self._listeners:
                continue
            listener = reference()
            if listener is None:
                del self._listeners[number]
            else:
                listener(value)
