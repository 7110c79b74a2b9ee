"""A MONAI bundle of a segmentation network, read as data: its parts for training and for scoring.

Nothing in a bundle's configuration is evaluated here: the parts that are needed must be plain `_target_`s of MONAI with
plain arguments and references to each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from monai.bundle.config_parser import ConfigParser
from monai.inferers.inferer import Inferer
from monai.transforms.compose import Compose
from torch import nn

from medview.core.errors import InputError
from medview.core.text import Text

PARTS = ("network_def", "preprocessing", "inferer", "postprocessing")


@dataclass(frozen=True, slots=True)
class SegmentationBundle:
    """The parts of a bundle, made afresh from its configuration.

    Attributes:
        folder: Where the bundle lies.
        network: The network, with weights as its makers initialise them.
        preprocessing: From `{"image": path}` to the tensor that the network sees.
        inferer: How the network is moved over an image.
        postprocessing: From `{"image": ..., "pred": logits}` to labels on the grid of the file.
        label_names: The names of the foreground labels 1, 2, ... in their order.
    """

    folder: Path
    network: nn.Module
    preprocessing: Compose
    inferer: Inferer
    postprocessing: Compose
    label_names: tuple[str, ...]

    @property
    def weights_path(self) -> Path:
        """Where the bundle keeps its weights."""
        return self.folder / "models" / "model.pt"


def load(folder: Path) -> SegmentationBundle:
    """Read a bundle without its weights.

    Raises:
        InputError: When its configuration is absent, or needs code to be run.
    """
    configuration = _read(folder / "configs" / "inference.json")
    parts = {name: _without_writers(configuration[name]) for name in PARTS if name in configuration}
    missing = [name for name in PARTS if name not in parts]
    if missing:
        raise InputError(
            Text.of("The bundle {folder} does not say what its {part} is.", folder=str(folder), part=missing[0]),
            "Choose a MONAI bundle for segmentation.",
        )
    if _has_expression(parts):
        raise InputError(
            Text.of("The configuration of the bundle {folder} contains code.", folder=str(folder)),
            "Write it with plain values instead of expressions that start with $.",
        )
    parser = ConfigParser(parts)
    return SegmentationBundle(
        folder=folder,
        network=parser.get_parsed_content("network_def"),
        preprocessing=parser.get_parsed_content("preprocessing"),
        inferer=parser.get_parsed_content("inferer"),
        postprocessing=parser.get_parsed_content("postprocessing"),
        label_names=_label_names(_read(folder / "configs" / "metadata.json")),
    )


def load_weights(network: nn.Module, path: Path) -> None:
    """Put the weights of a file, a plain state dict, into a network; every name and shape has to match.

    Raises:
        InputError: When the file is absent, is not a state dict or belongs to another network.
    """
    try:
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            Text.of("The weights {path} do not fit the network of the bundle.", path=str(path)),
            "Train it first, or choose the weights that belong to it.",
        ) from error


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            Text.of("{path} cannot be read.", path=str(path)), "Choose the folder of a MONAI bundle."
        ) from error
    return content


def _without_writers(part: Any) -> Any:
    """The same part without transforms that write files."""
    if not isinstance(part, Mapping) or "transforms" not in part:
        return part
    kept = [one for one in part["transforms"] if "Save" not in str(one.get("_target_", ""))]
    return {**part, "transforms": kept}


def _has_expression(part: Any) -> bool:
    if isinstance(part, Mapping):
        return any(_has_expression(value) for value in part.values())
    if isinstance(part, list):
        return any(_has_expression(value) for value in part)
    return isinstance(part, str) and part.startswith("$")


def _label_names(metadata: Mapping[str, Any]) -> tuple[str, ...]:
    channels = metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    return tuple(str(channels[str(value)]) for value in range(1, len(channels)))
