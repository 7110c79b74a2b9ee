"""Whether slices stand behind each other like the pages of a book, evenly: judged by their positions alone.

The gantry tilt that a header states is not looked at: scanners state it after they have corrected for it, and leave it
out when they have not. What counts is whether the slices move sideways from one to the next.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medview.core.case import Remark, Severity
from medview.core.geometry import Floats
from medview.core.text import Text

_SAME_PLACE_MM = 0.01
_SAME_PLACE_SHARE = 0.05
_LARGEST_OFFSET_MM = 0.1
"""How far a slice may lie from its place on the even grid: positions are often rounded to a tenth of a millimetre."""
_LARGEST_OFFSET_SHARE = 0.02
_LARGEST_OFFSET_OF_THIN_SLICES = 0.25
_SIDEWAYS_SHARE_OF_PIXEL = 0.3
_NAMED_PLACES = 4


def judge(positions: Floats, axes: Floats, pixel_mm: float, numbers: Sequence[int | None]) -> list[Remark]:
    """Why slices do not make a regular, right-angled grid.

    Args:
        positions: (n, 3) x, y, z of the first pixel of every slice, LPS, mm, ordered along the normal.
        axes: (2, 3) unit vectors along a row and along a column.
        pixel_mm: The smaller side of a pixel.
        numbers: The image number of every slice, to name it by.

    Returns:
        Refusals, the most telling first; none when the grid is regular.
    """
    if len(positions) == 1:
        return []
    normal = np.cross(axes[0], axes[1])
    along = positions @ normal
    shared = _shared_places(along, numbers)
    if shared is not None:
        return [shared]
    remarks = [_uneven(along, numbers), _sideways(positions, axes, along, pixel_mm)]
    return [remark for remark in remarks if remark is not None]


def _shared_places(along: Floats, numbers: Sequence[int | None]) -> Remark | None:
    steps = np.diff(along)
    real = steps[steps > _SAME_PLACE_MM]
    limit = min(_SAME_PLACE_MM, _SAME_PLACE_SHARE * float(np.median(real))) if real.size else _SAME_PLACE_MM
    starts = np.concatenate([[0], np.flatnonzero(steps > limit) + 1])
    counts = np.diff(np.append(starts, len(along)))
    if counts.max() == 1:
        return None
    if counts.min() == counts.max():
        text = Text.of(
            "It holds {n} images at each of its {places} places (several times, echoes, phases or directions: a 4D "
            "series); MedView cannot separate them yet.",
            n=int(counts[0]),
            places=len(counts),
        )
        return Remark(Severity.REFUSED, "four-dimensional", text)
    crowded = np.flatnonzero(counts > 1)
    named = [
        " + ".join(_number(numbers, index) for index in range(starts[one], starts[one] + counts[one]))
        for one in crowded[:_NAMED_PLACES]
    ]
    text = Text.of(
        "Several images share one place, at {places} of its {all} places (image numbers {numbers}).",
        places=len(crowded),
        all=len(counts),
        numbers=_listed(named, len(crowded)),
    )
    return Remark(Severity.REFUSED, "duplicate-positions", text)


def _uneven(along: Floats, numbers: Sequence[int | None]) -> Remark | None:
    steps = np.diff(along)
    mean = float(along[-1] - along[0]) / len(steps)
    offsets = np.abs(along - along[0] - mean * np.arange(len(along)))
    limit = max(_LARGEST_OFFSET_MM, _LARGEST_OFFSET_SHARE * mean)
    if offsets.max() <= min(limit, _LARGEST_OFFSET_OF_THIN_SLICES * mean):
        return None
    step = float(np.median(steps)) if len(steps) > 2 else float(steps.min())
    times = np.round(steps / step)
    if (
        times.min() >= 1
        and np.abs(steps - times * step).max() <= max(_LARGEST_OFFSET_MM, 0.1 * step)
        and len(steps) > 1
    ):
        return _missing(step, times, numbers)
    text = Text.of(
        "The distance between its slices is uneven: {least} to {most} mm.",
        least=f"{steps.min():.2f}",
        most=f"{steps.max():.2f}",
    )
    return Remark(Severity.REFUSED, "uneven-spacing", text)


def _missing(step: float, times: Floats, numbers: Sequence[int | None]) -> Remark:
    gaps = np.flatnonzero(times > 1)
    named = [f"{_number(numbers, gap)} - {_number(numbers, gap + 1)}" for gap in gaps[:_NAMED_PLACES]]
    text = Text.of(
        "Slices are missing: {n} (slice distance {step} mm; gaps between image numbers {gaps}).",
        n=int((times - 1).sum()),
        step=f"{step:.2f}",
        gaps=_listed(named, len(gaps)),
    )
    return Remark(Severity.REFUSED, "missing-slices", text)


def _sideways(positions: Floats, axes: Floats, along: Floats, pixel_mm: float) -> Remark | None:
    """Slices that move in their own plane: steadily (a tilted gantry), or anyhow."""
    in_plane = (positions - positions[0]) @ axes.T
    limit = max(_LARGEST_OFFSET_MM, _SIDEWAYS_SHARE_OF_PIXEL * pixel_mm)
    offset = np.linalg.norm(in_plane, axis=1)
    if offset.max() <= limit:
        return None
    distance = along - along[0]
    slope = in_plane[-1] / distance[-1]
    left_over = np.linalg.norm(in_plane - distance[:, None] * slope, axis=1)
    if left_over.max() <= max(limit, 0.1 * float(offset.max())):
        angle = float(np.degrees(np.arctan(np.linalg.norm(slope))))
        text = Text.of(
            "Its slices are tilted by {angle} degrees against the direction of the stack (gantry tilt); MedView cannot "
            "correct that yet.",
            angle=f"{angle:.1f}",
        )
        return Remark(Severity.REFUSED, "tilt", text)
    text = Text.of("Its slices are shifted sideways against each other, by up to {mm} mm.", mm=f"{offset.max():.1f}")
    return Remark(Severity.REFUSED, "shifted", text)


def _number(numbers: Sequence[int | None], index: int) -> str:
    number = numbers[index]
    return "?" if number is None else str(number)


def _listed(named: list[str], count: int) -> str:
    return ", ".join(named) + (", ..." if count > len(named) else "")
