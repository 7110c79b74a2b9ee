"""Undo: before-images of the blocks that an edit touched, compressed, limited in bytes and not in steps."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from medview.core.events import Event
from medview.core.geometry import Box, Index
from medview.core.segmentation import Labels, Segment, Segmentation
from medview.core.text import Text
from medview.editing import blocks

_ENTRY_BYTES = 200
"""What a block or a segment costs beside its image, roughly: keys, objects, the dictionary."""
_SPARSE = 8
"""Blocks are written one by one when the box around them is more than this many times larger than they are."""


class Edit:
    """A finished change of one segmentation, kept as its other side: what was before, or once undone, what was after.

    Args:
        target: What was changed.
        name: What the user did.
        images: The other side of every changed block, packed.
        segments: The other side of the list of segments; None when it did not change.

    Attributes:
        nbytes: What it costs in memory.
    """

    def __init__(
        self, target: Segmentation, name: Text, images: dict[Index, bytes], segments: tuple[Segment, ...] | None
    ) -> None:
        self.target = target
        self.name = name
        self._images = images
        self._segments = segments
        self.nbytes = self._cost()

    @property
    def images(self) -> Mapping[Index, bytes]:
        """The other side of every changed block, packed."""
        return MappingProxyType(self._images)

    @property
    def changes_segments(self) -> bool:
        """Whether the list of segments is part of it."""
        return self._segments is not None

    def swap(self) -> None:
        """Exchange the two sides: undoes, and called again, redoes."""
        target = self.target
        shape, dtype = target.geometry.shape, target.labels.dtype
        if self._segments is not None:
            self._segments, segments = target.segments, self._segments
            target.set_segments(segments)
        now: dict[Index, bytes] = {}
        other: dict[Index, Labels] = {}
        for block, image in self._images.items():
            box = blocks.box_of(block, shape)
            now[block] = blocks.pack(target.labels[box.slices])
            other[block] = blocks.unpack(image, box.shape, dtype)
        self._images = now
        self.nbytes = self._cost()
        write_blocks(target, other)

    def _cost(self) -> int:
        entries = len(self._images) + len(self._segments or ())
        return sum(map(len, self._images.values())) + _ENTRY_BYTES * (1 + entries)


class Recorder:
    """Watches one edit, from the press of the button to its release.

    Args:
        target: What will be changed.
    """

    def __init__(self, target: Segmentation) -> None:
        self.target = target
        self._segments = target.segments
        self._before: dict[Index, bytes] = {}

    def touch(self, box: Box) -> None:
        """Keep what is in a box before it is written; each block is kept once, as it was at first."""
        labels = self.target.labels
        for block in blocks.covering(box, labels.shape):
            if block not in self._before:
                self._before[block] = blocks.pack(labels[blocks.box_of(block, labels.shape).slices])

    def finish(self, name: Text) -> Edit | None:
        """The edit, without the blocks that came out as they were; None when nothing changed."""
        changed = {block: image for block, image in self._before.items() if self._differs(block, image)}
        segments = self._segments if self._segments != self.target.segments else None
        if not changed and segments is None:
            return None
        return Edit(self.target, name, changed, segments)

    def abort(self) -> None:
        """Put everything back as it was."""
        edit = self.finish(Text(""))
        if edit is not None:
            edit.swap()

    def _differs(self, block: Index, image: bytes) -> bool:
        labels = self.target.labels
        box = blocks.box_of(block, labels.shape)
        return not np.array_equal(blocks.unpack(image, box.shape, labels.dtype), labels[box.slices])


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
        return self._exchange(self.last_done(target), self._done, self._undone)

    def redo(self, target: Segmentation) -> Edit | None:
        """Do again what was taken back last; None when there is none."""
        return self._exchange(self.last_undone(target), self._undone, self._done)

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

    def _exchange(self, edit: Edit | None, source: list[Edit], goal: list[Edit]) -> Edit | None:
        if edit is not None:
            source.remove(edit)
            edit.swap()
            goal.append(edit)
            self._keep_limit()
            self.changed.emit(None)
        return edit

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
