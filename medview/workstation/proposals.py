"""Doing to a segmentation what a tool has proposed: as one step to undo, within the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from medview.catalog.terminology import Terminology
from medview.core.geometry import Box
from medview.core.segmentation import Labels, Segmentation
from medview.core.text import Text
from medview.editing import blocks, rules, segments
from medview.editing.history import Recorder
from medview.editing.reshape import Proposal
from medview.editing.rules import PaintRules
from medview.workstation.work_in_hand import Work, WorkInHand


class Proposals:
    """Main thread only.

    What was painted since a tool has looked at the labels stays: only background is taken, and only what is still the
    segment's is given up. What the reader has drawn takes from other segments, as the brush does. Nothing happens when
    segmentation or segment are gone, or the segment was locked meanwhile.

    Args:
        work: Keeps the steps.
        end_stroke: Lifts the brush.
        terms: The known names, and colours for new segments.

    Attributes:
        rules: What may be painted over.
    """

    def __init__(self, work: WorkInHand, end_stroke: Callable[[], None], terms: Callable[[], Terminology]) -> None:
        self.rules = PaintRules()
        self._work = work
        self._end_stroke = end_stroke
        self._terms = terms

    def put(self, segmentation: Segmentation, label: int, name: Text, found: Proposal, *, drawn: bool = False) -> None:
        """Do it to one segment.

        Args:
            segmentation: What was looked at.
            label: Its segment.
            name: Of the step.
            found: The proposal.
            drawn: Whether the reader's hand has drawn it.
        """
        work = self._work.find(segmentation)
        if work is None or found.is_empty or segmentation.segment(label) is None or label in work.locked:
            return
        before = segmentation.labels[found.box.slices]
        if drawn:
            after = rules.painted(before, found.added, label, work.locked, self.rules)
        else:
            after = rules.filled(before, found.added, label, work.locked, self.rules)
        self._write(work, name, found.box, rules.erased(after, found.removed, label, frozenset()), label)

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
        before = segmentation.labels[box.slices]
        known = [0, *(one.label for one in segmentation.segments if one.label not in work.locked)]
        free: NDArray[np.bool_] = np.zeros(segmentation.largest_label + 1, dtype=np.bool_)
        free[known] = True
        takes = (before == looked_at) & (found != before) & free[before] & free[found]
        self._write(work, name, box, np.where(takes, found, before).astype(before.dtype, copy=False))

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

    def _write(self, work: Work, name: Text, box: Box, after: Labels, label: int = 0) -> None:
        """One step, of one segment or (0) of several; blocks that stay as they are cost nothing."""
        segmentation = work.segmentation
        differs = segmentation.labels[box.slices] != after
        if not differs.any():
            return
        self._end_stroke()
        self._work.begin_step(work)
        recorder = Recorder(segmentation, label)
        shape = segmentation.geometry.shape
        for block in blocks.covering(box, shape):
            part = blocks.box_of(block, shape).intersection(box)
            k, j, i = (-n for n in box.start)
            if differs[part.shifted((k, j, i)).slices].any():
                recorder.touch(part)
        segmentation.write(box, after)
        self._work.end_step(work, recorder.finish(name))
