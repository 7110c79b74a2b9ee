"""What hints find without a model, against shapes and structures that are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from medview.core.errors import InputError
from medview.core.geometry import Box, Geometry, Point
from medview.core.hint import Hint, HintAnswer
from medview.editing import hint_tool
from medview.phantom.chest import Phantom
from tests.support.volumes import oblique, orientations

Mask = NDArray[np.bool_]
GRIDS = (
    Geometry.from_parts((60, 60, 60), (1.0, 1.0, 1.0)),
    Geometry.from_parts((13, 64, 64), (5.0, 1.0, 1.0)),
    Geometry.from_parts((30, 60, 50), (2.0, 1.0, 1.2), (3.0, -7.0, 2.0), oblique()),
    Geometry.from_parts((60, 34, 60), (1.0, 1.7, 1.0), (3.0, -7.0, 2.0), orientations()[37]),
)


def _places(grid: Geometry) -> NDArray[np.float64]:
    axes = [np.arange(size, dtype=np.float64) for size in grid.shape]
    return grid.to_patient(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1))


def _lesion(grid: Geometry, noise: float = 12.0) -> tuple[NDArray[np.int16], Mask]:
    """A ball of 14 mm in a noisy surrounding, with another one as bright beside it."""
    places, middle = _places(grid), np.asarray(grid.center_mm)
    inside = np.linalg.norm(places - middle, axis=-1) < 14
    axis = grid.direction[:, 2]
    other = np.linalg.norm(places - middle - 26 * axis, axis=-1) < 7
    values = 40.0 + 60 * inside + 60 * other + np.random.default_rng(3).normal(0, noise, grid.shape)
    return values.astype(np.int16), inside


def _beside(grid: Geometry, mm: float, axis: int = 2) -> Point:
    x, y, z = (float(value) for value in np.asarray(grid.center_mm) + mm * grid.direction[:, axis])
    return x, y, z


def _whole(found: HintAnswer, grid: Geometry) -> Mask:
    whole = np.zeros(grid.shape, dtype=bool)
    whole[found.box.slices] = found.inside
    return whole


def _dice(one: Mask, other: Mask) -> float:
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


@pytest.mark.parametrize("grid", GRIDS)
def test_one_scribble_finds_a_lesion_on_any_grid(grid: Geometry) -> None:
    values, truth = _lesion(grid)
    hint = Hint.scribble([_beside(grid, -6), _beside(grid, 6)], radius_mm=1.0)
    found = _whole(hint_tool.by_hints(values, grid, [hint]), grid)
    assert _dice(found, truth) > 0.9


def test_a_hint_outside_takes_away_what_hangs_together() -> None:
    grid = GRIDS[0]
    values, truth = _lesion(grid, 6.0)
    both = np.linalg.norm(_places(grid) - np.asarray(_beside(grid, 20)), axis=-1) < 7
    values[both & ~truth] += 60  # a bridge to the other ball
    yes = Hint.scribble([_beside(grid, -8), _beside(grid, 4)], radius_mm=1.0)
    leaked = _whole(hint_tool.by_hints(values, grid, [yes]), grid)
    no = Hint.scribble([_beside(grid, 18), _beside(grid, 30)], positive=False, radius_mm=1.0)
    held = _whole(hint_tool.by_hints(values, grid, [yes, no]), grid)
    far = np.linalg.norm(_places(grid) - np.asarray(_beside(grid, 26)), axis=-1) < 5
    assert leaked[far].any()
    assert not held[far].any()
    assert _dice(held, truth) > max(0.94, _dice(leaked, truth))


def test_every_hint_is_obeyed() -> None:
    grid = GRIDS[0]
    values, truth = _lesion(grid)
    against = Hint.scribble([_beside(grid, 17, 1), _beside(grid, 24, 1)])  # where the image says no
    hole = Hint.point(_beside(grid, 9, 1), positive=False, radius_mm=2.0)
    found = _whole(hint_tool.by_hints(values, grid, [Hint.point(grid.center_mm), against, hole]), grid)
    for place, wanted in ((_beside(grid, 20, 1), True), (_beside(grid, 9, 1), False), (grid.center_mm, True)):
        assert found[grid.nearest_voxel(place)] == wanted
    assert truth[grid.nearest_voxel(_beside(grid, 9, 1))]


def test_a_structure_larger_than_the_first_look_is_followed() -> None:
    grid = Geometry.from_parts((70, 60, 60), (4.0, 4.0, 4.0))
    places = (_places(grid) - np.asarray(grid.center_mm)) / np.array([60.0, 60.0, 110.0])
    truth = (places**2).sum(-1) < 1
    values = (100 * truth + np.random.default_rng(5).normal(0, 15, grid.shape)).astype(np.float32)
    found = hint_tool.by_hints(values, grid, [Hint.scribble([_beside(grid, -20), _beside(grid, 20)])])
    assert _dice(_whole(found, grid), truth) > 0.9


def test_a_lung_of_the_phantom(small_phantom: Phantom) -> None:
    truth = small_phantom.labels == 1
    grid = small_phantom.volume.geometry
    depth = np.argwhere(truth)
    middle = depth[len(depth) // 2]
    row = np.flatnonzero(truth[middle[0], middle[1]])
    at = [grid.to_patient((float(middle[0]), float(middle[1]), float(row[len(row) // 2]))).tolist()]
    hint = Hint.point((at[0][0], at[0][1], at[0][2]), radius_mm=4.0)
    found = _whole(hint_tool.by_hints(small_phantom.volume.voxels, grid, [hint]), grid)
    assert _dice(found, truth) > 0.85


def test_a_box_holds_what_is_found() -> None:
    grid = GRIDS[0]
    values, truth = _lesion(grid)
    box = Hint.box(*(tuple(float(v) for v in grid.to_patient((n, n, n))) for n in (12.0, 47.0)))  # type: ignore[arg-type]
    found = _whole(hint_tool.by_hints(values, grid, [box]), grid)
    assert _dice(found, truth) > 0.9
    cut = Hint.box(*(tuple(float(v) for v in grid.to_patient((n, 30.0, 30.0))) for n in (12.0, 47.0)))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="too small"):
        hint_tool.by_hints(values, grid, [cut])


def test_what_is_marked_already_goes_on_beyond_the_part_that_is_looked_at() -> None:
    grid = Geometry.from_parts((20, 20, 200), (2.0, 2.0, 2.0))
    rod = np.zeros(grid.shape, dtype=bool)
    rod[6:14, 6:14] = True
    marked = rod.copy()
    marked[:, :, 90:110] = False
    values = (100 * rod + np.random.default_rng(6).normal(0, 10, grid.shape)).astype(np.int16)
    hint = Hint.scribble([_beside(grid, -10), _beside(grid, 10)])

    def belief(box: Box) -> NDArray[np.float32]:
        return np.where(marked[box.slices], 0.9, 0.35).astype(np.float32)

    found = hint_tool.by_hints(values, grid, [hint], belief=belief)
    assert found.box.shape[2] < 200
    assert _dice(found.inside, rod[found.box.slices]) > 0.95
    assert (found.inside == rod[found.box.slices])[:, :, [0, -1]].mean() > 0.95


@pytest.mark.parametrize(
    ("hints", "said"),
    [
        ([Hint.point((0.0, 0.0, 0.0), positive=False)], "Nothing says yet"),
        ([Hint.point((900.0, 0.0, 0.0))], "outside the image"),
        ([], "Nothing says yet"),
    ],
)
def test_hints_that_say_nothing(hints: list[Hint], said: str) -> None:
    values, _ = _lesion(GRIDS[0])
    with pytest.raises(InputError, match=said):
        hint_tool.by_hints(values, GRIDS[0], hints)


def test_an_image_without_numbers_is_refused() -> None:
    values = np.full(GRIDS[0].shape, np.nan, dtype=np.float32)
    with pytest.raises(InputError, match="not numbers"):
        hint_tool.by_hints(values, GRIDS[0], [Hint.point(GRIDS[0].center_mm)])


def test_an_image_without_contrast_is_answered_with_something_around_the_hint() -> None:
    grid = GRIDS[0]
    found = hint_tool.by_hints(np.zeros(grid.shape, dtype=np.uint8), grid, [Hint.point(grid.center_mm)])
    whole = _whole(found, grid)
    assert whole[grid.nearest_voxel(grid.center_mm)]
    assert whole.mean() < 0.5
