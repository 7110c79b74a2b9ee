"""Labels as they were when correcting began, rebuilt from the blocks that were changed since."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from medview.core.geometry import Box, Index
from medview.core.segmentation import Labels, Segment, Segmentation
from medview.editing import blocks


class FirstLabels:
    """What a model, or whoever else made a segmentation, gave into the reader's hands.

    Only blocks that were ever changed are kept, compressed; all others are still as they were. So the memory grows with
    what was corrected, and not with the volume.

    Args:
        target: The segmentation, with nothing corrected yet.

    Attributes:
        segments: The structures as they were.
    """

    def __init__(self, target: Segmentation) -> None:
        self.segments: tuple[Segment, ...] = target.segments
        self._target = target
        self._images: dict[Index, bytes] = {}

    @property
    def images(self) -> Mapping[Index, bytes]:
        """By block that was ever changed: its first labels, packed."""
        return MappingProxyType(self._images)

    @property
    def nbytes(self) -> int:
        """What the images take of the memory."""
        return sum(map(len, self._images.values()))

    def keep(self, before: Mapping[Index, bytes]) -> None:
        """An edit was made: these are its blocks as they were before it, packed. What is kept already stays."""
        for block, image in before.items():
            self._images.setdefault(block, image)

    def block(self, block: Index) -> Labels:
        """(k, j, i) of the block's shape: the first labels of a block that was changed."""
        labels = self._target.labels
        return blocks.unpack(self._images[block], blocks.box_of(block, labels.shape).shape, labels.dtype)

    def within(self, box: Box) -> Labels:
        """(k, j, i) of the box's shape: the first labels in a box of the grid, as a copy."""
        labels = self._target.labels
        first: Labels = labels[box.slices].copy()
        for block in blocks.covering(box, labels.shape):
            if block in self._images:
                whole = blocks.box_of(block, labels.shape)
                part = whole.intersection(box)
                from_block = part.shifted((-whole.start[0], -whole.start[1], -whole.start[2]))
                into_box = part.shifted((-box.start[0], -box.start[1], -box.start[2]))
                first[into_box.slices] = self.block(block)[from_block.slices]
        return first
