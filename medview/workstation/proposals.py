"""Doing to a segmentation what a tool has proposed: as one step to undo, within the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from medview.catalog.terminology import Terminology
from medview.core.geometry import Box, Index
from medview.core.segmentation import Labels, Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.editing import blocks, rules, segments
from medview.editing.history import Recorder, write_blocks
from medview.editing.reshape import Proposal
from medview.editing.rules import PaintRules
from medview.workstation.work_in_hand import Work, WorkInHand
from medview.workstation.workspace import Workspace


class Proposals:
    """Main thread only.

    What was painted since a tool has looked at the labels stays: only background is taken, and only what is still the
    segment's is given up. What the reader has drawn takes from other segments, as the brush does. Nothing happens when
    segmentation or segment are gone, or the segment was locked meanwhile.

    Args:
        workspace: Has the images.
        work: Keeps the steps.
        end_stroke: Lifts the brush.
        terms: The known names, and colours for new segments.

    Attributes:
        rules: What may be changed.
        box_on: Gives the box on an image, for the rule that keeps to it; None where there is none.
    """

    def __init__(
        self,
        workspace: Workspace,
        work: WorkInHand,
        end_stroke: Callable[[], None],
        terms: Callable[[], Terminology],
    ) -> None:
        self.rules = PaintRules()
        self.box_on: Callable[[Volume], Box | None] = lambda volume: None
        self._workspace = workspace
        self._work = work
        self._end_stroke = end_stroke
        self._terms = terms

    def put(
        self,
        segmentation: Segmentation,
        label: int,
        name: Text,
        found: Proposal,
        touched: Sequence[Box] | None = None,
        *,
        drawn: bool = False,
    ) -> None:
        """Do it to one segment.

        Args:
            segmentation: What was looked at.
            label: Its segment.
            name: Of the step.
            found: The proposal.
            touched: `found.touched()`, where it was worked out before; None: every block of the proposal is looked at.
            drawn: Whether the reader's hand has drawn it.
        """
        work = self._work.find(segmentation)
        if work is None or found.is_empty or segmentation.segment(label) is None or label in work.locked:
            return
        locked, own = work.locked, self.rules
        fill = rules.painted if drawn else rules.filled

        def change(part: Box, before: Labels) -> Labels | None:
            cut = part.shifted(_back(found.box)).slices
            added, removed = found.added[cut], found.removed[cut]
            adds, removes = bool(added.any()), bool(removed.any())
            if not (adds or removes):
                return None
            if own.in_box or own.values is not None:
                reach = self._reach(segmentation, part)
                added, removed = added & reach, removed & reach
            after = fill(before, added, label, locked, own) if adds else before
            return rules.erased(after, removed, label, frozenset()) if removes else after

        self._write(work, name, found.box if touched is None else touched, change, label)

    def would_change(
        self, segmentation: Segmentation, label: int, box: Box, mask: NDArray[np.bool_], *, adds: bool
    ) -> NDArray[np.bool_]:
        """What of a drawing would come out otherwise, by locks and rules.

        Args:
            segmentation: What is drawn on.
            label: Its segment.
            box: Where.
            mask: (k, j, i) bool of the box's shape: what is drawn.
            adds: Whether it adds, or takes away.

        Returns:
            (k, j, i) bool of the box's shape.
        """
        work = self._work.find(segmentation)
        locked = work.locked if work is not None else frozenset()
        before, reached = segmentation.labels[box.slices], mask & self._reach(segmentation, box)
        if adds:
            after = rules.painted(before, reached, label, locked, self.rules)
        else:
            after = rules.erased(before, reached, label, locked)
        return np.asarray(before != after)

    def put_labels(self, segmentation: Segmentation, name: Text, box: Box, found: Labels, looked_at: Labels) -> None:
        """Give voxels other labels: those that have the same label still, where neither label is locked.

        Args:
            segmentation: What was looked at.
            name: Of the step.
            box: Where.
            found: (k, j, i) of the box's shape: the proposed labels.
            looked_at: (k, j, i): the labels as the tool saw them.
        """
        work = self._work.find(segmentation)
        if work is None or box.is_empty:
            return
        known = [0, *(one.label for one in segmentation.segments if one.label not in work.locked)]
        free: NDArray[np.bool_] = np.zeros(segmentation.largest_label + 1, dtype=np.bool_)
        free[known] = True

        def change(part: Box, before: Labels) -> Labels | None:
            cut = part.shifted(_back(box)).slices
            wanted = found[cut]
            takes = (before == looked_at[cut]) & (wanted != before)
            if not takes.any():
                return None
            takes &= free[before] & free[wanted] & self._reach(segmentation, part)
            return np.where(takes, wanted, before).astype(before.dtype, copy=False)

        self._write(work, name, box, change)

    def put_apart(self, segmentation: Segmentation, label: int, name: Text, parts: Sequence[Proposal]) -> None:
        """Give what a segment would lose to new segments, one for each proposal.

        Args:
            segmentation: What was looked at.
            label: The segment.
            name: Of the step.
            parts: What it would lose; as many as there are labels left for are taken.
        """
        work, old = self._work.find(segmentation), segmentation.segment(label)
        if work is None or not parts or old is None or label in work.locked:
            return
        self._end_stroke()
        self._work.begin_step(work)
        recorder = Recorder(segmentation, label)
        for number, part in enumerate(parts, start=2):
            if len(segmentation.segments) >= segmentation.largest_label:
                break
            new = segments.new_segment(
                self._terms(), segmentation.segments, segmentation.largest_label, f"{old.name} {number}"
            )
            segmentation.set_segments((*segmentation.segments, new))
            recorder.touch(part.box)
            before = segmentation.labels[part.box.slices]
            segmentation.write(
                part.box, np.where(part.removed & (before == label), before.dtype.type(new.label), before)
            )
        self._work.end_step(work, recorder.finish(name))

    def _reach(self, segmentation: Segmentation, box: Box) -> NDArray[np.bool_]:
        """What may be changed by value and place: (k, j, i) bool of the box's shape."""
        case = next((one for one in self._workspace.cases if segmentation.id in one.segmentations), None)
        if case is None:
            return np.ones(box.shape, dtype=np.bool_)
        volume = case.volume_under(segmentation.id)
        return self.rules.reach(box, volume.voxels, self.box_on(volume))

    def _write(
        self,
        work: Work,
        name: Text,
        where: Box | Sequence[Box],
        change: Callable[[Box, Labels], Labels | None],
        label: int = 0,
    ) -> None:
        """One step, of one segment or (0) of several, block by block: what stays as it is costs next to nothing.

        Args:
            work: On what.
            name: Of the step.
            where: Where anything may change: a box, or parts of blocks.
            change: Gets a part of the box and its labels; gives what they become, or None where they stay.
            label: The segment.
        """
        segmentation = work.segmentation
        shape = segmentation.geometry.shape
        changed: dict[Index, Labels] = {}
        boxes = (where,) if isinstance(where, Box) else where
        for block, box in [(block, one) for one in boxes for block in blocks.covering(one, shape)]:
            whole = blocks.box_of(block, shape)
            part = whole.intersection(box)
            before = segmentation.labels[part.slices]
            after = change(part, before)
            if after is not None and not np.array_equal(before, after):
                if part == whole:
                    changed[block] = after
                    continue
                if block not in changed:
                    changed[block] = segmentation.labels[whole.slices].copy()
                changed[block][part.shifted(_back(whole)).slices] = after
        if not changed:
            return
        self._end_stroke()
        self._work.begin_step(work)
        recorder = Recorder(segmentation, label)
        for block in changed:
            recorder.touch(blocks.box_of(block, shape))
        write_blocks(segmentation, changed)
        self._work.end_step(work, recorder.finish(name))


def _back(box: Box) -> Index:
    k, j, i = box.start
    return -k, -j, -i
