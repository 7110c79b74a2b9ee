"""Arrays as VTK images, sharing their memory. The only place that knows VTK's order of axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData

from medview.core.geometry import Floats, Geometry


@dataclass(frozen=True, eq=False)
class SharedImage:
    """A VTK image whose scalars are a numpy array's own memory.

    Attributes:
        image: VTK's side; its world is LPS, mm.
        array: (k, j, i) or (k, j, i, 3), the type it came with; kept so that the memory outlives VTK's use of it.
    """

    image: vtkImageData
    array: NDArray[Any]

    def modified(self) -> None:
        """Tell VTK that voxels changed. Nothing is copied or looked through."""
        self.image.GetPointData().GetScalars().Modified()
        self.image.Modified()


def share(array: NDArray[Any], geometry: Geometry) -> SharedImage:
    """Give VTK an array without copying it.

    Args:
        array: (k, j, i), or (k, j, i, 3) for colours; any number type of VTK's (not bool), C-contiguous; may be
            read-only.
        geometry: Its grid.

    Raises:
        ValueError: The array would have to be copied, or does not fill the grid.
    """
    if array.shape[:3] != geometry.shape or array.ndim > 4:
        raise ValueError(f"The array {array.shape} does not fill the grid {geometry.shape}.")
    if not array.flags.c_contiguous or array.dtype == np.bool_:
        raise ValueError("Only C-contiguous arrays of numbers can be shared with VTK.")
    flat = array.reshape(-1, *array.shape[3:])
    scalars = numpy_to_vtk(flat, deep=False)
    if not np.shares_memory(vtk_to_numpy(scalars), array):
        raise ValueError(f"VTK made a copy of an array of type {array.dtype}.")
    scalars.SetName("voxels")
    image = vtkImageData()
    k, j, i = geometry.shape
    image.SetDimensions(i, j, k)
    place(image, geometry)
    image.GetPointData().SetScalars(scalars)
    return SharedImage(image, array)


def place(image: vtkImageData, geometry: Geometry) -> None:
    """Put an image where a grid lies: LPS, mm."""
    k, j, i = geometry.spacing_mm
    image.SetSpacing(i, j, k)
    image.SetOrigin(*geometry.origin_mm)
    image.SetDirectionMatrix(*vtk_direction(geometry).ravel().tolist())


def vtk_direction(geometry: Geometry) -> Floats:
    """(3, 3); columns are the unit vectors of i, j, k in the patient."""
    return np.ascontiguousarray(geometry.direction[:, ::-1])
