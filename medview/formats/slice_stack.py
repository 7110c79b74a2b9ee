"""The grid that a stack of parallel slices makes: their own planes where these are even, a corrected one where not.

It is judged by positions alone. The gantry tilt that a header states is not looked at: scanners state it after they
have corrected for it, and leave it out when they have not. What counts is whether the slices move sideways from one to
the next.

A corrected grid has the pixels and the direction of the slices. Its planes stand behind each other at right angles, as
far apart as the nearest slices are, and it is as wide as all slices together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medview.core.case import Remark, Severity, Use
from medview.core.geometry import Floats, Geometry, SourceSlices
from medview.core.text import Text

_LARGEST_OFFSET_MM = 0.1
"""How far a slice may lie from its place on the even grid: positions are often rounded to a tenth of a millimetre."""
_LARGEST_OFFSET_SHARE = 0.02
_LARGEST_OFFSET_OF_THIN_SLICES = 0.25
_SIDEWAYS_SHARE_OF_PIXEL = 0.3
_STEADY_SHARE = 0.1
"""How far, as a share of the whole shift, slices may lie from a steady slant and still count as tilted."""
_NAMED_PLACES = 4
_HALF = 0.5 + 1e-6
"""A last plane that lies half a step beyond is one more plane, also when it comes out a little less."""
_MOST_PLANES_A_SLICE = 8
"""Planes of a corrected grid for every slice; more would be memory for nothing that was measured."""
_LARGEST_GROWTH = 4.0
"""How much larger than a slice the planes of a corrected grid may be."""
_NOTHING_ACROSS = frozenset({Use.VOLUME})
_NO_NUMBER_IS_SAFE = frozenset({Use.MEASURE, Use.ANALYSE})


@dataclass(frozen=True, slots=True)
class Slices:
    """Parallel slices of one size, ordered along their normal.

    Attributes:
        positions: (n, 3) x, y, z of the first pixel of each, LPS, mm.
        axes: (2, 3) unit vectors along a row and along a column.
        spacing: Between rows, between columns, mm.
        shape: Rows and columns.
        numbers: The image number of each, to name it by.
        thickness_mm: What the images say; None when they do not.
        frame_of_reference_uid: Of the images.
    """

    positions: Floats
    axes: Floats
    spacing: tuple[float, float]
    shape: tuple[int, int]
    numbers: Sequence[int | None]
    thickness_mm: float | None = None
    frame_of_reference_uid: str | None = None

    @property
    def normal(self) -> Floats:
        """The direction in which they are ordered."""
        normal: Floats = np.cross(self.axes[0], self.axes[1])
        return normal

    @property
    def along(self) -> Floats:
        """(n,) where each lies along the normal, mm."""
        return self.positions @ self.normal


@dataclass(frozen=True, slots=True)
class Layout:
    """What slices make.

    Attributes:
        geometry: The grid to load to; None when they make none.
        remarks: What the reader should know, the gravest first.
        caution: What a number measured on the grid has to say; None when the grid is as safe as its slices.
    """

    geometry: Geometry | None
    remarks: tuple[Remark, ...] = ()
    caution: Text | None = None


@dataclass(frozen=True, slots=True)
class _Fault:
    remark: Remark
    caution: Text | None = None


def lay_out(slices: Slices, single_step_mm: float = 1.0) -> Layout:
    """The grid of slices at different places.

    Args:
        slices: At least one; no two at one place.
        single_step_mm: The thickness to give to a single slice.
    """
    if len(slices.positions) == 1:
        text = Text("It is a single slice: there is nothing to see across it.")
        return Layout(_regular(slices, single_step_mm), (Remark(Severity.NOTE, "single-slice", text, _NOTHING_ACROSS),))
    along = slices.along
    faults = [fault for fault in (_uneven(along, slices.numbers), _sideways(slices)) if fault is not None]
    if not faults:
        step = float(along[-1] - along[0]) / (len(along) - 1)
        return Layout(_regular(slices, step), _overlap(step, slices.thickness_mm))
    remarks = tuple(fault.remark for fault in faults)
    geometry = _corrected(slices)
    if geometry is None:
        text = Text("Its slices lie too far apart, or too far beside each other, to make one volume.")
        return Layout(None, (Remark(Severity.REFUSED, "scattered", text), *remarks))
    caution = next((fault.caution for fault in faults if fault.caution is not None), None)
    return Layout(geometry, remarks, caution)


def is_even(slices: Slices) -> bool:
    """Whether slices are the planes of a regular, right-angled grid as they are."""
    if len(slices.positions) < 2:
        return True
    return _uneven(slices.along, slices.numbers) is None and _sideways(slices) is None


def _regular(slices: Slices, step: float) -> Geometry:
    shape = (len(slices.positions), *slices.shape)
    return Geometry(shape, _affine(slices, slices.positions[0], step), slices.frame_of_reference_uid)


def _affine(slices: Slices, origin: Floats, step: float) -> Floats:
    affine = np.eye(4)
    row, column = slices.axes
    affine[:3, 0] = slices.normal * abs(step)
    affine[:3, 1], affine[:3, 2] = column * slices.spacing[0], row * slices.spacing[1]
    affine[:3, 3] = origin
    return affine


def _corrected(slices: Slices) -> Geometry | None:
    """A grid around all slices, with its first plane in the first slice and its pixels on the pixels of that slice."""
    along = slices.along
    steps = np.diff(along)
    extent = float(along[-1] - along[0])
    step = max(_step(steps), extent / (_MOST_PLANES_A_SLICE * len(along)))
    planes = int(np.floor(extent / step + _HALF)) + 1
    offsets = in_plane(slices) / slices.spacing
    low, high = np.floor(offsets.min(axis=0)), np.ceil(offsets.max(axis=0))
    size = high - low + np.asarray(slices.shape)
    if np.prod(size / slices.shape) > _LARGEST_GROWTH:
        return None
    row, column = slices.axes
    origin = slices.positions[0] + low[0] * slices.spacing[0] * column + low[1] * slices.spacing[1] * row
    source = SourceSlices(slices.positions, slices.shape)
    shape = (planes, int(size[0]), int(size[1]))
    return Geometry(shape, _affine(slices, origin, step), slices.frame_of_reference_uid, source)


def in_plane(slices: Slices) -> Floats:
    """(n, 2): how far each slice lies beside the first one: down its columns, along its rows, mm."""
    row, column = slices.axes
    offsets: Floats = (slices.positions - slices.positions[0]) @ np.array([column, row]).T
    return offsets


def _step(steps: Floats) -> float:
    """The distance of neighbours where slices are missing from an even stack, else the smallest distance."""
    usual = float(np.median(steps)) if len(steps) > 2 else float(steps.min())
    times = np.round(steps / usual)
    if times.min() >= 1 and np.abs(steps - times * usual).max() <= max(_LARGEST_OFFSET_MM, 0.1 * usual):
        return float(steps.sum() / times.sum())
    return float(steps.min())


def _uneven(along: Floats, numbers: Sequence[int | None]) -> _Fault | None:
    steps = np.diff(along)
    mean = float(along[-1] - along[0]) / len(steps)
    offsets = np.abs(along - along[0] - mean * np.arange(len(along)))
    limit = max(_LARGEST_OFFSET_MM, _LARGEST_OFFSET_SHARE * mean)
    if offsets.max() <= min(limit, _LARGEST_OFFSET_OF_THIN_SLICES * mean):
        return None
    step = _step(steps)
    times = np.round(steps / step)
    if np.abs(steps - times * step).max() <= max(_LARGEST_OFFSET_MM, 0.1 * step) and len(steps) > 1:
        return _missing(step, times, numbers)
    text = Text.of(
        "The distance between its slices is uneven: {least} to {most} mm. It is shown on an even grid; what lies "
        "between slices is interpolated.",
        least=f"{steps.min():.2f}",
        most=f"{steps.max():.2f}",
    )
    remark = Remark(Severity.WARNING, "uneven-spacing", text, _NO_NUMBER_IS_SAFE)
    return _Fault(remark, Text.of("gaps up to {mm} mm", mm=f"{steps.max():.1f}"))


def _missing(step: float, times: Floats, numbers: Sequence[int | None]) -> _Fault:
    gaps = np.flatnonzero(times > 1)
    named = [f"{_number(numbers, gap)} - {_number(numbers, gap + 1)}" for gap in gaps[:_NAMED_PLACES]]
    text = Text.of(
        "Slices are missing: {n} (slice distance {step} mm; gaps between image numbers {gaps}). They are filled by "
        "interpolation.",
        n=int((times - 1).sum()),
        step=f"{step:.2f}",
        gaps=_listed(named, len(gaps)),
    )
    remark = Remark(Severity.WARNING, "missing-slices", text, _NO_NUMBER_IS_SAFE)
    return _Fault(remark, Text.of("slices missing: {n}", n=int((times - 1).sum())))


def _sideways(slices: Slices) -> _Fault | None:
    """Slices that move in their own plane: steadily (a tilted gantry), or anyhow."""
    along, offsets = slices.along, in_plane(slices)
    limit = max(_LARGEST_OFFSET_MM, _SIDEWAYS_SHARE_OF_PIXEL * min(slices.spacing))
    offset = np.linalg.norm(offsets, axis=1)
    if offset.max() <= limit:
        return None
    distance = along - along[0]
    slope = offsets[-1] / distance[-1]
    left_over = np.linalg.norm(offsets - distance[:, None] * slope, axis=1)
    if left_over.max() <= max(limit, _STEADY_SHARE * float(offset.max())):
        angle = float(np.degrees(np.arctan(np.linalg.norm(slope))))
        text = Text.of(
            "Its slices are tilted by {angle} degrees against the direction of the stack (gantry tilt). The tilt is "
            "corrected; masks are written onto the original slices.",
            angle=f"{angle:.1f}",
        )
        return _Fault(Remark(Severity.NOTE, "tilt", text))
    text = Text.of(
        "Its slices are shifted sideways against each other, by up to {mm} mm. They are shown where they say that they "
        "lie.",
        mm=f"{offset.max():.1f}",
    )
    remark = Remark(Severity.WARNING, "shifted", text, _NO_NUMBER_IS_SAFE)
    return _Fault(remark, Text("slices shifted"))


def _overlap(step: float, thickness_mm: float | None) -> tuple[Remark, ...]:
    if thickness_mm is None or thickness_mm <= step * (1 + _LARGEST_OFFSET_SHARE) or step <= 0:
        return ()
    text = Text.of(
        "Its slices overlap: each is {thickness} mm thick, and the next one lies {step} mm further.",
        thickness=f"{thickness_mm:g}",
        step=f"{step:.2f}",
    )
    return (Remark(Severity.NOTE, "overlapping", text),)


def _number(numbers: Sequence[int | None], index: int) -> str:
    number = numbers[index]
    return "?" if number is None else str(number)


def _listed(named: list[str], count: int) -> str:
    return ", ".join(named) + (", ..." if count > len(named) else "")
