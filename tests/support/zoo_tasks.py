"""Configurations with the structure of MONAI's public bundles that look at pictures, or do something else than segment.

As in `zoo`, networks and windows are smaller; scripts are written anew, with the same names and the same interface.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from monai.apps.detection.networks.retinanet_network import RetinaNet, resnet_fpn_feature_extractor
from monai.networks.nets import DenseNet121, DynUNet, FlexibleUNet, SegResNet, SEResNet50, resnet10, vista3d132
from torch import nn

from medview.inference.older_names import older_names
from tests.support import zoo

Said = dict[str, Any]
"""A bundle's metadata."""


def _form(image: dict[str, Any], pred: dict[str, Any], **more: Any) -> Said:
    return {"version": "0.1.0", "network_data_format": {"inputs": {"image": image}, "outputs": {"pred": pred}}, **more}


def _named(*names: str) -> dict[str, str]:
    return {str(number): name for number, name in enumerate(names)}


def inbody() -> tuple[dict[str, Any], nn.Module, Said]:
    """endoscopic_inbody_classification: frames in colour, two classes, no activation."""
    network = {"_target_": "SEResNet50", "spatial_dims": 2, "in_channels": 3, "num_classes": 2}
    config = {
        **zoo.HEAD,
        "network_def": network,
        "preprocessing": zoo.chain(
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image", "channel_dim": -1},
            {"_target_": "Resized", "keys": "image", "spatial_size": [64, 64], "mode": "bilinear"},
            {"_target_": "CastToTyped", "dtype": "$torch.float32", "keys": "image"},
            {"_target_": "NormalizeIntensityd", "nonzero": True, "channel_wise": True, "keys": "image"},
            {"_target_": "EnsureTyped", "keys": "image"},
        ),
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": zoo.chain({"_target_": "AsDiscreted", "argmax": True, "to_onehot": 2, "keys": ["pred"]}),
    }
    said = _form(
        {"modality": "regular", "num_channels": 3, "spatial_shape": [256, 256], "channel_def": _named("R", "G", "B")},
        {
            "type": "probabilities",
            "format": "classes",
            "num_channels": 2,
            "spatial_shape": [1, 2],
            "channel_def": _named("in body", "out body"),
        },
    )
    return config, SEResNet50(spatial_dims=2, in_channels=3, num_classes=2), said


def breast_density() -> tuple[dict[str, Any], Said]:
    """breast_density_classification: a projection, a network of torchvision's, a sigmoid for each class."""
    config = {
        **{key: value for key, value in zoo.HEAD.items() if key != "imports"},
        "import": ["$import glob", "$import os", "$import torchvision"],
        "network_def": {
            "_target_": "TorchVisionFCModel",
            "model_name": "inception_v3",
            "aux_logits": False,
            "num_classes": 4,
            "in_channels": 2048,
            "use_conv": False,
            "pool": "",
        },
        "preprocessing": zoo.chain(
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "ScaleIntensityd", "keys": "image", "minv": 0.0, "maxv": 1.0},
            {"_target_": "Resized", "keys": "image", "spatial_size": [299, 299]},
        ),
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": zoo.chain(
            {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
            {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5},
        ),
    }
    said = _form(
        {"modality": "Mammogram", "num_channels": 3, "spatial_shape": [229, 229], "channel_def": _named("image")},
        {
            "type": "image",
            "format": "labels",
            "num_channels": 4,
            "spatial_shape": [1, 4],
            "channel_def": _named("A", "B", "C", "D"),
        },
    )
    return config, said


def classification_template() -> tuple[dict[str, Any], nn.Module, Said]:
    """classification_template: grey pictures, YAML, further steps that also want a label that there is not."""
    config = {
        **zoo.HEAD,
        "image": "$monai.utils.CommonKeys.IMAGE",
        "label": "$monai.utils.CommonKeys.LABEL",
        "pred": "$monai.utils.CommonKeys.PRED",
        "num_classes": 4,
        "network_def": {
            "_target_": "DenseNet121",
            "spatial_dims": 2,
            "in_channels": 1,
            "out_channels": "@num_classes",
        },
        "transforms": [
            {"_target_": "LoadImaged", "keys": "@image"},
            {"_target_": "EnsureChannelFirstd", "keys": "@image"},
            {"_target_": "ScaleIntensityd", "keys": "@image"},
        ],
        "preprocessing": {"_target_": "Compose", "transforms": "$@transforms"},
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": zoo.chain(
            {"_target_": "Activationsd", "keys": "@pred", "softmax": True},
            {
                "_target_": "AsDiscreted",
                "keys": ["@pred", "@label"],
                "argmax": [True, False],
                "to_onehot": "@num_classes",
            },
            {"_target_": "ToTensord", "keys": ["@pred", "@label"], "device": "@device"},
        ),
    }
    said = _form(
        {"modality": "none", "num_channels": 1, "spatial_shape": [128, 128], "channel_def": _named("image")},
        {
            "type": "probabilities",
            "format": "classes",
            "num_channels": 4,
            "spatial_shape": [1, 4],
            "channel_def": _named("background", "circle", "triangle", "rectangle"),
        },
    )
    return config, DenseNet121(spatial_dims=2, in_channels=1, out_channels=4), said


def tools() -> tuple[dict[str, Any], nn.Module, Said]:
    """endoscopic_tool_segmentation: frames in colour, one label map a frame, a lambda that drops the background."""
    network = {
        "_target_": "FlexibleUNet",
        "in_channels": 3,
        "out_channels": 2,
        "backbone": "efficientnet-b0",
        "spatial_dims": 2,
        "pretrained": False,
        "is_pad": False,
        "pre_conv": None,
    }
    config = {
        **zoo.HEAD,
        "network_def": network,
        "preprocessing": zoo.chain(
            {"_target_": "LoadImaged", "keys": "image"},
            {"_target_": "EnsureChannelFirstd", "keys": "image", "channel_dim": -1},
            {"_target_": "Resized", "keys": ["image"], "spatial_size": [96, 64], "mode": ["bilinear"]},
            {"_target_": "ScaleIntensityd", "keys": ["image"]},
        ),
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": zoo.chain(
            zoo.inverse(meta_key_postfix="meta_dict"),
            {"_target_": "AsDiscreted", "argmax": True, "to_onehot": 2, "keys": ["pred"]},
            {"_target_": "Lambdad", "keys": ["pred"], "func": "$lambda x : x[1:]"},
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "output_ext": ".png"},
        ),
    }
    said = _form(
        {
            "modality": "RGB",
            "num_channels": 3,
            "spatial_shape": [736, 480],
            "channel_def": _named("R", "G", "B"),
        },
        {
            "type": "image",
            "format": "segmentation",
            "num_channels": 2,
            "spatial_shape": [736, 480],
            "channel_def": _named("background", "tools"),
        },
    )
    made = FlexibleUNet(3, 2, "efficientnet-b0", pretrained=False, spatial_dims=2, is_pad=False, pre_conv=None)  # type: ignore[arg-type]  # MONAI says str, and its bundle null
    return config, made, said


def nodules() -> tuple[dict[str, Any], nn.Module, Said]:
    """lung_nodule_ct_detection: a detector that is set up by expressions, an inferer of its own, boxes in the world."""
    config = {
        **zoo.HEAD,
        "whether_raw_luna16": False,
        "whether_resampled_luna16": "$(not @whether_raw_luna16)",
        "infer_patch_size": [32, 32, 16],
        "anchor_generator": {
            "_target_": "monai.apps.detection.utils.anchor_utils.AnchorGeneratorWithAnchorShape",
            "feature_map_scales": [1, 2, 4],
            "base_anchor_shapes": [[6, 8, 4], [8, 6, 5], [10, 10, 6]],
        },
        "backbone": "$monai.networks.nets.resnet.resnet10(spatial_dims=3,n_input_channels=1,conv1_t_stride=[2,2,1],"
        "conv1_t_size=[7,7,7])",
        "feature_extractor": "$monai.apps.detection.networks.retinanet_network.resnet_fpn_feature_extractor("
        "@backbone,3,False,[1,2],None)",
        "network_def": {
            "_target_": "RetinaNet",
            "spatial_dims": 3,
            "num_classes": 1,
            "num_anchors": 3,
            "feature_extractor": "@feature_extractor",
            "size_divisible": [16, 16, 8],
        },
        "detector": {
            "_target_": "RetinaNetDetector",
            "network": "@network",
            "anchor_generator": "@anchor_generator",
            "debug": False,
        },
        "detector_ops": [
            "$@detector.set_target_keys(box_key='box', label_key='label')",
            "$@detector.set_box_selector_parameters(score_thresh=0.02,topk_candidates_per_level=50,nms_thresh=0.22,"
            "detections_per_img=20)",
            "$@detector.set_sliding_window_inferer(roi_size=@infer_patch_size,overlap=0.25,sw_batch_size=1,"
            "mode='constant',device='cpu')",
        ],
        "preprocessing": zoo.chain(
            {"_target_": "LoadImaged", "keys": "image", "_disabled_": "@whether_raw_luna16"},
            {
                "_target_": "LoadImaged",
                "keys": "image",
                "reader": "itkreader",
                "affine_lps_to_ras": True,
                "_disabled_": "@whether_resampled_luna16",
            },
            {"_target_": "EnsureChannelFirstd", "keys": "image"},
            {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
            {
                "_target_": "Spacingd",
                "keys": "image",
                "pixdim": [0.703125, 0.703125, 1.25],
                "_disabled_": "@whether_resampled_luna16",
            },
            zoo.scaled(-1024.0, 300.0),
            {"_target_": "EnsureTyped", "keys": "image"},
        ),
        "inferer": {"_target_": "scripts.detection_inferer.RetinaNetInferer", "detector": "@detector"},
        "postprocessing": zoo.chain(
            {
                "_target_": "ClipBoxToImaged",
                "box_keys": "box",
                "label_keys": "label",
                "box_ref_image_keys": "image",
                "remove_empty": True,
            },
            {
                "_target_": "AffineBoxToWorldCoordinated",
                "box_keys": "box",
                "box_ref_image_keys": "image",
                "affine_lps_to_ras": True,
            },
            {"_target_": "ConvertBoxModed", "box_keys": "box", "src_mode": "xyzxyz", "dst_mode": "cccwhd"},
            {"_target_": "DeleteItemsd", "keys": ["image"]},
        ),
    }
    said = _form(
        {"modality": "CT", "num_channels": 1, "spatial_shape": ["16*n", "16*n", "8*n"], "channel_def": _named("image")},
        {"type": "object", "format": "dict", "num_channels": 1, "spatial_shape": ["n", "n", "n"]},
        task="CT lung nodule detection",
    )
    return config, retinanet(), said


def retinanet() -> RetinaNet:
    """The detector's network."""
    backbone = resnet10(spatial_dims=3, n_input_channels=1, conv1_t_stride=[2, 2, 1], conv1_t_size=[7, 7, 7])
    with older_names():
        extractor = resnet_fpn_feature_extractor(backbone, 3, False, [1, 2], None)
    network = RetinaNet(3, 1, 3, extractor, size_divisible=[16, 16, 8])
    # as it is made, it finds nothing anywhere; with this it is as unsure everywhere as it can be
    nn.init.zeros_(network.classification_head.cls_logits.bias)
    nn.init.normal_(network.classification_head.cls_logits.weight, std=0.05)
    return network


def valves(size: int = 32) -> tuple[dict[str, Any], Said]:
    """valve_landmarks: a film through transforms of arrays, an inferer and a network of its own, points."""
    config = {
        "imports": ["$import os", "$import glob", "$from scripts import valve_landmarks"],
        "device": zoo.DEVICE,
        "ckpt_path": "$@bundle_root + '/models/model.pt'",
        "dataset_dir": "/workspace/data",
        "datalist": "$list(sorted(glob.glob(@dataset_dir + '/*.nii*')))",
        "output_dir": "./output",
        "network_def": {
            "_target_": "scripts.valve_landmarks.PointRegressor",
            "in_shape": [1, size, size],
            "out_shape": [2, 10],
            "channels": [8, 16],
            "strides": [2, 2],
        },
        "network": "$@network_def.to(@device)",
        "preprocessing": zoo.chain(
            {"_target_": "LoadImage", "image_only": "true"},
            {"_target_": "EnsureType", "device": "@device"},
            {"_target_": "Transpose", "indices": [2, 0, 1, 3]},
            {"_target_": "ScaleIntensity"},
        ),
        "inferer": {"_target_": "scripts.valve_landmarks.LandmarkInferer", "spatial_dim": 2, "stack_dim": 1},
        "postprocessing": zoo.chain(
            {"_target_": "SqueezeDimd", "keys": "pred", "dim": 0},
            {"_target_": "scripts.valve_landmarks.NpySaverd", "keys": "pred", "output_dir": "@output_dir"},
        ),
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "decollate": False,
            "prepare_batch": "$lambda batch, dev,nb: (batch.to(dev),())",
        },
    }
    said = _form(
        {"modality": "MR", "num_channels": 1, "spatial_shape": [256, 256], "channel_def": _named("image")},
        {
            "type": "tuples",
            "format": "points",
            "num_channels": 2,
            "spatial_shape": [2, 10],
            "channel_def": _named("Y Dimension", "X Dimension"),
        },
        coordinate_meanings=_named(*(f"valve {number}" for number in range(10))),
    )
    return config, said


def deepedit() -> tuple[dict[str, Any], nn.Module, Said]:
    """spleen_deepedit_annotation: channels of clicks, of which there are none; lists of transforms that are added."""
    network = {
        "_target_": "DynUNet",
        "spatial_dims": 3,
        "in_channels": "$len(@label_names) + @number_intensity_ch",
        "out_channels": "$len(@label_names)",
        "kernel_size": [3, 3, 3],
        "strides": [1, 2, [2, 2, 1]],
        "upsample_kernel_size": [2, [2, 2, 1]],
        "norm_name": "instance",
        "deep_supervision": False,
        "res_block": True,
    }
    guided = {"guidance": "guidance", "ref_image": "@image_key"}
    config = {
        **zoo.HEAD,
        "image_key": "image",
        "label_names": {"spleen": 1, "background": 0},
        "spatial_size": [32, 32, 32],
        "number_intensity_ch": 1,
        "network_def": network,
        "preprocessing_transforms": [
            {"_target_": "LoadImaged", "keys": "@image_key", "reader": "ITKReader"},
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
            {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
            zoo.scaled(-175, 250, "@image_key"),
        ],
        "deepedit_transforms": [
            {
                "_target_": "scripts.transforms.OrientationGuidanceMultipleLabelDeepEditd",
                "ref_image": "@image_key",
                "label_names": "@label_names",
            },
            {"_target_": "AddGuidanceFromPointsDeepEditd", **guided, "label_names": "@label_names"},
            {"_target_": "Resized", "keys": "@image_key", "spatial_size": "@spatial_size", "mode": "area"},
            {"_target_": "ResizeGuidanceMultipleLabelDeepEditd", **guided},
            {
                "_target_": "AddGuidanceSignalDeepEditd",
                "keys": "@image_key",
                "guidance": "guidance",
                "number_intensity_ch": "@number_intensity_ch",
            },
        ],
        "extra_transforms": [{"_target_": "EnsureTyped", "keys": "@image_key"}],
        "preprocessing": {
            "_target_": "Compose",
            "transforms": "$@preprocessing_transforms + @deepedit_transforms + @extra_transforms",
        },
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": zoo.chain(
            {"_target_": "EnsureTyped", "keys": "pred"},
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            zoo.inverse("@image_key", meta_key_postfix="meta_dict"),
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
        ),
    }
    said = _form(
        {"modality": "CT", "num_channels": 3, "spatial_shape": [128, 128, 128], "channel_def": _named("image")},
        {
            "type": "image",
            "format": "segmentation",
            "num_channels": 2,
            "spatial_shape": [128, 128, 128],
            "channel_def": _named("background", "spleen"),
        },
    )
    made = DynUNet(
        3,
        3,
        2,
        [3, 3, 3],
        [1, 2, [2, 2, 1]],
        [2, [2, 2, 1]],
        norm_name="instance",
        deep_supervision=False,
        res_block=True,
    )
    return config, made, said


def kidneys() -> tuple[dict[str, Any], nn.Module, Said]:
    """renalStructures_CECT_segmentation: three phases by their names, put together by a transform of its own."""
    names = ["artery", "vein", "excret"]
    network = {
        "_target_": "SegResNet",
        "in_channels": 3,
        "out_channels": 6,
        "init_filters": 8,
        "upsample_mode": "deconv",
        "dropout_prob": 0.2,
        "blocks_down": [1, 2],
        "blocks_up": [1],
    }
    config = {
        **zoo.HEAD,
        "network_def": network,
        "preprocessing": zoo.chain(
            {"_target_": "LoadImaged", "keys": names},
            {"_target_": "EnsureChannelFirstd", "keys": names},
            {"_target_": "Orientationd", "keys": names, "axcodes": "LPS"},
            {"_target_": "Spacingd", "keys": names, "pixdim": [10.0, 10.0, 10.0], "mode": "bilinear"},
            {"_target_": "scripts.my_transforms.ConcatImages", "keys_merge": names, "keys_out": "image"},
            zoo.scaled(-1000, 1000),
            {"_target_": "EnsureTyped", "keys": "image"},
        ),
        "inferer": zoo.windows(32, 32, 32, overlap=0.25),
        "postprocessing": zoo.chain(
            {**zoo.inverse("artery"), "transform": "$@preprocessing", "device": "@device"},
            {"_target_": "Activationsd", "keys": "pred", "softmax": False, "sigmoid": True},
            zoo.inverse("image", meta_key_postfix="meta_dict"),
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": False, "threshold": 0.5},
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir"},
        ),
    }
    said = _form(
        {"modality": "CT", "num_channels": 3, "spatial_shape": [96, 96, 96], "channel_def": _named("image")},
        {
            "type": "image",
            "format": "segmentation",
            "num_channels": 6,
            "spatial_shape": [96, 96, 96],
            "channel_def": _named("background", "artery", "vein", "ureter", "neoplasm", "parenchyma"),
        },
    )
    made = SegResNet(
        in_channels=3, out_channels=6, init_filters=8, upsample_mode="deconv", dropout_prob=0.2, blocks_down=(1, 2),
        blocks_up=(1,),
    )  # fmt: skip
    return config, made, said


def vista() -> tuple[dict[str, Any], nn.Module, Said]:
    """vista3d: a network that is told which structures to look for."""
    config = {
        **{key: value for key, value in zoo.HEAD.items() if key != "imports"},
        "imports": ["$import glob", "$import scripts", "$import numpy as np", "$import copy", "$import json"],
        "image_key": "image",
        "subclass": {"2": [14, 5], "20": [28, 29]},
        "labels_dict": {"1": "liver", "3": "spleen"},
        "input_channels": 1,
        "resample_spacing": [14.0, 14.0, 14.0],
        "patch_size": [32, 32, 32],
        "network_def": "$monai.networks.nets.vista3d132(in_channels=@input_channels, encoder_embed_dim=8)",
        "preprocessing_transforms": [
            {"_target_": "LoadImaged", "keys": "@image_key", "image_only": True},
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
            {"_target_": "EnsureTyped", "keys": "@image_key", "device": "@device", "track_meta": True},
            {"_target_": "Spacingd", "keys": "@image_key", "pixdim": "@resample_spacing", "mode": "bilinear"},
            {
                "_target_": "CropForegroundd",
                "keys": "@image_key",
                "allow_smaller": True,
                "margin": 10,
                "source_key": "@image_key",
            },
            {
                "_target_": "monai.apps.vista3d.transforms.VistaPreTransformd",
                "keys": "@image_key",
                "subclass": "@subclass",
                "labels_dict": "@labels_dict",
            },
            zoo.scaled(-963.8247715525971, 1053.678477684517, "@image_key"),
            {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
            {"_target_": "CastToTyped", "keys": "@image_key", "dtype": "$torch.float32"},
        ],
        "preprocessing": {"_target_": "Compose", "transforms": "$@preprocessing_transforms "},
        "inferer": {
            "_target_": "scripts.inferer.Vista3dInferer",
            "roi_size": "@patch_size",
            "overlap": 0.3,
            "sw_batch_size": 1,
            "use_point_window": True,
        },
        "postprocessing": zoo.chain(
            {"_target_": "ToDeviced", "keys": "pred", "device": "cpu", "_disabled_": True},
            {"_target_": "monai.apps.vista3d.transforms.VistaPostTransformd", "keys": "pred"},
            {**zoo.inverse("@image_key", nearest_interp=True), "transform": "$copy.deepcopy(@preprocessing)"},
            {"_target_": "Lambdad", "func": "$lambda x: torch.nan_to_num(x, nan=255)", "keys": "pred"},
            {"_target_": "SaveImaged", "keys": "pred", "resample": False, "output_dir": "@output_dir"},
        ),
    }
    said = _form(
        {"modality": "CT", "num_channels": 1, "spatial_shape": [128, 128, 128], "channel_def": _named("image")},
        {
            "type": "image",
            "format": "segmentation",
            "num_channels": 1,
            "spatial_shape": [128, 128, 128],
            "channel_def": _named("background", "liver", "kidney", "spleen"),
        },
    )
    return config, vista3d132(encoder_embed_dim=8, in_channels=1), said


def write(
    folder: Path,
    config: dict[str, Any],
    network: nn.Module | dict[str, Any],
    said: Said,
    *,
    suffix: str = "json",
    scripts: dict[str, str] | None = None,
) -> Path:
    """A bundle as its makers publish it: configuration, metadata, weights, scripts; no plugin.toml."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    text = json.dumps(config)
    if suffix == "yaml":
        import yaml

        text = yaml.safe_dump(config, sort_keys=False)
    (folder / "configs" / f"inference.{suffix}").write_text(text, encoding="utf-8")
    (folder / "configs" / "metadata.json").write_text(json.dumps(said), encoding="utf-8")
    state = network.state_dict() if isinstance(network, nn.Module) else network
    torch.save(state, folder / "models" / "model.pt")
    for name, source in (scripts or {}).items():
        (folder / "scripts").mkdir(exist_ok=True)
        (folder / "scripts" / "__init__.py").touch()
        (folder / "scripts" / name).write_text(source, encoding="utf-8")
    return folder
