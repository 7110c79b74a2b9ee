from __future__ import annotations

from pathlib import Path

import nibabel.nifti1
import numpy as np
import pytest
from numpy.typing import NDArray

from medview.core.errors import Cancelled
from medview.core.geometry import Floats, Geometry
from medview.core.progress import NoProgress
from medview.editing import interpolate, measure
from tests.support import grids

TIE_MM = 1e-3


def brute_force_distance(shape: NDArray[np.bool_], spacing_mm: Floats) -> Floats:
    """(row, column): to the nearest pixel of the other kind, every pair tried; the surroundings are outside."""
    padded = np.pad(shape, 1)
    where = np.argwhere(np.ones_like(padded)) * spacing_mm
    inside = padded.ravel()
    pairs = np.linalg.norm(where[:, None] - where[None], axis=-1)
    outer = pairs[:, inside].min(axis=1)
    inner = pairs[:, ~inside].min(axis=1)
    both: Floats = np.where(inside, -inner, outer).reshape(padded.shape)[1:-1, 1:-1]
    return both


def distances(shape: NDArray[np.bool_], spacing_mm: Floats) -> Floats:
    """(row, column): ours, at every pixel."""
    rows, columns = (one.ravel() for one in np.indices(shape.shape))
    return interpolate.Outline(shape, spacing_mm).mm_at(rows, columns).reshape(shape.shape)


def blobs(shape: tuple[int, int], seed: int) -> NDArray[np.bool_]:
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(shape)
    total = np.zeros(shape, dtype=np.bool_)
    for _ in range(2):
        row, column = rng.uniform(3, shape[0] - 3), rng.uniform(3, shape[1] - 3)
        total |= ((rows - row) / rng.uniform(2, 4)) ** 2 + ((columns - column) / rng.uniform(2, 5)) ** 2 < 1
    return total


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (5.0, 1.0), (0.7, 2.1)])
def test_signed_distance_is_that_of_all_pairs(spacing: tuple[float, float]) -> None:
    shape = blobs((17, 20), 3)
    ours = distances(shape, np.array(spacing))
    np.testing.assert_allclose(ours, brute_force_distance(shape, np.array(spacing)), atol=1e-4)


def test_a_shape_at_the_border_has_the_outside_beyond_it() -> None:
    shape = np.ones((4, 5), dtype=np.bool_)
    ours = distances(shape, np.array([1.0, 1.0]))
    np.testing.assert_allclose(ours, brute_force_distance(shape, np.array([1.0, 1.0])), atol=1e-5)


@pytest.mark.parametrize("name", sorted(grids.ALL))
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_slices_between_are_those_of_the_interpolated_distances(name: str, axis: int) -> None:
    geometry = grids.ALL[name]
    spacing = np.delete(geometry.spacing_mm, axis)
    labels = np.zeros(geometry.shape, dtype=np.uint8)
    turned = np.moveaxis(labels, axis, 0)
    size = (turned.shape[1], turned.shape[2])
    painted = {2: blobs(size, 1), 6: blobs(size, 2), 7: blobs(size, 3), 11: blobs(size, 4)}
    for number, shape in painted.items():
        turned[number][shape] = 3
    turned[4][0, 0] = 5
    box, mask = interpolate.fill_between_slices(labels, geometry, 3, axis)
    whole = np.zeros(geometry.shape, dtype=np.bool_)
    whole[box.slices] = mask
    added = np.moveaxis(whole, axis, 0)
    distances = {number: brute_force_distance(shape, spacing) for number, shape in painted.items()}
    for number in range(turned.shape[0]):
        bounds = next(((a, b) for a, b in ((2, 6), (7, 11)) if a < number < b), None)
        if bounds is None:
            assert not added[number].any()
            continue
        share = (number - bounds[0]) / (bounds[1] - bounds[0])
        expected = distances[bounds[0]] * (1 - share) + distances[bounds[1]] * share
        clear = np.abs(expected) > TIE_MM
        np.testing.assert_array_equal(added[number][clear], (expected <= 0)[clear])
    assert added.any()


def test_a_cone_comes_back_from_every_fourth_slice() -> None:
    geometry = Geometry.from_parts((41, 64, 64), (2.0, 1.0, 1.0))
    k, j, i = np.indices(geometry.shape)
    cone = (np.hypot(j - 31.5, i - 31.5) < 6 + 0.5 * k).astype(np.uint8)
    sparse = np.zeros_like(cone)
    sparse[::4] = cone[::4]
    box, mask = interpolate.fill_between_slices(sparse, geometry, 1, 0)
    sparse[box.slices][mask] = 1
    wrong = int((sparse != cone).sum())
    # The outline is right to a pixel: fewer wrong voxels than half the voxels on the surface.
    surface = int((2 * np.pi * (6 + 0.5 * np.arange(41))).sum())
    assert wrong < surface / 2
    assert cone.sum() > 10 * wrong


def test_without_a_gap_there_is_nothing_to_fill() -> None:
    geometry = grids.ISOTROPIC
    labels = np.zeros(geometry.shape, dtype=np.uint16)
    assert interpolate.fill_between_slices(labels, geometry, 1, 0)[0].is_empty
    labels[3:6, 4:9, 4:9] = 1
    assert interpolate.fill_between_slices(labels, geometry, 1, 0)[0].is_empty
    assert interpolate.fill_between_slices(labels, geometry, 2, 0)[0].is_empty


def test_it_can_be_stopped() -> None:
    class Stopped(NoProgress):
        def raise_if_cancelled(self) -> None:
            raise Cancelled

    labels = np.zeros(grids.ISOTROPIC.shape, dtype=np.uint8)
    labels[2, 4:9, 4:9] = labels[9, 4:9, 4:9] = 1
    with pytest.raises(Cancelled):
        interpolate.fill_between_slices(labels, grids.ISOTROPIC, 1, 0, Stopped())


def test_between_every_third_slice_of_a_human_s_mask_it_beats_copying_the_neighbour(real_data: Path) -> None:
    ours, copied = [], []
    for path in sorted((real_data / "labelled-hippocampus-200" / "labelsTr").glob("*.nii.gz"))[:12]:
        image = nibabel.nifti1.Nifti1Image.from_filename(path)
        truth = np.ascontiguousarray(np.asanyarray(image.dataobj).transpose(2, 1, 0) == 1).astype(np.uint8)
        geometry = Geometry.from_parts(truth.shape, (1.0, 1.0, 1.0))
        sparse = np.zeros_like(truth)
        sparse[::3] = truth[::3]
        nearest = np.repeat(truth[::3], 3, axis=0)[: len(truth)]
        box, mask = interpolate.fill_between_slices(sparse, geometry, 1, 0)
        sparse[box.slices][mask] = 1
        last = int(np.flatnonzero(truth[::3].any(axis=(1, 2)))[-1]) * 3
        ours.append(measure.dice(sparse[: last + 1], truth[: last + 1], 1))
        copied.append(measure.dice(nearest[: last + 1], truth[: last + 1], 1))
    assert min(np.array(ours) - copied) > 0
    assert np.mean(ours) > 0.9
