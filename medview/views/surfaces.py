"""Surfaces of segments, made from copies in any thread.

Surface nets after Gibson (1998), as VTK has them: watertight after padding by one voxel, smoothed within a voxel's
diagonal, then swollen evenly to the volume of the label. Measurements come from the labels, never from these meshes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkPolyDataNormals, vtkSurfaceNets3D

from medview.core.geometry import Box, Geometry
from medview.core.progress import Progress
from medview.core.segmentation import Labels
from medview.views.vtk_image import share

_MOST_VOXELS = 6_000_000
"""A larger box around a segment is thinned out first: the picture cannot show more."""
_SMOOTHING_ITERATIONS = 16
_SWELLING_STEPS = 4


@dataclass(frozen=True, slots=True, eq=False)
class LabelCopy:
    """Labels taken out of a segmentation, to be worked on elsewhere.

    Attributes:
        labels: (k, j, i) uint8 or uint16.
        geometry: Where they lie.
        wanted: The label numbers to make surfaces of.
    """

    labels: Labels
    geometry: Geometry
    wanted: tuple[int, ...]

    @classmethod
    def of(cls, labels: Labels, geometry: Geometry, box: Box, wanted: Iterable[int]) -> LabelCopy:
        """A copy of what lies in a box."""
        box = box.clipped(geometry.shape)
        if box.is_empty:
            box = Box((0, 0, 0), (1, 1, 1))
        return cls(np.array(labels[box.slices], order="C"), geometry.cropped(box), tuple(wanted))


def make_surfaces(source: LabelCopy, progress: Progress) -> dict[int, vtkPolyData]:
    """The surface of every wanted label that has voxels, in LPS, mm, with normals.

    Args:
        source: Labels that nobody else writes to.
        progress: Asked between labels.

    Raises:
        Cancelled: When it was stopped.
    """
    surfaces: dict[int, vtkPolyData] = {}
    used = Box.around(source.labels)
    if used.is_empty:
        return surfaces
    labels, geometry = source.labels[used.slices], source.geometry.cropped(used)
    for number, label in enumerate(source.wanted):
        progress.raise_if_cancelled()
        mask = labels == label
        box = Box.around(mask)
        if not box.is_empty:
            surfaces[label] = _surface(mask[box.slices].astype(np.uint8), geometry.cropped(box))
        progress.report((number + 1) / len(source.wanted))
    return surfaces


def _surface(mask: Labels, geometry: Geometry) -> vtkPolyData:
    filled_mm3 = float(np.count_nonzero(mask)) * geometry.voxel_mm3
    mask, geometry = _thinned(mask, geometry)
    padded = np.pad(mask, 1)
    # In a frame of its own: spacing only. Where the grid lies in the patient is applied to the points afterwards, so
    # that no filter has to know of directions.
    local = Geometry.from_parts(padded.shape, geometry.spacing_mm)
    nets = vtkSurfaceNets3D()
    nets.SetInputData(share(padded, local).image)
    nets.SetValue(0, 1)
    nets.SetNumberOfIterations(_SMOOTHING_ITERATIONS)
    nets.SetOutputMeshTypeToTriangles()
    nets.Update()
    mesh = vtkPolyData()
    mesh.ShallowCopy(nets.GetOutput())
    _place(mesh, geometry)
    normals = vtkPolyDataNormals()
    normals.SetInputData(mesh)
    normals.SplittingOff()
    normals.ConsistencyOff()
    normals.Update()
    surface = vtkPolyData()
    surface.SetPoints(normals.GetOutput().GetPoints())
    surface.SetPolys(normals.GetOutput().GetPolys())
    surface.GetPointData().SetNormals(normals.GetOutput().GetPointData().GetNormals())
    _swell(surface, filled_mm3, max(geometry.spacing_mm))
    return surface


def _swell(surface: vtkPolyData, wanted_mm3: float, most_mm: float) -> None:
    """Move the points along their normals until the surface encloses a volume: smoothing makes small things smaller."""
    points = vtk_to_numpy(surface.GetPoints().GetData())
    normals = vtk_to_numpy(surface.GetPointData().GetNormals()).astype(np.float64)
    corners = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    start = points.astype(np.float64)
    moved_mm = 0.0
    for _ in range(_SWELLING_STEPS):
        a, b, c = (start + moved_mm * normals - start.mean(axis=0))[corners.T]
        faces = np.cross(b - a, c - a)
        enclosed_mm3 = float(np.einsum("ij,ij->", a, faces)) / 6
        area_mm2 = float(np.linalg.norm(faces, axis=1).sum()) / 2
        moved_mm += (wanted_mm3 - enclosed_mm3) / max(area_mm2, 1e-9)
        moved_mm = min(max(moved_mm, -most_mm), most_mm)
    points[:] = start + moved_mm * normals
    surface.GetPoints().Modified()


def _thinned(mask: Labels, geometry: Geometry) -> tuple[Labels, Geometry]:
    """Every second, third... voxel along the finest axes, until the mask is small enough."""
    steps = [1, 1, 1]
    spacing = np.asarray(geometry.spacing_mm)
    while math.prod(math.ceil(n / step) for n, step in zip(mask.shape, steps, strict=True)) > _MOST_VOXELS:
        steps[int(np.argmin(spacing * steps))] += 1
    if steps == [1, 1, 1]:
        return mask, geometry
    thin = np.ascontiguousarray(mask[:: steps[0], :: steps[1], :: steps[2]])
    affine = geometry.affine.copy()
    affine[:3, :3] *= steps
    return thin, Geometry((thin.shape[0], thin.shape[1], thin.shape[2]), affine)


def _place(mesh: vtkPolyData, geometry: Geometry) -> None:
    """Move the points from the frame of the padded box into the patient."""
    spacing = np.asarray(geometry.spacing_mm)
    local = vtk_to_numpy(mesh.GetPoints().GetData()).astype(np.float64)[:, ::-1]
    placed = geometry.to_patient(local / spacing - 1.0).astype(np.float32)
    points = vtkPoints()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(placed), deep=True))
    mesh.SetPoints(points)
    if not geometry.is_right_handed:
        mesh.GetPolys().InitTraversal()
        cells = mesh.GetPolys()
        connectivity = vtk_to_numpy(cells.GetConnectivityArray())
        connectivity.reshape(-1, 3)[:, [1, 2]] = connectivity.reshape(-1, 3)[:, [2, 1]]
        cells.Modified()
