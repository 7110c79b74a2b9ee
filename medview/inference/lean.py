"""The same network in less time: what PyTorch does one by one, or slowly for a single window, done at once.

Nothing here changes what a network computes, beyond the order in which float32 numbers are rounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from medview.inference.lean_layers import ChannelsLastInstanceNorm3d, DirectConv3d, InterleavedConvTranspose3d

_NORM_OF: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv2d: nn.BatchNorm2d,
    nn.Conv3d: nn.BatchNorm3d,
    nn.ConvTranspose2d: nn.BatchNorm2d,
    nn.ConvTranspose3d: nn.BatchNorm3d,
}
_IDLE = (nn.Identity, nn.Dropout, nn.Dropout2d, nn.Dropout3d)
"""What does nothing in evaluation mode."""


def make_lean(network: nn.Module) -> None:
    """Change a network in place; in evaluation mode, and never to be trained again."""
    with torch.no_grad():
        _fold_norms(network)
    for one in network.modules():
        if type(one) is nn.InstanceNorm3d:
            one.__class__ = ChannelsLastInstanceNorm3d
        elif not torch._C._has_mkldnn:
            continue
        elif type(one) is nn.ConvTranspose3d and InterleavedConvTranspose3d.fits(one):
            one.__class__ = InterleavedConvTranspose3d
        elif type(one) is nn.Conv3d and DirectConv3d.fits(one):
            one.__class__ = DirectConv3d


def shorten_weights(network: nn.Module, kind: torch.dtype) -> None:
    """Hold the weights of convolutions in the type in which autocast has them computed, so that no call casts them."""
    for one in network.modules():
        if isinstance(one, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            one.to(kind)


def _fold_norms(network: nn.Module) -> None:
    """Multiply the weights of convolutions by what the batch normalisation behind them multiplies by."""
    # what is held in two places may be called from both, and not in the same company
    held = Counter(id(one) for _, one in network.named_modules(remove_duplicate=False))
    for sequence in list(network.modules()):
        if not _runs_in_order(sequence):
            continue
        steps = [step for step in _steps(sequence) if not isinstance(step[2], _IDLE)]
        for (_, _, first), (holder, name, second) in pairwise(steps):
            if type(second) is not _NORM_OF.get(type(first)):
                continue
            if held[id(first)] == held[id(second)] == 1 and _folded(first, second):
                setattr(holder, name, nn.Identity())


def _folded(convolution: nn.Module, norm: nn.Module) -> bool:
    """Whether a convolution has taken its norm over."""
    assert isinstance(convolution, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d)
    assert isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d)
    if norm.running_mean is None or norm.running_var is None or norm.training:
        return False
    transposed = isinstance(convolution, nn.ConvTranspose2d | nn.ConvTranspose3d)
    if (transposed and convolution.groups > 1) or _is_watched(convolution) or _is_watched(norm):
        return False
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias,
        transpose=transposed,
    )  # fmt: skip
    return True


def _runs_in_order(module: nn.Module) -> bool:
    return isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward


def _steps(sequence: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Module]]:
    """What a sequence runs, in order, with what holds it and by which name; sequences in it are opened."""
    for name, one in sequence._modules.items():
        if one is None:
            continue
        if _runs_in_order(one) and not _is_watched(one):
            yield from _steps(one)
        else:
            yield sequence, name, one


def _is_watched(module: nn.Module) -> bool:
    """Whether something else happens when it is called."""
    return bool(module._forward_hooks or module._forward_pre_hooks) or hasattr(module, "parametrizations")
