"""How many windows at once a graphics card computes in the least time for each."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from medview.inference.memory import is_out_of_memory

_STILL_FALLS = 0.95
"""Of the time for a window, what twice as many at once must bring it to, to be worth their memory."""


def grown(seconds: Callable[[int], float], most: int) -> int:
    """Double a batch until the time for each window stops falling, or memory runs out.

    Args:
        seconds: How long so many windows at once take.
        most: More are not tried.
    """
    best, fastest = 1, seconds(1)
    while 2 * best <= most:
        try:
            of_each = seconds(2 * best) / (2 * best)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            break
        if of_each > _STILL_FALLS * fastest:
            break
        best, fastest = 2 * best, of_each
    return best


def seconds_of(network: Callable[[torch.Tensor], torch.Tensor], window: torch.Tensor, count: int) -> float:
    """How long a network on a graphics card takes for a window, (1, channel, x, y, z), so many times at once.

    The first call of its size sets things up, and does not count.
    """
    windows = window.expand(count, *window.shape[1:])
    started = 0.0
    with torch.inference_mode():
        for _ in range(2):
            _wait()
            started = time.perf_counter()
            network(windows)
        _wait()
    return time.perf_counter() - started


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
