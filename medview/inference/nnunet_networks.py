"""The networks of nnU-Net v2: U-Nets with plain or residual stages, with the parameter names of published checkpoints.

A plain U-Net follows Isensee et al., Nat Methods 18 (2021); residual encoders Isensee et al., MICCAI 2024, with blocks
after He et al., CVPR 2019 ("ResNet-D": where a block shrinks its input, the way around it averages first). Plans say
how many stages there are and what each is made of. Classes and layers are found by name in tables; nothing is imported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from medview.catalog.nnunet_folder import Architecture
from medview.core.errors import PluginUnavailableError
from medview.core.text import Text

_MODULES = (
    "dynamic_network_architectures.architectures.unet",
    "dynamic_network_architectures.architectures.residual_unet",
)
_NETWORKS = {
    # residual encoder, residual decoder
    "PlainConvUNet": (False, False),
    "ResidualEncoderUNet": (True, False),
    "ResidualUNet": (True, True),
}
_ACTIVATIONS: dict[str, Callable[..., nn.Module]] = {
    "LeakyReLU": nn.LeakyReLU, "ReLU": nn.ReLU, "GELU": nn.GELU, "SiLU": nn.SiLU, "ELU": nn.ELU,
}  # fmt: skip
_KNOWN = {
    "n_stages", "features_per_stage", "conv_op", "kernel_sizes", "strides", "n_conv_per_stage", "n_blocks_per_stage",
    "n_conv_per_stage_decoder", "conv_bias", "norm_op", "norm_op_kwargs", "dropout_op", "dropout_op_kwargs", "nonlin",
    "nonlin_kwargs", "deep_supervision", "nonlin_first", "stem_channels",
}  # fmt: skip
_ALIASES = re.compile(r"^decoder\.encoder\.|\.all_modules\.")
"""Checkpoints hold every convolution twice, and the encoder once more inside the decoder."""
_WRAPPINGS = ("_orig_mod.", "module.")

Size = tuple[int, ...]


class InstanceNorm(nn.Module):
    """Every channel of every window by its own mean and deviation: groups of one channel, which torch has faster."""

    def __init__(self, channels: int, eps: float = 1e-5, affine: bool = False) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(window, channel, ...) -> the same shape."""
        return functional.group_norm(values, self.channels, self.weight, self.bias, self.eps)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What the stages of a network are made of."""

    dimensions: int
    bias: bool
    norm: Callable[[int], nn.Module] | None
    activation: Callable[[], nn.Module] | None
    activation_first: bool

    def convolution(self, inputs: int, outputs: int, kernel: Size, stride: Size, *, bias: bool) -> nn.Module:
        kind: Any = nn.Conv3d if self.dimensions == 3 else nn.Conv2d
        made: nn.Module = kind(inputs, outputs, kernel, stride, tuple((one - 1) // 2 for one in kernel), bias=bias)
        return made

    def widening(self, inputs: int, outputs: int, stride: Size) -> nn.Module:
        kind: Any = nn.ConvTranspose3d if self.dimensions == 3 else nn.ConvTranspose2d
        made: nn.Module = kind(inputs, outputs, stride, stride, bias=self.bias)
        return made

    def mean(self, stride: Size) -> nn.Module:
        kind: Any = nn.AvgPool3d if self.dimensions == 3 else nn.AvgPool2d
        made: nn.Module = kind(stride, stride)
        return made

    @property
    def ones(self) -> Size:
        return (1,) * self.dimensions


class _Layer(nn.Module):
    """A convolution, a normalisation and an activation."""

    def __init__(
        self, parts: _Parts, inputs: int, outputs: int, kernel: Size, stride: Size, *, active: bool = True,
        bias: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = parts.convolution(inputs, outputs, kernel, stride, bias=parts.bias if bias is None else bias)
        if parts.norm is not None:
            self.norm = parts.norm(outputs)
        if active and parts.activation is not None:
            self.nonlin = parts.activation()
        self._order = ("conv", "nonlin", "norm") if parts.activation_first else ("conv", "norm", "nonlin")

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        for name in self._order:
            if hasattr(self, name):
                values = getattr(self, name)(values)
        return values


class _Layers(nn.Module):
    """Layers one after the other; the first may shrink."""

    def __init__(self, parts: _Parts, count: int, inputs: int, outputs: int, kernel: Size, stride: Size) -> None:
        super().__init__()
        made = [
            _Layer(parts, outputs if number else inputs, outputs, kernel, parts.ones if number else stride)
            for number in range(count)
        ]
        self.convs = nn.Sequential(*made)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.convs(values)
        return found


class _Block(nn.Module):
    """Two layers with a way around them."""

    def __init__(self, parts: _Parts, inputs: int, outputs: int, kernel: Size, stride: Size) -> None:
        super().__init__()
        self.conv1 = _Layer(parts, inputs, outputs, kernel, stride)
        self.conv2 = _Layer(parts, outputs, outputs, kernel, parts.ones, active=False)
        self.nonlin2 = parts.activation() if parts.activation is not None else nn.Identity()
        around: list[nn.Module] = []
        if stride != parts.ones:
            around.append(parts.mean(stride))
        if inputs != outputs:
            around.append(_Layer(parts, inputs, outputs, parts.ones, parts.ones, active=False, bias=False))
        self.skip = nn.Sequential(*around)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.nonlin2(self.conv2(self.conv1(values)) + self.skip(values))
        return found


class _Blocks(nn.Module):
    """Blocks one after the other; the first may shrink."""

    def __init__(self, parts: _Parts, count: int, inputs: int, outputs: int, kernel: Size, stride: Size) -> None:
        super().__init__()
        made = [
            _Block(parts, outputs if number else inputs, outputs, kernel, parts.ones if number else stride)
            for number in range(count)
        ]
        self.blocks = nn.Sequential(*made)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.blocks(values)
        return found


@dataclass(frozen=True, slots=True)
class _Stages:
    """How many stages there are, and how large each is."""

    features: tuple[int, ...]
    kernels: tuple[Size, ...]
    strides: tuple[Size, ...]
    depths: tuple[int, ...]
    depths_back: tuple[int, ...]
    stem: int


class _Encoder(nn.Module):
    def __init__(self, parts: _Parts, stages: _Stages, inputs: int, *, residual: bool) -> None:
        super().__init__()
        self.stem = _Layers(parts, 1, inputs, stages.stem, stages.kernels[0], parts.ones) if residual else nn.Identity()
        inputs = stages.stem if residual else inputs
        made: list[nn.Module] = []
        for features, kernel, stride, depth in zip(
            stages.features, stages.kernels, stages.strides, stages.depths, strict=True
        ):
            kind = _Blocks if residual else _Layers
            stage: nn.Module = kind(parts, depth, inputs, features, kernel, stride)
            made.append(stage if residual else nn.Sequential(stage))
            inputs = features
        self.stages = nn.Sequential(*made)

    def forward(self, values: torch.Tensor) -> list[torch.Tensor]:
        values = self.stem(values)
        found = []
        for stage in self.stages:
            values = stage(values)
            found.append(values)
        return found


class _Decoder(nn.Module):
    def __init__(self, parts: _Parts, stages: _Stages, outputs: int, *, residual: bool) -> None:
        super().__init__()
        kind = _Blocks if residual else _Layers
        widening: list[nn.Module] = []
        made: list[nn.Module] = []
        heads: list[nn.Module] = []
        for level in range(len(stages.features) - 2, -1, -1):
            below, here = stages.features[level + 1], stages.features[level]
            depth = stages.depths_back[len(made)]
            widening.append(parts.widening(below, here, stages.strides[level + 1]))
            made.append(kind(parts, depth, 2 * here, here, stages.kernels[level], parts.ones))
            heads.append(parts.convolution(here, outputs, parts.ones, parts.ones, bias=True))
        self.transpconvs = nn.ModuleList(widening)
        self.stages = nn.ModuleList(made)
        # all but the last were there to learn from coarser levels; their weights are in every checkpoint
        self.seg_layers = nn.ModuleList(heads)

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        values = levels[-1]
        for number, stage in enumerate(self.stages):
            values = stage(torch.cat((self.transpconvs[number](values), levels[-number - 2]), 1))
        found: torch.Tensor = self.seg_layers[-1](values)
        return found


class UNet(nn.Module):
    """A U-Net as nnU-Net plans it: (window, channel, ...) -> values of the same windows, (window, head, ...)."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The values before any activation."""
        found: torch.Tensor = self.decoder(self.encoder(values))
        return found


def build(architecture: Architecture, dimensions: int, inputs: int, outputs: int) -> nn.Module:
    """The network of a configuration, with random weights.

    Args:
        architecture: As its plans describe it.
        dimensions: 2 or 3.
        inputs: Channels of the image, with those of an earlier stage.
        outputs: Values for a voxel.

    Raises:
        PluginUnavailableError: It is none of nnU-Net's own U-Nets, or has settings that these do not know.
    """
    module, _, name = architecture.network_class_name.rpartition(".")
    if name not in _NETWORKS or (module and module not in _MODULES):
        raise _unknown(architecture.network_class_name)
    written = architecture.arch_kwargs
    extra = {key for key, value in written.items() if key not in _KNOWN and value is not None}
    if extra:
        raise _unknown(f"{name}({', '.join(sorted(extra))})")
    encoder, decoder = _NETWORKS[name]
    try:
        parts, stages = _parts(written, dimensions), _stages(written, dimensions, residual=encoder)
        return UNet(
            _Encoder(parts, stages, inputs, residual=encoder), _Decoder(parts, stages, outputs, residual=decoder)
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _unknown(name) from error


def load_state(network: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Put a checkpoint's weights into a network.

    Raises:
        RuntimeError: They belong to another network.
    """
    found = {}
    for key, value in state.items():
        for wrapping in _WRAPPINGS:
            key = key.removeprefix(wrapping)
        if not _ALIASES.search(key):
            found[key] = value
    network.load_state_dict(found, strict=True)


def _parts(written: Mapping[str, Any], dimensions: int) -> _Parts:
    if _layer_of(written["conv_op"]) != f"Conv{dimensions}d":
        raise _unknown(written["conv_op"])
    norm, activation = written.get("norm_op"), written.get("nonlin")
    return _Parts(
        dimensions,
        bool(written.get("conv_bias", False)),
        None if norm is None else _norm(_layer_of(norm), dimensions, dict(written.get("norm_op_kwargs") or {})),
        None if activation is None else _activation(_layer_of(activation), dict(written.get("nonlin_kwargs") or {})),
        bool(written.get("nonlin_first", False)),
    )


def _norm(name: str, dimensions: int, settings: dict[str, Any]) -> Callable[[int], nn.Module]:
    if name == f"BatchNorm{dimensions}d":
        batch: Any = nn.BatchNorm3d if dimensions == 3 else nn.BatchNorm2d
        return lambda channels: batch(channels, **settings)
    if name != f"InstanceNorm{dimensions}d" or settings.get("track_running_stats"):
        raise _unknown(name)
    eps, affine = float(settings.get("eps", 1e-5)), bool(settings.get("affine", False))
    return lambda channels: InstanceNorm(channels, eps, affine)


def _activation(name: str, settings: dict[str, Any]) -> Callable[[], nn.Module]:
    if name not in _ACTIVATIONS:
        raise _unknown(name)
    return lambda: _ACTIVATIONS[name](**settings)


def _stages(written: Mapping[str, Any], dimensions: int, *, residual: bool) -> _Stages:
    count = int(written["n_stages"])
    features = _repeated(written["features_per_stage"], count)
    return _Stages(
        features,
        tuple(_size(one, dimensions) for one in _listed(written["kernel_sizes"], count)),
        tuple(_size(one, dimensions) for one in _listed(written["strides"], count)),
        _repeated(written["n_blocks_per_stage" if residual else "n_conv_per_stage"], count),
        _repeated(written["n_conv_per_stage_decoder"], count - 1),
        int(written.get("stem_channels") or features[0]),
    )


def _listed(value: Any, count: int) -> list[Any]:
    found = [value] * count if isinstance(value, int) else list(value)
    if len(found) != count:
        raise ValueError("the lists of stages differ in length")
    return found


def _repeated(value: Any, count: int) -> tuple[int, ...]:
    return tuple(int(one) for one in _listed(value, count))


def _size(value: Any, dimensions: int) -> Size:
    found = (int(value),) * dimensions if isinstance(value, int) else tuple(int(one) for one in value)
    if len(found) != dimensions:
        raise ValueError("a size has another number of axes than the network")
    return found


def _layer_of(dotted: Any) -> str:
    module, _, name = str(dotted).rpartition(".")
    if module and module != "torch.nn" and not module.startswith("torch.nn.modules."):
        raise _unknown(str(dotted))
    return name


def _unknown(name: str) -> PluginUnavailableError:
    return PluginUnavailableError(
        Text.of("The model's network {name} is none that MedView can build.", name=name[:200]),
        Text("MedView builds nnU-Net's own U-Nets: plain, and with residual encoders."),
    )
