"""Remarks as pins on the slices through their places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medview.core.planes import Plane
from medview.views.pins import PIN_COLOR, Pin
from tests.support.screens import PLAIN, Picture, point, screen
from tests.support.volumes import volume

IMAGE = volume(np.full((10, 16, 20), 50, np.int16))
STATE = replace(PLAIN, cursor=point(IMAGE.geometry, 5, 8, 10), annotations_shown=True, crosshair_shown=False)


def pinned(picture: Picture) -> np.ndarray:
    """(n, 2): x, y of what has the colour of a pin."""
    near = np.abs(picture.astype(int) - PIN_COLOR).max(axis=-1) < 40
    return np.argwhere(near)[:, ::-1]


def test_a_pin_stands_on_its_place_on_its_own_slice_alone() -> None:
    place = point(IMAGE.geometry, 5, 6, 12)
    with screen(400, 320) as one:
        view = one.slices(Plane.AXIAL, IMAGE, STATE)
        assert len(pinned(one.frame())) == 0
        before = one.requests
        view.show_pins((Pin(place, "leak\nand more"),))
        assert one.requests == before + 1
        found = pinned(one.frame())
        x, y = view.pixel_of(place)
        needle = found[np.abs(found[:, 0] - x) < 4]
        assert abs(needle[:, 1].min() - y) <= 3, "its point is the place"
        assert found[:, 0].max() > x + 15, "the words are beside it"
        view.apply(replace(STATE, cursor=point(IMAGE.geometry, 6, 8, 10)))
        assert len(pinned(one.frame())) == 0
        view.apply(replace(STATE, annotations_shown=False))
        assert len(pinned(one.frame())) == 0
        view.apply(STATE)
        assert len(pinned(one.frame())) == len(found)
        view.show_pins(())
        assert len(pinned(one.frame())) == 0
        view.close()
