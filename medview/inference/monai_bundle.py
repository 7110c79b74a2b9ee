"""Runs a MONAI segmentation bundle on a volume in memory.

The bundle says how to prepare the image, which network to run in which windows, and what to do with its values. The
host reads and writes, carries the result back to the grid that the image came on, and makes one label map of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import AsDiscrete, AsDiscreted, Compose, Invertd
from numpy.typing import NDArray
from torch import nn

from medview.catalog import bundle_config
from medview.catalog.manifest import BundleEngine
from medview.core.errors import PluginFailedError, PluginUnavailableError
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import sliding, tensors
from medview.inference.bundle_parts import Parts
from medview.inference.plugin import Case, Context

_PREDICTION = "pred"
_WRAPPINGS = ("model", "state_dict", "net", "network")
"""Keys under which a checkpoint may hold its state dict."""


def run(folder: Path, engine: BundleEngine, case: Case, context: Context) -> NDArray[Any]:
    """Segment the case's first image.

    Returns:
        (k, j, i), the bundle's label values, on the image's grid.

    Raises:
        PluginUnavailableError: The bundle needs trust, or is not one that can be run.
        PluginFailedError: Its transforms or its network failed.
        Cancelled: The user cancelled.
    """
    bundle = folder / engine.path
    config = bundle_config.read(bundle)
    weights = bundle_config.weights_file(bundle, engine.weights)
    parts = Parts(config, context.device)
    context.progress(0.0, Text("Loading the model"))
    network = _network(parts, weights, context.device)
    preprocessing = chain(parts.build("preprocessing"))
    after = chain(parts.build("postprocessing")) if "postprocessing" in config.entries else Compose([])
    inferer = parts.build("inferer")
    if not isinstance(inferer, Inferer):
        raise PluginUnavailableError(Text("The bundle's inferer is not one of MONAI's."), Text("Tell its author."))
    context.progress(0.02, Text("Preparing the image"))
    prepared = preprocessing(item(next(iter(case.values())), config.loader))
    image = prepared[config.loader.key]
    values = sliding.infer(inferer, _plain(image)[None].to(context.device), network, context.part(0.1, 0.9))
    context.progress(0.9, Text("Carrying the result back to the image"))
    prepared[_PREDICTION] = MetaTensor(values[0].cpu())
    return tensors.to_labels(_finish(prepared, preprocessing, after, config.loader.key, context))


def item(volume: Volume, loader: bundle_config.LoaderSettings) -> dict[str, Any]:
    """A volume as the bundle's loader, which is left out, would have handed it to the first transform."""
    tensor = tensors.to_tensor(volume)
    if not loader.adds_channel:
        return {loader.key: tensor}
    return {loader.key: MetaTensor(tensor.as_tensor()[None], meta={**tensor.meta, "original_channel_dim": 0})}


def chain(part: Any) -> Compose:
    """A bundle's transforms as one chain, whichever way they are written.

    Raises:
        PluginUnavailableError: They are not transforms.
    """
    if isinstance(part, Compose):
        return part
    if isinstance(part, list) and all(callable(one) for one in part):
        return Compose(part)
    raise PluginUnavailableError(
        Text("The bundle's transforms are not a chain of MONAI's."), Text("Tell the plugin's author.")
    )


def _network(parts: Parts, weights: Path, device: str) -> nn.Module:
    network = parts.build("network_def")
    if not isinstance(network, nn.Module):
        raise PluginUnavailableError(Text("The bundle's network is not one of MONAI's."), Text("Tell its author."))
    state = load_weights(weights)
    try:
        network.load_state_dict(state, strict=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise PluginUnavailableError(
            Text.of("The weights {file} do not fit the bundle's network.", file=weights.name),
            Text("Install the plugin again, with the weights that belong to it."),
        ) from error
    return network.to(device).eval()


def load_weights(path: Path) -> Mapping[str, Any]:
    """A state dict from a file, without running what the file may hold.

    Raises:
        PluginUnavailableError: The file is damaged or holds more than numbers.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise PluginUnavailableError(
            Text.of("The weights {file} are damaged, or hold a program as well as numbers.", file=path.name),
            Text("The bundle needs trust. Ask its author for a plain state dict or .safetensors."),
        ) from error
    for key in _WRAPPINGS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            return cast("Mapping[str, Any]", state[key])
    return cast("Mapping[str, Any]", state)


def _finish(
    prepared: dict[str, Any], preprocessing: Compose, after: Compose, image_key: str, context: Context
) -> torch.Tensor:
    """The bundle's own last steps, with the inversion done by the host.

    It is done where the bundle has one, or else before the values become labels, so that borders stay smooth.
    """
    steps = cast("Sequence[Callable[..., Any]]", after.transforms)
    written = next((one for one in steps if isinstance(one, Invertd)), None)
    place = next((n for n, one in enumerate(steps) if isinstance(one, (Invertd, AsDiscreted, AsDiscrete))), len(steps))
    nearest = bool(written.nearest_interp[0]) if written is not None else False
    invert = Invertd(
        keys=_PREDICTION, transform=preprocessing, orig_keys=image_key, nearest_interp=nearest, to_tensor=True
    )
    rest = [one for one in steps[place:] if not isinstance(one, Invertd)]
    ordered: list[Callable[..., Any]] = [*steps[:place], invert, *rest]
    for step in ordered:
        context.check()
        prepared = step(prepared)
    return _one_label_map(prepared[_PREDICTION])


def _one_label_map(values: torch.Tensor) -> torch.Tensor:
    """(channel, x, y, z) values or labels -> (1, x, y, z) labels."""
    whole = bool((values == values.round()).all())
    if values.shape[0] == 1:
        if whole:
            return values
        raise PluginFailedError(
            Text("The bundle returns values and does not say from which value on they are a structure."),
            Text("Its author can add AsDiscreted to its postprocessing."),
        )
    covered = values.sum(dim=0, keepdim=True)
    if whole and bool((covered > 1).any()):
        raise PluginFailedError(
            Text("The bundle's structures overlap, and one label map cannot hold them."),
            Text("Use a bundle whose structures do not overlap."),
        )
    winner = values.argmax(dim=0, keepdim=True)
    if whole and bool((covered == 0).any()):
        return torch.where(covered > 0, winner + 1, 0)
    return winner


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor
