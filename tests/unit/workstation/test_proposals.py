"""The rules of painting, on the brush and on what tools propose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medview.core.geometry import Box
from medview.core.text import Text
from medview.core.volume import VolumeId
from medview.editing.reshape import Proposal
from medview.editing.rules import Overwrite, PaintRules
from tests.support import editing_run
from tests.support.editing_run import Station
from tests.unit.workstation.test_correction import SPHERE, adopted, ball, dab


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Station]:
    station = editing_run.station(tmp_path / "journals")
    yield station
    station.close()


def test_the_rules_hold_for_the_brush_and_for_what_tools_propose(one: Station) -> None:
    segmentation = adopted(one)
    before = one.labels.copy()
    one.correction.set_options(SPHERE)
    near = ball(one, 20, 30, 60, 6.0)
    everywhere = np.ones(before.shape, bool)
    proposal = Proposal(Box.whole(before.shape), everywhere, ~everywhere)

    def check(rules: PaintRules, allowed: NDArray[np.bool_], drawn: NDArray[np.bool_]) -> None:
        one.correction.set_rules(rules)
        dab(one, 20, 30, 60)
        np.testing.assert_array_equal(one.labels == 1, (before == 1) | (near & allowed))
        one.correction.undo()
        for by_hand, reach in ((True, allowed), (False, drawn)):
            one.correction.put(segmentation, 1, Text("Tool"), proposal, drawn=by_hand)
            np.testing.assert_array_equal(one.labels == 1, (before == 1) | reach)
            one.correction.undo()
            np.testing.assert_array_equal(one.labels, before)

    check(PaintRules(), everywhere, before == 0)
    check(PaintRules(Overwrite.BACKGROUND), before == 0, before == 0)
    check(PaintRules(Overwrite.CHOSEN, frozenset({2})), before == 2, before == 2)
    one.correction.set_locked(2, True)
    check(PaintRules(Overwrite.CHOSEN, frozenset({0, 2})), before == 0, before == 0)
    check(PaintRules(), before != 2, before == 0)


def test_a_range_of_values_holds_for_what_tools_propose(one: Station) -> None:
    voxels = np.random.default_rng(8).integers(-500, 500, one.volume.geometry.shape).astype(np.int16)
    noisy = replace(one.volume, id=VolumeId("noisy"), voxels=voxels)
    one.case.add_volume(noisy)
    one.workspace.activate(one.case, noisy)
    segmentation = one.correction.new_segmentation()
    one.correction.set_rules(PaintRules(values=(-100.0, 150.0)))
    inside = (voxels >= -100) & (voxels <= 150)
    everywhere = np.ones(voxels.shape, bool)
    whole = Box.whole(segmentation.geometry.shape)
    one.correction.put(segmentation, 1, Text("Tool"), Proposal(whole, everywhere, ~everywhere), drawn=True)
    np.testing.assert_array_equal(one.labels == 1, inside)
    one.correction.set_rules(PaintRules(values=(0.0, 50.0)))
    one.correction.put(segmentation, 1, Text("Tool"), Proposal(whole, ~everywhere, everywhere), drawn=True)
    left = inside & ~((voxels >= 0) & (voxels <= 50))
    np.testing.assert_array_equal(one.labels == 1, left)
    looked_at = one.labels.copy()
    one.correction.set_rules(PaintRules(values=(200.0, 300.0)))
    one.correction.proposals.put_labels(segmentation, Text("Tool"), whole, np.ones_like(looked_at), looked_at)
    np.testing.assert_array_equal(one.labels == 1, left | ((voxels >= 200) & (voxels <= 300)))


def test_chosen_segments_are_forgotten_with_their_segmentation(one: Station) -> None:
    adopted(one)
    one.correction.set_rules(PaintRules(Overwrite.CHOSEN, frozenset({2}), (0.0, 10.0)))
    one.correction.new_segmentation()
    assert one.correction.rules == PaintRules(values=(0.0, 10.0))


def test_on_wish_nothing_outside_the_box_is_changed(one: Station) -> None:
    segmentation = adopted(one)
    before = one.labels.copy()
    box = Box((18, 25, 50), (24, 40, 70))
    inside = np.zeros(before.shape, bool)
    inside[box.slices] = True
    one.correction.proposals.box_on = lambda volume: box if volume is one.volume else None
    one.correction.set_rules(PaintRules(in_box=True))
    one.correction.set_options(SPHERE)
    dab(one, 20, 30, 60)
    np.testing.assert_array_equal(one.labels == 1, (before == 1) | (ball(one, 20, 30, 60, 6.0) & inside))
    dab(one, 20, 30, 60, erase=True)
    one.correction.undo()
    one.correction.undo()
    everywhere = np.ones(before.shape, bool)
    whole = Proposal(Box.whole(before.shape), everywhere, ~everywhere)
    one.correction.put(segmentation, 1, Text("Tool"), whole, drawn=True)
    np.testing.assert_array_equal(one.labels == 1, (before == 1) | inside)
    one.correction.undo()
    one.correction.proposals.box_on = lambda volume: None
    one.correction.put(segmentation, 1, Text("Tool"), whole, drawn=True)
    assert (one.labels == 1).all(), "without a box there is no limit"


def test_what_is_shown_before_a_drawing_is_what_it_changes(one: Station) -> None:
    segmentation = adopted(one)
    before = one.labels.copy()
    box = Box((10, 10, 20), (30, 60, 80))
    mask = np.random.default_rng(3).random(box.shape) > 0.3
    one.correction.proposals.box_on = lambda volume: Box((0, 0, 0), (25, 70, 90))
    nothing = np.zeros_like(mask)
    for rules in (
        PaintRules(),
        PaintRules(Overwrite.BACKGROUND, in_box=True),
        PaintRules(Overwrite.CHOSEN, frozenset({0, 2}), (-1.0, 1.0)),
        PaintRules(values=(5.0, 6.0)),
    ):
        for locked in (False, True):
            one.correction.set_rules(rules)
            one.correction.set_locked(2, locked)
            for adds in (True, False):
                shown = one.correction.proposals.would_change(segmentation, 1, box, mask, adds=adds)
                proposal = Proposal(box, mask, nothing) if adds else Proposal(box, nothing, mask)
                one.correction.put(segmentation, 1, Text("Tool"), proposal, drawn=True)
                np.testing.assert_array_equal(shown, (one.labels != before)[box.slices])
                if shown.any():
                    one.correction.undo()
                np.testing.assert_array_equal(one.labels, before)
