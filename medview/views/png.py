"""Pictures as PNG files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkIOImage import vtkPNGWriter

from medview.core.files import write_bytes


def write(picture: NDArray[np.uint8], path: Path) -> None:
    """Write a picture: (row, column, 3) uint8, sRGB, top row first. Whole or not at all.

    Raises:
        StorageError: The disk is full, or nothing may be written there.
    """
    height, width, _ = picture.shape
    image = vtkImageData()
    image.SetDimensions(width, height, 1)
    # VTK's first row is the lowest.
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(picture[::-1]).reshape(-1, 3), deep=True))
    writer = vtkPNGWriter()
    writer.SetInputData(image)
    writer.WriteToMemoryOn()
    writer.Write()
    write_bytes(path, vtk_to_numpy(writer.GetResult()).tobytes())
