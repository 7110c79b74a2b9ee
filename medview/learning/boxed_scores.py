"""Scores of a network that segments inside a box, beside a threshold in the same box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from medview.core.progress import Progress
from medview.core.text import Text
from medview.learning import box_drawing, boxed_plugin, evaluate
from medview.learning.boxed_recipe import BoxedRecipe
from medview.learning.boxed_training import BoxedCase
from medview.learning.probabilities import Estimate, estimated

THRESHOLD_SHARE = 0.41
"""Of the highest value in the box: what the European guidelines name for FDG-PET (Boellaard R. et al., EANM procedure
guidelines for tumour imaging: version 2.0, Eur J Nucl Med Mol Imaging 2015, 42:328-354)."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BoxedScore:
    """How well one patient's structure was segmented, as the mean over the boxes drawn around it.

    Attributes:
        name: The case.
        dice: Of the network's mask, 0..1.
        threshold_dice: Of the mask of all voxels in the box with at least 41 % of its highest value.
    """

    name: str
    dice: float
    threshold_dice: float


def boxes_of(case: BoxedCase, how: BoxedRecipe) -> list[tuple[Floats, Floats]]:
    """The boxes around a case's structure that it is scored in; the same whenever they are asked for."""
    low, high = box_drawing.extent_of(case.points_mm, case.half_voxel_mm)
    random = np.random.default_rng([how.seed, *case.name.encode()])
    return [box_drawing.drawn_around(low, high, how.drawn_scoring, random) for _ in range(how.boxes_scoring)]


def by_threshold(case: BoxedCase, box: tuple[Floats, Floats]) -> NDArray[np.bool_]:
    """(k, j, i) the voxels in a box that have at least 41 % of its highest value."""
    axes = [np.arange(length, dtype=np.float64) for length in case.geometry.shape]
    centres = case.geometry.to_patient(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))
    inside = ((centres >= box[0]) & (centres <= box[1])).all(axis=-1)
    found: NDArray[np.bool_] = inside & (case.voxels >= THRESHOLD_SHARE * case.voxels[inside].max())
    return found


def score(
    plugin_folder: Path, cases: Sequence[BoxedCase], how: BoxedRecipe, progress: Progress, weights: Path | None = None
) -> tuple[BoxedScore, ...]:
    """Segment every case in every box, and compare with its mask: all of it, also where it leaves the box.

    Args:
        plugin_folder: The plugin.
        cases: With masks that people drew.
        how: The recipe, for the boxes.
        progress: Told of every case.
        weights: Others than the plugin's own.

    Raises:
        MedViewError: When the plugin cannot be used.
        Cancelled: When it was stopped.
    """
    scores = []
    with boxed_plugin.loaded(plugin_folder) as plugin:
        if weights is None:
            model = plugin.entry.load(plugin_folder)
        else:
            model = plugin.network.make().eval()
            model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        for done, case in enumerate(cases):
            progress.raise_if_cancelled()
            progress.report(done / len(cases), Text.of("Scoring {name}", name=case.name))
            pairs = [
                (
                    _dice(plugin.entry.segment(case.voxels, case.geometry.affine, box, model), case),
                    _dice(by_threshold(case, box), case),
                )
                for box in boxes_of(case, how)
            ]
            found, threshold = np.mean(pairs, axis=0)
            scores.append(BoxedScore(case.name, float(found), float(threshold)))
    return tuple(scores)


def _dice(found: NDArray[np.bool_], case: BoxedCase) -> float:
    value = evaluate.dice(found, case.mask, 1)
    assert value is not None, case.name  # cases without a structure are refused when they are read
    return value


def summary(scores: Sequence[BoxedScore]) -> tuple[Estimate, Estimate, Estimate]:
    """Mean Dice of the network, of the threshold, and of the difference in the same patient; 95 % over patients."""
    found = np.array([one.dice for one in scores])
    threshold = np.array([one.threshold_dice for one in scores])
    return _mean(found), _mean(threshold), _mean(found - threshold)


def _mean(values: Floats) -> Estimate:
    return estimated(lambda drawn: float(values[drawn].mean()), len(values))


def table(scores: Sequence[BoxedScore]) -> str:
    """The scores as lines to read."""
    width = max(len(one.name) for one in scores)
    lines = [f"{'':<{width}}  network  41 % of SUVmax"]
    lines += [f"{one.name:<{width}}  {one.dice:7.3f}  {one.threshold_dice:14.3f}" for one in scores]
    lines += ["", f"{len(scores)} patients; mean Dice, 95 % interval by a bootstrap over patients"]
    names = ("Network", "Threshold at 41 %", "Difference")
    lines += [
        f"{name:<18} {one.value:.3f}  ({one.low:.3f} to {one.high:.3f})"
        for name, one in zip(names, summary(scores), strict=True)
    ]
    return "\n".join(lines)
