"""A small set of made-up PET lesions in folders of patients, and a plugin's folder to learn them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from medview.core.folders import shipped_plugins_folder
from medview.core.volume import Modality
from medview.formats import image_files
from medview.learning.boxed_recipe import BoxedRecipe
from medview.learning.optimisation import HeldOut
from tests.support.volumes import volume

SPACING_MM = (3.0, 4.0, 4.0)


def recipe(**changes: Any) -> BoxedRecipe:
    """A short training, with every fourth patient or so held out."""
    values: dict[str, Any] = {
        "seed": 3,
        "batch_size": 2,
        "iterations": 20,
        "warm_up": 3,
        "learning_rate": 0.006,
        "ema_decay": 0.8,
        "split": HeldOut(salt="test", held_out_share=0.25),
        "boxes_scoring": 2,
    }
    return BoxedRecipe.model_validate({**values, **changes})


def write_set(folder: Path, patients: int = 8) -> Path:
    """Ellipsoids of moderate uptake with a spot so hot that a share of the highest value finds the spot alone."""
    for number in range(1, patients + 1):
        random = np.random.default_rng(number)
        shape = (26, 24, 22)
        radii, centre = random.uniform(5, 8, 3), np.array(shape) / 2 + random.uniform(-2, 2, 3)
        places = (np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) - centre) / radii
        inside = (places**2).sum(-1) <= 1
        spot = ((places - 0.3) ** 2).sum(-1) <= 0.05
        uptake = 0.8 + 2.5 * inside + 9.0 * spot + random.normal(0, 0.1, shape)
        image = volume(uptake.astype(np.float32), spacing_mm=SPACING_MM, modality=Modality.PT, unit="SUVbw")
        place = folder / f"P_{number:03}"
        place.mkdir(parents=True)
        image_files.write_volume(image, place / "PET_image.nii.gz")
        image_files.write_labels(inside.astype(np.uint8), image.geometry, place / "PET_mask.nii.gz")
    return folder


def write_plugin(folder: Path, how: BoxedRecipe | None = None) -> Path:
    """The program of the shipped plugin, without weights."""
    source = shipped_plugins_folder() / "pet_lesion"
    (folder / "configs").mkdir(parents=True)
    for path in (*source.glob("*.py"), source / "plugin.toml"):
        shutil.copy(path, folder)
    (folder / "configs" / "recipe.json").write_text((how or recipe()).model_dump_json(), encoding="utf-8")
    return folder
