"""Runs nnU-Net v2 model folders on images in memory, as `nnUNetPredictor` would, without the nnunetv2 package.

The windows, their weights, the preparation and the way back are nnU-Net's; the engine is MedView's: labels are decided
slab by slab while the windows run, folds and mirrored windows are averaged window by window, and a volume of values for
every class never exists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from medview.catalog import nnunet_folder
from medview.catalog import nnunet_postprocessing as nnunet_steps
from medview.catalog.manifest_engines import NnunetEngine
from medview.catalog.nnunet_folder import Configuration, Dataset, ModelFolder
from medview.core.errors import PluginUnavailableError
from medview.core.geometry import Box
from medview.core.progress import PartOf, Progress
from medview.core.segmentation import Labels
from medview.core.text import Text
from medview.core.volume import Volume
from medview.inference import nnunet_checkpoint, nnunet_networks, same_grid, sliding
from medview.inference.ensemble import Ensemble
from medview.inference.front import Front
from medview.inference.labelling import Activation, Decision, Labelling
from medview.inference.maps import SideMap
from medview.inference.nnunet_checkpoint import Checkpoint
from medview.inference.nnunet_postprocessing import keep_largest
from medview.inference.nnunet_preparation import prepare
from medview.inference.options import RunOptions
from medview.inference.plan import planned
from medview.inference.plugin import Case, Context
from medview.inference.side_values import SideValues, probabilities_of, wishes_of
from medview.inference.windows import Lattice, WindowRules

_ABOVE_ZERO = 1e-30
"""The threshold of a region: nnU-Net asks for a sigmoid above one half, so a value above 0, not 0 itself."""
_VOXELS_AT_ONCE = 96**3
"""Windows are called together up to this size; larger ones are no faster for it, and take its multiple in memory."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who wants to see what a model finds.

    Attributes:
        show: Takes labels as they are decided.
        own_label: What the model calls one of the plugin's labels; None: it does not find that.
    """

    show: Callable[[Box, Labels], None]
    own_label: Callable[[int], int | None]


@dataclass(frozen=True, slots=True)
class _Model:
    """A model folder that is ready to run."""

    folder: ModelFolder
    configuration: Configuration
    checkpoints: tuple[Checkpoint, ...]

    @property
    def dataset(self) -> Dataset:
        return self.folder.dataset

    @property
    def stage_labels(self) -> tuple[int, ...]:
        """The labels that it gets of an earlier stage, each as a channel."""
        return self.dataset.foreground if self.configuration.previous_stage is not None else ()


def run(folder: Path, engine: NnunetEngine, case: Case, context: Context) -> NDArray[Any]:
    """Segment the case's images, one for each channel of the model.

    Of several models a later one covers what earlier ones found.

    Returns:
        (k, j, i) uint16, the labels that the engine's parts make of those of the models, on the images' grid.

    Raises:
        PluginUnavailableError: A folder is none of nnU-Net's, or holds what cannot be run here.
        PluginFailedError: A network failed.
        Cancelled: The user cancelled.
    """
    first, *others = case.values()
    volumes = [first, *(same_grid.onto(first, one) for one in others)]
    merged = np.zeros(first.geometry.shape, dtype=np.uint16)
    parts = engine.parts
    for number, part in enumerate(parts):
        progress = context.part(number / len(parts), (number + 1) / len(parts))

        def channel_of(label: int, mapping: dict[int, int] | None = part.labels) -> int | None:
            return label if mapping is None else next((own for own, value in mapping.items() if value == label), None)

        def show(box: Box, labels: Labels, mapping: dict[int, int] | None = part.labels) -> None:
            if mapping is not None:
                labels = _mapped(labels, mapping)
            inner = merged[box.slices]
            inner[labels > 0] = labels[labels > 0]
            context.preview(box, inner.copy())

        steps = nnunet_steps.read(folder / part.path) if engine.postprocessing else ()
        before = merged.copy() if steps else merged
        found = _segment(folder / part.path, engine, volumes, context, progress, Watch(show, channel_of), ())
        if steps:
            context.note(Text("Only the largest connected parts are kept, as nnU-Net found best for this model."))
            found = keep_largest(found, steps)
            found = found if part.labels is None else _mapped(found, part.labels)
            merged[:] = np.where(found > 0, found, before)
    return merged


def fits(folder: Path, engine: NnunetEngine) -> None:
    """Build every network, and load its weights.

    Raises:
        PluginUnavailableError: One cannot be built, a weight does not fit, or something else is not known here.
    """
    waiting = [folder / part.path for part in engine.parts]
    for path in waiting:
        model = _load(path, engine, RunOptions())
        _networks(model)
        if engine.postprocessing:
            nnunet_steps.read(path)
        if model.configuration.previous_stage is not None:
            before = model.folder.stage_before(model.configuration.previous_stage)
            if before not in [one.resolve() for one in waiting]:
                waiting.append(before)


def _segment(
    path: Path,
    engine: NnunetEngine,
    volumes: Sequence[Volume],
    context: Context,
    progress: Progress,
    watch: Watch | None,
    later: tuple[Path, ...],
) -> Labels:
    """One model, after the stage that it builds upon; hands its labels to `watch` as they are decided."""
    progress.report(0.0, Text("Loading the model"))
    model = _load(path, engine, context.options)
    channels = len(model.dataset.channel_names)
    if len(volumes) != channels:
        raise PluginUnavailableError(
            Text.of("The model needs {wanted} images and gets {found}.", wanted=channels, found=len(volumes)),
            Text("Name one input for each of its channels in plugin.toml."),
        )
    stage: Labels | None = None
    begun = 0.0
    if model.configuration.previous_stage is not None:
        before = model.folder.stage_before(model.configuration.previous_stage)
        if before in later or before == path.resolve():
            raise PluginUnavailableError(
                Text.of("{folder} builds upon itself.", folder=str(before)), Text("Install the plugin again.")
            )
        begun = 0.4
        first = PartOf(progress, 0.0, begun)
        stage = _segment(before, engine, volumes, context, first, None, (*later, path.resolve()))
    return _in_windows(model, engine, volumes, context, PartOf(progress, begun, 1.0), watch, stage)


def _in_windows(
    model: _Model,
    engine: NnunetEngine,
    volumes: Sequence[Volume],
    context: Context,
    progress: Progress,
    watch: Watch | None,
    stage: Labels | None,
) -> Labels:
    progress.report(0.02, Text("Preparing the image"))
    configuration, dataset = model.configuration, model.dataset
    prepared = prepare(
        volumes, model.folder.plans, configuration, engine.orientation, stage, progress.raise_if_cancelled
    )
    shape = volumes[0].geometry.shape
    if prepared is None:
        wishes = () if watch is None else wishes_of(context.options, lambda label: label)
        context.add_maps(SideMap(one.kind, one.label, np.zeros(shape, dtype=np.float16)) for one in wishes)
        return np.zeros(shape, dtype=np.uint8)
    network = _ensemble(model, engine, context)
    rules = rules_of(configuration, engine.step_size)
    image = prepared.image
    x, y, z = image.shape[1:]
    lattice = Lattice.over((x, y, z), rules)
    lattice = lattice.sparing(context.occupancy, prepared.grid, lattice.before)
    device, rules = planned(
        image, network, rules, shape, PartOf(progress, 0.1, 0.95), device=context.device, exact=context.exact,
        lattice=lattice, maps=context.options.maps,
    )  # fmt: skip
    decision = Decision(Activation.NONE, _ABOVE_ZERO if dataset.has_regions else None)
    labelling = Labelling(prepared.grid, lattice.before, decision)
    wanted = () if watch is None else wishes_of(context.options, lambda label: _channel(watch, dataset, label))
    activation = probabilities_of(decision, activated=False)
    maps = SideValues(prepared.grid, lattice.before, wanted, activation, layered=dataset.has_regions)

    def finished(front: Front, start: int, stop: int) -> None:
        box = labelling.take(front, start, stop)
        maps.take(front, start, stop)
        if box is not None and watch is not None:
            watch.show(box, _labels(labelling.labels[box.slices], dataset))

    sliding.slide(
        image, network, rules, finished, PartOf(progress, 0.1, 0.98), device=device, retreat=network.retreat,
        lattice=lattice, layered=dataset.has_regions,
    )  # fmt: skip
    if network.has_retreated:
        context.note(Text("The graphics card had too little memory for this image; the processor took over."))
    context.add_maps(maps.maps)
    return _labels(labelling.labels, dataset)


def _channel(watch: Watch, dataset: Dataset, label: int) -> int | None:
    """The network's channel of one of the plugin's labels; of a region, the one that is written as that label."""
    own = watch.own_label(label)
    if not dataset.has_regions or own is None:
        return own
    order = dataset.regions_class_order or ()
    return order.index(own) if own in order else None


def rules_of(configuration: Configuration, step: float) -> WindowRules:
    """How nnU-Net lays windows over an image.

    Args:
        configuration: Whose windows.
        step: By how much of a window the next one lies further at most.
    """
    patch = configuration.patch_size
    x, y, z = (1, *patch) if configuration.is_flat else patch
    batch = max(1, _VOXELS_AT_ONCE * 2 // (x * y * z))
    return WindowRules((x, y, z), step=step, blend="nnunet", batch=min(batch, 8))


def _load(path: Path, engine: NnunetEngine, options: RunOptions) -> _Model:
    folder = nnunet_folder.read(path)
    files = folder.checkpoints(engine.folds, engine.checkpoint)
    if not (engine.ensemble if options.ensemble is None else options.ensemble):
        files = files[:1]
    checkpoints = tuple(nnunet_checkpoint.load(file) for file in files)
    name = checkpoints[0].configuration or folder.configuration_name
    if name is None:
        raise PluginUnavailableError(
            Text.of("Nothing says which configuration the model in {folder} was trained in.", folder=str(path)),
            Text("Name the folder as nnU-Net does: trainer__plans__configuration."),
        )
    return _Model(folder, folder.configuration(name), checkpoints)


def _networks(model: _Model) -> list[nn.Module]:
    """The model's networks with their weights, one for each fold."""
    configuration, dataset = model.configuration, model.dataset
    inputs = len(dataset.channel_names) + len(model.stage_labels)
    networks = []
    for checkpoint in model.checkpoints:
        network = nnunet_networks.build(
            configuration.architecture, len(configuration.patch_size), inputs, dataset.heads
        )
        try:
            nnunet_networks.load_state(network, checkpoint.weights)
        except RuntimeError as error:
            raise PluginUnavailableError(
                Text.of("The weights in {folder} do not fit the network of its plans.", folder=str(model.folder.path)),
                Text("MedView runs models of nnU-Net's own trainers. Install the plugin again, or tell its author."),
            ) from error
        networks.append(network.eval())
    return networks


def _ensemble(model: _Model, engine: NnunetEngine, context: Context) -> Ensemble:
    configuration, dataset = model.configuration, model.dataset
    networks = _networks(model)
    wanted = engine.mirroring if context.options.mirroring is None else context.options.mirroring
    mirrored = model.checkpoints[0].mirrored_axes if wanted else ()
    if wanted and not mirrored:
        context.note(Text("The checkpoint names no axes to mirror along; the model ran without."))
    if configuration.is_flat:
        mirrored = tuple(axis + 1 for axis in mirrored)
    return Ensemble(
        networks, context.device, slice_axis=0 if configuration.is_flat else None, layered=dataset.has_regions,
        mirrored=mirrored, stage_labels=model.stage_labels,
    )  # fmt: skip


def _labels(decided: NDArray[Any], dataset: Dataset) -> Labels:
    """What the decisions are called: the winning channel is a label; of regions the last one that is there counts."""
    if not dataset.has_regions:
        return decided if decided.dtype == np.uint8 else decided.astype(np.uint16)
    order = dataset.regions_class_order or ()
    if decided.dtype == np.uint8:
        table = np.zeros(256, dtype=np.uint16)
        for bit, label in enumerate(order):
            table[(np.arange(256) >> bit) & 1 == 1] = label
        named: Labels = table[decided]
        return named
    found = np.zeros(decided.shape, dtype=np.uint16)
    for bit, label in enumerate(order):
        found[(decided >> bit) & 1 == 1] = label
    return found


def _mapped(labels: Labels, mapping: dict[int, int]) -> Labels:
    """The plugin's labels for those of a model; what it does not name is left out."""
    table = np.zeros(int(max(labels.max(initial=0), *mapping)) + 1, dtype=np.uint16)
    for own, value in mapping.items():
        table[own] = value
    found: Labels = table[labels]
    return found
