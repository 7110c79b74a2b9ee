"""Calls a network as fast as this machine does it without changing what it says."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import nn

from medview.core.errors import PluginFailedError
from medview.core.text import Text
from medview.inference.device import short_numbers_are_sound
from medview.inference.lean import make_lean, shorten_weights

_SAME_VOXELS = 0.9995
_SAME_STRUCTURE = 0.995
"""Overlap (Dice) of each structure of more than a few voxels that a shorter type of number must reach."""
_SMALLEST_STRUCTURE = 64
_FASTER = 0.9
_SHORT_CALL_S = 0.3
"""A call below this may be made twice: the first one of its kind also sets things up."""
_SMALL_CALL_S = 0.05
"""Below this a call spends more on how its numbers lie in memory than on computing, and a trial of it costs little."""
_SET_UP = 1.5
"""How much longer the first call of its kind may take, for the second one to be worth a look."""


@dataclass(frozen=True, slots=True)
class Precision:
    """In what numbers a network computes.

    Attributes:
        type: Of the products; sums and results stay float32.
    """

    type: torch.dtype = torch.float32

    @property
    def is_short(self) -> bool:
        """Whether it is shorter than float32."""
        return self.type is not torch.float32


@dataclass(frozen=True, slots=True)
class Trial:
    """What a call of a network showed: how many values it gives for a voxel, and how long one window takes."""

    channels: int
    seconds: float


class Forward:
    """A network, ready to be called.

    Args:
        network: In evaluation mode, with its weights; it is changed, see `lean`.
        device: Where it computes.
        slice_axis: For a network of two dimensions, the axis of the window along which it takes single slices.
        layered: Whether every channel is a structure of its own, there where its value is above 0.
    """

    calls = 1

    def __init__(
        self, network: nn.Module, device: str, slice_axis: int | None = None, *, layered: bool = False
    ) -> None:
        self._layered = layered
        self._device = torch.device(device)
        self._axis = slice_axis
        self._memory = torch.channels_last_3d if slice_axis is None else torch.channels_last
        self._retreated = False
        self.precision = Precision()
        self._network = network.to(self._device).eval()
        make_lean(self._network)
        if slice_axis is None:
            nn.utils.convert_conv3d_weight_memory_format(self._network, torch.channels_last_3d)
        else:
            nn.utils.convert_conv2d_weight_memory_format(self._network, torch.channels_last)

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """(window, channel, x, y, z) float32 -> values of the same windows, float32."""
        if self._device.type == "cuda" and windows.device.type == "cpu":
            # from pinned memory it is copied while the card still computes, and the next windows are cut meanwhile
            windows = windows.pin_memory().to(self._device, non_blocking=True)
        windows = windows.to(self._device)
        flat = windows if self._axis is None else windows.squeeze(self._axis + 2)
        with self._autocast():
            values = self._network(flat.contiguous(memory_format=self._memory))
        if not isinstance(values, torch.Tensor):
            raise PluginFailedError(Text("The network returns more than one value."), Text("Tell the plugin's author."))
        return (values if self._axis is None else values.unsqueeze(self._axis + 2)).float()

    @property
    def has_retreated(self) -> bool:
        """Whether the network computes on the processor because the graphics card had no room for it."""
        return self._retreated

    def retreat(self) -> bool:
        """Compute on the processor from now on, in float32; False when that is where it computes already."""
        if self._device.type == "cpu":
            return False
        self._device = torch.device("cpu")
        self._network.to(self._device)
        self.precision = Precision()
        self._retreated = True
        return True

    def try_out(self, window: torch.Tensor, *, exact: bool) -> Trial:
        """Call the network once, and once more in shorter numbers where this machine has fast ones.

        From then on it computes in the shorter ones, if that was faster and said the same.

        Args:
            window: (1, channel, x, y, z) float32, of the image itself.
            exact: Whether shorter numbers are out of the question.

        Returns:
            What the calls showed.
        """
        with torch.inference_mode():
            values, seconds = self._timed(window)
            if seconds < _SMALL_CALL_S:
                seconds = self._choose_order(window)
            candidate = None if exact else self._shorter()
            if candidate is not None:
                slow = seconds
                self.precision = candidate
                short, fast = self._timed(window)
                if _FASTER * slow <= fast < _SHORT_CALL_S:
                    _, fast = self._timed(window)
                    self.precision = Precision()
                    slow = min(slow, self._timed(window)[1])
                    self.precision = candidate
                if fast < _FASTER * slow and agrees(values, short, layered=self._layered):
                    if self._device.type == "cpu":
                        shorten_weights(self._network, candidate.type)
                    return Trial(values.shape[1], fast)
                self.precision, seconds = Precision(), slow
        return Trial(values.shape[1], seconds)

    def _choose_order(self, window: torch.Tensor) -> float:
        """Keep channels last in memory, or first, whichever is faster for a small network.

        Returns:
            How long a call takes.
        """
        _, last = self._timed(window)
        chosen, self._memory = self._memory, torch.contiguous_format
        _, first = self._timed(window)
        if _FASTER * last <= first < _SET_UP * last:
            _, first = self._timed(window)
        if first < _FASTER * last:
            return first
        self._memory = chosen
        return last

    def _timed(self, windows: torch.Tensor) -> tuple[torch.Tensor, float]:
        started = time.perf_counter()
        values = self(windows)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return values, time.perf_counter() - started

    def _shorter(self) -> Precision | None:
        if self._device.type == "cuda":
            version: Callable[[], int | None] = torch.backends.cudnn.version
            if not short_numbers_are_sound(version()):
                return None
            known = torch.cuda.is_bf16_supported(including_emulation=False)
            return Precision(torch.bfloat16 if known else torch.float16)
        found = torch.cpu.get_capabilities()
        fast = bool(found.get("avx512_bf16") or found.get("amx_bf16"))
        return Precision(torch.bfloat16) if fast else None

    def _autocast(self) -> AbstractContextManager[object]:
        if not self.precision.is_short:
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, self.precision.type)


def agrees(exact: torch.Tensor, short: torch.Tensor, *, layered: bool = False) -> bool:
    """Whether two answers, (window, channel, x, y, z), say the same of every structure; `layered`: one a channel."""
    if not bool(torch.isfinite(short).all()):
        return False
    if layered and exact.shape[1] > 1:
        return all(agrees(exact[:, [one]], short[:, [one]]) for one in range(exact.shape[1]))
    if exact.shape[1] == 1:
        first, second = (exact > 0).long(), (short > 0).long()
    else:
        first, second = exact.argmax(1), short.argmax(1)
    same = first == second
    if float(same.float().mean()) < _SAME_VOXELS:
        return False
    count = max(2, exact.shape[1])
    both = torch.bincount(first[same].flatten(), minlength=count)
    sizes = torch.bincount(first.flatten(), minlength=count) + torch.bincount(second.flatten(), minlength=count)
    large = sizes > 2 * _SMALLEST_STRUCTURE
    return bool((2 * both[large] >= _SAME_STRUCTURE * sizes[large]).all())
