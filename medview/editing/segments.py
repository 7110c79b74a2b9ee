"""Edits of the list of segments."""

from __future__ import annotations

import numpy as np

from medview.catalog.terminology import Terminology
from medview.core.errors import MedViewError
from medview.core.geometry import Box
from medview.core.segmentation import Segment
from medview.core.text import Text
from medview.editing import blocks
from medview.editing.history import Recorder


def new_segment(terms: Terminology, segments: tuple[Segment, ...], largest_label: int, name: str = "") -> Segment:
    """A segment to add to a list, with the next free label. A known name brings its codes and its colour.

    Args:
        terms: The known names, and colours for the others.
        segments: The list as it is.
        largest_label: The largest label that the voxels can hold.
        name: What to call it; numbered when empty.

    Raises:
        MedViewError: No label is left.
    """
    used = {segment.label for segment in segments}
    label = max(used, default=0) + 1
    if label > largest_label:
        label = next((number for number in range(1, largest_label + 1) if number not in used), 0)
    if not label:
        raise MedViewError(
            Text.of("A segmentation of this kind holds no more than {count} segments.", count=largest_label),
            "Remove a segment, or begin another segmentation.",
        )
    name = name.strip() or str(Text.of("Segment {number}", number=label))
    term = terms.find(name)
    return term.segment(label, name) if term is not None else Segment(label, name, terms.color(label))


def renamed(terms: Terminology, segment: Segment, name: str) -> Segment:
    """A segment with another name. Its codes follow the name: those of a known structure, else none."""
    term = terms.find(name)
    if term is not None:
        return term.segment(segment.label, name, segment.color)
    return Segment(segment.label, name, segment.color)


def with_segment(segments: tuple[Segment, ...], segment: Segment) -> tuple[Segment, ...]:
    """The list with a segment in the place of the one with its label."""
    return tuple(segment if one.label == segment.label else one for one in segments)


def remove(recorder: Recorder, label: int) -> None:
    """Take a segment off the list of the recorder's segmentation, and its voxels away.

    Args:
        recorder: Keeps what was before.
        label: Which segment.
    """
    target = recorder.target
    labels = target.labels
    for start in range(0, labels.shape[0], blocks.SIDE):
        inner = Box.around(labels[start : start + blocks.SIDE] == label)
        if inner.is_empty:
            continue
        box = Box((start + inner.start[0], *inner.start[1:]), (start + inner.stop[0], *inner.stop[1:]))
        recorder.touch(box)
        before = labels[box.slices]
        target.write(box, np.where(before == label, before.dtype.type(0), before))
    target.set_segments(tuple(one for one in target.segments if one.label != label))
