"""What a tool is about to do, on rendered pixels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from medview.core.geometry import Box, Floats
from medview.core.planes import Plane
from medview.core.text import Text
from medview.core.volume import Volume
from medview.views.edit_preview import INSIDE_COLOR, OUTSIDE_COLOR, EditPreview
from medview.views.slice_view import SliceView
from tests.support.screens import PLAIN, Picture, screen
from tests.support.volumes import oblique, orientations, volume

GREEN = (0, 200, 0)
SHAPE = (9, 12, 14)


def blank(direction: Floats | None = None) -> Volume:
    return volume(np.full(SHAPE, -100, np.int16), spacing_mm=(3.0, 1.0, 1.3), direction=direction)


def greenish(picture: Picture) -> NDArray[np.bool_]:
    """(y, x): pixels that have something of the preview's colour."""
    wide = picture.astype(int)
    found: NDArray[np.bool_] = (wide[..., 1] > 60) & (wide[..., 0] < 0.5 * wide[..., 1] + 20)
    return found


def voxel_under(view: SliceView, x: int, y: int) -> tuple[int, int, int] | None:
    return view.voxel_at(x + 0.5, y + 0.5)


@pytest.mark.parametrize("plane", Plane)
@pytest.mark.parametrize("turn", [*range(0, 48, 7), "oblique"])
def test_the_voxels_of_a_mask_are_filled_where_they_are(plane: Plane, turn: int | str) -> None:
    shown = blank(oblique() if isinstance(turn, str) else orientations()[turn])
    box = Box((2, 3, 4), (7, 9, 10))
    mask = np.random.default_rng(2).random(box.shape) > 0.5
    whole = np.zeros(SHAPE, bool)
    whole[box.slices] = mask
    with screen(130, 110) as window:
        view = window.slices(plane, shown)
        view.show_preview(EditPreview(GREEN, view.index, mask=(box, mask), outlined=False))
        picture = greenish(window.frame())
        seen = 0
        for y in range(0, 110, 3):
            for x in range(0, 130, 3):
                voxel = voxel_under(view, x, y)
                around = {voxel_under(view, x + dx, y + dy) for dx in (-1, 1) for dy in (-1, 1)}
                if voxel is not None and around == {voxel}:
                    assert picture[y, x] == whole[voxel]
                    seen += 1
        assert seen > 200


def test_a_mask_shows_on_its_own_slices_only_and_goes_again() -> None:
    shown = blank()
    box = Box((2, 0, 0), (5, 12, 14))
    with screen(130, 110) as window:
        view = window.slices(Plane.AXIAL, shown)
        view.show_preview(EditPreview(GREEN, mask=(box, np.ones(box.shape, bool))))
        for k in range(SHAPE[0]):
            x, y, z = (float(value) for value in shown.geometry.to_patient((k, 5, 5)))
            view.apply(PLAIN.__class__(cursor=(x, y, z), annotations_shown=False, window=PLAIN.window))
            assert bool(greenish(window.frame()).any()) == (2 <= k < 5)
        before = window.requests
        view.show_preview(None)
        assert window.requests == before + 1
        assert not greenish(window.frame()).any()


def test_lines_corners_and_words_are_drawn_on_their_slice() -> None:
    shown = blank()
    with screen(200, 160) as window:
        view = window.slices(Plane.AXIAL, shown)
        index = view.index
        ring = shown.geometry.to_patient(np.array([[index, 2.0, 2], [index, 2, 9], [index, 8, 9], [index, 2, 2]]))
        view.show_preview(EditPreview(GREEN, index, (ring,), ring[:3]))
        picture = (window.frame() == GREEN).all(axis=-1)
        for one, other in pairwise(ring):
            for share in np.linspace(0.1, 0.9, 9):
                at = one + share * (other - one)
                x, y = (round(value - 0.5) for value in view.pixel_of((at[0], at[1], at[2])))
                assert picture[y - 1 : y + 2, x - 1 : x + 2].any()
        plain = int(greenish(window.frame()).sum())
        view.show_preview(EditPreview(GREEN, index, (ring,), ring[:3], text=Text("30 HU"), at=tuple(ring[2])))
        assert int(greenish(window.frame()).sum()) > plain + 30
        view.show_preview(EditPreview(GREEN, index + 1, (ring,)))
        assert not (window.frame() == GREEN).all(axis=-1).any()


def test_what_a_model_proposes_is_hatched_and_hints_have_their_colours() -> None:
    shown = blank()
    box = Box((0, 0, 0), SHAPE)
    with screen(260, 220) as window:
        view = window.slices(Plane.AXIAL, shown)
        index = view.index
        mask = (box, np.ones(SHAPE, bool))
        view.show_preview(EditPreview((200, 0, 200), index, mask=mask))
        full = window.frame()
        view.show_preview(EditPreview((200, 0, 200), index, mask=mask, hatched=True))
        hatched = window.frame()
        filled = full[60:160, 80:180, 2] > 60
        lines = hatched[60:160, 80:180, 2] > 60
        assert filled.mean() > 0.95
        assert 0.25 < lines.mean() < 0.6
        yes = shown.geometry.to_patient(np.array([[index, 3.0, 3], [index, 3, 10]]))
        no = shown.geometry.to_patient(np.array([[index, 8.0, 5]]))
        view.show_preview(EditPreview((200, 0, 200), index, hints=((True, yes), (False, no)), hatched=True))
        picture = window.frame()
        for wanted, color in ((yes.mean(axis=0), INSIDE_COLOR), (no[0], OUTSIDE_COLOR)):
            x, y = (round(value - 0.5) for value in view.pixel_of((wanted[0], wanted[1], wanted[2])))
            around = picture[y - 6 : y + 7, x - 6 : x + 7]
            assert (np.abs(around.astype(int) - color) <= 2).all(axis=-1).any()
        assert not (np.abs(picture.astype(int) - (200, 0, 200)) <= 2).all(axis=-1).any()
