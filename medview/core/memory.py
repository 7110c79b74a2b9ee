"""The machine's memory: how much there is, how much of it is free, and a sentence where something would not fit."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from medview.core.errors import InputError
from medview.core.text import Text

_MEMINFO, _OF_PROCESS = Path("/proc/meminfo"), Path("/proc/self/statm")
_KEPT_FREE = 0.1
"""Share of the free memory that nothing that is opened may take."""
_GIGA = 1e9


def total_bytes() -> int | None:
    """All of it; None where the system does not say."""
    if sys.platform == "win32":
        return _windows()[0]
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def free_bytes() -> int | None:
    """What programs can still get without others being moved to the disk; None where the system does not say."""
    if sys.platform == "win32":
        return _windows()[1]
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return _left_to_process()
    left = _left_to_process()
    return free if left is None else min(free, left)


def ensure(needed_bytes: int) -> None:
    """Refuse what would not fit into memory, before anything of it is allocated.

    Raises:
        InputError: There is not that much.
    """
    free = free_bytes() or total_bytes()
    if free is None or needed_bytes <= free * (1 - _KEPT_FREE):
        return
    raise InputError(
        Text.of(
            "It needs {needed} GB of memory, and {free} GB are free.",
            needed=f"{needed_bytes / _GIGA:.1f}",
            free=f"{free / _GIGA:.1f}",
        ),
        Text("Close other programs or other cases and try again."),
    )


def _left_to_process() -> int | None:
    """What a limit set on the process (ulimit -v) leaves to it; None without one."""
    if sys.platform == "win32":
        return None
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return None
    try:
        held = int(_OF_PROCESS.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        return None
    return max(limit - held, 1)


def _windows() -> tuple[int | None, int | None]:
    """All and free memory, as Windows tells it."""

    class MemoryStatus(ctypes.Structure):
        _fields_ = (
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "available", "a", "b", "c", "d", "e")),
        )

    status = MemoryStatus()
    status.length = ctypes.sizeof(status)
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - other systems' type stubs do not know it
    if not kernel.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None, None
    return int(status.total), int(status.available)
