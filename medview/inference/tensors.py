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


def ras_affine(geometry: Geometry) -> Floats:
    """(4, 4): takes a voxel centre (i, j, k, 1) to (x, y, z, 1) in RAS, mm."""
    affine: Floats = _LPS_TO_RAS @ geometry.affine[:, [2, 1, 0, 3]]
    return affine
