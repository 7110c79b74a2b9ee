"""Several images of one patient as channels of one: what lies on another grid is interpolated onto the first's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import ResampleToMatch

from medview.core.volume import Volume
from medview.inference import tensors


def onto(first: Volume, other: Volume) -> Volume:
    """The other image on the first one's grid: linear interpolation, and 0 where it does not reach."""
    if other.geometry.same_grid(first.geometry):
        return other
    moving, target = tensors.to_tensor(other), tensors.to_tensor(first)
    moved = ResampleToMatch(mode="bilinear", padding_mode="zeros")(
        MetaTensor(moving.as_tensor()[None], affine=moving.affine),
        MetaTensor(target.as_tensor()[None], affine=target.affine),
    )
    voxels = torch.as_tensor(moved).as_subclass(torch.Tensor)[0].permute(2, 1, 0).numpy()
    return replace(other, geometry=first.geometry, voxels=np.ascontiguousarray(voxels, dtype=np.float32), colors=None)
