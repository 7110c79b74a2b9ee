"""A map over a slice: as strong as its numbers, in its place, with its legend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medview.core.evidence import NOT_THE_DISEASE
from medview.core.planes import Plane
from medview.core.volume import Modality, Volume, VolumeId, Window
from tests.support.screens import PLAIN, colors_in, point, screen
from tests.support.volumes import oblique, volume

SHAPE = (10, 16, 20)
IMAGE = volume(np.full(SHAPE, 50, np.int16), spacing_mm=(2.0, 1.0, 1.5), direction=oblique())
STATE = replace(PLAIN, cursor=point(IMAGE.geometry, 5, 8, 10), map_opacity=0.6, interpolated=False)
SIZE = (240, 200)
GREY = 128
YELLOW = np.array([240, 249, 33])


def made_map(values: np.ndarray) -> Volume:
    return Volume(
        VolumeId("map"), IMAGE.geometry, values, Modality.OTHER, "%", "map", "Evidence", (Window.between(0, 100),),
        caution=NOT_THE_DISEASE,
    )  # fmt: skip


def percent() -> np.ndarray:
    """Nothing but one voxel of 100, and one of 20, in the slice that is shown."""
    values = np.zeros(SHAPE, np.uint8)
    values[5, 8, 4], values[5, 8, 15] = 100, 20
    return values


@pytest.mark.parametrize("plane", list(Plane))
def test_it_is_as_strong_as_its_numbers_and_leaves_the_rest_alone(plane: Plane) -> None:
    with screen(*SIZE) as one:
        for k, j, i, strength in ((5, 8, 4, 0.6), (5, 8, 15, 0.6 * 0.4), (5, 8, 9, 0.0)):
            state = replace(STATE, cursor=point(IMAGE.geometry, k, j, i))
            view = one.slices(plane, IMAGE, state)
            view.set_map(made_map(percent()))
            frame = one.frame()
            x, y = view.pixel_of(point(IMAGE.geometry, k, j, i))
            seen = frame[int(y), int(x)].astype(float)
            if strength == 0.6:
                np.testing.assert_allclose(seen, 0.6 * YELLOW + 0.4 * GREY, atol=3)
            elif strength:
                grey_left = np.abs(seen - GREY).max()
                assert 5 < grey_left < 60
            else:
                np.testing.assert_allclose(seen, GREY, atol=1)


def test_it_goes_and_comes_with_its_opacity_and_leaves_no_trace() -> None:
    with screen(*SIZE) as one:
        view = one.slices(Plane.AXIAL, IMAGE, STATE)
        bare = one.frame()
        view.set_map(made_map(percent()))
        assert len(colors_in(one.frame())) > len(colors_in(bare))
        view.apply(replace(STATE, map_opacity=0.0))
        assert np.array_equal(one.frame(), bare)
        view.apply(STATE)
        assert not np.array_equal(one.frame(), bare)
        view.set_map(None)
        assert np.array_equal(one.frame(), bare)


def test_the_legend_shows_all_colours_and_goes_with_the_annotations() -> None:
    with screen(420, 360) as one:
        state = replace(STATE, annotations_shown=True, crosshair_shown=False)
        view = one.slices(Plane.AXIAL, IMAGE, state)
        bare = one.frame()
        view.set_map(made_map(np.zeros(SHAPE, np.uint8)))
        frame = one.frame()
        changed = np.argwhere((frame != bare).any(axis=-1))
        assert changed[:, 1].min() > 0.5 * frame.shape[1]
        right = frame[:, frame.shape[1] - 18].astype(int)
        yellow, blue = (np.flatnonzero(np.abs(right - color).max(axis=-1) < 12) for color in (YELLOW, (13, 8, 135)))
        assert yellow.size
        assert blue.size
        assert yellow.mean() > blue.mean()  # rows count from below
        view.apply(replace(state, annotations_shown=False))
        shown = one.frame()
        view.set_map(None)
        assert np.array_equal(shown, one.frame())
