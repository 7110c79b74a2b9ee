"""The difference from the first labels, against numpy on two whole label maps."""

from __future__ import annotations

import numpy as np
import pytest

from medview.core.geometry import Box, Geometry, Index
from medview.core.segmentation import Labels, Segment, Segmentation
from medview.core.text import Text
from medview.editing.difference import ADDED, EXCHANGED, REMOVED, Difference, DifferenceCount, map_of
from medview.editing.first_labels import FirstLabels
from medview.editing.history import Recorder

SHAPE = (45, 70, 50)


def random_labels(rng: np.random.Generator, dtype: str) -> Labels:
    labels: Labels = np.zeros(SHAPE, dtype=dtype)
    for label in (1, 2, 9):
        start = rng.integers(0, 30, 3)
        labels[tuple(slice(a, a + 18) for a in start)] = label
    return labels


def random_box(rng: np.random.Generator) -> Box:
    start = rng.integers(0, np.array(SHAPE) - 12)
    stop = start + rng.integers(1, 12, 3)
    return Box((int(start[0]), int(start[1]), int(start[2])), (int(stop[0]), int(stop[1]), int(stop[2])))


class Corrected:
    """A segmentation that is changed at random, with all that is kept of how it came."""

    def __init__(self, seed: int, dtype: str = "uint8") -> None:
        self.rng = np.random.default_rng(seed)
        self.before = random_labels(self.rng, dtype)
        geometry = Geometry.from_parts(SHAPE, (5.0, 1.0, 1.0))
        self.segmentation = Segmentation(geometry, self.before.copy(), (Segment(1, "One", (1, 2, 3)),))
        self.first = FirstLabels(self.segmentation)
        self.count = DifferenceCount(self.segmentation, self.first)

    def change(self, box: Box, label: int) -> None:
        recorder = Recorder(self.segmentation)
        recorder.touch(box)
        self.segmentation.write(box, np.full(box.shape, label, self.before.dtype))
        edit = recorder.finish(Text("Change"))
        if edit is not None:
            self.first.keep(edit.images)
            self.count.changed(edit.images)

    def change_at_random(self, times: int) -> None:
        for _ in range(times):
            self.change(random_box(self.rng), int(self.rng.choice([0, 0, 1, 2, 9])))


def by_numpy(before: Labels, after: Labels) -> tuple[dict[int, int], dict[int, int], list[list[int]]]:
    """Added and removed voxels by label, and the slices that differ across each axis."""
    differs = before != after
    added = {int(n): int(((after == n) & differs).sum()) for n in np.unique(after) if n}
    removed = {int(n): int(((before == n) & differs).sum()) for n in np.unique(before) if n}
    slices = [
        [index for index in range(before.shape[axis]) if np.take(differs, index, axis).any()] for axis in range(3)
    ]
    return {k: v for k, v in added.items() if v}, {k: v for k, v in removed.items() if v}, slices


def check(found: Difference, before: Labels, after: Labels) -> None:
    added, removed, slices = by_numpy(before, after)
    assert dict(found.added) == added
    assert dict(found.removed) == removed
    assert [found.slices(axis).tolist() for axis in range(3)] == slices
    assert found.box == Box.around(before != after)
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        np.testing.assert_array_equal(found.gained[axis], ((before != after) & (after != 0)).sum(axis=others))
        np.testing.assert_array_equal(found.lost[axis], ((before != after) & (before != 0)).sum(axis=others))


@pytest.mark.parametrize(("seed", "dtype"), [(1, "uint8"), (2, "uint16"), (3, "uint8")])
def test_what_is_counted_block_by_block_is_what_two_whole_maps_say(seed: int, dtype: str) -> None:
    one = Corrected(seed, dtype)
    check(one.count.result(), one.before, one.before)
    for _ in range(4):
        one.change_at_random(3)
        check(one.count.result(), one.before, one.segmentation.labels)
    assert one.count.net().sum() == int((one.segmentation.labels != 0).sum()) - int((one.before != 0).sum())


def test_what_was_changed_back_differs_no_more() -> None:
    one = Corrected(5)
    one.before[...] = 0
    one.segmentation.write(Box.whole(SHAPE), one.before)
    one.change(Box((3, 3, 3), (40, 40, 40)), 2)
    assert one.count.result().added == {2: 37**3}
    one.change(Box((3, 3, 3), (40, 40, 40)), 0)
    found = one.count.result()
    assert (found.added, found.removed, found.box.is_empty) == ({}, {}, True)


def test_first_labels_come_back_in_any_box() -> None:
    one = Corrected(7)
    one.change_at_random(12)
    np.testing.assert_array_equal(one.first.within(Box.whole(SHAPE)), one.before)
    for _ in range(20):
        box = random_box(one.rng)
        np.testing.assert_array_equal(one.first.within(box), one.before[box.slices])
        plane = box.narrowed(1, 30, 31)
        np.testing.assert_array_equal(one.first.within(plane), one.before[plane.slices])
    assert one.first.nbytes < one.before.nbytes / 4


def test_counting_can_be_done_bit_by_bit() -> None:
    one = Corrected(11)
    one.change_at_random(20)
    turns = 1
    while not one.count.refresh(0.0):
        turns += 1
    assert turns > 3
    check(one.count.result(), one.before, one.segmentation.labels)


def test_the_map_tells_added_removed_and_exchanged() -> None:
    rng = np.random.default_rng(13)
    shape: Index = (6, 7, 8)
    before, after = (rng.integers(0, 3, shape).astype(np.uint16) for _ in range(2))
    found = map_of(before, after)
    for place in np.ndindex(shape):
        was, now = before[place], after[place]
        expected = 0 if was == now else ADDED if was == 0 else REMOVED if now == 0 else EXCHANGED
        assert found[place] == expected
