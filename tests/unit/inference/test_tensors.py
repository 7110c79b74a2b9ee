from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Orientation

from medview.core.geometry import Floats
from medview.inference import tensors
from tests.support.volumes import oblique, orientations, volume


@pytest.fixture
def voxels() -> np.ndarray:
    return np.random.default_rng(1).integers(-1000, 1000, (3, 4, 5)).astype(np.int16)


@pytest.mark.parametrize("direction", [*orientations(), oblique()], ids=str)
def test_labels_come_back_to_the_voxels_they_were_found_in(voxels: np.ndarray, direction: Floats) -> None:
    source = volume(voxels, spacing_mm=(2.0, 0.5, 0.75), direction=direction)
    tensor = tensors.to_tensor(source)
    np.testing.assert_array_equal(tensors.to_labels(tensor), voxels)

    turn = Orientation(axcodes="RAS", labels=None)
    turned = turn(tensor[None])
    assert isinstance(turned, MetaTensor)
    np.testing.assert_array_equal(tensors.to_labels(turn.inverse(turned)), voxels)


@pytest.mark.parametrize("direction", [*orientations(), oblique()], ids=str)
def test_every_voxel_lies_in_ras_where_it_lies_in_the_patient(voxels: np.ndarray, direction: Floats) -> None:
    source = volume(voxels, spacing_mm=(2.0, 0.5, 0.75), direction=direction)
    tensor = tensors.to_tensor(source)
    for index in [(0, 0, 0), (2, 1, 4), (1, 3, 2)]:
        x, y, z = source.geometry.to_patient(index)
        place = tensor.affine.numpy() @ [*reversed(index), 1.0]
        np.testing.assert_allclose(place[:3], [-x, -y, z], atol=1e-9)
        assert float(tensor[tuple(reversed(index))]) == voxels[index]


def test_transforms_may_work_in_place(voxels: np.ndarray) -> None:
    source = volume(voxels.astype(np.float32))
    tensors.to_tensor(source).zero_()
    np.testing.assert_array_equal(source.voxels, voxels)


def test_a_channel_axis_is_taken_off(voxels: np.ndarray) -> None:
    labels = torch.from_numpy(voxels.transpose(2, 1, 0).copy())[None]
    np.testing.assert_array_equal(tensors.to_labels(labels), voxels)
