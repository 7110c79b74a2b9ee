from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medview.core.volume import Modality, Window
from medview.phantom.chest import Phantom
from medview.workstation.windowing import SOFT_TISSUE, initial_window
from tests.support import volumes


def test_the_stored_window_comes_first(small_phantom: Phantom) -> None:
    volume = replace(small_phantom.volume, windows=(Window(-600.0, 1500.0), Window(40.0, 400.0)))
    assert initial_window(volume) == Window(-600.0, 1500.0)


def test_a_stored_window_that_shows_nothing_is_passed_over(small_phantom: Phantom) -> None:
    volume = replace(small_phantom.volume, windows=(Window(9000.0, 100.0), Window(-600.0, 1500.0)))
    assert initial_window(volume) == Window(-600.0, 1500.0)


def test_hounsfield_units_without_a_window_show_soft_tissue(small_phantom: Phantom) -> None:
    assert initial_window(replace(small_phantom.volume, windows=())) == SOFT_TISSUE


def test_mr_without_a_window_shows_the_body_and_black_air(small_phantom: Phantom) -> None:
    random = np.random.default_rng(5)
    voxels = random.integers(0, 12, small_phantom.labels.shape).astype(np.int16)
    body = small_phantom.volume.voxels > -500
    voxels[body] = random.normal(600, 80, int(body.sum())).astype(np.int16)
    voxels[20, 30, 30] = 30000
    window = initial_window(replace(small_phantom.volume, voxels=voxels, windows=(), unit="", modality=Modality.MR))
    assert window.lower < 10
    assert 700 < window.upper < 1000


def test_only_slices_that_are_in_are_looked_at(small_phantom: Phantom) -> None:
    voxels = np.zeros((40, 64, 64), np.int16)
    voxels[20] = np.random.default_rng(5).integers(100, 200, (64, 64))
    volume = replace(small_phantom.volume, voxels=voxels, windows=(), unit="", modality=Modality.MR)
    window = initial_window(volume, slice(20, 21))
    assert 90 < window.lower < 110
    assert 190 < window.upper < 210


@pytest.mark.parametrize("value", [0, 7])
def test_an_empty_image_still_has_a_window(value: int, small_phantom: Phantom) -> None:
    voxels = np.full((40, 64, 64), value, np.int16)
    window = initial_window(replace(small_phantom.volume, voxels=voxels, windows=(), unit=""))
    assert window.width > 0


def test_a_stored_window_that_leaves_mr_in_the_dark_is_passed_over(small_phantom: Phantom) -> None:
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 150, small_phantom.volume.voxels.shape).astype(np.int16)
    mr = replace(small_phantom.volume, voxels=voxels, unit="", modality=Modality.MR, windows=(Window(470, 950),))
    window = initial_window(mr)
    assert window.lower < 20
    assert 100 < window.upper < 170


def test_a_far_window_of_a_ct_is_meant(small_phantom: Phantom) -> None:
    ct = replace(small_phantom.volume, windows=(Window(600, 2800),))
    assert initial_window(ct) == Window(600, 2800)


def test_what_fills_up_the_frame_does_not_set_the_window() -> None:
    rng = np.random.default_rng(1)
    measured = rng.integers(100, 900, (4, 32, 32)).astype(np.int16)
    padded = measured.copy()
    padded[:, :8] = -32768
    plain = initial_window(volumes.volume(measured, modality=Modality.MR, unit=""))
    found = initial_window(volumes.volume(padded, modality=Modality.MR, unit=""))
    assert found.lower == pytest.approx(plain.lower, abs=20)
    assert found.upper == pytest.approx(plain.upper, abs=20)


def test_hounsfield_units_without_tissue_are_not_shown_black() -> None:
    air = np.random.default_rng(2).integers(-1024, -770, (4, 32, 32)).astype(np.int16)
    window = initial_window(volumes.volume(air))
    assert window.lower < -900
    assert window.upper < -700
