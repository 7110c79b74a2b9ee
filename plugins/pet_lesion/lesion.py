"""A lesion on FDG-PET inside a box that the reader draws."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from medview.api import (
    Box,
    Case,
    Context,
    Geometry,
    Hint,
    HintKind,
    Labels,
    Mask,
    PluginUnavailableError,
    Volume,
    by_hints,
)

from . import crop, network
from .crop import Floats, PatientBox

WEIGHTS = Path("models") / "model.pt"

_SMALLEST_MM = 6.0
_LARGEST_MM = 400.0


def run(case: Case, context: Context) -> Labels:
    """Label the lesion of `case["pet"]` 1: the image is the box that the reader has drawn, and all of it is searched.

    Hints other than the box correct what the network thinks: edges and uptake decide how far each reaches.

    Raises:
        PluginUnavailableError: It is none that can hold a lesion.
    """
    volume = case["pet"]
    if volume.unit != "SUVbw":
        context.note("The image does not say that its values are SUV; check that it is attenuation-corrected FDG-PET.")
    context.progress(0.1, "Looking for the lesion")
    model = load(context.folder, context.device)
    upright = upright_affine(volume.geometry)
    faces = faces_of(Geometry(volume.geometry.shape, upright))
    likely = probability(volume.voxels, upright, faces, model)
    mask = corrected(volume, likely, [one for one in context.hints if one.kind is not HintKind.BOX])
    if not mask.any():
        context.note("Nothing in the box looks like a lesion.")
    return mask.astype(np.uint8)


def corrected(volume: Volume, likely: NDArray[np.float32], hints: Sequence[Hint]) -> Mask:
    """The lesion, where a reader has said of some places whether they belong to it.

    Args:
        volume: The inside of the box.
        likely: (k, j, i), 0..1: what the network thinks.
        hints: Points and scribbles; none: the network alone speaks.
    """
    mask: Mask = likely > 0.5
    if not hints:
        return mask
    if not any(one.positive for one in hints):
        surest = np.unravel_index(int(likely.argmax()), likely.shape)
        x, y, z = (float(value) for value in volume.geometry.to_patient(np.array(surest, dtype=np.float64)))
        hints = [Hint.point((x, y, z)), *hints]
    found = by_hints(volume.voxels, volume.geometry, hints, belief=lambda box: likely[box.slices])
    mask[found.box.slices] = found.inside
    return mask


def upright_affine(geometry: Geometry) -> Floats:
    """The (4, 4) affine of a grid after the turn, of at most some degrees, that brings its axes along the patient's.

    A box of an image whose slices are tilted is tilted as they are, and is searched as it is.
    """
    orders = [list(order) for order in permutations(range(3))]
    order = max(orders, key=lambda one: float(np.abs(np.diag(geometry.direction[:, one])).sum()))
    axes = geometry.direction[:, order]
    upright: Floats = geometry.affine.copy()
    upright[:3] = (axes * np.sign(np.diag(axes))).T @ upright[:3]
    return upright


def faces_of(geometry: Geometry) -> tuple[Floats, Floats]:
    """Two opposite corners of the smallest box along the patient's axes around all voxels, x, y, z, mm."""
    ends = np.array([[-0.5, size - 0.5] for size in geometry.shape])
    corners = np.array([[k, j, i] for k in ends[0] for j in ends[1] for i in ends[2]])
    points = geometry.to_patient(corners)
    return points.min(axis=0), points.max(axis=0)


def load(folder: Path, device: str = "cpu") -> nn.Module:
    """The network with its weights.

    Args:
        folder: The plugin's.
        device: "cpu" or "cuda".
    """
    model = network.make()
    model.load_state_dict(torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True))
    return model.to(device).eval()


def segment(suv: NDArray[Any], affine: Floats, box: tuple[Floats, Floats], model: nn.Module) -> Mask:
    """The lesion inside a box: (k, j, i) bool; False outside the box. See `probability`."""
    return probability(suv, affine, box, model) > 0.5


def probability(suv: NDArray[Any], affine: Floats, box: tuple[Floats, Floats], model: nn.Module) -> NDArray[np.float32]:
    """How likely every voxel belongs to the lesion inside a box.

    Args:
        suv: (k, j, i) standardised uptake values by body weight.
        affine: (4, 4), takes a voxel centre (k, j, i, 1) to (x, y, z, 1), LPS, mm.
        box: Two opposite corners, (x, y, z) LPS, mm.
        model: The network, as `load` gives it.

    Returns:
        (k, j, i) float32, 0..1; 0 outside the box.

    Raises:
        PluginUnavailableError: The box lies outside the image, is too small or too large for a lesion, or holds no
            uptake; or the uptake is no number.
    """
    drawn = _checked_box(box)
    geometry = Geometry((suv.shape[0], suv.shape[1], suv.shape[2]), affine)
    around = _voxels_around(drawn, geometry)
    part = geometry.cropped(around)
    values = np.array(suv[around.slices], dtype=np.float32, order="C")
    inside = _voxels_inside(drawn, part)
    _check_uptake(values, inside)
    where = part.to_index(crop.fine_grid(drawn))
    seen = crop.coarsened(crop.sampled(torch.from_numpy(values)[None], where))[0]
    logits = _answer(crop.channels(seen), model)
    places = (_centres(part) - drawn.low) / drawn.size_mm * crop.SIDE - 0.5
    found = crop.sampled(logits[None], places)[0].sigmoid().numpy()
    likely = np.zeros(suv.shape, dtype=np.float32)
    likely[around.slices] = np.where(inside, found, 0)
    return likely


def _answer(channels: torch.Tensor, model: nn.Module) -> torch.Tensor:
    """The mean answer to the crop and its seven mirror images, (x, y, z): a lesion has no handedness."""
    device = next(model.parameters()).device
    mirrors = [[axis + 1 for axis in range(3) if number >> axis & 1] for number in range(8)]
    batch = torch.stack([channels.flip(axes) for axes in mirrors]).to(device)
    with torch.inference_mode():
        answers = model(batch)[:, 0].float().cpu()
    back = [answer.flip([axis - 1 for axis in axes]) for answer, axes in zip(answers, mirrors, strict=True)]
    return torch.stack(back).mean(0)


def _checked_box(box: tuple[Floats, Floats]) -> PatientBox:
    first, second = (np.asarray(corner, dtype=np.float64) for corner in box)
    drawn = PatientBox(np.minimum(first, second), np.maximum(first, second))
    if not np.isfinite(drawn.size_mm).all() or drawn.size_mm.min() < _SMALLEST_MM:
        raise PluginUnavailableError("The box is too small for a lesion.", "Draw it around the whole lesion.")
    if drawn.size_mm.max() > _LARGEST_MM:
        raise PluginUnavailableError("The box is too large for a lesion.", "Draw it around one lesion.")
    return drawn


def _voxels_around(box: PatientBox, geometry: Geometry) -> Box:
    """The voxels that a box touches, and one more on every side."""
    corners = np.array([[x, y, z] for x, y, z in np.ndindex(2, 2, 2)]) * box.size_mm + box.low
    index = geometry.to_index(corners)
    start, stop = np.floor(index.min(axis=0)) - 1, np.ceil(index.max(axis=0)) + 2
    low, high = ((int(k), int(j), int(i)) for k, j, i in (start, stop))
    found = Box(low, high).clipped(geometry.shape)
    if found.is_empty:
        raise PluginUnavailableError("The box lies outside the image.", "Draw it around a lesion.")
    return found


def _centres(geometry: Geometry) -> Floats:
    """(k, j, i, 3) x, y, z of every voxel."""
    axes = [np.arange(length, dtype=np.float64) for length in geometry.shape]
    return geometry.to_patient(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))


def _voxels_inside(box: PatientBox, geometry: Geometry) -> Mask:
    centres = _centres(geometry)
    return np.asarray(((centres >= box.low) & (centres <= box.high)).all(axis=-1), dtype=np.bool_)


def _check_uptake(values: NDArray[np.float32], inside: Mask) -> None:
    if not inside.any():
        raise PluginUnavailableError("The box lies outside the image.", "Draw it around a lesion.")
    if not np.isfinite(values).all():
        raise PluginUnavailableError("Uptake in the box is not a number.", "Choose another series.")
    if values[inside].max() <= 0:
        raise PluginUnavailableError("There is no uptake in the box.", "Draw it around a lesion.")
