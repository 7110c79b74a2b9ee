"""Runs a MONAI segmentation bundle on a volume in memory.

The bundle says how to prepare the image, which network to run in which windows, and what to do with its values. The
host reads and writes, carries the result back to the grid that the image came on, and makes one label map of it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from monai.data import MetaTensor
from monai.inferers import Inferer
from monai.transforms import Compose, ResampleToMatch
from numpy.typing import NDArray
from torch import nn

from medview.catalog import bundle_config, bundle_files, weights
from medview.catalog.bundle_config import BundleConfig
from medview.catalog.manifest import BundleEngine
from medview.core.errors import PluginNotTrustedError, PluginUnavailableError
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import bundle_ending, sliding, tensors, trusted_bundle
from medview.inference.bundle_ending import Prepared
from medview.inference.bundle_parts import Building, Parts
from medview.inference.bundle_steps import Ending, ending_of, rules_of, way_back
from medview.inference.ensemble import Ensemble
from medview.inference.forward import Forward
from medview.inference.front import Front
from medview.inference.grid_map import GridMap
from medview.inference.labelling import Activation, Labelling
from medview.inference.options import RunOptions
from medview.inference.plan import planned
from medview.inference.plugin import Case, Context
from medview.inference.resampling import prepare
from medview.inference.side_values import SideValues, probabilities_of, wishes_of
from medview.inference.windows import Lattice, Size, WindowRules

_WRAPPINGS = ("model", "state_dict", "net", "network")
"""Keys under which a checkpoint may hold its state dict."""


def run(
    folder: Path,
    engine: BundleEngine,
    case: Case,
    context: Context,
    *,
    trusted: bool = False,
    regions: bool = False,
) -> NDArray[Any]:
    """Segment the case's images, which are the channels of the network in their order.

    Args:
        folder: The plugin's.
        engine: Where in it the bundle is.
        case: Its images.
        context: The host.
        trusted: Whether the bundle may run code of its own.
        regions: Whether its structures may overlap.

    Returns:
        The bundle's label values on the first image's grid, (k, j, i); where structures may overlap, a layer for each,
        (structure, k, j, i).

    Raises:
        PluginUnavailableError: The bundle needs trust, or is not one that can be run.
        PluginFailedError: Its transforms or its network failed.
        Cancelled: The user cancelled.
    """
    bundle = folder / engine.path
    with ExitStack() as stack:
        if trusted:
            stack.enter_context(trusted_bundle.own_modules(bundle))
        config = bundle_config.read(bundle, trusted=trusted, regions=regions)
        parts: Building = Parts(config, context.device)
        if trusted:
            parts = trusted_bundle.TrustedParts(config, context.device, bundle)
        return _run(bundle, engine, config, parts, case, context, trusted=trusted, regions=regions)


def _run(
    bundle: Path,
    engine: BundleEngine,
    config: BundleConfig,
    parts: Building,
    case: Case,
    context: Context,
    *,
    trusted: bool,
    regions: bool,
) -> NDArray[Any]:
    context.progress(0.0, Text("Loading the model"))
    names = engine_weights(engine, context.options)
    networks = load_networks(bundle, names, parts, context.device, trusted=trusted)
    preprocessing = chain(parts.build("preprocessing"))
    after = chain(parts.build("postprocessing")) if "postprocessing" in config.entries else Compose([])
    inferer = parts.build("inferer")
    if not isinstance(inferer, Inferer):
        raise PluginUnavailableError(Text("The bundle's inferer is not one of MONAI's."), Text("Tell its author."))
    context.progress(0.02, Text("Preparing the image"))
    volume = next(iter(case.values()))
    items = prepare(preprocessing, item(*case.values(), loader=config.loader), config.loader.key)
    context.check()
    prepared = Prepared(items, config.loader.key, preprocessing, tuple(after.transforms), volume, regions)
    rules = rules_of(inferer)
    if rules is None:
        _run_once(networks, engine, context)
        networks[0].to(context.device).eval()
        values = sliding.by_inferer(
            inferer, prepared.tensor, networks[0], context.part(0.1, 0.9), device=context.device
        )
        return bundle_ending.as_written(prepared, values, context)
    windows, slice_axis = rules
    ending = ending_of(prepared.after)
    axes = _mirrored(engine, context.options)
    if ending is not None and (len(networks) > 1 or axes):
        decision = ending.decision
        axes = tuple(axis for axis in axes if axis != slice_axis)
        ensemble = Ensemble(
            networks, context.device, slice_axis=slice_axis, layered=False, mirrored=axes,
            activation=decision.activation,
        )  # fmt: skip
        ending = replace(ending, decision=replace(decision, activation=Activation.NONE))
        return _in_windows(prepared, ensemble, windows, ending, context)
    _run_once(networks, engine, context)
    return _in_windows(prepared, Forward(networks[0], context.device, slice_axis), windows, ending, context)


def _mirrored(engine: BundleEngine, options: RunOptions) -> tuple[int, ...]:
    """The axes along which windows are mirrored."""
    return engine.mirror_axes if (engine.mirroring if options.mirroring is None else options.mirroring) else ()


def _run_once(networks: Sequence[nn.Module], engine: BundleEngine, context: Context) -> None:
    """Say so when more was asked for than a single call of a window."""
    if len(networks) > 1 or _mirrored(engine, context.options):
        context.note(Text("The bundle's last steps are its own: it ran once for every window, with its first weights."))


def _in_windows(
    prepared: Prepared, forward: Forward | Ensemble, rules: WindowRules, ending: Ending | None, context: Context
) -> NDArray[Any]:
    """Run the network in windows; label while it runs where the bundle's ending allows it."""
    image, geometry = prepared.tensor, prepared.volume.geometry
    back = way_back(prepared.image, tensors.ras_affine(geometry), geometry.shape[::-1])
    if ending is None or (ending.on_source and back is None):
        values = sliding.whole(
            image, forward, rules, context.part(0.1, 0.9), device=context.device, retreat=forward.retreat
        )
        return bundle_ending.as_written(prepared, values, context)
    x, y, z = image.shape[1:]
    lattice = Lattice.over((x, y, z), rules)
    if back is not None:
        lattice = lattice.sparing(context.occupancy, back[0], _sum(back[1], lattice.before))
    device, rules = planned(
        image, forward, rules, geometry.shape, context.part(0.1, 0.9), device=context.device, exact=context.exact,
        lattice=lattice, maps=context.options.maps,
    )  # fmt: skip
    grid, before = GridMap.same((x, y, z)), (0, 0, 0)
    if ending.on_source and back is not None:
        grid, before = back
    labelling = Labelling(grid, _sum(before, lattice.before), ending.decision)
    layered = ending.decision.threshold is not None
    maps: SideValues | None = None
    if back is not None:
        activation = probabilities_of(ending.decision, activated=isinstance(forward, Ensemble))
        wishes = wishes_of(context.options, lambda label: label - layered)
        maps = SideValues(back[0], _sum(back[1], lattice.before), wishes, activation, layered=layered)

    def finished(front: Front, start: int, stop: int) -> None:
        box = labelling.take(front, start, stop)
        if maps is not None:
            maps.take(front, start, stop)
        if box is not None and context.is_watched and ending.on_source and not layered:
            context.preview(box, labelling.labels[box.slices].astype(np.uint16))

    sliding.slide(
        image, forward, rules, finished, context.part(0.1, 0.95), device=device, retreat=forward.retreat,
        lattice=lattice, layered=layered,
    )  # fmt: skip
    if forward.has_retreated:
        context.note(Text("The graphics card had too little memory for this image; the processor took over."))
    context.add_maps(maps.maps if maps is not None else ())
    return bundle_ending.from_labels(prepared, ending, labelling, context)


def _sum(first: Size, second: Size) -> Size:
    x, y, z = (a + b for a, b in zip(first, second, strict=True))
    return x, y, z


def item(first: Volume, *others: Volume, loader: bundle_config.LoaderSettings) -> dict[str, Any]:
    """Volumes as the bundle's loader, which is left out, would have handed them to the first transform.

    Several are channels of one image; what lies on another grid than the first is interpolated onto the first's.
    """
    tensor = tensors.to_tensor(first)
    if not others and not loader.adds_channel:
        return {loader.key: tensor}
    channels = [tensor.as_tensor()]
    for one in others:
        found = tensors.to_tensor(one)
        if one.geometry != first.geometry:
            moving = MetaTensor(found.as_tensor()[None], affine=found.affine)
            target = MetaTensor(tensor.as_tensor()[None], affine=tensor.affine)
            moved = ResampleToMatch(mode="bilinear", padding_mode="zeros")(moving, target)
            channels.append(torch.as_tensor(moved)[0])
            continue
        channels.append(found.as_tensor())
    stacked = torch.stack(channels) if others else tensor.as_tensor()[None]
    return {loader.key: MetaTensor(stacked, meta={**tensor.meta, "original_channel_dim": 0})}


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


def engine_weights(engine: BundleEngine, options: RunOptions) -> tuple[str, ...]:
    """The names of the weights that are used together."""
    averaged = engine.ensemble if options.ensemble is None else options.ensemble
    return (engine.weights, *engine.further_weights) if averaged else (engine.weights,)


def load_networks(
    bundle: Path, names: Sequence[str], parts: Building, device: str, *, trusted: bool = False
) -> list[nn.Module]:
    """The bundle's network, once with each of some weights, every one of which must fit.

    Raises:
        PluginUnavailableError: There are none, they do not fit, or they need trust.
    """
    return [
        _load_network(bundle, name, parts, device, trusted=trusted, anew=number > 0)
        for number, name in enumerate(names)
    ]


def _load_network(bundle: Path, name: str, parts: Building, device: str, *, trusted: bool, anew: bool) -> nn.Module:
    file = _weights_file(bundle, name, trusted=trusted)
    if file.suffix == ".ts":
        return trusted_bundle.load_torchscript(file, device)
    network = parts.build("network_def")
    if not isinstance(network, nn.Module):
        raise PluginUnavailableError(Text("The bundle's network is not one of MONAI's."), Text("Tell its author."))
    if anew:
        network = copy.deepcopy(network)  # what is built is one object, however often it is asked for
    state = load_weights(file, trusted=trusted)
    try:
        network.load_state_dict(state, strict=True)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise PluginUnavailableError(
            Text.of("The weights {file} do not fit the bundle's network.", file=file.name),
            Text("Install the plugin again, with the weights that belong to it."),
        ) from error
    return network


def fits(bundle: Path, engine: BundleEngine, *, regions: bool = False) -> None:
    """Build everything that a bundle of data alone names, and load its weights.

    Raises:
        PluginUnavailableError: Something cannot be built, or a weight does not fit.
    """
    config = bundle_config.read(bundle, regions=regions)
    parts = Parts(config, "cpu")
    for name in bundle_config.PARTS:
        if name in config.entries:
            parts.build(name)
    load_networks(bundle, (engine.weights, *engine.further_weights), parts, "cpu")


def _weights_file(bundle: Path, name: str, *, trusted: bool) -> Path:
    try:
        return bundle_files.weights_file(bundle, name)
    except PluginNotTrustedError:
        script = bundle / (name or bundle_files.TORCHSCRIPT_FILE)
        if not trusted or script.suffix != ".ts":
            raise
        return script


def load_weights(path: Path, *, trusted: bool = False) -> Mapping[str, Any]:
    """A state dict from a file; what the file may hold is run only where it is trusted.

    Raises:
        PluginUnavailableError: The file is damaged.
        PluginNotTrustedError: It holds more than numbers.
    """
    if trusted and weights.program_in(path):
        return _unwrapped(trusted_bundle.load_program(path))
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise PluginNotTrustedError(
            Text.of("The weights {file} are damaged, or hold a program as well as numbers.", file=path.name),
            Text("The bundle needs trust. Ask its author for a plain state dict or .safetensors."),
        ) from error
    return _unwrapped(state)


def _unwrapped(state: Any) -> Mapping[str, Any]:
    for key in _WRAPPINGS:
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            return cast("Mapping[str, Any]", state[key])
    return cast("Mapping[str, Any]", state)
