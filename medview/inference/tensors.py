"""Between MedView's grids and MONAI's: the only place that knows MONAI's axes.

MedView: arrays (k, j, i) and patient axes LPS. MONAI, as it loads NIfTI: arrays (i, j, k) and patient axes RAS. The
voxels are the same; the array is seen with its axes in the other order, and two rows of the affine change sign.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from numpy.typing import NDArray

from medview.core.geometry import Floats, Geometry
from medview.core.segmentation import Labels
from medview.core.volume import Volume

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def to_tensor(volume: Volume) -> MetaTensor:
    """A volume as MONAI's loader would have given it.

    Returns:
        (i, j, k) float32, in the volume's unit, with the RAS affine; a copy, so that transforms may work in place.
    """
    values = torch.from_numpy(np.transpose(volume.voxels.astype(np.float32), (2, 1, 0)))
    affine = torch.from_numpy(ras_affine(volume.geometry))
    meta: dict[str, Any] = {
        "original_channel_dim": float("nan"),
        "original_affine": affine.clone(),
        "spatial_shape": np.asarray(values.shape),
        "space": "RAS",
        "filename_or_obj": volume.series_uid,
    }
    return MetaTensor(values, affine=affine, meta=meta)


def to_picture(volume: Volume, slice: int, *, color: bool) -> MetaTensor:
    """One picture of a volume as MONAI's reader of picture files would have given it.

    Args:
        volume: Whose.
        slice: Which one, k.
        color: Whether as red, green and blue, 0..255; a grey one three times the same, through its own window.

    Returns:
        (i, j) or (i, j, 3) float32; its affine is that of pixels.
    """
    if color:
        seen = volume.colors[slice] if volume.colors is not None else _windowed(volume, slice)[..., None].repeat(3, -1)
        values = np.transpose(seen, (1, 0, 2))
    else:
        values = np.transpose(volume.voxels[slice])
    return _picture(values, -1 if color else float("nan"), volume)


def to_film(volume: Volume) -> MetaTensor:
    """All pictures of a volume as one image whose fourth axis is time: (i, j, 1, k) float32, with a pixels' affine."""
    return _picture(np.transpose(volume.voxels, (2, 1, 0))[:, :, None], float("nan"), volume)


def _picture(values: NDArray[Any], channel: float, volume: Volume) -> MetaTensor:
    affine = torch.eye(4, dtype=torch.float64)
    meta: dict[str, Any] = {
        "original_channel_dim": channel,
        "original_affine": affine.clone(),
        "spatial_shape": np.asarray(values.shape[:2]),
        "filename_or_obj": volume.series_uid,
    }
    return MetaTensor(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)), affine=affine, meta=meta)


def _windowed(volume: Volume, slice: int) -> NDArray[np.float32]:
    """A grey picture, (j, i), as 0..255: through the window that is stored with it, or between its extremes."""
    values = volume.voxels[slice].astype(np.float32)
    lower, upper = float(values.min()), float(values.max())
    if volume.windows:
        lower, upper = volume.windows[0].lower, volume.windows[0].upper
    seen: NDArray[np.float32] = np.clip((values - lower) / max(upper - lower, 1e-6), 0, 1) * np.float32(255)
    return np.round(seen)


def to_labels(tensor: torch.Tensor) -> NDArray[Any]:
    """Labels as MONAI has them, on the grid that `to_tensor` gave: (i, j, k) or (1, i, j, k), any type.

    Returns:
        (k, j, i), C-contiguous, same type.
    """
    values = tensor.detach()
    if isinstance(values, MetaTensor):
        values = values.as_tensor()
    if values.ndim == 4 and values.shape[0] == 1:
        values = values[0]
    return np.ascontiguousarray(values.cpu().numpy().transpose(*reversed(range(values.ndim))))


def label_tensor(labels: Labels, geometry: Geometry) -> MetaTensor:
    """Labels as MONAI's loader would have given them: (i, j, k) int32 with the RAS affine."""
    values = torch.from_numpy(np.transpose(labels.astype(np.int32), (2, 1, 0)))
    return MetaTensor(values, affine=torch.from_numpy(ras_affine(geometry)))


def geometry_of(image: MetaTensor) -> Geometry:
    """Where an image of MONAI's, (..., x, y, z) with its RAS affine, lies: the grid of its voxels as (z, y, x)."""
    x, y, z = (int(size) for size in image.shape[-3:])
    affine = _LPS_TO_RAS @ np.asarray(image.affine, dtype=np.float64)[:, [2, 1, 0, 3]]
    return Geometry((z, y, x), affine)


def ras_affine(geometry: Geometry) -> Floats:
    """(4, 4): takes a voxel centre (i, j, k, 1) to (x, y, z, 1) in RAS, mm."""
    affine: Floats = _LPS_TO_RAS @ geometry.affine[:, [2, 1, 0, 3]]
    return affine
