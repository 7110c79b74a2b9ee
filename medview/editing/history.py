"""Undo: before-images of the blocks that an edit touched, compressed, limited in bytes and not in steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

import numpy as np

from medview.core.events import Event
from medview.core.geometry import Box, Index
from medview.core.segmentation import Labels, Segment, Segmentation
from medview.core.text import Text
from medview.editing import blocks

_ENTRY_BYTES = 200
"""What a block or a segment costs beside its image, roughly: keys, objects, the dictionary."""
_MOST_UNPACKED_BYTES = 64 * 2**20
"""What a step may hold of blocks that are not packed yet."""
_SPARSE = 8
"""Blocks are written one by one when the box around them is more than this many times larger than they are."""


@dataclass(frozen=True, slots=True)
class Side:
    """What an edit put into its segmentation: after it, or once undone, before it.

    Attributes:
        images: By block that changed: its labels, packed.
        segments: The list of segments; None when it did not change.
    """

    images: Mapping[Index, bytes]
    segments: tuple[Segment, ...] | None


class Edit:
    """A finished change of one segmentation, kept as its other side: what was before, or once undone, what was after.

    Args:
        target: What was changed.
        name: What the user did.
        images: The other side of every changed block, packed.
        segments: The other side of the list of segments; None when it did not change.
        label: The segment that it was done to; 0 when it was to none in particular.
        at: When, UTC; now when not given.
        touched: The labels that voxels gained or lost by it.

    Attributes:
        nbytes: What it costs in memory.
    """

    def __init__(
        self,
        target: Segmentation,
        name: Text,
        images: dict[Index, bytes],
        segments: tuple[Segment, ...] | None,
        label: int = 0,
        at: datetime | None = None,
        touched: frozenset[int] = frozenset(),
    ) -> None:
        self.target = target
        self.touched = touched
        self.name = name
        self.label = label
        self.at = at or datetime.now(UTC)
        self._images = images
        self._segments = segments
        self.nbytes = self._cost()

    @property
    def images(self) -> Mapping[Index, bytes]:
        """The other side of every changed block, packed."""
        return MappingProxyType(self._images)

    @property
    def segments(self) -> tuple[Segment, ...] | None:
        """The other side of the list of segments; None when it did not change."""
        return self._segments

    @property
    def changes_segments(self) -> bool:
        """Whether the list of segments is part of it."""
        return self._segments is not None

    def swap(self) -> None:
        """Exchange the two sides: undoes, and called again, redoes."""
        exchange(self.target, (self,))

    def turn(self, images: dict[Index, bytes], segments: tuple[Segment, ...]) -> Side:
        """Take the other side of all that it changed, and give away the one that it had; writes nothing."""
        side = Side(self._images, self._segments)
        self._images = images
        self._segments = segments if self._segments is not None else None
        self.nbytes = self._cost()
        return side

    def _cost(self) -> int:
        entries = len(self._images) + len(self._segments or ())
        return sum(map(len, self._images.values())) + _ENTRY_BYTES * (1 + entries)


def exchange(target: Segmentation, edits: Sequence[Edit]) -> list[Side]:
    """Exchange the sides of edits one after the other, and write what comes out in one go.

    Args:
        target: The segmentation of all of them.
        edits: In this order, each as the last that was done, or undone, when its turn comes.

    Returns:
        What each of them put into the segmentation.
    """
    shape, dtype = target.geometry.shape, target.labels.dtype
    before: dict[Index, bytes] = {}
    now: dict[Index, bytes] = {}
    segments = target.segments
    sides: list[Side] = []
    for edit in edits:
        for block in edit.images:
            if block not in now:
                now[block] = before[block] = blocks.pack(target.labels[blocks.box_of(block, shape).slices])
        side = edit.turn({block: now[block] for block in edit.images}, segments)
        now.update(side.images)
        segments = segments if side.segments is None else side.segments
        sides.append(side)
    target.set_segments(segments)
    differing = {block: image for block, image in now.items() if image != before[block]}
    write_blocks(
        target,
        {block: blocks.unpack(one, blocks.box_of(block, shape).shape, dtype) for block, one in differing.items()},
    )
    return sides


class Recorder:
    """Watches one edit, from the press of the button to its release.

    Args:
        target: What will be changed.
        label: The segment that it is done to; 0 when it is to none in particular.
    """

    def __init__(self, target: Segmentation, label: int = 0) -> None:
        self.target = target
        self._label = label
        self._segments = target.segments
        self._before: dict[Index, Labels | bytes] = {}
        self._unpacked_bytes = 0

    def touch(self, box: Box) -> None:
        """Keep what is in a box before it is written; each block is kept once, as it was at first."""
        labels = self.target.labels
        for block in blocks.covering(box, labels.shape):
            if block not in self._before:
                values = labels[blocks.box_of(block, labels.shape).slices]
                # To pack takes ten times as long as to copy, and the mouse waits: `finish` packs, when it is lifted.
                if self._unpacked_bytes < _MOST_UNPACKED_BYTES:
                    self._before[block] = values.copy()
                    self._unpacked_bytes += values.nbytes
                else:
                    self._before[block] = blocks.pack(values)

    def finish(self, name: Text, at: datetime | None = None) -> Edit | None:
        """The edit, without the blocks that came out as they were; None when nothing changed.

        Args:
            name: What the user did.
            at: When, UTC; now when not given.
        """
        touched: set[int] = set()
        changed = {
            block: one if isinstance(one, bytes) else blocks.pack(one)
            for block, one in self._before.items()
            if self._differs(block, one, touched)
        }
        segments = self._segments if self._segments != self.target.segments else None
        if not changed and segments is None:
            return None
        return Edit(self.target, name, changed, segments, self._label, at, frozenset(touched - {0}))

    def abort(self) -> None:
        """Put everything back as it was."""
        edit = self.finish(Text(""))
        if edit is not None:
            edit.swap()

    def _differs(self, block: Index, kept: Labels | bytes, touched: set[int]) -> bool:
        """Whether a block is another one now; the labels of voxels that differ are added to `touched`."""
        labels = self.target.labels
        box = blocks.box_of(block, labels.shape)
        before = blocks.unpack(kept, box.shape, labels.dtype) if isinstance(kept, bytes) else kept
        now = labels[box.slices]
        differs = before != now
        if not differs.any():
            return False
        for one in (before[differs], now[differs]):
            touched.update(np.flatnonzero(np.bincount(one)).tolist())
        return True


class UndoStack:
    """The edits that can be undone and redone, of all segmentations within one limit.

    Undo and redo act on the segmentation that they are asked for: what the reader does not see does not change.

    Args:
        limit_bytes: The oldest edits are forgotten beyond this.
    """

    def __init__(self, limit_bytes: int = 512 * 2**20) -> None:
        self.limit_bytes = limit_bytes
        self.changed: Event[None] = Event()
        self._done: list[Edit] = []
        self._undone: list[Edit] = []

    @property
    def nbytes(self) -> int:
        """What all edits cost in memory; never more than the limit."""
        return sum(edit.nbytes for edit in (*self._done, *self._undone))

    def last_done(self, target: Segmentation) -> Edit | None:
        """The edit that `undo` would take back."""
        return _last_of(target, self._done)

    def last_undone(self, target: Segmentation) -> Edit | None:
        """The edit that `redo` would do again."""
        return _last_of(target, self._undone)

    def push(self, edit: Edit) -> None:
        """Add what was just done; what was undone of the same segmentation before is gone."""
        self._undone = [one for one in self._undone if one.target is not edit.target]
        self._done.append(edit)
        self._keep_limit()
        self.changed.emit(None)

    def undo(self, target: Segmentation) -> Edit | None:
        """Take back the last edit of a segmentation; None when there is none."""
        return next((edit for edit, _ in self.move(target, -1)), None)

    def redo(self, target: Segmentation) -> Edit | None:
        """Do again what was taken back last; None when there is none."""
        return next((edit for edit, _ in self.move(target, 1)), None)

    def edits(self, target: Segmentation) -> tuple[tuple[Edit, ...], int]:
        """All edits of a segmentation in the order in which they were made, and how many of them are done."""
        done = [edit for edit in self._done if edit.target is target]
        undone = [edit for edit in reversed(self._undone) if edit.target is target]
        return (*done, *undone), len(done)

    def move(self, target: Segmentation, steps: int) -> list[tuple[Edit, Side]]:
        """Do edits of a segmentation again, or with a negative number take edits back; as many as there are.

        Returns:
            The edits in the order of the steps, each with what it put into the segmentation.
        """
        source, goal = (self._undone, self._done) if steps > 0 else (self._done, self._undone)
        edits = [edit for edit in reversed(source) if edit.target is target][: abs(steps)]
        if not edits:
            return []
        moved = set(map(id, edits))
        source[:] = [edit for edit in source if id(edit) not in moved]
        goal.extend(edits)
        sides = exchange(target, edits)
        self._keep_limit()
        self.changed.emit(None)
        return list(zip(edits, sides, strict=True))

    def forget(self, target: Segmentation) -> None:
        """Drop the edits of a segmentation that is gone."""
        self._done = [edit for edit in self._done if edit.target is not target]
        self._undone = [edit for edit in self._undone if edit.target is not target]
        self.changed.emit(None)

    def take_over(self, other: UndoStack) -> None:
        """Add the edits of another stack, as the newest ones."""
        self._done += other._done
        self._undone += other._undone
        self._keep_limit()
        self.changed.emit(None)

    def _keep_limit(self) -> None:
        """An exchanged edit may cost more than before, so this is asked after every step."""
        excess = self.nbytes - self.limit_bytes
        while excess > 0 and (self._done or self._undone):
            # The first of either list is the one that is reached last.
            excess -= (self._done or self._undone).pop(0).nbytes


def write_blocks(target: Segmentation, values: Mapping[Index, Labels]) -> None:
    """Write whole blocks: in one go when they lie together, else one by one.

    Args:
        target: Where.
        values: By block, (k, j, i) of the block's shape.
    """
    shape = target.geometry.shape
    around = blocks.box_around(values, shape)
    if around.is_empty:
        return
    if np.prod(around.shape) > _SPARSE * sum(one.size for one in values.values()):
        for block, one in values.items():
            target.write(blocks.box_of(block, shape), one)
        return
    whole = target.labels[around.slices].copy()
    for block, one in values.items():
        box = blocks.box_of(block, shape)
        inner = tuple(slice(a - c, b - c) for a, b, c in zip(box.start, box.stop, around.start, strict=True))
        whole[inner] = one
    target.write(around, whole)


def _last_of(target: Segmentation, edits: list[Edit]) -> Edit | None:
    return next((edit for edit in reversed(edits) if edit.target is target), None)
