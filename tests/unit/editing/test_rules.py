from __future__ import annotations

import numpy as np
import pytest

from medview.editing import rules
from medview.editing.rules import Overwrite, PaintRules

BEFORE = np.array([[[0, 1, 2, 3, 0, 1, 2, 3]]], dtype=np.uint8)
HALF = np.array([[[True, True, True, True, False, False, False, False]]])


def test_painting_takes_all_but_the_locked() -> None:
    after = rules.painted(BEFORE, HALF, 1, frozenset({3}))
    assert after.tolist() == [[[1, 1, 1, 3, 0, 1, 2, 3]]]


def test_painting_a_locked_segment_changes_nothing() -> None:
    np.testing.assert_array_equal(rules.painted(BEFORE, HALF, 1, frozenset({1})), BEFORE)


def test_erasing_takes_the_segment_in_work_only() -> None:
    assert rules.erased(BEFORE, HALF, 2, frozenset()).tolist() == [[[0, 1, 0, 3, 0, 1, 2, 3]]]


def test_erasing_all_leaves_the_locked() -> None:
    assert rules.erased(BEFORE, HALF, None, frozenset({1})).tolist() == [[[0, 1, 0, 0, 0, 1, 2, 3]]]


def test_filling_takes_background_only() -> None:
    assert rules.filled(BEFORE, np.ones_like(HALF), 2).tolist() == [[[2, 1, 2, 3, 2, 1, 2, 3]]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_was_before_is_left_alone_and_the_type_stays(dtype: type[np.uint8] | type[np.uint16]) -> None:
    before = BEFORE.astype(dtype)
    for after in (
        rules.painted(before, HALF, 3, frozenset()),
        rules.erased(before, HALF, None, frozenset()),
        rules.filled(before, HALF, 3),
    ):
        assert after.dtype == dtype
        assert (after != before).any()
    np.testing.assert_array_equal(before, BEFORE)


def test_on_wish_painting_takes_background_only() -> None:
    only = PaintRules(Overwrite.BACKGROUND)
    assert rules.painted(BEFORE, np.ones_like(HALF), 1, frozenset(), only).tolist() == [[[1, 1, 2, 3, 1, 1, 2, 3]]]


def test_on_wish_painting_takes_chosen_segments_only_and_no_locked_one() -> None:
    chosen = PaintRules(Overwrite.CHOSEN, frozenset({0, 2, 3}))
    everywhere = np.ones_like(HALF)
    assert rules.painted(BEFORE, everywhere, 1, frozenset({3}), chosen).tolist() == [[[1, 1, 1, 3, 1, 1, 1, 3]]]
    inside = PaintRules(Overwrite.CHOSEN, frozenset({2}))
    assert rules.painted(BEFORE, HALF, 1, frozenset(), inside).tolist() == [[[0, 1, 1, 3, 0, 1, 2, 3]]]
    assert rules.filled(BEFORE, everywhere, 1, frozenset(), inside).tolist() == [[[0, 1, 1, 3, 0, 1, 1, 3]]]
    assert rules.filled(BEFORE, everywhere, 1, frozenset({2}), inside).tolist() == BEFORE.tolist()
