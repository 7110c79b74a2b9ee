"""Growing from seeds, against structures whose place is known and against another program's watershed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from medview.core.errors import Cancelled, InputError
from medview.core.geometry import Box, Geometry
from medview.core.progress import NoProgress
from medview.editing import seeds
from tests.support import grids

LARGE = (26, 30, 34)
GRIDS = {
    name: grids.grid(one.spacing_mm, one.direction, LARGE if name != "thick" else (14, 40, 44))
    for name, one in grids.ALL.items()
}


def scene(geometry: Geometry, noise: float) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.uint8]]:
    """Values, truth and seeds: two balls that touch each other, in front of something darker."""
    points = grids.centers(geometry)
    size = np.asarray(geometry.extent_mm)
    radius = 0.28 * size.min()
    middle = np.asarray(geometry.center_mm)
    apart = geometry.direction[:, int(np.argmax(size))] * radius
    truth = np.zeros(geometry.shape, np.uint8)
    drawn = np.zeros(geometry.shape, np.uint8)
    for label, at in ((2, middle - apart), (5, middle + apart)):
        away = np.linalg.norm(points - at, axis=-1)
        truth[away < radius] = label
        drawn[away < 0.4 * radius] = label
    values = np.select([truth == 2, truth == 5], [100.0, 180.0], 0.0)
    values += np.random.default_rng(4).normal(0, noise, geometry.shape) if noise else 0
    return values.astype(np.float32), truth, drawn


def inner(truth: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(k, j, i) bool: voxels all of whose neighbours belong to the same structure: beyond doubt for any edge."""
    same = np.ones(truth.shape, np.bool_)
    for axis in range(3):
        for step in (1, -1):
            same &= np.roll(truth, step, axis) == truth
    return same


@pytest.mark.parametrize("name", sorted(GRIDS))
def test_structures_are_found_up_to_their_edges(name: str) -> None:
    geometry = GRIDS[name]
    values, truth, drawn = scene(geometry, noise=0.0)
    box, found = seeds.grown(values, drawn, geometry, 0.3 * min(geometry.extent_mm))
    whole = drawn.copy()
    whole[box.slices] = found
    sure = inner(truth)
    np.testing.assert_array_equal(whole[sure], truth[sure])
    np.testing.assert_array_equal(whole[drawn != 0], drawn[drawn != 0])
    for label in (2, 5):
        common = np.count_nonzero((whole == label) & (truth == label))
        assert 2 * common / (np.count_nonzero(whole == label) + np.count_nonzero(truth == label)) > 0.85


@pytest.mark.parametrize("name", ["isotropic", "thick", "oblique"])
def test_another_program_divides_the_same_edges_in_the_same_way(name: str) -> None:
    geometry = GRIDS[name]
    values, _, drawn = scene(geometry, noise=6.0)
    box, found = seeds.grown(values, drawn, geometry, 1e3)
    assert box == Box.whole(geometry.shape)
    sigma = min(geometry.spacing_mm)
    calm = ndimage.gaussian_filter(values.astype(np.float64), [sigma / n for n in geometry.spacing_mm], mode="nearest")
    steps = np.gradient(calm, *geometry.spacing_mm)
    other = watershed(np.sqrt(sum(one**2 for one in steps)), drawn.astype(np.int32))
    assert set(np.unique(found)) == {2, 5}, "no shell at the edge of the image"
    assert (found == other).mean() > 0.98


def test_a_shell_of_background_holds_the_segments_together() -> None:
    geometry = GRIDS["isotropic"]
    values, _, drawn = scene(geometry, noise=0.0)
    box, found = seeds.grown(values, drawn, geometry, 3.0)
    assert Box.around(drawn).grown(3) == box
    faces = np.ones(found.shape, np.bool_)
    faces[1:-1, 1:-1, 1:-1] = False
    assert not found[faces].any()


def test_without_seeds_it_says_so_and_it_can_be_cancelled() -> None:
    geometry = GRIDS["isotropic"]
    values, _, drawn = scene(geometry, noise=0.0)
    with pytest.raises(InputError, match="no seeds"):
        seeds.grown(values, np.zeros_like(drawn), geometry, 5.0)

    class AtSecondQuestion(NoProgress):
        def __init__(self, after: int) -> None:
            self.left = after

        def raise_if_cancelled(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise Cancelled

    for after in (0, 3, 6):
        with pytest.raises(Cancelled):
            seeds.grown(values, drawn, geometry, 50.0, AtSecondQuestion(after))
