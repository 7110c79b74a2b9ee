"""A small set of images with masks, and a small bundle that can learn them in seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from medview.core.volume import Modality
from medview.formats import image_files
from medview.learning.optimisation import HeldOut
from medview.learning.recipe import AugmentationRecipe, Recipe
from tests.support.bundles import bundle_config, bundle_plugin
from tests.support.volumes import volume

SIZE = 20


def recipe(**changes: Any) -> Recipe:
    """A short training without variations, with every fourth patient or so held out."""
    values: dict[str, Any] = {
        "seed": 3,
        "patch_size": (16, 16, 16),
        "batch_size": 2,
        "iterations": 40,
        "warm_up": 5,
        "learning_rate": 0.02,
        "ema_decay": 0.9,
        "loss": {"_target_": "DiceCELoss", "to_onehot_y": True, "softmax": True, "include_background": False},
        "split": HeldOut(salt="test", held_out_share=0.25),
        "augmentation": AugmentationRecipe(noise_chance=0.5, noise_sigma=0.1),
    }
    return Recipe.model_validate({**values, **changes})


def write_set(folder: Path, cases: int = 8) -> Path:
    """Bright and dark blocks in noise, at another place in every case: labels 1 and 2."""
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind).mkdir(parents=True)
    for number in range(1, cases + 1):
        random = np.random.default_rng(number)
        labels = np.zeros((SIZE, SIZE, SIZE), np.uint8)
        k, j, i = random.integers(2, 8, 3)
        labels[k : k + 8, j : j + 8, i : i + 5] = 1
        labels[k : k + 8, j : j + 8, i + 5 : i + 10] = 2
        values = np.array([0.0, 300.0, -300.0])[labels] + random.normal(0, 60, labels.shape)
        image = volume(values.astype(np.int16), modality=Modality.MR, unit="")
        image_files.write_volume(image, folder / "imagesTr" / f"case_{number:03}.nii.gz")
        image_files.write_labels(labels, image.geometry, folder / "labelsTr" / f"case_{number:03}.nii.gz")
    return folder


def write_bundle(folder: Path, how: Recipe | None = None) -> Path:
    """A bundle with a small network, without weights."""
    config = bundle_config(inferer={"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 16], "overlap": 0.5})
    transforms = config["preprocessing"]["transforms"]
    spacing = next(one for one in transforms if one["_target_"] == "Spacingd")
    spacing["pixdim"] = [1.0, 1.0, 1.0]
    bundle_plugin(folder, config)
    names = {"0": "background", "1": "one", "2": "two"}
    metadata = {"network_data_format": {"outputs": {"pred": {"channel_def": names}}}}
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    (folder / "configs" / "recipe.json").write_text((how or recipe()).model_dump_json(), encoding="utf-8")
    return folder
