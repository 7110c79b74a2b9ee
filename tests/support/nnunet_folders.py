"""Small model folders in nnU-Net v2's format, written for a test."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from medview.catalog.nnunet_folder import Architecture
from medview.inference import nnunet_networks

_PACKAGE = "dynamic_network_architectures.architectures.unet."


def resampling(kind: str = "splines") -> dict[str, Any]:
    """What nnU-Net's planners write about resampling: its default, or torch's."""
    if kind == "torch":
        name = "resample_torch_fornnunet"
        settings: dict[str, Any] = {"is_seg": False, "force_separate_z": None}
        return {
            "resampling_fn_data": name, "resampling_fn_data_kwargs": settings,
            "resampling_fn_seg": name, "resampling_fn_seg_kwargs": {**settings, "is_seg": True},
            "resampling_fn_probabilities": name, "resampling_fn_probabilities_kwargs": settings,
        }  # fmt: skip
    name = "resample_data_or_seg_to_shape"
    settings = {"is_seg": False, "order_z": 0, "force_separate_z": None}
    return {
        "resampling_fn_data": name, "resampling_fn_data_kwargs": {**settings, "order": 3},
        "resampling_fn_seg": name, "resampling_fn_seg_kwargs": {**settings, "is_seg": True, "order": 1},
        "resampling_fn_probabilities": name, "resampling_fn_probabilities_kwargs": {**settings, "order": 1},
    }  # fmt: skip


def architecture(name: str, patch: Sequence[int], features: Sequence[int] = (6, 10, 12)) -> dict[str, Any]:
    """A small network in the words of today's plans."""
    n, count = len(patch), len(features)
    depth = "n_conv_per_stage" if name == "PlainConvUNet" else "n_blocks_per_stage"
    return {
        "network_class_name": _PACKAGE + name,
        "arch_kwargs": {
            "n_stages": count, "features_per_stage": list(features),
            "conv_op": f"torch.nn.modules.conv.Conv{n}d",
            "kernel_sizes": [[1, *[3] * (n - 1)], *([[3] * n] * (count - 1))],
            "strides": [[1] * n, [1, *[2] * (n - 1)], *([[2] * n] * (count - 2))],
            depth: [2, 1, *[2] * (count - 2)], "n_conv_per_stage_decoder": [1, *[2] * (count - 2)],
            "conv_bias": True, "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{n}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True}, "dropout_op": None, "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }  # fmt: skip


def configuration(
    spacing: Sequence[float],
    patch: Sequence[int],
    *,
    network: str = "PlainConvUNet",
    schemes: Sequence[str] = ("ZScoreNormalization",),
    masked: bool = False,
    kind: str = "splines",
) -> dict[str, Any]:
    """One configuration of plans."""
    return {
        "data_identifier": "for_a_test", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2,
        "patch_size": list(patch), "median_image_size_in_voxels": list(patch), "spacing": list(spacing),
        "normalization_schemes": list(schemes), "use_mask_for_norm": [masked] * len(schemes), "batch_dice": False,
        "architecture": architecture(network, patch), **resampling(kind),
    }  # fmt: skip


def plans(configurations: dict[str, Any], transpose: Sequence[int] = (0, 1, 2)) -> dict[str, Any]:
    """The plans of a model."""
    measured = {"max": 900.0, "mean": 20.0, "median": 15.0, "min": -500.0, "std": 150.0}
    return {
        "dataset_name": "Dataset999_Test", "plans_name": "nnUNetPlans", "configurations": configurations,
        "original_median_spacing_after_transp": [1, 1, 1], "original_median_shape_after_transp": [1, 1, 1],
        "image_reader_writer": "SimpleITKIO", "transpose_forward": list(transpose),
        "transpose_backward": [list(transpose).index(axis) for axis in range(3)],
        "experiment_planner_used": "ExperimentPlanner", "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            str(channel): {**measured, "percentile_00_5": -300.0, "percentile_99_5": 400.0} for channel in range(3)
        },
    }  # fmt: skip


def dataset(labels: dict[str, Any], *, channels: int = 1, order: Sequence[int] | None = None) -> dict[str, Any]:
    """The dataset of a model."""
    names = {str(channel): f"channel {channel}" for channel in range(channels)}
    found = {"channel_names": names, "labels": labels, "numTraining": 3, "file_ending": ".nii.gz"}
    return found if order is None else {**found, "regions_class_order": list(order)}


def network(written: dict[str, Any], patch: Sequence[int], inputs: int, heads: int, seed: int) -> nn.Module:
    """A network of random weights whose answers depend on the image."""
    torch.manual_seed(seed)
    made = nnunet_networks.build(Architecture.model_validate(written), len(patch), inputs, heads)
    with torch.no_grad():
        for name, value in made.named_parameters():
            if "norm" in name:
                value.add_(0.3 * torch.randn_like(value))
            elif value.ndim > 1:
                value.mul_(2)
    return made.eval()


def fit(made: nn.Module, image: torch.Tensor, truth: torch.Tensor) -> None:
    """Let a network of random weights tell classes that differ in brightness: its last layer by least squares.

    Args:
        made: In evaluation mode.
        image: (1, channel, x, y, z) float32, as the network gets it.
        truth: (x, y, z) int64, which class each voxel has.
    """
    seen: list[torch.Tensor] = []
    head: Any = list(made.get_submodule("decoder.seg_layers").children())[-1]
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        made(image)
        hook.remove()
        features = seen[0][0].flatten(1).T.double()
        features = torch.cat((features, torch.ones((len(features), 1), dtype=torch.float64)), 1)
        wanted = nn.functional.one_hot(truth.flatten(), head.out_channels).double() * 20 - 10
        ridge = features.T @ features + 1e-3 * torch.eye(features.shape[1], dtype=torch.float64)
        found = torch.linalg.solve(ridge, features.T @ wanted).float()
        head.weight.copy_(found[:-1].T.reshape(head.weight.shape))
        head.bias.copy_(found[-1])


def published(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A state dict as nnU-Net writes it: every layer twice, and the encoder again inside the decoder."""
    found = dict(state)
    for key, value in state.items():
        for layer, place in ((".conv.", 0), (".norm.", 1)):
            if layer in key:
                found[key.replace(layer, f".all_modules.{place}.")] = value
    again = {"decoder." + key: value for key, value in found.items() if re.match(r"encoder\.", key)}
    return found | again


def model_folder(
    folder: Path,
    written_plans: dict[str, Any],
    name: str,
    written_dataset: dict[str, Any],
    networks: Sequence[nn.Module],
    mirrored: Sequence[int] | None = (0, 1, 2),
) -> Path:
    """A trained model: `networks` are its folds."""
    path = folder / f"nnUNetTrainer__nnUNetPlans__{name}"
    path.mkdir(parents=True)
    (path / "plans.json").write_text(json.dumps(written_plans), encoding="utf-8")
    (path / "dataset.json").write_text(json.dumps(written_dataset), encoding="utf-8")
    for number, one in enumerate(networks):
        (path / f"fold_{number}").mkdir()
        checkpoint = {
            "network_weights": published(one.state_dict()), "trainer_name": "nnUNetTrainer",
            "init_args": {"configuration": name, "fold": number, "plans": written_plans},
            "inference_allowed_mirroring_axes": None if mirrored is None else tuple(mirrored),
            "_best_ema": np.float64(0.9), "current_epoch": 1000,
            "logging": {"mean_fg_dice": [np.float32(0.5)], "dice_per_class": [np.array([0.4, 0.6])]},
            "optimizer_state": {"state": {0: {"momentum_buffer": torch.ones(3)}}, "param_groups": [{"lr": 0.01}]},
            "grad_scaler_state": None,
        }  # fmt: skip
        torch.save(checkpoint, path / f"fold_{number}" / "checkpoint_final.pth")
    return path


def manifest(engine: str, labels: Sequence[int], inputs: Sequence[str] = ("image",)) -> str:
    """The text of a `plugin.toml`."""
    text = (
        'schema = 1\nid = "nnunet"\nversion = "1.0.0"\nname = "nnunet"\ntask = "segment"\nsummary = "For a test."\n'
        'license = { code = "Apache-2.0" }\nintended-use = { level = "research", text = "For a test." }\n'
        f'[engine]\nkind = "nnunet"\n{engine}\n'
    )
    text += "".join(f'[[input]]\nname = "{name}"\nmodality = ["CT", "MR"]\n' for name in inputs)
    return text + "".join(f'[[label]]\nvalue = {n}\nname = "Label {n}"\ncolor = "#ff0000"\n' for n in labels)
