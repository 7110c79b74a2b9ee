"""Runs a MONAI bundle on images in memory.

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
from monai.transforms import Compose
from numpy.typing import NDArray
from torch import nn

from medview.catalog import bundle_config, bundle_files, weights
from medview.catalog.bundle_config import BundleConfig
from medview.catalog.manifest import PluginManifest
from medview.catalog.manifest_engines import BundleEngine
from medview.core.errors import PluginNotTrustedError, PluginUnavailableError
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import (
    bundle_ending,
    bundle_evidence,
    bundle_findings,
    bundle_pictures,
    bundle_prompts,
    class_answers,
    same_grid,
    sliding,
    tensors,
    trusted_bundle,
)
from medview.inference.bundle_ending import Prepared
from medview.inference.bundle_parts import Building, Parts, without_notices
from medview.inference.bundle_steps import Ending, ending_of, rules_of, way_back
from medview.inference.ensemble import Ensemble
from medview.inference.forward import Forward
from medview.inference.found import Findings
from medview.inference.front import Front
from medview.inference.grid_map import GridMap
from medview.inference.labelling import Activation, Labelling
from medview.inference.loaded_bundle import LoadedBundle
from medview.inference.options import RunOptions
from medview.inference.plan import planned
from medview.inference.plugin import Case, Context
from medview.inference.resampling import prepare
from medview.inference.side_values import SideValues, probabilities_of, wishes_of
from medview.inference.windows import Lattice, Size, WindowRules

_VOLUME = 3
_WRAPPINGS = ("model", "state_dict", "net", "network")
"""Keys under which a checkpoint may hold its state dict."""


def run(
    folder: Path,
    engine: BundleEngine,
    case: Case,
    context: Context,
    *,
    manifest: PluginManifest,
    trusted: bool = False,
) -> NDArray[Any] | Findings:
    """Do the bundle's task on the case's images, which are the channels of the network in their order.

    Args:
        folder: The plugin's.
        engine: Where in it the bundle is.
        case: Its images.
        context: The host.
        manifest: The plugin's: its task, what it looks at and what it names.
        trusted: Whether the bundle may run code of its own.

    Returns:
        The bundle's label values on the first image's grid, (k, j, i); where structures may overlap, a layer for each,
        (structure, k, j, i). For another task, what was found.

    Raises:
        PluginUnavailableError: The bundle needs trust, or is not one that can be run.
        PluginFailedError: Its transforms or its network failed.
        Cancelled: The user cancelled.
    """
    bundle = folder / engine.path
    with ExitStack() as stack:
        if trusted:
            stack.enter_context(trusted_bundle.own_modules(bundle))
        context.progress(0.0, Text("Loading the model"))
        return answer(load(bundle, engine, manifest, context, trusted=trusted), case, context, manifest)


def load(
    bundle: Path, engine: BundleEngine, manifest: PluginManifest, context: Context, *, trusted: bool
) -> LoadedBundle:
    """Build what a bundle names, with its weights; a trusted one's own modules must be found meanwhile.

    Raises:
        PluginUnavailableError: The bundle needs trust, or is not one that can be run.
    """
    config = bundle_config.read(bundle, trusted=trusted, regions=manifest.has_regions)
    parts: Building = Parts(config, context.device)
    if trusted:
        parts = trusted_bundle.TrustedParts(config, context.device, bundle)
    names = engine_weights(engine, context.options)
    networks = load_networks(bundle, names, parts, context.device, trusted=trusted)
    if manifest.task == "detect" and "detector_ops" in config.entries:
        parts.build("detector_ops")  # they set up the detector that the inferer refers to
    mirrors = engine.mirroring if context.options.mirroring is None else context.options.mirroring
    return _loaded(config, parts, networks, engine.mirror_axes if mirrors else ())


def answer(loaded: LoadedBundle, case: Case, context: Context, manifest: PluginManifest) -> NDArray[Any] | Findings:
    """Do a bundle's task once it is loaded; see `run`."""
    context.progress(0.02, Text("Preparing the image"))
    volume = next(iter(case.values()))
    if manifest.input[0].dims != _VOLUME:
        loaded.network.to(context.device).eval()
        look = bundle_pictures.segment if manifest.task == "segment" else bundle_pictures.find
        return look(loaded, manifest, volume, context)
    items = prepare(loaded.preprocessing, item(*case.values(), loader=loaded.loader), loaded.loader.key)
    context.check()
    if manifest.task != "segment":
        loaded.network.to(context.device).eval()
        return _find(loaded, items, manifest, volume, context)
    prepared = Prepared(
        items, loaded.loader.key, loaded.preprocessing, loaded.after, volume, manifest.has_regions,
        loaded.loader.network_key,
    )  # fmt: skip
    return segment(prepared, loaded, manifest, context)


def _loaded(
    config: BundleConfig, parts: Building, networks: Sequence[nn.Module], mirrored: tuple[int, ...]
) -> LoadedBundle:
    preprocessing = chain(parts.build("preprocessing"))
    after = chain(parts.build("postprocessing")) if "postprocessing" in config.entries else Compose([])
    inferer = parts.build("inferer")
    if not isinstance(inferer, Inferer):
        raise PluginUnavailableError(Text("The bundle's inferer is not one of MONAI's."), Text("Tell its author."))
    evaluator = config.entries.get("evaluator")
    splits = not isinstance(evaluator, dict) or evaluator.get("decollate") is not False
    first, *further = networks
    return LoadedBundle(
        first, preprocessing, tuple(after.transforms), inferer, config.loader, splits, tuple(further), mirrored
    )


def segment(prepared: Prepared, loaded: LoadedBundle, manifest: PluginManifest, context: Context) -> NDArray[Any]:
    """Labels of a prepared image, window by window where its inferer is one that the engine knows."""
    inferer = loaded.inferer
    rules = rules_of(inferer)
    if rules is not None:
        windows, slice_axis = rules
        return _in_windows(prepared, *_caller(loaded, slice_axis, ending_of(prepared.after), context), windows, context)
    network = loaded.network.to(context.device).eval()
    _run_once(loaded, context)
    part = context.part(0.1, 0.9)
    if bundle_prompts.is_told_classes(inferer):
        wanted = [label.value for label in manifest.label]
        found = bundle_prompts.labels(inferer, prepared.tensor, network, wanted, part, device=context.device)
        kept = [one for one in prepared.after if type(one).__name__ != "VistaPostTransformd"]  # that was done there
        return carried_back(replace(prepared, after=tuple(kept)), found, context)
    values = sliding.by_inferer(inferer, prepared.tensor, network, part, device=context.device)
    return carried_back(prepared, values, context)


def carried_back(prepared: Prepared, values: torch.Tensor, context: Context) -> NDArray[Any]:
    """The bundle's own last steps on all values at once, and labels on the image's grid: (k, j, i)."""
    context.progress(0.9, Text("Carrying the result back to the image"))
    return bundle_ending.as_written(prepared, values, context.check)


def _find(
    bundle: LoadedBundle, items: dict[str, Any], manifest: PluginManifest, volume: Volume, context: Context
) -> Findings:
    """Classes, points or boxes of a whole volume."""
    image = items[bundle.loader.key]
    affine = image.affine if isinstance(image, MetaTensor) else np.eye(4)
    context.progress(0.1, Text("Running the network"))
    if manifest.task == "detect":
        bundle.network.register_forward_pre_hook(lambda *_: context.check())
        shown = bundle.shown(items, context.device)
        with torch.inference_mode(), without_notices():
            call: Any = bundle.inferer  # detectors want a list of images
            answers = call([shown[0]], bundle.network)
        found = bundle_findings.boxes(answers[0], shown[0].cpu(), affine, bundle.after, manifest.class_)
        return Findings(boxes=tuple(found))
    if manifest.task == "landmark":
        values = bundle.values(items, context)[0]
        return Findings(points=tuple(bundle_findings.points(values, affine, manifest.class_, None)))
    classes = class_answers.of_image(bundle, items, manifest, context)
    if context.evidence is not None:
        context.add_evidence(bundle_evidence.of_image(bundle, items, manifest, volume, context))
    return Findings(classes=tuple(classes))


def _caller(
    loaded: LoadedBundle, slice_axis: int | None, ending: Ending | None, context: Context
) -> tuple[Forward | Ensemble, Ending | None]:
    """What is called for every window, and the steps that follow it."""
    axes = tuple(axis for axis in loaded.mirrored if axis != slice_axis)
    if ending is not None and (loaded.further or axes):
        decision = ending.decision
        ensemble = Ensemble(
            (loaded.network, *loaded.further), context.device, slice_axis=slice_axis, layered=False, mirrored=axes,
            activation=decision.activation,
        )  # fmt: skip
        return ensemble, replace(ending, decision=replace(decision, activation=Activation.NONE))
    _run_once(loaded, context)
    return Forward(loaded.network, context.device, slice_axis), ending


def _run_once(loaded: LoadedBundle, context: Context) -> None:
    """Say so when more was asked for than a single call of a window."""
    if loaded.further or loaded.mirrored:
        context.note(Text("The bundle's last steps are its own: it ran once for every window, with its first weights."))


def _in_windows(
    prepared: Prepared, forward: Forward | Ensemble, ending: Ending | None, rules: WindowRules, context: Context
) -> NDArray[Any]:
    """Run the network in windows; label while it runs where the bundle's ending allows it."""
    image, geometry = prepared.tensor, prepared.volume.geometry
    back = way_back(prepared.image, tensors.ras_affine(geometry), geometry.shape[::-1])
    if ending is None or (ending.on_source and back is None):
        values = sliding.whole(
            image, forward, rules, context.part(0.1, 0.9), device=context.device, retreat=forward.retreat
        )
        return carried_back(prepared, values, context)
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

    Several are channels of one image, or images by themselves where the loader gives each a name; what lies on another
    grid than the first is interpolated onto the first's.
    """
    tensor = tensors.to_tensor(first)
    if not others and not loader.adds_channel:
        return {loader.key: tensor}
    channels = [tensor.as_tensor(), *(tensors.to_tensor(same_grid.onto(first, one)).as_tensor() for one in others)]
    if loader.others:
        meta = {**tensor.meta, "original_channel_dim": 0} if loader.adds_channel else tensor.meta
        shaped = [one[None] if loader.adds_channel else one for one in channels]
        names = (loader.key, *loader.others)
        return {name: MetaTensor(one, meta=dict(meta)) for name, one in zip(names, shaped, strict=False)}
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
