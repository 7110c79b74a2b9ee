"""The network: a small U-Net of MONAI with residual units."""

from __future__ import annotations

from monai.networks.nets import UNet
from torch import nn

from . import crop


def make() -> nn.Module:
    """A network with the weights that it begins with: (n, channel, x, y, z) to (n, 1, x, y, z), lesion above 0."""
    return UNet(
        spatial_dims=3,
        in_channels=crop.CHANNELS,
        out_channels=1,
        channels=(8, 16, 32, 64),
        strides=(2, 2, 2),
        num_res_units=1,
        norm=("INSTANCE", {"affine": True}),
        dropout=0.35,
    )
