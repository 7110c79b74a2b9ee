"""Runs a plugin's program in a process of its own: whatever it does to that process, the window lives.

A program that ends its process, crashes it, takes all memory or never comes back cannot be stopped inside a thread.
What crosses the border are plain records: the images go over, reports and slabs come back while it works, and at the
end labels or findings, or an error in words.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import sys
import threading
import time
import traceback
import warnings
import weakref
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from medview.catalog.plugins import PluginRecord
from medview.core import errors, memory
from medview.core.errors import Cancelled, MedViewError, OutOfMemoryError, PluginFailedError
from medview.core.evidence import PassTime
from medview.core.geometry import Box
from medview.core.segmentation import Labels
from medview.core.text import Text
from medview.inference.maps import SideMap
from medview.inference.occupancy import Occupancy
from medview.inference.options import RunOptions
from medview.inference.plugin import Case, Context

_log = logging.getLogger(__name__)
_LOOKS_EVERY_S = 0.05
PATIENCE_S = 2.0
"""How long a program may take to end by itself when it is asked to."""
_SPARE_BYTES = 256 * 10**6
"""A program that leaves the machine less memory than this is ended before the system ends somebody else."""
_NICENESS = 5
_FIRST_TO_GO = "800"
"""Linux: of all processes this one is to be ended first where memory runs out (proc(5), oom_score_adj)."""
_KILLED = -9


@dataclass(frozen=True, slots=True)
class Task:
    """What the other process is to do."""

    record: PluginRecord
    case: Case
    device: str
    exact: bool
    watched: bool
    options: RunOptions
    occupancy: Occupancy | None


@dataclass(frozen=True, slots=True)
class Reported:
    """How far it is."""

    fraction: float | None
    message: Text | str


@dataclass(frozen=True, slots=True)
class Shown:
    """What it has found in a part of the image."""

    box: Box
    labels: Labels


@dataclass(frozen=True, slots=True)
class Answered:
    """What it gave: labels as an array, or findings; its notes, the maps that were asked for, a call that was timed."""

    answer: Any
    device: str
    notes: tuple[Text, ...]
    maps: tuple[SideMap, ...]
    measured: PassTime | None


@dataclass(frozen=True, slots=True)
class Failed:
    """Why it gave nothing: the error's name, its two sentences, and the trace for the log."""

    kind: str
    what: Text
    remedy: Text
    trace: str


_running: weakref.WeakSet[BaseProcess] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """No program outlives MedView."""
    for process in tuple(_running):
        process.kill()


def run(
    record: PluginRecord, case: Case, context: Context, *, device: str = "auto", spare_bytes: int = _SPARE_BYTES
) -> Any:
    """Run a plugin once, in a process of its own.

    Args:
        record: The plugin; that it may run has been decided.
        case: Its images.
        context: Is told what the plugin tells, and says when the user has cancelled.
        device: "auto", "cpu" or "cuda".
        spare_bytes: How much memory it has to leave to the machine.

    Returns:
        Its answer: an array, or findings.

    Raises:
        PluginError: What the plugin raised, in words; or its process ended without an answer.
        OutOfMemoryError: It took too much memory.
        Cancelled: The user has cancelled. The process has ended, whether it wanted to or not.
    """
    spawned = multiprocessing.get_context("spawn")
    ours, theirs = spawned.Pipe()
    process = spawned.Process(target=_serve, args=(theirs,), name=f"plugin {record.id}")
    process.start()
    outlives_nobody(process)
    theirs.close()
    try:
        with suppress(OSError):  # it has ended already; that is told below
            ours.send(
                Task(record, dict(case), device, context.exact, context.is_watched, context.options, context.occupancy)
            )
        return attended(process, ours, record, context, spare_bytes)
    except Cancelled:
        with suppress(OSError):
            ours.send(None)
        process.join(PATIENCE_S)
        raise
    finally:
        process.kill()
        process.join()
        ours.close()


def outlives_nobody(process: BaseProcess) -> None:
    """End a process of a plugin's with MedView, if nobody ends it before."""
    _running.add(process)


def attended(
    process: BaseProcess, ours: Connection, record: PluginRecord, context: Context, spare_bytes: int = _SPARE_BYTES
) -> Any:
    """Wait for the answer of a process, and pass on what it says meanwhile; see `run`."""
    at_first = memory.free_bytes() or 0
    least = spare_bytes if at_first > spare_bytes else at_first // 2
    while True:
        context.check()
        free = memory.free_bytes()
        if free is not None and free < least:
            raise _too_much(record)
        try:
            if not ours.poll(_LOOKS_EVERY_S):
                continue
            message = ours.recv()
        except (EOFError, OSError) as error:
            process.join(PATIENCE_S)
            raise _ended(record, process.exitcode) from error
        if isinstance(message, Reported):
            context.progress(message.fraction, message.message)
        elif isinstance(message, Shown):
            context.preview(message.box, message.labels)
        elif isinstance(message, Failed):
            _log.warning("%s failed in its process:\n%s", record.id, message.trace)
            raise _error(message)
        elif isinstance(message, Answered):
            for note in message.notes:
                context.note(note)
            context.add_maps(message.maps)
            context.ran_on(message.device)
            context.measured = message.measured
            return message.answer


def _error(failed: Failed) -> MedViewError:
    kind = getattr(errors, failed.kind, PluginFailedError)
    known = isinstance(kind, type) and issubclass(kind, MedViewError)
    error: MedViewError = (kind if known else PluginFailedError)(failed.what, failed.remedy)
    return error


def _too_much(record: PluginRecord) -> OutOfMemoryError:
    return OutOfMemoryError(
        Text.of("{name} was ended: it took nearly all of the machine's memory.", name=record.name),
        Text("Nothing was changed. Close other programs and cases, or tell the plugin's author."),
    )


def _ended(record: PluginRecord, code: int | None) -> MedViewError:
    if code == _KILLED:
        return OutOfMemoryError(
            Text.of("The system ended {name}: most likely it took too much memory.", name=record.name),
            Text("Nothing was changed. Close other programs and cases, or tell the plugin's author."),
        )
    return PluginFailedError(
        Text.of("{name} ended its process without an answer (code {code}).", name=record.name, code=code),
        Text("Nothing was changed. Tell the plugin's author."),
    )


class Border:
    """The other process's way to say something, and to learn that it is to stop.

    Args:
        connection: To MedView.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._reported_at = 0.0

    def send(self, message: Any) -> None:
        """Say something."""
        with self._lock:
            self._connection.send(message)

    def report(self, fraction: float | None, message: Text | str = "") -> None:
        """As a `Progress`."""
        now = time.monotonic()
        if now - self._reported_at >= _LOOKS_EVERY_S or (fraction is not None and fraction >= 1):
            self._reported_at = now
            self.send(Reported(fraction, message))

    def raise_if_cancelled(self) -> None:
        """As a `Progress`."""
        if self._stop.is_set():
            raise Cancelled

    def preview(self, box: Box, labels: Labels) -> None:
        """Show what is found so far."""
        self.send(Shown(box, labels))

    def stop(self) -> None:
        """It is to stop."""
        self._stop.set()

    def go_on(self) -> None:
        """It need not stop any more."""
        self._stop.clear()

    def listen(self) -> None:
        """Learn from now on that it is to stop."""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            self._connection.recv()
            self.stop()
            return
        os._exit(1)  # nobody is there any more


def _serve(connection: Connection) -> None:
    """The other process: takes a task, and says what came of it."""
    be_modest()
    task: Task = connection.recv()
    case = {name: replace(volume) for name, volume in task.case.items()}  # read-only again
    border = Border(connection)
    border.listen()
    from medview.inference import device as devices
    from medview.inference import runner

    manifest = runner.ready_manifest(task.record)
    first = next(iter(case.values()))
    context = Context(
        task.record.folder, border, lambda: devices.choose(task.device), first.geometry.shape, exact=task.exact,
        preview=border.preview if task.watched else None, options=task.options, occupancy=task.occupancy,
    )  # fmt: skip
    try:
        answer = runner.guarded(lambda: runner.engine(task.record, case, context), manifest)
        answer = runner.plain(answer, manifest)
    except Cancelled:
        return
    except MedViewError as error:
        kind = next(one.__name__ for one in type(error).__mro__ if hasattr(errors, one.__name__))
        border.send(Failed(kind, error.what, error.remedy, traceback.format_exc()))
    else:
        border.send(Answered(answer, context.device_used, context.notes, context.maps, context.measured))


def be_modest() -> None:
    """Of a process: let the window go first, in time and in memory; what is printed is no answer of MedView's."""
    logging.getLogger().addHandler(logging.NullHandler())  # errors go home, and into the log there
    warnings.simplefilter("ignore")
    with suppress(OSError):
        os.dup2(2, 1)
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO, encoding="ascii")
