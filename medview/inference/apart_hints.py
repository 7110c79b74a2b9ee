"""A plugin of somebody's that takes hints, in a process of its own that stays from one hint to the next.

It is started for the first hint and gets the images then; each further hint costs no more than the hint and its answer
on the way. Where it does not stop when it is asked to, it is ended, and started anew for the next hint.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.catalog.plugins import PluginRecord
from medview.core import errors
from medview.core.errors import Cancelled, MedViewError
from medview.core.geometry import Box, Geometry
from medview.core.hint import Hint, PlacedMask
from medview.core.progress import Progress
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import apart
from medview.inference.plugin import Context


@dataclass(frozen=True, slots=True)
class Opening:
    """What the other process holds ready."""

    record: PluginRecord
    volume: Volume
    others: Mapping[str, Volume]
    device: str
    exact: bool
    structure: int


@dataclass(frozen=True, slots=True, eq=False)
class Bits:
    """A mask on its way: what is small crosses quickly."""

    shape: tuple[int, ...]
    bits: NDArray[np.uint8]

    @classmethod
    def of(cls, mask: NDArray[np.bool_]) -> Bits:
        """Pack a mask."""
        return cls(mask.shape, np.packbits(mask))

    def mask(self) -> NDArray[np.bool_]:
        """Unpack it."""
        flat = np.unpackbits(self.bits, count=int(np.prod(self.shape)))
        return flat.reshape(self.shape).view(np.bool_)


@dataclass(frozen=True, slots=True)
class Ask:
    """What it is asked: all hints, the answer before, and the part of the image that is to be looked at."""

    hints: tuple[Hint, ...]
    before: tuple[Geometry, Bits] | None
    part: Box

    @classmethod
    def about(cls, hints: tuple[Hint, ...], before: PlacedMask | None, part: Box) -> Ask:
        """What crosses, for a question."""
        return cls(hints, None if before is None else (before.geometry, Bits.of(before.voxels)), part)

    @property
    def placed(self) -> PlacedMask | None:
        """The answer before."""
        return None if self.before is None else PlacedMask(self.before[0], self.before[1].mask())


class ApartHints:
    """Answers hints with a plugin in another process. Used by one thread at a time.

    Args:
        record: The plugin; that it may run has been decided.
        volume: The image.
        others: Of its further inputs, by name.
        device: "auto", "cpu" or "cuda".
        exact: Whether networks compute in float32 even where shorter numbers say the same.
        structure: The plugin's label that the hints are on.
    """

    def __init__(
        self,
        record: PluginRecord,
        volume: Volume,
        others: Mapping[str, Volume],
        device: str,
        *,
        exact: bool,
        structure: int,
    ) -> None:
        self._opening = Opening(record, volume, others, device, exact, structure)
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None

    def answer(self, ask: Ask, progress: Progress) -> Any:
        """What the plugin gives for some hints: an array, unchecked.

        Raises:
            PluginError: What the plugin raised, in words; or its process ended without an answer.
            OutOfMemoryError: It took too much memory.
            Cancelled: The user has cancelled.
        """
        process, connection = self._started()
        record = self._opening.record
        context = Context(record.folder, progress, lambda: self._opening.device, ask.part.shape)
        try:
            with suppress(OSError):  # it has ended already; that is told below
                connection.send(ask)
            found = apart.attended(process, connection, record, context)
            return found.mask() if isinstance(found, Bits) else found
        except Cancelled:
            if not self._has_stopped(connection):
                self.close()
            raise
        except MedViewError:
            if not process.is_alive():
                self.close()
            raise
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None

    def _started(self) -> tuple[BaseProcess, Connection]:
        if self._process is not None and self._connection is not None and self._process.is_alive():
            return self._process, self._connection
        self.close()
        spawned = multiprocessing.get_context("spawn")
        ours, theirs = spawned.Pipe()
        process = spawned.Process(target=_serve, args=(theirs,), name=f"plugin {self._opening.record.id}")
        process.start()
        apart.outlives_nobody(process)
        theirs.close()
        self._process, self._connection = process, ours
        with suppress(OSError):
            ours.send(self._opening)
        return process, ours

    @staticmethod
    def _has_stopped(connection: Connection) -> bool:
        """Ask it to stop; whether it says in time that it has."""
        with suppress(OSError, EOFError):
            connection.send(None)
            while connection.poll(apart.PATIENCE_S):
                if isinstance(connection.recv(), apart.Failed | apart.Answered):
                    return True
        return False


class _Asked:
    """The other process's ears: what it is asked next, and that it is to stop."""

    def __init__(self, connection: Connection, border: apart.Border) -> None:
        self._connection = connection
        self._border = border
        self.waiting: queue.SimpleQueue[Ask] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            while True:
                message = self._connection.recv()
                if isinstance(message, Ask):
                    self._border.go_on()
                    self.waiting.put(message)
                else:
                    self._border.stop()
        os._exit(1)  # nobody is there any more


def _serve(connection: Connection) -> None:
    """The other process: holds the plugin ready, and answers hints until it is ended."""
    apart.be_modest()
    opening: Opening = connection.recv()
    from medview.inference import runner
    from medview.inference.hint_session import HintSession

    manifest = runner.ready_manifest(opening.record)
    volume = replace(opening.volume)  # read-only again
    others = {name: replace(one) for name, one in opening.others.items()}
    record = replace(opening.record, runs_apart=False)
    session = HintSession(
        record, volume, others=others, device=opening.device, exact=opening.exact, structure=opening.structure
    )
    border = apart.Border(connection)
    asked = _Asked(connection, border)
    while True:
        ask = asked.waiting.get()
        try:
            found = _small(runner.plain(session.found(ask.hints, ask.part, ask.placed, border), manifest))
        except Cancelled:
            border.send(apart.Failed("MedViewError", Text(""), Text(""), ""))
        except MedViewError as error:
            kind = next(one.__name__ for one in type(error).__mro__ if hasattr(errors, one.__name__))
            border.send(apart.Failed(kind, error.what, error.remedy, traceback.format_exc()))
        else:
            border.send(apart.Answered(found, opening.device, (), (), None))


def _small(found: Any) -> Any:
    """An answer that holds one structure, as bits; anything else as it is, to be judged at home."""
    if isinstance(found, np.ndarray) and found.dtype in (np.uint8, np.bool_) and found.size and found.max() <= 1:
        return Bits.of(found.astype(np.bool_, copy=False))
    return found
