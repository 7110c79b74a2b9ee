"""Surfaces enclose what the labels fill, face outwards, and lie where the labels lie."""

from __future__ import annotations

import numpy as np
import pytest
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkPolyData

from medview.core.errors import Cancelled
from medview.core.geometry import Box, Floats, Geometry
from medview.core.progress import NoProgress
from medview.views import surfaces
from medview.views.surfaces import LabelCopy, make_surfaces
from tests.support import grids
from tests.support.screens import sphere

SHAPE = (24, 40, 46)


class Stopped:
    """A progress that was asked to stop."""

    def report(self, fraction: float | None, message: object = "") -> None:
        raise AssertionError("nothing was done")

    def raise_if_cancelled(self) -> None:
        raise Cancelled


def triangles(surface: vtkPolyData) -> Floats:
    """(triangle, corner, 3): x, y, z, mm."""
    points = vtk_to_numpy(surface.GetPoints().GetData()).astype(np.float64)
    corners: Floats = points[vtk_to_numpy(surface.GetPolys().GetConnectivityArray()).reshape(-1, 3)]
    return corners


def enclosed_mm3(surface: vtkPolyData) -> float:
    """By Gauss: positive only when the triangles' corners run counterclockwise seen from outside."""
    a, b, c = np.moveaxis(triangles(surface) - triangles(surface).mean(axis=(0, 1)), 1, 0)
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


@pytest.mark.parametrize("name", grids.ALL)
def test_a_surface_encloses_the_volume_of_its_label_and_faces_outwards(name: str) -> None:
    base = grids.ALL[name]
    geometry = grids.grid(base.spacing_mm, base.direction, SHAPE)
    middle = (12.0, 20.0, 22.0)
    labels = sphere(geometry, middle, 9.0).astype(np.uint8) * 3
    labels[sphere(geometry, (4.0, 6.0, 38.0), 5.0)] = 7
    found = make_surfaces(LabelCopy.of(labels, geometry, Box.whole(SHAPE), (3, 5, 7)), NoProgress())
    assert set(found) == {3, 7}
    for label, surface in found.items():
        counted = np.count_nonzero(labels == label) * geometry.voxel_mm3
        assert enclosed_mm3(surface) == pytest.approx(counted, rel=0.05)
    points = vtk_to_numpy(found[3].GetPoints().GetData())
    normals = vtk_to_numpy(found[3].GetPointData().GetNormals())
    outwards = points - geometry.to_patient(middle)
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    assert np.einsum("ij,ij->i", outwards, normals).min() > 0.3
    assert points.mean(axis=0) == pytest.approx(geometry.to_patient(middle), abs=0.5)


def test_a_label_at_the_border_is_closed_and_a_large_one_is_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    geometry = Geometry.from_parts(SHAPE, (2.0, 1.0, 1.0))
    labels = np.zeros(SHAPE, dtype=np.uint16)
    labels[:, :20, :30] = 300
    counted = np.count_nonzero(labels) * geometry.voxel_mm3
    for most in (10**6, 4000):
        monkeypatch.setattr(surfaces, "_MOST_VOXELS", most)
        (surface,) = make_surfaces(LabelCopy.of(labels, geometry, Box.whole(SHAPE), (300,)), NoProgress()).values()
        assert enclosed_mm3(surface) == pytest.approx(counted, rel=0.05)
        assert surface.GetCenter() == pytest.approx((14.5, 9.5, 23.0), abs=0.6)


def test_no_labels_give_no_surfaces_and_a_stopped_job_stops() -> None:
    geometry = Geometry.from_parts(SHAPE, (1.0, 1.0, 1.0))
    labels = np.zeros(SHAPE, dtype=np.uint8)
    assert make_surfaces(LabelCopy.of(labels, geometry, Box((0, 0, 0), (0, 0, 0)), (1,)), NoProgress()) == {}
    labels[3:9, 3:9, 3:9] = 1
    with pytest.raises(Cancelled):
        make_surfaces(LabelCopy.of(labels, geometry, Box.whole(SHAPE), (1,)), Stopped())


def test_a_copy_is_not_touched_by_later_edits() -> None:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    box = Box((2, 2, 2), (8, 8, 8))
    copy = LabelCopy.of(labels, Geometry.from_parts(SHAPE, (1.0, 1.0, 1.0)), box, (1,))
    labels[:] = 1
    assert not copy.labels.any()
    assert copy.labels.shape == box.shape
