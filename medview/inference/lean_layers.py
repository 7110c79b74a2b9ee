"""Layers of networks that compute what PyTorch's own do, on the processor in a fraction of the time."""

from __future__ import annotations

from itertools import product

import torch
from torch import nn
from torch.nn import functional

_AT_ONCE = 1 << 19
"""Numbers that are summed in one go: few enough to stay near the processor, enough for all of its cores."""
_TAPS = {0: ((0, 1),), 1: ((0, 2), (1, 0))}
"""Of a kernel of three and a step of two: which voxels below (0: this one, 1: the next) an even and an odd voxel above
hear of, each with the place in the kernel by which."""


class DirectConv3d(nn.Conv3d):
    """A convolution that oneDNN computes for a single small window too.

    PyTorch leaves a batch of one with less than 20 481 numbers in its first axes to its slow convolution, which takes
    several times as long (use_mkldnn in aten/src/ATen/native/Convolution.cpp).
    """

    @classmethod
    def fits(cls, one: nn.Conv3d) -> bool:
        """Whether a convolution can be computed so, and faster.

        One of a single voxel is a product of matrices, which the slow convolution computes as such, and faster.
        """
        plain = one.padding_mode == "zeros" and not isinstance(one.padding, str)
        return plain and any(size > 1 for size in one.kernel_size)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(window, channel, x, y, z) -> the same as nn.Conv3d."""
        if (
            len(input) != 1
            or input.device.type != "cpu"
            or input.dtype is not torch.float32
            or torch.is_autocast_enabled("cpu")
        ):
            return super().forward(input)
        found: torch.Tensor = torch.ops.aten.mkldnn_convolution(
            input, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups
        )
        return found


class InterleavedConvTranspose3d(nn.ConvTranspose3d):
    """A transposed convolution by two, with a kernel of three, to a few channels: eight small convolutions in one.

    Each of the eight gives the voxels of one corner of a cell, so that no product with a zero is made (Shi et al. 2016,
    doi:10.1109/CVPR.2016.207); together they have enough channels to fill the processor's registers.
    """

    MOST_CHANNELS = 4
    """More fill the registers by themselves."""

    @classmethod
    def fits(cls, one: nn.ConvTranspose3d) -> bool:
        """Whether a transposed convolution can be computed so, and faster."""
        return (
            one.kernel_size == (3, 3, 3)
            and one.stride == (2, 2, 2)
            and one.padding == (1, 1, 1)
            and one.output_padding == (1, 1, 1)
            and one.dilation == (1, 1, 1)
            and one.groups == 1
            and one.out_channels <= cls.MOST_CHANNELS
        )

    def forward(self, input: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        """(window, channel, x, y, z) -> the same as nn.ConvTranspose3d."""
        if output_size is not None or input.device.type != "cpu":
            return super().forward(input, output_size)
        count, _, x, y, z = input.shape
        bias = self.bias.repeat(8) if self.bias is not None else None
        found = functional.conv3d(functional.pad(input, (0, 1, 0, 1, 0, 1)), self._corners(input.dtype), bias)
        apart = found.view(count, 2, 2, 2, self.out_channels, x, y, z)
        return apart.permute(0, 4, 5, 1, 6, 2, 7, 3).reshape(count, self.out_channels, 2 * x, 2 * y, 2 * z)

    def _corners(self, kind: torch.dtype) -> torch.Tensor:
        """(8 * out, in, 2, 2, 2): the kernels of the eight corners."""
        weight = self.weight.transpose(0, 1).to(kind)
        size = (8, *weight.shape[:2], 2, 2, 2)
        corners = torch.zeros(size, dtype=kind, device=weight.device)
        for number, odd in enumerate(product((0, 1), repeat=3)):
            for taps in product(*(_TAPS[one] for one in odd)):
                (a, i), (b, j), (c, k) = taps
                corners[number, :, :, a, b, c] = weight[:, :, i, j, k]
        return corners.flatten(0, 1).contiguous(memory_format=torch.channels_last_3d)


class ChannelsLastInstanceNorm3d(nn.InstanceNorm3d):
    """An instance norm that leaves channels where they lie, last in memory; PyTorch's own copies them out and back."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(window, channel, x, y, z) -> the same as nn.InstanceNorm3d."""
        if (
            input.ndim != 5
            or input.device.type != "cpu"
            or input.shape[1] == 1
            or not input.is_contiguous(memory_format=torch.channels_last_3d)
            or (self.track_running_stats and not self.training)
        ):
            return super().forward(input)
        normed = [self._of_one(one[None]) for one in input]
        return normed[0] if len(normed) == 1 else torch.cat(normed)

    def _of_one(self, window: torch.Tensor) -> torch.Tensor:
        if window.dtype is not torch.float32:
            # of one window, a batch norm by its own mean is the same; it sums in float32, which here is exact enough
            return functional.batch_norm(window, None, None, self.weight, self.bias, training=True, eps=self.eps)
        voxels = window.permute(0, 2, 3, 4, 1).reshape(-1, window.shape[1])
        mean, variance = _mean_and_variance(voxels)
        scale = torch.rsqrt(variance + self.eps)
        if self.weight is not None:
            scale = scale * self.weight.double()
        shift = -mean * scale
        if self.bias is not None:
            shift = shift + self.bias.double()
        found = torch.addcmul(shift.float(), voxels, scale.float())
        return found.view(1, *window.shape[2:], -1).permute(0, 4, 1, 2, 3)


def _mean_and_variance(voxels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(voxel, channel) float32 -> (channel,) float64 each: part by part, and put together by Chan et al. 1979."""
    counts, means, squares = [], [], []
    for part in torch.split(voxels, max(1, _AT_ONCE // voxels.shape[1])):
        mean = part.sum(0) / len(part)
        away = part - mean
        counts.append(len(part))
        means.append(mean)
        squares.append(away.square_().sum(0))
    count = torch.tensor(counts, dtype=torch.float64)[:, None]
    of_parts = torch.stack(means).double()
    mean = (of_parts * count).sum(0) / count.sum()
    square = torch.stack(squares).double().sum(0) + (count * (of_parts - mean) ** 2).sum(0)
    return mean, square / count.sum()
