"""What rays are cast through: voxels few enough for the machine, without the table that the patient lies on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import VTK_INT
from vtkmodules.vtkImagingMorphological import vtkImageConnectivityFilter

from medview.core.geometry import Geometry
from medview.views.vtk_image import share

_AIR_HU = -1000
_SKIN_HU = -300
_BODY_STEP_MM = 3.5
"""Voxels of about this size are fine enough to tell the body from a table, and coarse enough to be quick."""
_LEAST_SHARE = 0.02
"""What is smaller than this, compared with the largest piece, is not a part of the body: arms and legs are larger."""
_MARGIN_VOXELS = 2

Mask = NDArray[np.bool_]


def thinned(voxels: NDArray[Any], geometry: Geometry, most_voxels: int) -> tuple[NDArray[Any], Geometry]:
    """The volume with fewer, larger voxels, each the mean of those that it stands for; itself when it is small enough.

    Args:
        voxels: (k, j, i), any number type.
        geometry: Its grid.
        most_voxels: How many may remain.

    Returns:
        (k, j, i) of the same type, and its grid.
    """
    steps = [1, 1, 1]
    spacing = np.asarray(geometry.spacing_mm)
    while math.prod(n // step for n, step in zip(voxels.shape, steps, strict=True)) > most_voxels:
        finest = [axis for axis in range(3) if voxels.shape[axis] > 2 * steps[axis]]
        steps[min(finest, key=lambda axis: float(spacing[axis] * steps[axis]))] += 1
    if steps == [1, 1, 1]:
        return voxels, geometry
    k, j, i = (n // step for n, step in zip(voxels.shape, steps, strict=True))
    total = np.zeros((k, j, i), dtype=np.float32)
    for a in range(steps[0]):
        for b in range(steps[1]):
            for c in range(steps[2]):
                total += voxels[a :: steps[0], b :: steps[1], c :: steps[2]][:k, :j, :i]
    total /= math.prod(steps)
    affine = geometry.affine.copy()
    affine[:3, 3] = geometry.to_patient((np.asarray(steps, dtype=np.float64) - 1) / 2)
    affine[:3, :3] *= steps
    return total.astype(voxels.dtype), Geometry((k, j, i), affine, geometry.frame_of_reference_uid)


def body(voxels: NDArray[Any], geometry: Geometry) -> Mask:
    """Where the patient is on a CT, with a margin of a few millimetres; where nobody is found, everything.

    Voxels denser than fat's border with air, in large pieces that hold together after a layer was taken off: the shells
    of tables and cushions are too thin for that.

    Args:
        voxels: (k, j, i), HU.
        geometry: Its grid.
    """
    steps = [max(1, min(round(_BODY_STEP_MM / mm), n)) for n, mm in zip(voxels.shape, geometry.spacing_mm, strict=True)]
    coarse = voxels[:: steps[0], :: steps[1], :: steps[2]] > _SKIN_HU
    pieces = _pieces(_eroded(coarse))
    sizes = np.bincount(pieces.reshape(-1))
    sizes[0] = 0
    if sizes.max() == 0:
        return np.ones(voxels.shape, dtype=np.bool_)
    found: Mask = (sizes >= _LEAST_SHARE * sizes.max())[pieces]
    for _ in range(_MARGIN_VOXELS):
        found = _dilated(found)
    for axis, step in enumerate(steps):
        found = found.repeat(step, axis)
    return found[: voxels.shape[0], : voxels.shape[1], : voxels.shape[2]]


def alone(voxels: NDArray[Any], patient: Mask) -> NDArray[Any]:
    """A copy of a CT with air wherever the patient is not: (k, j, i), HU."""
    return np.where(patient, voxels, voxels.dtype.type(_AIR_HU))


def _pieces(mask: Mask) -> NDArray[Any]:
    """(k, j, i) int: the number of the connected piece that a voxel belongs to; 0 for none."""
    image = share(np.ascontiguousarray(mask, dtype=np.uint8), Geometry.from_parts(mask.shape, (1.0, 1.0, 1.0))).image
    connected = vtkImageConnectivityFilter()
    connected.SetInputData(image)
    connected.SetScalarRange(1, 1)
    connected.SetExtractionModeToAllRegions()
    connected.SetLabelModeToSizeRank()
    connected.SetLabelScalarType(VTK_INT)
    connected.Update()
    labels: NDArray[Any] = vtk_to_numpy(connected.GetOutput().GetPointData().GetScalars()).reshape(mask.shape)
    return labels


def _dilated(mask: Mask) -> Mask:
    grown = mask.copy()
    for axis in range(3):
        low, high = _halves(axis)
        grown[low] |= mask[high]
        grown[high] |= mask[low]
    return grown


def _eroded(mask: Mask) -> Mask:
    """Without the outermost layer; the border of the grid takes nothing off."""
    return ~_dilated(~mask)


def _halves(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    low = tuple(slice(None, -1) if one == axis else slice(None) for one in range(3))
    high = tuple(slice(1, None) if one == axis else slice(None) for one in range(3))
    return low, high
