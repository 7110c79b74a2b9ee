"""Doubtful places, on phantoms with planted faults."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from medview.core.geometry import Box, Geometry
from medview.editing import doubts
from medview.editing.doubts import Doubt, DoubtKind

SHAPE = (50, 70, 80)
GEOMETRY = Geometry.from_parts(SHAPE, (3.0, 0.8, 0.8), (-10.0, 5.0, 20.0))
ML = GEOMETRY.voxel_mm3 / 1000
KS, JS, IS = np.indices(SHAPE)


def ball(k: float, j: float, i: float, radii: tuple[float, float, float]) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = ((KS - k) / radii[0]) ** 2 + ((JS - j) / radii[1]) ** 2 + (
        (IS - i) / radii[2]
    ) ** 2 <= 1
    return inside


ORGAN = ball(25, 35, 40, (15, 22, 25))


def organ(label: int = 3) -> NDArray[np.uint8]:
    labels: NDArray[np.uint8] = np.where(ORGAN, label, 0).astype(np.uint8)
    return labels


def image(rng: np.random.Generator) -> NDArray[np.int16]:
    """A bright organ in dark surroundings, with noise."""
    voxels = np.where(ORGAN, 100.0, -50.0) + rng.normal(0, 5, SHAPE)
    return voxels.astype(np.int16)


def found(
    labels: NDArray[np.uint8],
    label: int = 3,
    voxels: NDArray[np.int16] | None = None,
    unsure: NDArray[np.float16] | None = None,
) -> tuple[Doubt, ...]:
    return doubts.of_segment(labels, GEOMETRY, label, voxels, unsure)


def of_kind(kind: DoubtKind, among: tuple[Doubt, ...]) -> list[Doubt]:
    return [one for one in among if one.kind is kind]


def test_a_sound_organ_raises_no_doubt() -> None:
    rng = np.random.default_rng(1)
    assert found(organ(), voxels=image(rng), unsure=np.zeros(SHAPE, np.float16)) == ()
    assert found(organ(), label=9) == ()


def test_islands_are_found_with_their_size_the_larger_first() -> None:
    labels = organ()
    labels[3:5, 4:9, 5:9] = 3
    labels[44:46, 60:62, 70:72] = 3
    labels[10, 10, 10] = 4
    listed = found(labels)
    assert [one.kind for one in listed] == [DoubtKind.ISLAND] * 2
    assert [one.ml for one in listed] == pytest.approx([40 * ML, 8 * ML])
    boxes = [Box((3, 4, 5), (5, 9, 9)), Box((44, 60, 70), (46, 62, 72))]
    for one, box in zip(listed, boxes, strict=True):
        assert all(a <= n < b for a, n, b in zip(box.start, one.index, box.stop, strict=True))
        assert one.label == 3


def test_holes_count_only_where_there_is_background() -> None:
    labels = organ()
    labels[20:23, 30:34, 30:33] = 0
    labels[28:30, 40:42, 45:47] = 7
    (hole,) = found(labels)
    assert hole.kind is DoubtKind.HOLE
    assert hole.ml == pytest.approx(36 * ML)
    assert labels[hole.index] == 0
    labels[20, 0:34, 31] = 0
    assert of_kind(DoubtKind.HOLE, found(labels)) == [], "a way leads out"


@pytest.mark.parametrize("number", [18, 25, 31])
def test_a_slice_that_was_forgotten_or_overpainted_is_where_the_area_jumps(number: int) -> None:
    forgotten = organ()
    forgotten[number] = 0
    jumps = of_kind(DoubtKind.JUMP, found(forgotten))
    assert [one.index[0] for one in jumps] == [number]
    area = int(ORGAN[number].sum())
    neighbours = [int(ORGAN[other].sum()) for other in (number - 1, number + 1)]
    assert jumps[0].ml == pytest.approx(max(neighbours) * ML)
    overpainted = organ()
    overpainted[number, 5:65, 5:75] = 3
    jumps = of_kind(DoubtKind.JUMP, found(overpainted))
    assert [one.index[0] for one in jumps] == [number]
    assert jumps[0].ml == pytest.approx((60 * 70 - min(neighbours)) * ML)
    assert area < 60 * 70


def test_a_half_that_is_missing_is_where_it_begins() -> None:
    labels = organ()
    labels[30:, :, 40:] = 0
    (jump,) = of_kind(DoubtKind.JUMP, found(labels))
    assert jump.index[0] in (29, 30)
    assert jump.index[2] >= 40, "in the middle of what differs"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_leak_across_a_strong_edge_is_found_and_what_looks_alike_is_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    voxels, labels = image(rng), organ()
    beyond = ball(25, 35, 70, (6, 8, 8)) & ~ORGAN
    labels[beyond] = 3
    (leak,) = of_kind(DoubtKind.LEAK, found(labels, voxels=voxels))
    assert beyond[leak.index]
    assert 0.2 * beyond.sum() * ML < leak.ml <= beyond.sum() * ML
    voxels[beyond] = (100 + rng.normal(0, 5, SHAPE))[beyond].astype(np.int16)
    assert of_kind(DoubtKind.LEAK, found(labels, voxels=voxels)) == []


def test_a_leak_into_a_brighter_neighbour_is_found_too() -> None:
    rng = np.random.default_rng(5)
    voxels, labels = image(rng), organ()
    bone = ball(25, 62, 40, (8, 10, 12)) & ~ORGAN
    voxels[bone] = (700 + rng.normal(0, 30, SHAPE))[bone].astype(np.int16)
    labels[bone] = 3
    (leak,) = of_kind(DoubtKind.LEAK, found(labels, voxels=voxels))
    assert bone[leak.index]


def test_places_at_which_the_model_was_unsure_count_near_the_segment_alone() -> None:
    unsure = np.zeros(SHAPE, np.float16)
    near, far = ball(25, 35, 62, (3, 4, 4)), ball(4, 6, 6, (2, 3, 3))
    unsure[near], unsure[far] = 0.6, 0.9
    unsure[25, 35, 63] = 0.95
    unsure[40, 10, 10] = 0.4
    (one,) = found(organ(), unsure=unsure)
    assert (one.kind, one.index) == (DoubtKind.UNSURE, (25, 35, 63))
    weight = float(np.asarray(unsure, np.float64)[near].sum())
    assert one.ml == pytest.approx(weight * ML, rel=1e-3)


def test_all_kinds_together_are_sorted_by_how_much_they_are_about() -> None:
    rng = np.random.default_rng(8)
    labels, voxels = organ(), image(rng)
    labels[3:5, 4:9, 5:9] = 3
    labels[20:22, 30:34, 30:33] = 0
    labels[34] = 0
    listed = found(labels, voxels=voxels)
    assert {one.kind for one in listed} >= {DoubtKind.ISLAND, DoubtKind.HOLE, DoubtKind.JUMP}
    assert [one.ml for one in listed] == sorted((one.ml for one in listed), reverse=True)


def test_a_segment_that_fills_the_image_has_no_outline_to_doubt() -> None:
    labels = np.ones(SHAPE, np.uint8)
    assert found(labels, label=1, voxels=np.zeros(SHAPE, np.int16)) == ()


@pytest.mark.parametrize("shape", [(1, 40, 50), (2, 40, 50), (3, 40, 50), (40, 1, 1), (1, 1, 1)])
def test_thin_grids_and_thin_segments_are_looked_at_too(shape: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(3)
    geometry = Geometry.from_parts(shape, (3.0, 0.8, 0.8))
    voxels = rng.integers(0, 100, shape).astype(np.int16)
    labels = np.zeros(shape, np.uint8)
    labels[: max(1, shape[0] // 2), : max(1, shape[1] // 2), : max(1, shape[2] // 2)] = 3
    whole = doubts.of_segment(labels, geometry, 3, voxels, rng.random(shape).astype(np.float16) * 0.4)
    assert of_kind(DoubtKind.ISLAND, whole) == []
    assert of_kind(DoubtKind.HOLE, whole) == []
    one_slice = organ()
    one_slice[:20], one_slice[21:] = 0, 0
    assert found(one_slice, voxels=image(rng)) == ()
