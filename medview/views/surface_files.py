"""Surfaces of segments for files: the same as on the screen, but fit for printing.

Voxels that touch in an edge or a corner only are joined, so that every edge belongs to two triangles. Every piece
encloses what its voxels enclose, so that small pieces beside large ones keep their size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkConnectivityFilter

from medview.core.geometry import Box, Geometry
from medview.core.mesh import Mesh
from medview.core.progress import Progress
from medview.core.segmentation import Labels
from medview.views import surfaces
from medview.views.well_composed import well_composed


def make_meshes(
    labels: Labels, geometry: Geometry, wanted: Iterable[int], progress: Progress
) -> Iterator[tuple[int, Mesh]]:
    """Closed surfaces of labels, in LPS, mm.

    Args:
        labels: (k, j, i) uint8 or uint16; nobody else writes to them.
        geometry: Where they lie.
        wanted: The label numbers to make surfaces of; those without voxels have none.
        progress: Asked between labels.

    Yields:
        A label and its surface.

    Raises:
        Cancelled: When it was stopped.
    """
    for label in wanted:
        progress.raise_if_cancelled()
        box = Box.around(labels == label)
        if not box.is_empty:
            mask = (labels[box.slices] == label).astype(np.uint8)
            yield label, _mesh(mask, geometry.cropped(box))


def _mesh(mask: Labels, geometry: Geometry) -> Mesh:
    filled_mm3 = float(np.count_nonzero(mask)) * geometry.voxel_mm3
    thin, coarse = surfaces.thinned(mask, geometry)
    padded = well_composed(np.pad(thin, 1).astype(bool)).astype(np.uint8)
    surface = surfaces.placed(surfaces.net(padded, coarse), coarse)
    # Smoothing moves the points, and neither adds nor reorders any: the voxels' own surface has the same parts.
    sharp = surfaces.placed(surfaces.net(padded, coarse, smooth=False), coarse)
    parts = _parts(surface)
    corners = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    volumes = surfaces.enclosed(_points(sharp).astype(np.float64), corners, parts)
    surfaces.swell(surface, volumes * filled_mm3 / volumes.sum(), max(coarse.spacing_mm), parts)
    # A speck may not be able to take what it lacks: all together make up for it.
    surfaces.swell(surface, np.array([filled_mm3]), max(coarse.spacing_mm))
    longest = max(coarse.spacing_mm) / max(geometry.spacing_mm)
    return Mesh(_points(surface).astype(np.float32), corners.astype(np.int64), longest)


def _points(surface: vtkPolyData) -> NDArray[np.float32]:
    points: NDArray[np.float32] = vtk_to_numpy(surface.GetPoints().GetData())
    return points


def _parts(surface: vtkPolyData) -> NDArray[np.int64]:
    """(point,): to which of the connected parts every point belongs."""
    connectivity = vtkConnectivityFilter()
    connectivity.SetInputData(surface)
    connectivity.SetExtractionModeToAllRegions()
    connectivity.ColorRegionsOn()
    connectivity.Update()
    regions = connectivity.GetOutput().GetPointData().GetArray("RegionId")
    parts: NDArray[np.int64] = vtk_to_numpy(regions).astype(np.int64)
    if len(parts) != surface.GetNumberOfPoints():
        raise RuntimeError("VTK has left points out.")
    return parts
