"""An nnU-Net v2 model folder, read as data: `plans.json`, `dataset.json`, and which folds are there.

<trainer>__<plans>__<configuration>/
  plans.json  dataset.json
  fold_0/checkpoint_final.pth  fold_1/...  or  fold_all/...

Nothing is evaluated: names of classes and functions stay names, and are looked up in tables where they are used. What
the entries mean is described in nnU-Net's documentation (documentation/explanation_plans_files.md,
documentation/region_based_training.md, documentation/ignore_label.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medview.core.errors import PluginUnavailableError
from medview.core.text import Text

_LARGEST_BYTES = 64 * 2**20
_CHECKPOINTS = ("checkpoint_final.safetensors", "checkpoint_final.pth")

Fold = int | Literal["all"]
Axes = tuple[int, int, int]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=2**16)]


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Intensities(_Read):
    """What was measured in the foreground of the training images, for one channel."""

    mean: float = 0.0
    std: float = 1.0
    percentile_00_5: float = -float("inf")
    percentile_99_5: float = float("inf")


class Architecture(_Read):
    """Which network, and what it is made with; names stay names."""

    network_class_name: str
    arch_kwargs: dict[str, Any]


class Configuration(_Read):
    """One way to run the model: "2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres" or another.

    Attributes:
        spacing: Voxel sizes that the network wants along its axes, mm; two for one that sees single slices.
        patch_size: Of a window, voxels; as many as spacings.
        normalization_schemes: For every channel, its name.
        use_mask_for_norm: For every channel, whether only what is not zero counts.
        resampling_fn_data: How images are resampled, its name.
        resampling_fn_data_kwargs: And its settings.
        resampling_fn_probabilities: How the network's values are.
        resampling_fn_probabilities_kwargs: And its settings.
        resampling_fn_seg: How labels of an earlier stage are.
        resampling_fn_seg_kwargs: And its settings.
        previous_stage: The configuration whose labels this one gets as further channels.
        architecture: The network; made from the entries below where plans are older.
    """

    spacing: Annotated[tuple[Positive, ...], Field(min_length=2, max_length=3)]
    patch_size: Annotated[tuple[Count, ...], Field(min_length=2, max_length=3)]
    normalization_schemes: tuple[str, ...]
    use_mask_for_norm: tuple[bool, ...]
    resampling_fn_data: str
    resampling_fn_data_kwargs: dict[str, Any]
    resampling_fn_probabilities: str
    resampling_fn_probabilities_kwargs: dict[str, Any]
    resampling_fn_seg: str
    resampling_fn_seg_kwargs: dict[str, Any]
    architecture: Architecture
    previous_stage: str | None = None

    @property
    def is_flat(self) -> bool:
        """Whether the network sees single slices."""
        return len(self.patch_size) == 2


class _OldArchitecture(_Read):
    """How plans of nnU-Net before 2.3 describe a network."""

    UNet_class_name: str
    UNet_base_num_features: Count
    unet_max_num_features: Count
    n_conv_per_stage_encoder: tuple[Count, ...]
    n_conv_per_stage_decoder: tuple[Count, ...]
    conv_kernel_sizes: tuple[tuple[Count, ...], ...]
    pool_op_kernel_sizes: tuple[tuple[Count, ...], ...]


class Plans(_Read):
    """`plans.json`.

    Attributes:
        dataset_name: What the training images are called, as "Dataset291_TotalSegmentator".
        transpose_forward: Which axis of the image, (k, j, i), each axis of the network runs along.
        image_reader_writer: What read the training images; says how their axes lay.
        foreground_intensity_properties_per_channel: By the channel's number.
        configurations: By name, as written.
    """

    transpose_forward: Axes
    configurations: dict[str, dict[str, Any]]
    dataset_name: str = ""
    image_reader_writer: str = "SimpleITKIO"
    foreground_intensity_properties_per_channel: dict[int, Intensities] = Field(default_factory=dict)


class Dataset(_Read):
    """`dataset.json`.

    Attributes:
        channel_names: By the channel's number.
        labels: By name: a label, or the labels of a region.
        regions_class_order: What is written for each region, in the order of the network's values.
    """

    channel_names: dict[int, str]
    labels: dict[str, int | tuple[int, ...]]
    regions_class_order: tuple[int, ...] | None = None

    @property
    def has_regions(self) -> bool:
        """Whether the network tells regions that may overlap, each for itself."""
        return any(isinstance(one, tuple) and len(one) > 1 for one in self.labels.values())

    @property
    def foreground(self) -> tuple[int, ...]:
        """All labels but the background and those that were not annotated, rising."""
        found: set[int] = set()
        for name, value in self.labels.items():
            if name != "ignore":
                found |= {value} if isinstance(value, int) else set(value)
        return tuple(sorted(found - {0}))

    @property
    def written(self) -> tuple[int, ...]:
        """The labels that a run may give."""
        return self.regions_class_order or () if self.has_regions else self.foreground

    @property
    def heads(self) -> int:
        """How many values the network gives for a voxel."""
        if not self.has_regions:
            return len(self.foreground) + 1
        regions = [{one} if isinstance(one, int) else set(one) for name, one in self.labels.items() if name != "ignore"]
        return sum(region != {0} for region in regions)


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """A model folder.

    Attributes:
        path: Where it lies.
        plans: How the model was trained.
        dataset: What on.
    """

    path: Path
    plans: Plans
    dataset: Dataset

    def configuration(self, name: str) -> Configuration:
        """One of the plans' configurations, with what it inherits.

        Raises:
            PluginUnavailableError: There is none of that name, or it is not complete.
        """
        written = _with_inheritance(self.plans.configurations, name, self.path)
        old = "architecture" not in written
        try:
            if old:
                written = {**written, "architecture": _architecture(_OldArchitecture.model_validate(written))}
            found = Configuration.model_validate(written)
        except ValidationError as error:
            raise _wrong(self.path / "plans.json", error) from error
        channels = len(self.dataset.channel_names)
        if len(found.spacing) != len(found.patch_size) or len(found.normalization_schemes) != channels:
            raise _damaged(self.path / "plans.json")
        return found

    @property
    def configuration_name(self) -> str | None:
        """The configuration that the folder's name or the plans leave; None when they leave more than one."""
        name = self.path.resolve().name.rpartition("__")[2]
        if name in self.plans.configurations:
            return name
        return next(iter(self.plans.configurations)) if len(self.plans.configurations) == 1 else None

    def checkpoints(self, folds: tuple[Fold, ...] = (), name: str = "") -> tuple[Path, ...]:
        """The weights of some folds; of all that are there when none is named.

        Args:
            folds: Numbers, or "all" for the one that was trained on everything.
            name: Of the file in a fold's folder.

        Raises:
            PluginUnavailableError: A fold has none.
        """
        if folds:
            wanted: list[Fold] = list(folds)
        else:
            numbers = (one.name.removeprefix("fold_") for one in self.path.glob("fold_*"))
            wanted = sorted(int(one) for one in numbers if one.isdecimal())
            wanted = [one for one in wanted if self._checkpoint(one, name) is not None] or ["all"]
        found = []
        for fold in wanted:
            file = self._checkpoint(fold, name)
            if file is None:
                raise PluginUnavailableError(
                    Text.of("{folder} has no weights of fold {fold}.", folder=str(self.path), fold=fold),
                    Text.of("Put {file} there, or name other folds in plugin.toml.", file=name or _CHECKPOINTS[-1]),
                )
            found.append(file)
        return tuple(found)

    def _checkpoint(self, fold: Fold, name: str) -> Path | None:
        files = (self.path / f"fold_{fold}" / one for one in ((name,) if name else _CHECKPOINTS))
        return next((file for file in files if file.is_file()), None)

    def stage_before(self, previous: str) -> Path:
        """The folder of the model whose labels this one gets: beside it, named after the configuration.

        Raises:
            PluginUnavailableError: There is none.
        """
        path = self.path.resolve()
        found = path.parent / (path.name.rpartition("__")[0] + "__" + previous)
        if previous not in self.plans.configurations or Path(previous).name != previous:
            raise _damaged(self.path / "plans.json")
        if not (found / "plans.json").is_file():
            raise PluginUnavailableError(
                Text.of("The model continues the work of another, and {folder} is missing.", folder=str(found)),
                Text("Put that model's folder beside this one."),
            )
        return found


def read(path: Path) -> ModelFolder:
    """Read a model folder's plans and dataset. No weights are read.

    Raises:
        PluginUnavailableError: It is none, or damaged.
    """
    plans, dataset = _load(path / "plans.json"), _load(path / "dataset.json")
    older = "foreground_intensity_properties_by_modality"
    plans.setdefault("foreground_intensity_properties_per_channel", plans.get(older, {}))
    dataset.setdefault("channel_names", dataset.get("modality"))
    try:
        found = ModelFolder(path, Plans.model_validate(plans), Dataset.model_validate(dataset))
    except ValidationError as error:
        named = "dataset.json" if error.title == Dataset.__name__ else "plans.json"
        raise _wrong(path / named, error) from error
    if sorted(found.plans.transpose_forward) != [0, 1, 2] or not found.plans.configurations:
        raise _damaged(path / "plans.json")
    order = found.dataset.regions_class_order
    if found.dataset.has_regions and (order is None or len(order) != found.dataset.heads):
        raise _damaged(path / "dataset.json")
    return found


def _with_inheritance(configurations: Mapping[str, dict[str, Any]], name: str, path: Path) -> dict[str, Any]:
    chain: list[dict[str, Any]] = []
    seen: set[str] = set()
    while name:
        if name in seen or name not in configurations:
            raise PluginUnavailableError(
                Text.of(
                    "{file} has no configuration {name} that can be used.", file=str(path / "plans.json"), name=name
                ),
                Text("Install the plugin again."),
            )
        seen.add(name)
        chain.append(configurations[name])
        name = str(configurations[name].get("inherits_from") or "")
    merged: dict[str, Any] = {}
    for one in reversed(chain):
        merged |= one
    return merged


def _architecture(old: _OldArchitecture) -> dict[str, Any]:
    """The network of older plans in the words of newer ones, which only wrote what had been fixed before."""
    stages = len(old.n_conv_per_stage_encoder)
    dimensions = len(old.conv_kernel_sizes[0])
    blocks = "n_conv_per_stage" if old.UNet_class_name == "PlainConvUNet" else "n_blocks_per_stage"
    features = [min(old.UNet_base_num_features * 2**stage, old.unet_max_num_features) for stage in range(stages)]
    return {
        "network_class_name": old.UNet_class_name,
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": features,
            "conv_op": f"torch.nn.Conv{dimensions}d",
            "kernel_sizes": old.conv_kernel_sizes,
            "strides": old.pool_op_kernel_sizes,
            blocks: old.n_conv_per_stage_encoder,
            "n_conv_per_stage_decoder": old.n_conv_per_stage_decoder,
            "conv_bias": True,
            "norm_op": f"torch.nn.InstanceNorm{dimensions}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
    }


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise _damaged(path)
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PluginUnavailableError(
            Text.of(
                "{folder} is no nnU-Net v2 model folder: it has no {file}.", folder=str(path.parent), file=path.name
            ),
            Text("Name the folder that holds plans.json, dataset.json and the folds."),
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path) from error
    if not isinstance(data, dict):
        raise _damaged(path)
    return data


def _wrong(path: Path, error: ValidationError) -> PluginUnavailableError:
    place = ".".join(str(part) for part in error.errors(include_url=False)[0]["loc"])
    return PluginUnavailableError(
        Text.of("{file} is not as nnU-Net v2 writes it: {entry}.", file=str(path), entry=place),
        Text("Export the model again from nnU-Net v2."),
    )


def _damaged(path: Path) -> PluginUnavailableError:
    return PluginUnavailableError(
        Text.of("{file} is damaged, or not as nnU-Net v2 writes it.", file=str(path)),
        Text("Export the model again from nnU-Net v2."),
    )
