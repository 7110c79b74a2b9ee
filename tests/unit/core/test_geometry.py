from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medview.core.geometry import Box, Floats, Geometry


def rotation(seed: int) -> Floats:
    """A random rotation, from the QR decomposition of a random matrix."""
    matrix = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))[0]
    return np.asarray(matrix, dtype=np.float64)


@given(
    seed=st.integers(0, 10_000),
    spacing=st.tuples(*[st.floats(0.1, 10)] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
)
def test_index_and_patient_are_inverse(
    seed: int, spacing: tuple[float, float, float], origin: tuple[float, float, float]
) -> None:
    geometry = Geometry.from_parts((20, 30, 40), spacing, origin, rotation(seed))
    index = np.random.default_rng(seed).uniform(-5, 45, (10, 3))
    np.testing.assert_allclose(geometry.to_index(geometry.to_patient(index)), index, atol=1e-6)
    np.testing.assert_allclose(geometry.spacing_mm, spacing, rtol=1e-9)


def test_default_direction_is_axial_head_first_supine() -> None:
    geometry = Geometry.from_parts((5, 6, 7), (3.0, 2.0, 1.0), (10.0, 20.0, 30.0))
    np.testing.assert_allclose(geometry.to_patient((1.0, 2.0, 3.0)), (13.0, 24.0, 33.0))
    assert geometry.is_right_handed


def test_sheared_axes_are_refused() -> None:
    affine = np.eye(4)
    affine[1, 0] = 0.1
    with pytest.raises(ValueError, match="right angles"):
        Geometry((2, 2, 2), affine)


def test_cropping_keeps_voxels_in_place() -> None:
    geometry = Geometry.from_parts((20, 30, 40), (1.0, 2.0, 3.0), (5.0, 6.0, 7.0), rotation(3))
    cropped = geometry.cropped(Box((2, 3, 4), (10, 11, 12)))
    assert cropped.shape == (8, 8, 8)
    np.testing.assert_allclose(cropped.to_patient((1.0, 1.0, 1.0)), geometry.to_patient((3.0, 4.0, 5.0)))


def test_voxel_at_is_none_outside() -> None:
    geometry = Geometry.from_parts((2, 2, 2), (1.0, 1.0, 1.0))
    assert geometry.voxel_at((1.4, 0.0, 0.0)) == (0, 0, 1)
    assert geometry.voxel_at((1.6, 0.0, 0.0)) is None
    assert geometry.nearest_voxel((99.0, -99.0, 0.2)) == (0, 0, 1)


@given(seed=st.integers(0, 1000))
def test_box_around_is_the_smallest_box(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((6, 7, 8)) > 0.97
    box = Box.around(mask)
    if not mask.any():
        assert box.is_empty
        return
    where = np.argwhere(mask)
    assert box.start == tuple(where.min(0))
    assert box.stop == tuple(where.max(0) + 1)


def test_union_ignores_empty_boxes() -> None:
    empty = Box((5, 5, 5), (5, 6, 6))
    box = Box((1, 1, 1), (2, 2, 2))
    assert empty.union(box) == box == box.union(empty)
