"""Configurations with the structure of MONAI's public bundles: their targets, keys, expressions and references.

Networks and windows are smaller, so that each runs in a moment with weights that mean nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from monai.networks.nets import DynUNet, SegResNet, SwinUNETR, UNet
from torch import nn

DEVICE = "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')"
HEAD: dict[str, Any] = {
    "imports": ["$import glob", "$import os"],
    "bundle_root": ".",
    "output_dir": "$@bundle_root + '/eval'",
    "dataset_dir": "/workspace/data",
    "datalist": "$list(sorted(glob.glob(@dataset_dir + '/imagesTs/*.nii.gz')))",
    "device": DEVICE,
    "network": "$@network_def.to(@device)",
    "dataset": {"_target_": "Dataset", "data": "$[{'image': i} for i in @datalist]", "transform": "@preprocessing"},
    "evaluator": {"_target_": "SupervisedEvaluator", "network": "@network", "inferer": "@inferer", "amp": True},
    "initialize": ["$monai.utils.set_determinism(seed=123)"],
    "run": ["$@evaluator.run()"],
}
_SAVE = {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "output_dtype": "$numpy.float32"}


def _load(key: str = "image", **more: Any) -> list[dict[str, Any]]:
    return [{"_target_": "LoadImaged", "keys": key, **more}, {"_target_": "EnsureChannelFirstd", "keys": key}]


def _ras(key: str = "image", *pixdim: float) -> list[dict[str, Any]]:
    return [
        {"_target_": "Orientationd", "keys": key, "axcodes": "RAS"},
        {"_target_": "Spacingd", "keys": key, "pixdim": list(pixdim), "mode": "bilinear"},
    ]


def scaled(low: float, high: float, key: str = "image") -> dict[str, Any]:
    """Numbers between two limits become 0..1."""
    return {
        "_target_": "ScaleIntensityRanged",
        "keys": key,
        "a_min": low,
        "a_max": high,
        "b_min": 0,
        "b_max": 1,
        "clip": True,
    }


def inverse(key: str = "image", **more: Any) -> dict[str, Any]:
    """The way back of what was done to the image."""
    return {
        "_target_": "Invertd",
        "keys": "pred",
        "transform": "@preprocessing",
        "orig_keys": key,
        "nearest_interp": False,
        "to_tensor": True,
        **more,
    }


def _soft(key: str = "image", **more: Any) -> dict[str, Any]:
    steps = [
        {"_target_": "Activationsd", "keys": "pred", "softmax": True},
        inverse(key, **more),
        {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
        _SAVE,
    ]
    return chain(*steps)


def chain(*steps: Any) -> dict[str, Any]:
    """Steps, one after the other."""
    return {"_target_": "Compose", "transforms": list(steps)}


def windows(*size: int, overlap: Any = 0.5, batch: Any = 4, **more: Any) -> dict[str, Any]:
    """Windows over the image."""
    return {
        "_target_": "SlidingWindowInferer",
        "roi_size": list(size),
        "sw_batch_size": batch,
        "overlap": overlap,
        **more,
    }


def _unet(outputs: int, dims: int = 3, **more: Any) -> dict[str, Any]:
    return {
        "_target_": "UNet",
        "spatial_dims": dims,
        "in_channels": 1,
        "out_channels": outputs,
        "channels": [4, 8, 16],
        "strides": [2, 2],
        "num_res_units": 2,
        **more,
    }


def _typed(key: str = "image") -> dict[str, Any]:
    return {"_target_": "EnsureTyped", "keys": key}


def _built(text: dict[str, Any], **changes: Any) -> nn.Module:
    made = {"UNet": UNet, "SegResNet": SegResNet, "DynUNet": DynUNet, "SwinUNETR": SwinUNETR}
    arguments = {key: value for key, value in {**text, **changes}.items() if key not in ("_target_", "img_size")}
    network: nn.Module = made[str(text["_target_"]).rpartition(".")[2]](**arguments)
    return network


def spleen() -> tuple[dict[str, Any], nn.Module]:
    """spleen_ct_segmentation."""
    network = _unet(2, norm="batch")
    config = {
        **HEAD,
        "network_def": network,
        "preprocessing": chain(*_load(), *_ras("image", 8.0, 8.0, 10.0), scaled(-57, 164), _typed()),
        "inferer": windows(32, 32, 32),
        "postprocessing": _soft(),
        "checkpointloader": {"_target_": "CheckpointLoader", "load_path": "$@bundle_root + '/models/model.pt'"},
    }
    return config, _built(network)


def whole_body() -> tuple[dict[str, Any], nn.Module]:
    """wholeBody_ct_segmentation: an expression with a choice, references into a table, argmax before the inversion."""
    network = {
        "_target_": "SegResNet",
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 5,
        "init_filters": 8,
        "blocks_down": [1, 2],
        "blocks_up": [1],
        "dropout_prob": 0.2,
    }
    config = {
        **HEAD,
        "displayable_configs": {"highres": False, "sw_overlap": 0.25, "sw_batch_size": 1},
        "image_key": "image",
        "pixdim": "$[8.0, 8.0, 8.0] if @displayable_configs#highres else [12.0, 12.0, 12.0]",
        "modelname": "$'model.pt' if @displayable_configs#highres else 'model_lowres.pt'",
        "network_def": network,
        "preprocessing": chain(
            {"_target_": "LoadImaged", "keys": "@image_key"},
            _typed("@image_key"),
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
            {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "@image_key", "pixdim": "@pixdim", "mode": "bilinear"},
            {"_target_": "NormalizeIntensityd", "keys": "@image_key", "nonzero": True},
            {"_target_": "ScaleIntensityd", "keys": "@image_key", "minv": -1.0, "maxv": 1.0},
        ),
        "inferer": {
            **windows(32, 32, 32, overlap="@displayable_configs#sw_overlap", padding_mode="replicate"),
            "sw_batch_size": "@displayable_configs#sw_batch_size",
            "mode": "gaussian",
            "device": DEVICE,
        },
        "postprocessing": chain(
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            inverse("@image_key", nearest_interp=True),
            _SAVE,
        ),
    }
    return config, _built(network)


def swin() -> tuple[dict[str, Any], nn.Module]:
    """swin_unetr_btcv_segmentation: an argument that MONAI no longer takes."""
    network = {
        "_target_": "SwinUNETR",
        "spatial_dims": 3,
        "img_size": 64,
        "in_channels": 1,
        "out_channels": 3,
        "feature_size": 12,
        "use_checkpoint": False,
    }
    config = {
        **HEAD,
        "network_def": network,
        "preprocessing": chain(*_load(reader="ITKReader"), *_ras("image", 8.0, 8.0, 10.0), scaled(-175, 250), _typed()),
        "inferer": windows(64, 32, 32, overlap=0.25),
        "postprocessing": _soft(),
    }
    return config, _built(network)


def pediatric() -> tuple[dict[str, Any], nn.Module]:
    """pediatric_abdominal_ct_segmentation: YAML, `$len(...)`, a torch type, and a crop."""
    network: dict[str, Any] = {
        "_target_": "monai.networks.nets.DynUNet",
        "spatial_dims": "$len(@spatial_size)",
        "in_channels": "@input_channels",
        "out_channels": "@output_channels",
        "kernel_size": [3, 3, 3],
        "strides": [1, 2, 2],
        "upsample_kernel_size": [2, 2],
        "norm_name": "instance",
        "deep_supervision": False,
        "res_block": True,
    }
    config = {
        **HEAD,
        "imports": ["$import scripts.monai_utils"],
        "input_channels": 1,
        "output_channels": 4,
        "spatial_size": [32, 32, 32],
        "network_def": network,
        "image_key": "image",
        "preprocessing": chain(
            *_load("@image_key", reader="ITKReader"),
            *_ras("@image_key", 8.0, 8.0, 12.0),
            scaled(-250, 400, "@image_key"),
            {
                "_target_": "CropForegroundd",
                "keys": ["@image_key"],
                "source_key": "@image_key",
                "mode": ["minimum"],
            },
            _typed(),
            {"_target_": "CastToTyped", "keys": "@image_key", "dtype": "$torch.float32"},
        ),
        "inferer": windows(32, 32, 32, overlap=0.25),
        "postprocessing": _soft(meta_key_postfix="meta_dict"),
    }
    return config, _built(network, spatial_dims=3, in_channels=1, out_channels=4)


def prostate() -> tuple[dict[str, Any], nn.Module]:
    """prostate_mri_anatomy: argmax and the largest parts before the inversion."""
    network = _unet(3, norm="batch", act="prelu", dropout=0.15)
    config = {
        **HEAD,
        "network_def": network,
        "preprocessing": chain(
            *_load(),
            *_ras("image", 8.0, 8.0, 8.0),
            {"_target_": "ScaleIntensityd", "keys": "image", "minv": 0, "maxv": 1},
            {"_target_": "NormalizeIntensityd", "keys": "image"},
            _typed(),
        ),
        "inferer": windows(32, 32, 32),
        "postprocessing": chain(
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            {"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": [1, 2]},
            inverse(meta_key_postfix="meta_dict"),
            _SAVE,
        ),
    }
    return config, _built(network)


def brats() -> tuple[dict[str, Any], nn.Module]:
    """brats_mri_segmentation: four images, three regions that overlap, and a lambda that makes one map of them."""
    network = {
        "_target_": "SegResNet",
        "blocks_down": [1, 2],
        "blocks_up": [1],
        "init_filters": 8,
        "in_channels": 4,
        "out_channels": 3,
        "dropout_prob": 0.2,
    }
    config = {
        **HEAD,
        "network_def": network,
        "preprocessing": chain(
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": True, "channel_wise": True},
        ),
        "inferer": windows(48, 48, 32, batch=1),
        "postprocessing": chain(
            {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
            inverse(meta_keys="pred_meta_dict"),
            {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5},
            {
                "_target_": "Lambdad",
                "keys": "pred",
                "func": "$lambda x: torch.where(x[[2]] > 0, 4, "
                "torch.where(x[[0]] > 0, 1, torch.where(x[[1]] > 0, 2, 0)))",
            },
            _SAVE,
        ),
    }
    return config, _built(network)


def ventricle() -> tuple[dict[str, Any], nn.Module]:
    """ventricular_short_axis_3label: single slices, and the device in a transform."""
    network = _unet(4, 2)
    config = {
        **HEAD,
        "network_def": network,
        "preprocessing": chain(
            *_load(image_only=False),
            {"_target_": "ScaleIntensityd", "keys": "image"},
            {"_target_": "EnsureTyped", "keys": "image", "device": "@device"},
        ),
        "inferer": {"_target_": "SliceInferer", "roi_size": [32, 32], "spatial_dim": 2},
        "postprocessing": _soft(meta_key_postfix="meta_dict"),
    }
    return config, _built(network)


def template() -> tuple[dict[str, Any], nn.Module]:
    """segmentation_template: YAML, MONAI's names of keys, a list of transforms elsewhere, the whole image at once."""
    network = {**_unet(4), "out_channels": "@num_classes"}
    config = {
        **HEAD,
        "image": "$monai.utils.CommonKeys.IMAGE",
        "pred": "$monai.utils.CommonKeys.PRED",
        "num_classes": 4,
        "network_def": network,
        "transforms": [*_load("@image", image_only=True), {"_target_": "ScaleIntensityd", "keys": "@image"}],
        "preprocessing": {"_target_": "Compose", "transforms": "$@transforms"},
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": chain(
            {"_target_": "Activationsd", "keys": "@pred", "softmax": True},
            {"_target_": "AsDiscreted", "keys": "@pred", "argmax": True},
            {**_SAVE, "keys": "@pred", "dtype": "$None"},
        ),
    }
    return config, _built(network, out_channels=4)


RUN_AS_DATA = {
    "spleen_ct_segmentation": (spleen, "json"),
    "wholeBody_ct_segmentation": (whole_body, "json"),
    "swin_unetr_btcv_segmentation": (swin, "json"),
    "pediatric_abdominal_ct_segmentation": (pediatric, "yaml"),
    "prostate_mri_anatomy": (prostate, "json"),
    "brats_mri_segmentation": (brats, "json"),
    "ventricular_short_axis_3label": (ventricle, "json"),
    "segmentation_template": (template, "yaml"),
}


def with_own_code() -> tuple[dict[str, Any], nn.Module]:
    """renalStructures_UNEST_segmentation, wholeBrainSeg_Large_UNEST_segmentation: a network from `scripts`."""
    config, network = spleen()
    text = {"_target_": "scripts.networks.unest.UNesT", "in_channels": 1, "out_channels": 2}
    return {**config, "network_def": text}, network


def with_searched_network() -> dict[str, Any]:
    """pancreas_ct_dints_segmentation, multi_organ_segmentation: the network is put together from a file."""
    config, _ = spleen()
    searched = {
        "arch_ckpt_path": "$@bundle_root + '/models/search_code.pt'",
        "arch_ckpt": "$torch.load(@arch_ckpt_path, map_location=torch.device('cuda'))",
        "dints_space": {
            "_target_": "monai.networks.nets.TopologyInstance",
            "channel_mul": 0.2,
            "num_blocks": 6,
            "num_depths": 3,
            "use_downsample": True,
            "device": "$torch.device('cuda')",
            "arch_code": ["$@arch_ckpt['arch_code_a']", "$@arch_ckpt['arch_code_c']"],
        },
        "network_def": {
            "_target_": "monai.networks.nets.DiNTS",
            "dints_space": "@dints_space",
            "in_channels": 1,
            "num_classes": 2,
            "use_downsample": True,
            "node_a": "$@arch_ckpt['node_a']",
        },
    }
    return {**config, **searched}


def write(folder: Path, config: dict[str, Any], network: nn.Module, suffix: str, *, names: list[str]) -> Path:
    """A bundle as its makers publish it: configuration, metadata with the channels' names, weights; no plugin.toml."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    text = json.dumps(config)
    if suffix == "yaml":
        import yaml

        text = yaml.safe_dump(config, sort_keys=False)
    (folder / "configs" / f"inference.{suffix}").write_text(text, encoding="utf-8")
    definition = config["network_def"]
    channels = definition.get("in_channels") if isinstance(definition, dict) else 1
    inputs = {str(n): name for n, name in enumerate(["T1c", "T1", "T2", "FLAIR"][: channels if channels == 4 else 0])}
    form: dict[str, Any] = {
        "inputs": {"image": {"modality": "MR" if channels == 4 else "CT", "num_channels": channels}},
        "outputs": {"pred": {"channel_def": {str(n): name for n, name in enumerate(names)}}},
    }
    if inputs:
        form["inputs"]["image"]["channel_def"] = inputs
    told = {"version": "0.1.0", "network_data_format": form}
    (folder / "configs" / "metadata.json").write_text(json.dumps(told), encoding="utf-8")
    torch.save(network.state_dict(), folder / "models" / "model.pt")
    return folder
