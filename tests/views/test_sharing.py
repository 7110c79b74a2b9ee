"""Voxels are shared with VTK, not copied, and are let go with the volume."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkRenderingCore import vtkImageSlice, vtkRenderer

from medview.core.geometry import Geometry
from medview.core.planes import Plane
from medview.views.linking import AnyView
from medview.views.vtk_image import share
from tests.support.screens import PLAIN, Screen, point, screen
from tests.support.volumes import oblique, volume

SHAPE = (6, 10, 14)
Values = NDArray[Any]


def scalars_drawn(renderer: vtkRenderer) -> Values:
    """What the picture in a scene is made from."""
    props = renderer.GetViewProps()
    found = [props.GetItemAsObject(number) for number in range(props.GetNumberOfItems())]
    (picture,) = [one for one in found if isinstance(one, vtkImageSlice) and one.GetVisibility()]
    values: Values = vtk_to_numpy(picture.GetMapper().GetInput().GetPointData().GetScalars())
    return values


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.int32, np.float32])
def test_the_picture_is_made_from_the_volumes_own_memory(kind: type) -> None:
    voxels: Values = np.zeros(SHAPE, dtype=kind)
    shown = volume(voxels)
    with screen() as one:
        view = one.slices(Plane.AXIAL, shown, replace(PLAIN, cursor=point(shown.geometry, 3, 5, 7)))
        assert np.shares_memory(scalars_drawn(one.renderer), voxels)
        assert one.frame().max() == 0
        voxels[3] = 100
        assert view.slices_arrived(3, 4)
        assert one.frame()[60, 80, 0] == 255


def test_labels_and_read_only_arrays_are_shared_too() -> None:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels.flags.writeable = False
    shared = share(labels, Geometry.from_parts(SHAPE, (3.0, 1.0, 2.0), (5.0, 6.0, 7.0), oblique()))
    assert np.shares_memory(vtk_to_numpy(shared.image.GetPointData().GetScalars()), labels)


def test_every_voxel_lies_where_its_geometry_says() -> None:
    values = np.arange(np.prod(SHAPE), dtype=np.int32).reshape(SHAPE)
    for direction in (None, oblique(), oblique() @ np.diag([1.0, 1.0, -1.0])):
        geometry = Geometry.from_parts(SHAPE, (3.0, 1.0, 2.0), (5.0, 6.0, 7.0), direction)
        image = share(values, geometry).image
        for index in ((0, 0, 0), (5, 0, 0), (0, 9, 0), (0, 0, 13), (2, 3, 4)):
            number = image.FindPoint(*geometry.to_patient(index))
            assert image.GetPointData().GetScalars().GetValue(number) == values[index]
            assert image.GetPoint(number) == pytest.approx(tuple(geometry.to_patient(index)))


@pytest.mark.parametrize(
    "array",
    [np.zeros((6, 14, 10), np.int16).transpose(0, 2, 1), np.zeros(SHAPE, np.bool_), np.zeros((6, 10, 13), np.int16)],
    ids=["turned", "bool", "another shape"],
)
def test_what_cannot_be_shared_is_refused(array: Values) -> None:
    with pytest.raises(ValueError, match=r"shared|fill"):
        share(array, Geometry.from_parts(SHAPE, (1.0, 1.0, 1.0)))


def shown_and_taken_away(one: Screen, *, in_space: bool) -> tuple[AnyView, weakref.ref[Values]]:
    voxels: Values = np.zeros(SHAPE, dtype=np.int16)
    view: AnyView = one.space(volume(voxels)) if in_space else one.slices(Plane.AXIAL, volume(voxels))
    one.frame()
    view.show(None)
    one.frame()
    return view, weakref.ref(voxels)


@pytest.mark.parametrize("in_space", [False, True])
def test_a_volume_that_is_no_longer_shown_gives_its_memory_back(in_space: bool) -> None:
    with screen() as one:
        view, voxels = shown_and_taken_away(one, in_space=in_space)
        gc.collect()
        assert view.volume is None
        assert voxels() is None
