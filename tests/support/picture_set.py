"""A small set of labelled pictures that a classifier learns in seconds, and a plugin's folder to learn it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from medview.core.folders import shipped_plugins_folder
from medview.learning.picture_recipe import PictureRecipe, PictureVariation

SIDE = 14


def recipe(**changes: Any) -> PictureRecipe:
    """A short training with a few variations."""
    values: dict[str, Any] = {
        "seed": 3,
        "batch_size": 12,
        "iterations": 30,
        "warm_up": 5,
        "learning_rate": 0.003,
        "ema_decay": 0.8,
        "feature_directions": 4,
        "picture_directions": 8,
        "variation": PictureVariation(
            affine_chance=0.5, translation_share=0.05, noise_chance=0.5, noise_sigma=0.05, mix_chance=0.2
        ),
    }
    return PictureRecipe.model_validate({**values, **changes})


def write_set(path: Path, counts: tuple[int, int, int] = (45, 40, 40)) -> Path:
    """Grey noise around a bright square; in class 1 it stands in the upper half, in class 0 in the lower one."""
    arrays: dict[str, np.ndarray] = {}
    for number, (part, count) in enumerate(zip(("train", "val", "test"), counts, strict=True)):
        random = np.random.default_rng(number)
        labels = (np.arange(count) % 3 > 0).astype(np.uint8)
        pictures = random.normal(90, 12, (count, SIDE, SIDE))
        for picture, label in zip(pictures, labels, strict=True):
            row, column = random.integers(1, 3) + (0 if label else 6), random.integers(1, 9)
            picture[row : row + 4, column : column + 4] += 90
        arrays[f"{part}_images"], arrays[f"{part}_labels"] = np.clip(pictures, 0, 255).astype(np.uint8), labels[:, None]
    np.savez(path, allow_pickle=False, **arrays)
    return path


def write_plugin(folder: Path, how: PictureRecipe | None = None) -> Path:
    """The program of the shipped classifier, without weights and calibration."""
    source = shipped_plugins_folder() / "cxr_pneumonia"
    (folder / "configs").mkdir(parents=True)
    for path in source.glob("*.py"):
        shutil.copy(path, folder)
    (folder / "configs" / "recipe.json").write_text((how or recipe()).model_dump_json(), encoding="utf-8")
    return folder
