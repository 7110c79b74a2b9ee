"""Several networks, and mirrored windows where they are asked for, as one network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import nn

from medview.inference.forward import Forward, Trial
from medview.inference.labelling import Activation


class Ensemble:
    """Averages the values of several networks, window by window; nothing larger than a window is held twice.

    Args:
        networks: In evaluation mode, with their weights.
        device: Where they compute.
        slice_axis: For networks of two dimensions, the axis of a window along which they take single slices.
        layered: Whether every channel of the values is a structure of its own.
        mirrored: Axes of a window along which it is also shown mirrored: 2, 4 or 8 calls for 1, 2 or 3 axes.
        stage_labels: What the image's last channel holds of labels of an earlier stage; the networks get a channel for
            each of them in its place. Empty: it is a channel like others.
        activation: What is done with the values of each before they are averaged.
    """

    def __init__(
        self,
        networks: Sequence[nn.Module],
        device: str,
        *,
        slice_axis: int | None,
        layered: bool,
        mirrored: Sequence[int] = (),
        stage_labels: Sequence[int] = (),
        activation: Activation = Activation.NONE,
    ) -> None:
        self._forwards = [Forward(one, device, slice_axis, layered=layered) for one in networks]
        self._activation = activation
        self._turns = [turn for count in range(len(mirrored) + 1) for turn in combinations(mirrored, count)]
        self._stage_labels = torch.tensor(list(stage_labels), dtype=torch.float32).reshape(-1, 1, 1, 1)

    @property
    def calls(self) -> int:
        """How many calls of a network one window takes."""
        return len(self._forwards) * len(self._turns)

    def __call__(self, windows: torch.Tensor) -> torch.Tensor:
        """(window, channel, x, y, z) float32 -> the mean of the networks' values, of the same windows."""
        windows = self._with_stage(windows)
        total: torch.Tensor | None = None
        for turn in self._turns:
            axes = [axis + 2 for axis in turn]
            turned = windows.flip(axes) if axes else windows
            for forward in self._forwards:
                values = self._activated(forward(turned))
                values = values.flip(axes) if axes else values
                total = values if total is None else total.add_(values)
        if total is None:
            raise ValueError("an ensemble of no networks")
        return total.div_(self.calls) if self.calls > 1 else total

    def try_out(self, window: torch.Tensor, *, exact: bool) -> Trial:
        """See `Forward.try_out`; the time is that of all calls together."""
        window = self._with_stage(window)
        trials = [forward.try_out(window, exact=exact) for forward in self._forwards]
        return Trial(trials[0].channels, sum(one.seconds for one in trials) * len(self._turns))

    @property
    def has_retreated(self) -> bool:
        """Whether the processor took over from the graphics card."""
        return any(forward.has_retreated for forward in self._forwards)

    def retreat(self) -> bool:
        """Compute on the processor from now on; False when all do so already."""
        retreated = [forward.retreat() for forward in self._forwards]  # all of them, not up to the first
        return any(retreated)

    def _activated(self, values: torch.Tensor) -> torch.Tensor:
        if self._activation is Activation.SOFTMAX:
            return values.softmax(1)
        return values.sigmoid() if self._activation is Activation.SIGMOID else values

    def _with_stage(self, windows: torch.Tensor) -> torch.Tensor:
        if not len(self._stage_labels):
            return windows
        return torch.cat((windows[:, :-1], (windows[:, -1:] == self._stage_labels).to(windows.dtype)), 1)
