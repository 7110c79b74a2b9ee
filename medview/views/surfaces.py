"""Surfaces of segments, made from copies in any thread.

Surface nets after Gibson (1998), as VTK has them: watertight after padding by one voxel, smoothed within a voxel's
diagonal, then swollen evenly to the volume of the label. Measurements come from the labels, never from these meshes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkPolyDataNormals, vtkSurfaceNets3D

from medview.core.geometry import Box, Floats, Geometry
from medview.core.progress import Progress
from medview.core.segmentation import Labels
from medview.views.vtk_image import share

_MOST_VOXELS = 6_000_000
"""A larger box around a segment is thinned out first: the picture cannot show more."""
_SMOOTHING_ITERATIONS = 16
_REAL = 1e-9
"""The imaginary part up to which a root counts as real."""


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
    mask, geometry = thinned(mask, geometry)
    surface = placed(net(np.pad(mask, 1), geometry), geometry)
    swell(surface, np.array([filled_mm3]), max(geometry.spacing_mm))
    return surface


def net(padded: Labels, geometry: Geometry, *, smooth: bool = True) -> vtkPolyData:
    """The surface around a mask, in a frame of its own: spacing only.

    Where the grid lies in the patient is applied to the points afterwards, so that no filter has to know of directions.

    Args:
        padded: (k, j, i) uint8, 0 and 1, empty at its faces.
        geometry: Of the grid; only its spacing counts.
        smooth: Whether points may move within their voxels; else the surface is that of the voxels themselves.
    """
    nets = vtkSurfaceNets3D()
    nets.SetInputData(share(padded, Geometry.from_parts(padded.shape, geometry.spacing_mm)).image)
    nets.SetValue(0, 1)
    nets.SetSmoothing(smooth)
    nets.SetNumberOfIterations(_SMOOTHING_ITERATIONS)
    nets.SetOutputMeshTypeToTriangles()
    nets.Update()
    mesh = vtkPolyData()
    mesh.ShallowCopy(nets.GetOutput())
    return mesh


def placed(mesh: vtkPolyData, geometry: Geometry) -> vtkPolyData:
    """The surface of a mask that was padded by one voxel, moved into the patient, LPS, mm, with normals."""
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
    return surface


def swell(surface: vtkPolyData, wanted_mm3: Floats, most_mm: float, parts: NDArray[np.int64] | None = None) -> None:
    """Move points along their normals until the surface encloses a volume: smoothing makes small things smaller.

    The volume is a cubic of the way, so that four of its values say where it is the wanted one.

    Args:
        surface: Closed, with normals; changed.
        wanted_mm3: (part,) what every part shall enclose.
        most_mm: How far points may move.
        parts: (point,) to which part a point belongs; None: there is one.
    """
    points = vtk_to_numpy(surface.GetPoints().GetData())
    normals = vtk_to_numpy(surface.GetPointData().GetNormals()).astype(np.float64)
    corners = vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)
    start = points.astype(np.float64)
    of_point = np.zeros(len(points), dtype=np.int64) if parts is None else parts
    ways = np.array([-1.0, -1 / 3, 1 / 3, 1.0])
    excess = np.stack([enclosed(start + way * most_mm * normals, corners, of_point) for way in ways]) - wanted_mm3
    chosen = np.empty(len(wanted_mm3))
    for part, cubic in enumerate(np.polyfit(ways, excess, 3).T):
        roots = np.roots(cubic)
        real = roots[np.abs(roots.imag) < _REAL].real
        inside = real[np.abs(real) <= 1]
        chosen[part] = min(inside, key=abs) if inside.size else ways[int(np.abs(excess[:, part]).argmin())]
    points[:] = start + chosen[of_point, None] * most_mm * normals
    surface.GetPoints().Modified()


def enclosed(points: Floats, corners: NDArray[Any], parts: NDArray[np.int64]) -> Floats:
    """(part,) mm³: the volume inside every closed part of a surface; of a cavity it is negative."""
    a, b, c = (points - points.mean(axis=0))[corners.T]
    sixths = np.einsum("ij,ij->i", a, np.cross(b, c)) / 6
    return np.asarray(np.bincount(parts[corners[:, 0]], sixths, minlength=int(parts.max()) + 1), dtype=np.float64)


def thinned(mask: Labels, geometry: Geometry) -> tuple[Labels, Geometry]:
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
