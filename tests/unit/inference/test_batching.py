from __future__ import annotations

import pytest
import torch

from medview.inference.batching import grown, seconds_of


def test_a_batch_grows_until_the_time_for_each_window_stops_falling() -> None:
    # what a card takes that computes four windows as fast as one, and has 10 ms to say for each call
    asked: list[int] = []

    def seconds(count: int) -> float:
        asked.append(count)
        return 0.01 + 0.1 * -(-count // 4)

    assert grown(seconds, 64) == 4
    assert asked == [1, 2, 4, 8]
    assert grown(seconds, 3) == 2
    assert grown(seconds, 1) == 1
    assert grown(lambda count: 0.1 * count, 64) == 1


def test_a_batch_that_has_no_room_is_not_used() -> None:
    def seconds(count: int) -> float:
        if count > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return 0.1

    assert grown(seconds, 64) == 2


def test_other_errors_are_the_networks_own() -> None:
    def seconds(count: int) -> float:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        grown(seconds, 64)


def test_the_time_is_that_of_all_windows_at_once_and_not_of_the_first_call() -> None:
    seen: list[tuple[int, ...]] = []

    def network(windows: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(windows.shape))
        return windows

    assert seconds_of(network, torch.zeros((1, 2, 4, 4, 4)), 3) >= 0
    assert seen == [(3, 2, 4, 4, 4), (3, 2, 4, 4, 4)]
