"""Takes a series apart into stacks: images of one direction, one size and one patient space.

Localisers, dose pages and second acquisitions often come under the series UID of the slices that they belong to.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from medview.core.geometry import Floats
from medview.formats.dicom_frames import Frame

_SAME_DIRECTION = 1e-3
"""Largest difference of direction cosines between slices of one stack."""
_SAME_SPACING = 1e-3
"""Largest relative difference of pixel sizes."""
_SAME_PLACE_MM = 0.01
_WIDEST_GAP_MM = 25.0
_WIDEST_GAP_STEPS = 10.0
_LEAST_SLICES = 3
"""A part with fewer slices is no acquisition of its own."""

_SEPARATIONS: tuple[Callable[[Frame], Hashable], ...] = (
    lambda frame: frame.separators.stack,
    lambda frame: frame.separators.acquisition_number,
    lambda frame: frame.separators.image_type,
    lambda frame: frame.separators.echo_time_ms,
    lambda frame: frame.header.slice_thickness,
)
"""What may tell two acquisitions of the same direction apart, the most telling first."""


def axes_of(frame: Frame) -> Floats:
    """(2, 3): unit vectors along a row and along a column, made exactly perpendicular: cosines are often rounded."""
    return _axes(frame.orientation)


@lru_cache(maxsize=256)
def _axes(orientation: tuple[float, ...]) -> Floats:
    row, column = np.array(orientation, dtype=np.float64).reshape(2, 3)
    row = row / np.linalg.norm(row)
    column = column - (row @ column) * row
    axes: Floats = np.array([row, column / np.linalg.norm(column)])
    axes.flags.writeable = False
    return axes


def split(frames: Sequence[Frame]) -> list[list[Frame]]:
    """The stacks of a series, the one with most pixels first; every frame is in one of them.

    Args:
        frames: Images that say where they lie and how large their pixels are.
    """
    stacks: list[tuple[Floats, list[Frame]]] = []
    for frame in frames:
        axes = axes_of(frame)
        stack = next((members for known, members in stacks if _belongs(frame, axes, members[0], known)), None)
        if stack is None:
            stacks.append((axes, [frame]))
        else:
            stack.append(frame)
    return sorted((part for _, members in stacks for part in _by_space(members)), key=_pixels, reverse=True)


def _by_space(stack: list[Frame]) -> list[list[Frame]]:
    """Parts of a stack in different patient spaces; some removers of names give every image a space of its own."""
    spaces: dict[str | None, list[Frame]] = {}
    for frame in stack:
        spaces.setdefault(frame.header.frame_of_reference_uid, []).append(frame)
    if min(len(part) for part in spaces.values()) < _LEAST_SLICES:
        return [stack]
    return list(spaces.values())


def split_by_acquisition(
    stack: Sequence[Frame], is_even: Callable[[Sequence[Frame]], bool]
) -> list[list[Frame]] | None:
    """Parts of a stack that are even where the whole is not: two acquisitions with other positions.

    Args:
        stack: Slices of one direction.
        is_even: Whether slices make a regular grid as they are.

    Returns:
        The parts, the largest first; None when nothing that the files say makes every part even.
    """
    for separation in _SEPARATIONS:
        parts: dict[Hashable, list[Frame]] = {}
        for frame in stack:
            parts.setdefault(separation(frame), []).append(frame)
        if len(parts) > 1 and all(len(part) >= _LEAST_SLICES and is_even(part) for part in parts.values()):
            return sorted(parts.values(), key=_pixels, reverse=True)
    return None


def split_at_gaps(stack: Sequence[Frame], along: Floats) -> list[list[Frame]]:
    """Parts of a stack between which nothing was measured for so long that nobody should guess it.

    Args:
        stack: Slices of one direction, ordered along their normal.
        along: (n,) where each lies along the normal, mm, rising.

    Returns:
        The parts, the largest first; the whole stack where there are no such gaps.
    """
    steps = np.diff(along)
    real = steps[steps > _SAME_PLACE_MM]
    if not real.size:
        return [list(stack)]
    widest = max(_WIDEST_GAP_MM, _WIDEST_GAP_STEPS * float(np.median(real)))
    cuts = [0, *(int(index) + 1 for index in np.flatnonzero(steps > widest)), len(stack)]
    return sorted((list(stack[a:b]) for a, b in pairwise(cuts)), key=_pixels, reverse=True)


def _belongs(frame: Frame, axes: Floats, other: Frame, other_axes: Floats) -> bool:
    mine, theirs = ((one.rows, one.columns, one.orientation, one.pixel_spacing) for one in (frame, other))
    if mine == theirs:  # as nearly always
        return True
    spacing, known = np.array(frame.pixel_spacing), np.array(other.pixel_spacing)
    return bool(
        (frame.rows, frame.columns) == (other.rows, other.columns)
        and np.abs(axes - other_axes).max() <= _SAME_DIRECTION
        and np.abs(spacing / known - 1).max() <= _SAME_SPACING
    )


def _pixels(stack: Sequence[Frame]) -> int:
    return len(stack) * stack[0].rows * stack[0].columns
