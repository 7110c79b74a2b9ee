from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medview.core.geometry import Box, Geometry, Index
from medview.core.segmentation import LabelsChanged, Segment, Segmentation
from medview.core.text import Text
from medview.editing import blocks
from medview.editing.history import Edit, Recorder, UndoStack, write_blocks

SHAPE = (40, 50, 70)
GEOMETRY = Geometry.from_parts(SHAPE, (1.0, 1.0, 1.0))
NAME = Text("Brush")


def empty(dtype: type[np.uint8] | type[np.uint16] = np.uint8) -> Segmentation:
    return Segmentation(GEOMETRY, np.zeros(SHAPE, dtype), (Segment(1, "one", (1, 2, 3)),))


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    start, stop = [], []
    for size in SHAPE:
        a = draw(st.integers(0, size - 1))
        start.append(a)
        stop.append(draw(st.integers(a + 1, size)))
    return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


CHANGE = st.tuples(boxes(), st.integers(0, 255), st.booleans())


def apply(target: Segmentation, changes: list[tuple[Box, int, bool]]) -> Edit | None:
    """Fill boxes: evenly, or with noise that does not compress."""
    recorder = Recorder(target)
    for box, value, noisy in changes:
        recorder.touch(box)
        if noisy:
            target.write(box, np.random.default_rng(value).integers(0, 256, box.shape).astype(target.labels.dtype))
        else:
            target.write(box, np.full(box.shape, value, target.labels.dtype))
    return recorder.finish(NAME)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(CHANGE, min_size=1, max_size=3), max_size=8), st.sampled_from((np.uint8, np.uint16)))
def test_any_list_of_edits_undoes_and_redoes_bit_for_bit(
    edits: list[list[tuple[Box, int, bool]]], dtype: type[np.uint8] | type[np.uint16]
) -> None:
    target, stack = empty(dtype), UndoStack()
    states = [target.labels.copy()]
    for changes in edits:
        edit = apply(target, changes)
        if edit is not None:
            stack.push(edit)
            states.append(target.labels.copy())
    for state in reversed(states[:-1]):
        assert stack.undo(target) is not None
        np.testing.assert_array_equal(target.labels, state)
    assert stack.undo(target) is None
    for state in states[1:]:
        assert stack.redo(target) is not None
        np.testing.assert_array_equal(target.labels, state)
    assert stack.redo(target) is None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(CHANGE, st.integers(0, 2), st.integers(0, 2)), max_size=10), st.integers(0, 200_000))
def test_the_limit_is_never_exceeded(steps: list[tuple[tuple[Box, int, bool], int, int]], limit: int) -> None:
    target, stack = empty(), UndoStack(limit)
    for change, undos, redos in steps:
        edit = apply(target, [change])
        if edit is not None:
            stack.push(edit)
            assert stack.nbytes <= limit
        for _ in range(undos):
            stack.undo(target)
            assert stack.nbytes <= limit
        for _ in range(redos):
            stack.redo(target)
            assert stack.nbytes <= limit


def test_the_oldest_edits_are_forgotten_first() -> None:
    target = empty()
    cost = 0
    states = []
    edits = []
    for number in range(6):
        states.append(target.labels.copy())
        edit = apply(target, [(Box((0, 0, 0), (32, 32, 32)), number, True)])
        assert edit is not None
        edits.append(edit)
        cost = max(cost, edit.nbytes)
    stack = UndoStack(3 * cost + 10)
    for edit in edits:
        stack.push(edit)
    for state in states[:2:-1]:
        assert stack.undo(target) is not None
        np.testing.assert_array_equal(target.labels, state)
    assert stack.undo(target) is None


def test_an_edit_that_changes_nothing_is_none() -> None:
    target = empty()
    assert apply(target, [(Box((0, 0, 0), (9, 9, 9)), 0, False)]) is None
    box = Box((0, 0, 0), (9, 9, 9))
    recorder = Recorder(target)
    recorder.touch(box)
    target.write(box, np.ones(box.shape, np.uint8))
    target.write(box, np.zeros(box.shape, np.uint8))
    assert recorder.finish(NAME) is None


def test_the_list_of_segments_is_part_of_an_edit() -> None:
    target, stack = empty(), UndoStack()
    old = target.segments
    recorder = Recorder(target)
    target.set_segments(())
    edit = recorder.finish(Text("Remove"))
    assert edit is not None
    assert edit.changes_segments
    stack.push(edit)
    stack.undo(target)
    assert target.segments == old
    stack.redo(target)
    assert target.segments == ()


def test_a_new_edit_ends_what_could_be_redone_of_its_segmentation_only() -> None:
    one, other, stack = empty(), empty(), UndoStack()
    for target in (one, other):
        edit = apply(target, [(Box((0, 0, 0), (5, 5, 5)), 1, False)])
        assert edit is not None
        stack.push(edit)
        stack.undo(target)
    edit = apply(one, [(Box((1, 1, 1), (5, 5, 5)), 2, False)])
    assert edit is not None
    stack.push(edit)
    assert stack.last_undone(one) is None
    assert stack.redo(other) is not None
    assert other.labels[0, 0, 0] == 1
    assert stack.undo(one) is not None
    assert not one.labels.any()
    stack.forget(one)
    assert stack.last_undone(one) is None
    assert stack.last_done(other) is not None


def test_abort_puts_everything_back() -> None:
    target = empty()
    apply(target, [(Box((3, 3, 3), (20, 40, 60)), 5, True)])
    before = target.labels.copy()
    recorder = Recorder(target)
    box = Box((0, 0, 0), (30, 30, 30))
    recorder.touch(box)
    target.write(box, np.full(box.shape, 9, np.uint8))
    recorder.abort()
    np.testing.assert_array_equal(target.labels, before)


def test_undo_says_where_it_wrote_and_writes_nowhere_else() -> None:
    target = empty()
    edit = apply(target, [(Box((1, 1, 1), (3, 3, 3)), 1, False), (Box((38, 48, 68), (40, 50, 70)), 1, False)])
    assert edit is not None
    heard: list[Box] = []
    target.changed.connect(lambda change: heard.append(change.box) if isinstance(change, LabelsChanged) else None)
    before = target.labels.copy()
    edit.swap()
    changed = before != target.labels
    assert changed.sum() == 16
    for box in heard:
        changed[box.slices] = False
    assert not changed.any()


def test_blocks_far_apart_are_written_one_by_one() -> None:
    target = Segmentation(Geometry.from_parts((128, 128, 128), (1.0, 1.0, 1.0)))
    heard: list[Box] = []
    target.changed.connect(lambda change: heard.append(change.box) if isinstance(change, LabelsChanged) else None)
    ones = np.ones((32, 32, 32), np.uint8)
    write_blocks(target, {(0, 0, 0): ones, (3, 3, 3): ones})
    assert [box.shape for box in heard] == [(32, 32, 32), (32, 32, 32)]
    assert target.labels.sum() == 2 * 32**3


@given(boxes())
def test_blocks_cover_the_box_and_no_more_than_they_must(box: Box) -> None:
    covered = np.zeros(SHAPE, dtype=int)
    for block in blocks.covering(box, SHAPE):
        one = blocks.box_of(block, SHAPE)
        assert not one.intersection(box).is_empty
        covered[one.slices] += 1
    assert covered.max() == 1
    assert (covered[box.slices] == 1).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(32, 32, 32), (1, 5, 32), (1, 1, 1)])
def test_packed_blocks_come_back(dtype: type[np.uint8] | type[np.uint16], shape: Index) -> None:
    noise = np.random.default_rng(7).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    for values in (noise, np.full(shape, np.iinfo(dtype).max, dtype), np.zeros(shape, dtype)):
        back = blocks.unpack(blocks.pack(values), shape, dtype)
        assert back.dtype == dtype
        np.testing.assert_array_equal(back, values)
    assert len(blocks.pack(np.zeros(shape, dtype))) <= 3


@pytest.mark.parametrize("damaged", [b"", b"u", b"z123", b"x" * 9])
def test_damaged_blocks_are_refused(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r"damaged|reshape"):
        blocks.unpack(damaged, (4, 4, 4), np.uint8)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(CHANGE, min_size=1, max_size=2), min_size=1, max_size=7), st.lists(st.integers(0, 7)))
def test_a_jump_ends_where_single_steps_would(edits: list[list[tuple[Box, int, bool]]], jumps: list[int]) -> None:
    target, stack = empty(), UndoStack()
    states, lists = [target.labels.copy()], [target.segments]
    for number, changes in enumerate(edits):
        recorder = Recorder(target)
        for box, value, _ in changes:
            recorder.touch(box)
            target.write(box, np.full(box.shape, value, np.uint8))
        if number % 3 == 1:
            target.set_segments((Segment(1, f"after {number}", (1, 2, 3)),))
        edit = recorder.finish(NAME)
        if edit is not None:
            stack.push(edit)
            states.append(target.labels.copy())
            lists.append(target.segments)
    for jump in jumps:
        wanted = min(jump, len(states) - 1)
        here = stack.edits(target)[1]
        moved = stack.move(target, wanted - here)
        assert len(moved) == abs(wanted - here)
        np.testing.assert_array_equal(target.labels, states[wanted])
        assert target.segments == lists[wanted]
        all_edits, done = stack.edits(target)
        assert (len(all_edits), done) == (len(states) - 1, wanted)
        for step, (_, side) in enumerate(moved, start=1):
            # What each step put there is what a journal needs to say of it.
            after = states[here + step if wanted > here else here - step]
            for block, image in side.images.items():
                box = blocks.box_of(block, SHAPE)
                np.testing.assert_array_equal(blocks.unpack(image, box.shape, np.uint8), after[box.slices])


def test_a_jump_writes_once() -> None:
    target, stack = empty(), UndoStack()
    for value in range(1, 9):
        edit = apply(target, [(Box((4, 4, 4), (9, 9, 9)), value, False)])
        assert edit is not None
        stack.push(edit)
    heard: list[object] = []
    target.changed.connect(heard.append)
    stack.move(target, -8)
    assert len(heard) == 1
    assert not target.labels.any()
    assert stack.move(target, -1) == []
    assert len(stack.move(target, 99)) == 8
    assert (target.labels[4:9, 4:9, 4:9] == 8).all()
