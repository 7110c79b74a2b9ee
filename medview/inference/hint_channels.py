"""Hints as images: the channels that a network sees behind those of the image.

A point becomes a small Gaussian with 1 in its middle, as DeepEdit draws it; all places of a channel together are scaled
to 0..1.

Source: Diaz-Pinto A. et al., DeepEdit: deep editable learning for interactive segmentation of 3D medical images,
DALI 2022, LNCS 13567; MONAI's AddGuidanceSignalDeepEditd.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.apps.deepedit.transforms import AddGuidanceFromPointsDeepEditd, AddGuidanceSignalDeepEditd
from monai.data import MetaTensor
from monai.networks.layers import GaussianFilter
from numpy.typing import NDArray

from medview.catalog.manifest_hints import Hints
from medview.core.geometry import Geometry
from medview.core.hint import Hint, HintKind, PlacedMask
from medview.core.hint_marks import line_of, voxels_of
from medview.inference import tensors

_LINES = (HintKind.POINT, HintKind.SCRIBBLE)
_BACKGROUND = "background"


def with_channels(
    image: MetaTensor,
    hints: Sequence[Hint],
    spec: Hints,
    steps: Sequence[Any],
    structure: str,
    before: PlacedMask | None = None,
) -> MetaTensor:
    """A prepared image with the channels that show the hints.

    Where a bundle's own steps have left empty channels for clicks, as DeepEdit's do, these are filled, one for each
    name in their order; else channels are put behind the image's.

    Args:
        image: (channel, x, y, z), with its RAS affine.
        hints: All that were given.
        spec: What the manifest says of them.
        steps: The bundle's preparing steps.
        structure: Which of the names the positive hints are on; empty: the first that is not background.
        before: The answer to earlier hints.
    """
    geometry = tensors.geometry_of(image)
    signal = next((one for one in steps if isinstance(one, AddGuidanceSignalDeepEditd)), None)
    if signal is None:
        shown = [_channel(wanted, hints, spec.sigma_voxels, geometry, before) for wanted in spec.channels]
        values = torch.cat([image.as_tensor(), _tensor(np.stack(shown)).to(image.device)])
    else:
        names = _names(steps)
        own = structure if structure in names else next((one for one in names if one != _BACKGROUND), "")
        values = image.as_tensor().clone()
        for number, name in enumerate(names):
            wanted = {own: "positive", _BACKGROUND: "negative"}.get(name)
            if wanted is not None:
                shown = [_channel(wanted, hints, float(signal.sigma), geometry, before)]
                values[signal.number_intensity_ch + number] = _tensor(np.stack(shown))[0].to(image.device)
    known = {name: value for name, value in image.meta.items() if name != "affine"}
    return MetaTensor(values, affine=image.affine, meta=known, applied_operations=image.applied_operations)


def _names(steps: Sequence[Any]) -> tuple[str, ...]:
    maker = next((one for one in steps if isinstance(one, AddGuidanceFromPointsDeepEditd)), None)
    names: Mapping[str, Any] = maker.label_names if maker is not None else {}
    return tuple(names)


def _channel(
    wanted: str, hints: Sequence[Hint], sigma: float, geometry: Geometry, before: PlacedMask | None
) -> NDArray[np.float32]:
    """(k, j, i) float32, 0..1: what a channel of this name shows."""
    if wanted == "previous":
        if before is None or not before.voxels.any():
            return np.zeros(geometry.shape, dtype=np.float32)
        return voxels_of(Hint.mask(before), geometry).astype(np.float32)
    sign, _, kind = wanted.partition("-")
    meant = [one for one in hints if one.positive == (sign == "positive") and kind in ("", one.kind)]
    areas = np.zeros(geometry.shape, dtype=np.float32)
    spots = np.zeros(geometry.shape, dtype=np.float32)
    for one in meant:
        if sigma > 0 and one.kind in _LINES:
            index = np.floor(geometry.to_index(line_of(one, sigma * min(geometry.spacing_mm))) + 0.5).astype(np.intp)
            # a place beyond the edge counts as one at the edge, as MONAI has it
            k, j, i = np.clip(index, 0, np.asarray(geometry.shape) - 1).T
            spots[k, j, i] = 1.0
        else:
            areas[voxels_of(one, geometry)] = 1.0
    if spots.any():
        soft = GaussianFilter(3, sigma=sigma)(torch.from_numpy(spots)[None, None])[0, 0].numpy()
        np.maximum(areas, (soft - soft.min()) / (soft.max() - soft.min()), out=areas)
    return areas


def _tensor(values: NDArray[np.float32]) -> torch.Tensor:
    """(channel, k, j, i) -> (channel, x, y, z)."""
    return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 2, 1)))


def points_in(image: MetaTensor, hints: Sequence[Hint], step_mm: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Points and scribbles as lists, for networks that take them so.

    Args:
        image: (channel, x, y, z), prepared.
        hints: Points and scribbles.
        step_mm: How far points of a scribble lie from each other at most.

    Returns:
        (point, 3) float32 x, y, z in voxels of the image, and (point,) bool: whether each is positive. Points outside
        the image are left out.
    """
    geometry = tensors.geometry_of(image)
    places, signs = [np.zeros((0, 3))], [np.zeros(0, dtype=np.bool_)]
    for one in hints:
        index = geometry.to_index(line_of(one, step_mm))
        inside = ((index > -0.5) & (index < np.asarray(geometry.shape) - 0.5)).all(axis=1)
        places.append(index[inside][:, ::-1])
        signs.append(np.full(int(inside.sum()), one.positive))
    return torch.from_numpy(np.concatenate(places).astype(np.float32)), torch.from_numpy(np.concatenate(signs))
