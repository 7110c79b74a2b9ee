"""Small plugins, written for a test."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MANIFEST = """schema = 1
id = "{id}"
version = "1.0.0"
name = "{id}"
task = "segment"
summary = "For a test."
license = {{ code = "Apache-2.0" }}
intended-use = {{ level = "research", text = "For a test." }}

[engine]
{engine}

[[input]]
name = "image"
modality = ["CT", "MR"]

[[label]]
value = 1
name = "One"
color = "#ff0000"

[[label]]
value = 2
name = "Two"
color = "#00ff00"
"""


def python_plugin(folder: Path, source: str, *, id: str = "tiny", module: str = "tiny") -> Path:
    """A plugin of one module with the given source; its function is `run`."""
    folder.mkdir(parents=True)
    engine = f'kind = "python"\nentry = "{module}:run"'
    (folder / "plugin.toml").write_text(MANIFEST.format(id=id, engine=engine), encoding="utf-8")
    (folder / f"{module}.py").write_text(source, encoding="utf-8")
    return folder


def bundle_config(**changes: Any) -> dict[str, Any]:
    """The inference configuration of a small 3D U-Net with three classes."""
    config: dict[str, Any] = {
        "imports": ["$import os"],
        "bundle_root": ".",
        "image_key": "image",
        "device": "$torch.device('cuda')",
        "network_def": {
            "_target_": "UNet",
            "spatial_dims": 3,
            "in_channels": 1,
            "out_channels": 3,
            "channels": [4, 8],
            "strides": [2],
            "num_res_units": 0,
        },
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "@image_key"},
                {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
                {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS", "labels": None},
                {"_target_": "Spacingd", "keys": "@image_key", "pixdim": [2.0, 2.0, 2.0], "mode": "bilinear"},
                {"_target_": "monai.transforms.NormalizeIntensityd", "keys": "@image_key"},
            ],
        },
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": [16, 16, 16],
            "sw_batch_size": 2,
            "overlap": 0.5,
            "mode": "gaussian",
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                {
                    "_target_": "Invertd",
                    "keys": "pred",
                    "transform": "@preprocessing",
                    "orig_keys": "@image_key",
                    "nearest_interp": False,
                    "to_tensor": True,
                },
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                {"_target_": "SaveImaged", "keys": "pred", "output_dir": "eval"},
            ],
        },
        "run": ["$print('hello')"],
    }
    return {**config, **changes}


def bundle_plugin(folder: Path, config: dict[str, Any], *, id: str = "bundle", lines: Sequence[str] = ()) -> Path:
    """A bundle with this configuration and these further lines about its engine, without weights."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "plugin.toml").write_text(
        MANIFEST.format(id=id, engine="\n".join(('kind = "bundle"', *lines))), encoding="utf-8"
    )
    (folder / "configs" / "inference.json").write_text(json.dumps(config), encoding="utf-8")
    return folder
