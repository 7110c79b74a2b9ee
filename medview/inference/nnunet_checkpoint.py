"""What a checkpoint of nnU-Net holds that a run needs, loaded as data: no program in it is run."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medview.core.errors import PluginUnavailableError
from medview.core.text import Text


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One fold.

    Attributes:
        weights: The network's, by name.
        configuration: The name of the configuration that was trained; None when the file does not say.
        mirrored_axes: Of the window, along which the model was trained on mirrored images, too.
    """

    weights: Mapping[str, torch.Tensor]
    configuration: str | None = None
    mirrored_axes: tuple[int, ...] = ()


def load(path: Path) -> Checkpoint:
    """Read a checkpoint: `.safetensors` with the network's weights alone, or `.pth` as nnU-Net writes it.

    Beside tensors a `.pth` holds what its training noted: plain values, and numbers of numpy, which are harmless. The
    state of the optimizer is as large again and is not read.

    Raises:
        PluginUnavailableError: It is damaged, or holds more than that.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return Checkpoint(load_file(path))
        with torch.serialization.safe_globals(_harmless()):
            read = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path) or None)
        weights, notes = read["network_weights"], read.get("init_args") or {}
        if not all(isinstance(name, str) and isinstance(one, torch.Tensor) for name, one in weights.items()):
            raise TypeError("network_weights")
        axes = tuple(int(axis) for axis in read.get("inference_allowed_mirroring_axes") or ())
        name = notes.get("configuration")
    except Exception as error:
        raise PluginUnavailableError(
            Text.of("The checkpoint {file} is damaged, or holds a program as well as numbers.", file=str(path)),
            Text("It would need your trust, and MedView runs no programs in checkpoints. Ask for it as .safetensors."),
        ) from error
    return Checkpoint(weights, name if isinstance(name, str) else None, axes)


def _harmless() -> list[Any]:
    """What nnU-Net's trainers leave in a checkpoint beside tensors: numpy's numbers, under their old and new names."""
    scalar, rebuild = np.float64(0).__reduce__()[0], np.zeros(1).__reduce__()[0]
    kinds = (np.float64, np.float32, np.float16, np.int64, np.int32, np.uint8, np.bool_)
    return [
        scalar, rebuild, np.dtype, np.ndarray, *(type(np.dtype(kind)) for kind in kinds),
        (scalar, "numpy.core.multiarray.scalar"), (rebuild, "numpy.core.multiarray._reconstruct"),
    ]  # fmt: skip
