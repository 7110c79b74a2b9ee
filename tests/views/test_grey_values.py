"""Pixels are the voxels through the window, as numpy computes them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from medview.core.planes import Plane
from medview.core.volume import Modality, Window
from tests.support.screens import PLAIN, point, screen
from tests.support.volumes import oblique, volume

SHAPE = (9, 24, 30)


@pytest.mark.parametrize("kind", [np.int16, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("window", [Window(40.0, 400.0), Window(-600.0, 1500.0), Window(75.5, 1.0)])
def test_every_pixel_is_its_voxel_through_the_window(kind: type, inverted: bool, window: Window) -> None:
    values: NDArray[Any] = (
        np.random.default_rng(3).integers(0 if kind is np.uint16 else -1000, 1500, SHAPE).astype(kind)
    )
    values[4, 5, :20] = np.arange(20) * 21 - 160 if kind is not np.uint16 else np.arange(20) * 12
    shown = volume(values, spacing_mm=(2.5, 0.8, 0.8), direction=oblique(), modality=Modality.CT)
    state = replace(PLAIN, window=window, inverted=inverted, cursor=point(shown.geometry, 4, 10, 10))
    with screen(260, 220) as one:
        view = one.slices(Plane.AXIAL, shown, state)
        frame = one.frame()
        pixels = [view.pixel_of(point(shown.geometry, 4, j, i)) for j in range(SHAPE[1]) for i in range(SHAPE[2])]
    found = np.array([frame[int(y), int(x)] for x, y in pixels], dtype=np.float64)
    share = np.clip((values[4].reshape(-1).astype(np.float64) - window.lower) / window.width, 0, 1)
    expected = 255 * (1 - share if inverted else share)
    assert np.abs(found - expected[:, None]).max() <= 1


def test_values_that_are_not_numbers_do_not_spoil_the_others() -> None:
    values = np.full((3, 8, 8), 50.0, dtype=np.float32)
    values[1, 2, 2], values[1, 5, 5] = np.nan, np.inf
    shown = volume(values, unit="")
    with screen(80, 80) as one:
        view = one.slices(Plane.AXIAL, shown, replace(PLAIN, cursor=point(shown.geometry, 1, 4, 4)))
        frame = one.frame()
        x, y = view.pixel_of(point(shown.geometry, 1, 4, 4))
    assert abs(int(frame[int(y), int(x), 0]) - 128) <= 1


def test_smoothing_lies_between_the_voxels_and_none_shows_them() -> None:
    values = np.zeros((1, 2, 2), dtype=np.int16)
    values[0, :, 1] = 100
    shown = volume(values)
    grey = {}
    for smooth in (False, True):
        with screen(100, 100) as one:
            view = one.slices(
                Plane.AXIAL, shown, replace(PLAIN, interpolated=smooth, cursor=point(shown.geometry, 0, 0, 0))
            )
            grey[smooth] = set(one.frame()[50, 5:95, 0].tolist())
            view.close()
    assert grey[False] == {0, 255}
    assert len(grey[True]) > 20


def test_colours_are_shown_as_they_are_and_brightened_by_the_window() -> None:
    colors = np.random.default_rng(5).integers(0, 256, (2, 10, 12, 3)).astype(np.uint8)
    grey = colors.mean(axis=-1).astype(np.int16)
    shown = replace(volume(grey, unit=""), colors=colors, is_spatial=False)
    for window in (Window(127.5, 255.0), Window(100.0, 50.0)):
        state = replace(PLAIN, window=window, interpolated=False, cursor=point(shown.geometry, 1, 5, 5))
        with screen(130, 110) as one:
            view = one.slices(Plane.AXIAL, shown, state)
            frame = one.frame()
            pixels = [view.pixel_of(point(shown.geometry, 1, j, i)) for j in range(10) for i in range(12)]
        found = np.array([frame[int(y), int(x), :3] for x, y in pixels], dtype=np.float64)
        expected = 255 * np.clip((colors[1].reshape(-1, 3) - window.lower) / window.width, 0, 1)
        assert np.abs(found - expected).max() <= 1.5
