from __future__ import annotations

import sys
from pathlib import Path

import pytest

from medview.core import memory
from medview.core.errors import InputError


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
def test_memory_is_that_of_the_machine() -> None:
    total, free = memory.total_bytes(), memory.free_bytes()
    assert total is not None
    assert free is not None
    told = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    assert total == int(told.split()[1]) * 1024
    assert 0 < free < total


def test_what_does_not_fit_is_refused_with_both_sizes() -> None:
    memory.ensure(1 << 20)
    with pytest.raises(InputError, match=r"It needs 4000\.0 GB of memory, and .* GB are free"):
        memory.ensure(4 * 10**12)
