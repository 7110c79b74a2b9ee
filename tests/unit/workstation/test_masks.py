"""Masks of other programs on the grid of a series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from medview.core.errors import GridMismatchError
from medview.core.geometry import Box, Floats, Geometry
from medview.core.progress import NoProgress
from medview.core.segmentation import Labels
from medview.workstation import masks
from tests.support import volumes

_SHAPE = (5, 6, 7)


def _drawn() -> Labels:
    drawn: Labels = np.random.default_rng(3).integers(0, 4, _SHAPE).astype(np.uint8)
    return drawn


def _points(labels: Labels, geometry: Geometry) -> dict[int, set[tuple[float, ...]]]:
    """Where the voxels of each label lie in the patient: the truth that no order of axes may change."""
    return {
        int(label): {
            (round(x, 3) + 0.0, round(y, 3) + 0.0, round(z, 3) + 0.0)
            for x, y, z in geometry.to_patient(np.argwhere(labels == label).astype(float)).tolist()
        }
        for label in np.unique(labels)
        if label
    }


@pytest.mark.parametrize("direction", volumes.orientations())
def test_labels_in_any_order_of_axes_land_where_they_lie(direction: Floats) -> None:
    labels = _drawn()
    theirs = Geometry.from_parts(_SHAPE, (3.0, 2.0, 1.0), (10.0, -20.0, 30.0), direction)
    low = theirs.to_patient(np.array([[0, 0, 0], np.array(_SHAPE) - 1.0])).min(axis=0)
    sizes = np.abs(theirs.affine[:3, :3]).sum(axis=1)[::-1]
    extent = np.abs(direction @ np.asarray(_SHAPE))[::-1].astype(int)
    shape = (int(extent[0]), int(extent[1]), int(extent[2]))
    grid = Geometry.from_parts(shape, (sizes[0], sizes[1], sizes[2]), (low[0], low[1], low[2]))
    onto = masks.on_grid(labels, theirs, grid)
    assert onto is not None
    assert _points(onto, grid) == _points(labels, theirs)


def test_a_mask_of_a_part_lands_in_its_place() -> None:
    grid = Geometry.from_parts(_SHAPE, (3.0, 2.0, 1.0), (1.0, 2.0, 3.0), volumes.oblique())
    labels, box = _drawn(), Box((1, 2, 3), (4, 5, 6))
    onto = masks.on_grid(np.ascontiguousarray(labels[box.slices]), grid.cropped(box), grid)
    assert onto is not None
    expected = np.zeros_like(labels)
    expected[box.slices] = labels[box.slices]
    assert np.array_equal(onto, expected)


@pytest.mark.parametrize(
    "other",
    [
        Geometry.from_parts(_SHAPE, (1.0, 1.0, 1.0), (0.5, 0.0, 0.0)),
        Geometry.from_parts(_SHAPE, (1.0, 1.0, 1.1)),
        Geometry.from_parts(_SHAPE, (1.0, 1.0, 1.0), (3.0, 0.0, 0.0)),
        Geometry.from_parts(_SHAPE, (1.0, 1.0, 1.0), direction=volumes.oblique()),
    ],
    ids=["between the voxels", "other spacing", "reaches outside", "turned"],
)
def test_another_grid_is_refused(other: Geometry) -> None:
    grid = Geometry.from_parts(_SHAPE, (1.0, 1.0, 1.0))
    assert masks.on_grid(np.ones(_SHAPE, dtype=np.uint8), other, grid) is None


def test_a_mask_file_of_another_image_is_refused_in_words(tmp_path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.Image(3, 3, 3, SimpleITK.sitkUInt8), str(tmp_path / "mask.nii.gz"))
    volume = volumes.volume(np.zeros(_SHAPE, dtype=np.int16))
    with pytest.raises(GridMismatchError, match=r"mask\.nii\.gz"):
        masks.read_mask(tmp_path / "mask.nii.gz", volume, NoProgress())
