"""How much memory the program takes."""

from __future__ import annotations

import os
from pathlib import Path

_STATM = Path("/proc/self/statm")


def used_and_total_bytes() -> tuple[int, int] | None:
    """Resident memory of this process and memory of the machine; None where the system does not say."""
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        resident = int(_STATM.read_text().split()[1]) * page
        return resident, os.sysconf("SC_PHYS_PAGES") * page
    except (OSError, ValueError, AttributeError, IndexError):
        return None
