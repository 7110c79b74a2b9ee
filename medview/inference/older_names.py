"""Names that published bundles use and the libraries of today have no longer, or only with another library's help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import torch
from torch import nn

_NUMPY = {"product": np.prod, "cumproduct": np.cumprod, "alltrue": np.all, "sometrue": np.any}
"""Gone with NumPy 2."""


@contextmanager
def older_names() -> Iterator[None]:
    """Let them be found while a trusted bundle runs."""
    from monai.apps.detection.networks import retinanet_network
    from monai.networks.blocks import backbone_fpn_utils

    added = [name for name in _NUMPY if not hasattr(np, name)]
    for name in added:
        setattr(np, name, _NUMPY[name])
    stages, models = retinanet_network._validate_trainable_layers, backbone_fpn_utils.torchvision_models
    if find_spec("torchvision") is None:
        # This is all that MONAI's RetinaNet takes from torchvision.
        retinanet_network._validate_trainable_layers = _trainable
        backbone_fpn_utils.torchvision_models = SimpleNamespace(
            _utils=SimpleNamespace(IntermediateLayerGetter=FirstStages)
        )
    try:
        yield
    finally:
        for name in added:
            delattr(np, name)
        retinanet_network._validate_trainable_layers = stages
        backbone_fpn_utils.torchvision_models = models


def _trainable(pretrained: bool, trainable: int | None, max_value: int, default_value: int) -> int:
    """How many stages of a backbone are to be trained; only a pretrained one can have others than all."""
    if not pretrained:
        return max_value
    return default_value if trainable is None else trainable


class FirstStages(nn.ModuleDict):
    """A network's stages up to the last one whose values are wanted, under their own names.

    Args:
        backbone: A network that calls its stages in the order in which it holds them.
        return_layers: For the stages whose values are wanted, what these are called.
    """

    def __init__(self, backbone: nn.Module, return_layers: Mapping[str, str]) -> None:
        names = [name for name, _ in backbone.named_children()]
        last = max(names.index(name) for name in return_layers)
        super().__init__({name: getattr(backbone, name) for name in names[: last + 1]})
        self._wanted = dict(return_layers)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """The values behind the wanted stages, in their order."""
        found = {}
        for name, stage in self.items():
            x = stage(x)
            if name in self._wanted:
                found[self._wanted[name]] = x
        return found
