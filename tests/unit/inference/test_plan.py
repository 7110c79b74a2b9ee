from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from medview.core.errors import OutOfMemoryError
from medview.inference import device
from medview.inference.forward import Forward, Precision, agrees
from medview.inference.front import Front
from medview.inference.plan import Plan
from medview.inference.windows import Lattice, WindowRules

GIB = 2**30


def test_a_plan_counts_the_bytes_that_the_front_takes() -> None:
    lattice = Lattice.over((100, 40, 30), WindowRules((16, 16, 16), (0.5, 0.5, 0.5)))
    plan = Plan.of(lattice, 5, (30, 40, 100), "cpu", 0.25)
    front = Front(5, 16, (40, 30), lattice.front_axis)
    assert plan.sums_bytes == front.values.nbytes + front.weights.nbytes
    assert plan.labels_bytes == 100 * 40 * 30
    assert plan.seconds == pytest.approx(lattice.count * 0.25)
    assert not plan.sums_fit_the_card


def test_what_cannot_end_well_is_refused_before_it_starts() -> None:
    plan = Plan(10, 3 * GIB, GIB, 4 * GIB, None, 75.0)
    with pytest.raises(OutOfMemoryError, match=r"needs 4\.0 GB .* 4\.0 GB are free"):
        plan.require_memory()
    Plan(10, 2 * GIB, GIB, 4 * GIB, None, 75.0).require_memory()
    Plan(10, 3 * GIB, GIB, None, None, 75.0).require_memory()


def test_sums_on_a_card_take_no_memory_of_the_machine() -> None:
    plan = Plan(10, 3 * GIB, GIB, 2 * GIB, 8 * GIB, 75.0)
    assert plan.sums_fit_the_card
    plan.require_memory()
    assert not Plan(10, 3 * GIB, GIB, 8 * GIB, 3 * GIB, 75.0).sums_fit_the_card


def test_a_plan_in_words() -> None:
    assert str(Plan(64, 3 * GIB // 2, 0, None, None, 75.0).text) == "64 windows, about 1:15, 1.5 GB of memory"


def values_of(labels: np.ndarray) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.from_numpy(labels), 3).movedim(-1, 0)[None].float()


def test_numbers_agree_when_every_structure_does() -> None:
    labels = np.zeros((64, 64, 64), dtype=np.int64)
    labels[10:20, 10:20, 10:20] = 1
    labels[40:46, 40:46, 40:46] = 2
    exact = values_of(labels)
    assert agrees(exact, exact + 0.1)
    one_voxel_less = labels.copy()
    one_voxel_less[10, 10, 10] = 0
    assert agrees(exact, values_of(one_voxel_less))
    without_the_small_one = np.where(labels == 2, 0, labels)
    assert not agrees(exact, values_of(without_the_small_one))
    assert not agrees(exact, torch.full_like(exact, torch.nan))


def test_one_channel_agrees_by_its_sign() -> None:
    exact = torch.ones((1, 1, 20, 20, 20))
    exact[..., :10] = -1
    assert agrees(exact, exact * 0.9)
    assert not agrees(exact, -exact)


def test_exact_means_float32() -> None:
    torch.manual_seed(0)
    forward = Forward(nn.Conv3d(1, 3, 3, padding=1), "cpu")
    trial = forward.try_out(torch.randn((1, 1, 16, 16, 16)), exact=True)
    assert trial.channels == 3
    assert trial.seconds > 0
    assert forward.precision == Precision(torch.float32)


def test_slices_go_through_a_network_of_two_dimensions() -> None:
    network = nn.Conv2d(1, 2, 3, padding=1)
    windows = torch.randn((3, 1, 12, 1, 9))
    with torch.no_grad():
        found = Forward(network, "cpu", slice_axis=1)(windows)
        wanted = network(windows[:, :, :, 0])
    assert found.shape == (3, 2, 12, 1, 9)
    assert torch.allclose(found[:, :, :, 0], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("cudnn", "sound"),
    [(None, True), (8902, True), (90701, True), (90800, False), (91002, False), (91499, False), (91500, True)],
)
def test_cards_whose_library_is_known_to_be_wrong_compute_in_float32(cudnn: int | None, sound: bool) -> None:
    assert device.short_numbers_are_sound(cudnn) is sound
