"""Surfaces of labels as STL, read by VTK's own reader and ITK's: closed, manifold, and as large as the label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from vtkmodules.vtkFiltersCore import vtkFeatureEdges, vtkMassProperties
from vtkmodules.vtkIOGeometry import vtkSTLReader

from medview.core.errors import Cancelled
from medview.core.geometry import Geometry
from medview.core.progress import NoProgress
from medview.core.text import Text
from medview.formats import stl
from medview.phantom.chest import Phantom
from medview.views import surface_files
from medview.views.well_composed import well_composed
from tests.support import grids

SHAPES = ("ball", "noise", "sheet", "one voxel", "corners")


def drawn(kind: str) -> NDArray[np.uint8]:
    k, j, i = np.indices(grids.SHAPE)
    if kind == "ball":
        mask = (k - 6) ** 2 * 4 + (j - 8) ** 2 + (i - 10) ** 2 < 40
    elif kind == "noise":
        mask = np.random.default_rng(1).random(grids.SHAPE) < 0.3
    elif kind == "sheet":
        mask = (j == 8) & (i > 3)
    else:
        mask = np.zeros(grids.SHAPE, dtype=bool)
        mask[5, 5, 5] = True
        if kind == "corners":
            mask[6, 6, 6] = mask[2, 2, 2] = mask[2, 3, 3] = True
    return np.where(mask, 2, 0).astype(np.uint8)


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("name", grids.ALL)
def test_surfaces_are_proved_and_vtk_finds_them_closed(name: str, kind: str, tmp_path: Path) -> None:
    geometry, labels = grids.ALL[name], drawn(kind)
    ((label, mesh),) = surface_files.make_meshes(labels, geometry, [1, 2], NoProgress())
    assert label == 2
    path = tmp_path / "a.stl"
    assert stl.write(mesh, path, labels, 2, geometry).ok

    reader = vtkSTLReader()
    reader.SetFileName(str(path))
    edges = vtkFeatureEdges()
    edges.SetInputConnection(reader.GetOutputPort())
    edges.FeatureEdgesOff()
    edges.Update()
    assert edges.GetOutput().GetNumberOfCells() == 0  # neither open edges nor edges of more than two triangles
    mass = vtkMassProperties()
    mass.SetInputConnection(reader.GetOutputPort())
    mass.Update()
    assert mass.GetVolume() == pytest.approx(np.count_nonzero(labels) * geometry.voxel_mm3, rel=0.01)


def test_organs_of_the_phantom_are_proved(small_phantom: Phantom, tmp_path: Path) -> None:
    geometry = small_phantom.volume.geometry
    labels = small_phantom.labels
    wanted = [int(label) for label in np.unique(labels) if label]
    made = dict(surface_files.make_meshes(labels, geometry, wanted, NoProgress()))
    assert sorted(made) == wanted
    for label, mesh in made.items():
        assert stl.write(mesh, tmp_path / f"{label}.stl", labels, label, geometry).ok


def test_a_large_mask_is_thinned_out_and_still_proved(tmp_path: Path) -> None:
    geometry = Geometry.from_parts((60, 330, 330), (3.0, 0.7, 0.7), (0.0, 0.0, 0.0))
    k, j, i = np.ogrid[:60, :330, :330]
    labels = (((k - 30) / 28) ** 2 + ((j - 160) / 150) ** 2 + ((i - 170) / 155) ** 2 < 1).astype(np.uint8)
    ((_, mesh),) = surface_files.make_meshes(labels, geometry, [1], NoProgress())
    assert stl.write(mesh, tmp_path / "a.stl", labels, 1, geometry).ok


def test_what_is_stopped_stops() -> None:
    class Stop(NoProgress):
        def report(self, fraction: float | None, message: Text | str = "") -> None:
            raise AssertionError

        def raise_if_cancelled(self) -> None:
            raise Cancelled

    with pytest.raises(Cancelled):
        list(surface_files.make_meshes(drawn("ball"), grids.ISOTROPIC, [2], Stop()))


@pytest.mark.parametrize("seed", range(5))
def test_nothing_touches_in_edges_or_corners_only(seed: int) -> None:
    """Against the definition: in every 2x2x2 block both sets hang together by faces."""
    mask = np.pad(np.random.default_rng(seed).random((7, 8, 9)) < 0.35, 1)
    joined = well_composed(mask)
    assert (joined | ~mask).all()
    for k, j, i in np.ndindex(mask.shape[0] - 1, mask.shape[1] - 1, mask.shape[2] - 1):
        block = joined[k : k + 2, j : j + 2, i : i + 2]
        assert _parts(block) <= 1
        assert _parts(~block) <= 1


def _parts(block: NDArray[np.bool_]) -> int:
    waiting, count = {tuple(int(n) for n in at) for at in np.argwhere(block)}, 0
    while waiting:
        count += 1
        front = [waiting.pop()]
        while front:
            at = front.pop()
            for axis in range(3):
                beside = tuple(1 - n if axis == place else n for place, n in enumerate(at))
                if beside in waiting:
                    waiting.remove(beside)
                    front.append(beside)
    return count
