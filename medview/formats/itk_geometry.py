"""The one place that knows ITK's order: sizes, spacings and directions are (i, j, k) there, and (k, j, i) here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Geometry

if TYPE_CHECKING:
    import SimpleITK


def to_itk(array: NDArray[Any], geometry: Geometry) -> SimpleITK.Image:
    """An ITK image of voxels or labels.

    Args:
        array: (k, j, i), copied.
        geometry: Its grid.
    """
    import SimpleITK

    image = SimpleITK.GetImageFromArray(array)
    image.SetOrigin(geometry.origin_mm)
    image.SetSpacing(geometry.spacing_mm[::-1])
    image.SetDirection(geometry.direction[:, ::-1].ravel().tolist())
    return image


def from_itk(image: SimpleITK.Image) -> Geometry:
    """The grid of a 3D image; of a 2D one, the grid of one slice.

    A `SimpleITK.ImageFileReader` that has read its file's information answers the same questions as an image.

    Raises:
        ValueError: Another dimension, or axes that are not at right angles.
    """
    size, spacing, origin = image.GetSize(), image.GetSpacing(), image.GetOrigin()
    dimension = len(size)
    if dimension not in (2, 3):
        raise ValueError(f"An image of {dimension} dimensions has no place in the patient.")
    direction = np.eye(3)
    direction[:dimension, :dimension] = np.array(image.GetDirection()).reshape(dimension, dimension)
    i, j, k = (*size, 1)[:3]
    x, y, z = (*origin, 0.0)[:3]
    spacing_i, spacing_j, spacing_k = (*spacing, 1.0)[:3]
    return Geometry.from_parts((k, j, i), (spacing_k, spacing_j, spacing_i), (x, y, z), direction[:, ::-1])
