"""A MONAI bundle of a segmentation network, read as data: its parts for training.

Configuration and transforms are read and made as for running the bundle, so that training sees the images that the
network will see, and nothing in the configuration is evaluated.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from monai.transforms import Compose
from torch import nn

from medview.catalog import bundle_config
from medview.catalog.bundle_config import BundleConfig
from medview.core.errors import InputError
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import monai_bundle
from medview.inference.bundle_parts import Parts

WEIGHTS = Path("models") / "model.pt"
RECIPE = Path("configs") / "recipe.json"
_METADATA = Path("configs") / "metadata.json"


@dataclass(frozen=True, slots=True)
class TrainableBundle:
    """What training needs of a bundle.

    Attributes:
        config: Its inference configuration, checked.
        preprocessing: From an image to the tensor that the network sees.
        label_names: The names of the foreground labels 1, 2, ... in their order.
    """

    config: BundleConfig
    preprocessing: Compose
    label_names: tuple[str, ...]

    def new_network(self) -> nn.Module:
        """The network with the weights that its makers begin with.

        Raises:
            PluginUnavailableError: When the configuration does not describe one.
            InputError: When it describes something else.
        """
        network = Parts(self.config, "cpu").build("network_def")
        if not isinstance(network, nn.Module):
            raise InputError("The bundle's network is not one of MONAI's.", "Choose a MONAI bundle for segmentation.")
        return network

    def prepare(self, volume: Volume) -> torch.Tensor:
        """The tensor that the network sees: (channel, x, y, z), a `MetaTensor` with the RAS affine of its grid."""
        key = self.config.loader.key
        prepared = self.preprocessing(monai_bundle.item(volume, loader=self.config.loader))[key]
        if not isinstance(prepared, torch.Tensor):
            raise InputError("The bundle's transforms do not end with an image.", "Tell the plugin's author.")
        return prepared


def load(folder: Path) -> TrainableBundle:
    """Read a bundle without its weights.

    Raises:
        PluginUnavailableError: When its configuration is absent, or needs code to be run.
        InputError: When it does not name its labels.
    """
    config = bundle_config.read(folder)
    preprocessing = monai_bundle.chain(Parts(config, "cpu").build("preprocessing"))
    return TrainableBundle(config, preprocessing, _label_names(folder / _METADATA))


def _label_names(path: Path) -> tuple[str, ...]:
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
        channels = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
        return tuple(str(channels[str(value)]) for value in range(1, len(channels)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            Text.of("{path} does not name the channels of the bundle's output.", path=str(path)),
            "Add channel_def to network_data_format, as the MONAI bundle specification says.",
        ) from error
