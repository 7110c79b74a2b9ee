"""Where a measurement lies on a slice: its lines, its handles, and where it crosses other slices. No VTK."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from medview.core.geometry import Floats, Geometry
from medview.core.measurement import Measurement, MeasurementKind

_STEPS = 72
"""Edges that an ellipse is drawn with."""
_LEAST_MM = 1e-3


def outline(kind: MeasurementKind, points: Floats) -> list[Floats]:
    """What is drawn: polylines, each (n, 3) LPS, mm; closed ones end where they begin. None for a point."""
    if kind is MeasurementKind.POINT:
        return []
    if kind is MeasurementKind.ELLIPSE:
        center = points.mean(axis=0)
        one, other = (points[1] - points[0]) / 2, (points[3] - points[2]) / 2
        turn = np.linspace(0.0, 2 * math.pi, _STEPS + 1)[:, None]
        return [center + np.cos(turn) * one + np.sin(turn) * other]
    if kind.is_region:
        return [np.vstack([points, points[:1]])]
    return [points[:2], points[2:]] if len(points) == 4 else [points]


def is_drawn_on(one: Measurement, geometry: Geometry, axis: int, index: int) -> bool:
    """Whether a slice is the one that a measurement was drawn on: within half a slice of it, on whatever grid."""
    if one.drawn_on is None or one.drawn_on.axis != axis:
        return False
    places = geometry.to_index(one.points)[:, axis]
    return bool(math.floor(float(places.mean()) + 0.5) == index)


def crossings(one: Measurement, geometry: Geometry, axis: int, index: int) -> list[Floats]:
    """The parts of a measurement that lie within half a slice of another slice: pieces of line, (2, 3) LPS, mm."""
    lines = outline(one.kind, one.points) or [np.vstack([one.points, one.points])]
    pieces = []
    for line in lines:
        depths = geometry.to_index(line)[:, axis] - index
        for start, stop, a, b in zip(line[:-1], line[1:], depths[:-1], depths[1:], strict=True):
            span = _within_half(float(a), float(b))
            if span is not None:
                pieces.append(np.array([start + share * (stop - start) for share in span]))
    return pieces


def reshaped(one: Measurement, handle: int, to: Floats) -> Floats:
    """The points after one of them was dragged.

    An axis of an ellipse keeps its direction and its other end; a rectangle keeps its directions and its opposite
    corner. Everything else just moves the one point.

    Args:
        one: Before.
        handle: Which of its points.
        to: (3,) LPS, mm, in its slice.
    """
    points = one.points.copy()
    if one.kind is MeasurementKind.ELLIPSE:
        own = handle - handle % 2
        other = 2 - own
        fixed = points[own + 1 - handle % 2]
        along = points[handle] - fixed
        share = max(float((to - fixed) @ along), 0.0) / max(float(along @ along), _LEAST_MM**2)
        points[handle] = fixed + max(share, 1e-3) * along
        middle = points[[own, own + 1]].mean(axis=0)
        points[[other, other + 1]] += middle - points[[other, other + 1]].mean(axis=0)
        return axes_in_order(points)
    if one.kind is MeasurementKind.RECTANGLE:
        opposite, before, after = (handle + 2) % 4, (handle + 3) % 4, (handle + 1) % 4
        fixed = points[opposite]
        sides = [points[corner] - fixed for corner in (before, after)]
        if min(float(side @ side) for side in sides) < _LEAST_MM**2:
            points[handle] = to
            return points
        ends = [_kept_apart(float((to - fixed) @ side) / float(side @ side)) * side for side in sides]
        points[before], points[after] = fixed + ends[0], fixed + ends[1]
        points[handle] = fixed + ends[0] + ends[1]
        return points
    points[handle] = to
    return points


def turn_handle(kind: MeasurementKind, places: Floats, reach: float) -> Floats | None:
    """Where the handle that turns an ellipse or a rectangle lies on the screen; None for what is not turned.

    Args:
        kind: What it is.
        places: (n, 2) its points, pixels.
        reach: How far outside of it the handle lies, pixels.
    """
    if kind not in (MeasurementKind.ELLIPSE, MeasurementKind.RECTANGLE):
        return None
    center = places.mean(axis=0)
    end = places[1] if kind is MeasurementKind.ELLIPSE else (places[1] + places[2]) / 2
    way = end - center
    length = float(np.hypot(*way))
    return end + way / length * reach if length > 0 else None


def turned(points: Floats, start: Floats, to: Floats, right: Floats, up: Floats) -> Floats:
    """The points after the handle that turns them was dragged: turned about their middle, within their slice.

    Args:
        points: (n, 3) before, LPS, mm.
        start: (3,) where the drag began.
        to: (3,) where it is now.
        right: (3,) unit vector of the slice.
        up: (3,) unit vector of the slice, at a right angle to it.
    """
    center = points.mean(axis=0)
    before, after = (math.atan2(float((at - center) @ up), float((at - center) @ right)) for at in (start, to))
    cosine, sine = math.cos(after - before), math.sin(after - before)
    across, along = (points - center) @ right, (points - center) @ up
    out = points - center - np.outer(across, right) - np.outer(along, up)
    new = np.outer(across * cosine - along * sine, right) + np.outer(across * sine + along * cosine, up)
    moved: Floats = center + out + new
    return moved


def simplified(points: Floats, tolerance: float) -> Floats:
    """A closed outline with fewer corners, none of the old ones farther from it than the tolerance.

    Douglas, Peucker: Algorithms for the reduction of the number of points required to represent a digitized line.
    Cartographica 10(2), 1973.

    Args:
        points: (n, d) corners, at least three; the first is not repeated.
        tolerance: In the unit of the points.

    Returns:
        At least three of them, in their order.
    """
    farthest = int(np.linalg.norm(points - points[0], axis=1).argmax())
    ring = np.vstack([points, points[:1]])
    kept = {0, farthest}
    waiting = [(0, farthest), (farthest, len(points))]
    while waiting:
        start, stop = waiting.pop()
        between = ring[start + 1 : stop]
        if not len(between):
            continue
        away = _distances(between, ring[start], ring[stop])
        worst = int(away.argmax())
        if away[worst] > tolerance or len(kept) < 3:
            middle = start + 1 + worst
            kept.add(middle)
            waiting += [(start, middle), (middle, stop)]
    chosen: Floats = points[sorted(kept)]
    return chosen


def _distances(points: Floats, start: Floats, stop: Floats) -> Floats:
    """(n,): from each point to the line between two others."""
    way = stop - start
    share = np.clip((points - start) @ way / max(float(way @ way), 1e-12), 0, 1)
    away: Floats = np.linalg.norm(points - start - share[:, None] * way, axis=1)
    return away


def axes_in_order(points: Floats) -> Floats:
    """(4, 3) the ends of an ellipse's axes, the longer one first."""
    long, short = (float(np.linalg.norm(points[n + 1] - points[n])) for n in (0, 2))
    return points if long >= short else points[[2, 3, 0, 1]]


def boxed(kind: MeasurementKind, one: Floats, other: Floats, right: Floats, up: Floats) -> Floats:
    """(4, 3): the ellipse in, or the rectangle of, the box between two corners.

    Args:
        kind: Ellipse or rectangle.
        one: (3,) LPS, mm.
        other: (3,), the opposite corner.
        right: (3,) unit vector of two sides.
        up: (3,) unit vector of the other two.
    """
    across = float((other - one) @ right) * right
    along = float((other - one) @ up) * up
    if kind is MeasurementKind.RECTANGLE:
        return np.array([one, one + across, one + across + along, one + along])
    middle = one + (across + along) / 2
    ends = np.array([middle - across / 2, middle + across / 2, middle - along / 2, middle + along / 2])
    return axes_in_order(ends)


def distance_to(lines: Sequence[Floats], pixel: tuple[float, float]) -> float:
    """From a pixel to the nearest of some polylines, each (n, 2) pixels; infinite when there are none."""
    at = np.asarray(pixel)
    nearest = math.inf
    for line in lines:
        start, way = line[:-1], np.diff(line, axis=0)
        length2 = np.maximum((way**2).sum(axis=1), 1e-12)
        share = np.clip(((at - start) * way).sum(axis=1) / length2, 0, 1)
        nearest = min(nearest, float(np.linalg.norm(at - start - share[:, None] * way, axis=1).min()))
    return nearest


def _kept_apart(share: float) -> float:
    """A side may turn over, but not vanish: it would lose its direction."""
    return share if abs(share) > 1e-3 else math.copysign(1e-3, share)


def _within_half(a: float, b: float) -> tuple[float, float] | None:
    """The part of the way from depth a to depth b that lies within half a slice: shares from .. to, or None."""
    if a == b:
        return (0.0, 1.0) if -0.5 <= a < 0.5 else None
    one, other = sorted(((-0.5 - a) / (b - a), (0.5 - a) / (b - a)))
    start, stop = max(one, 0.0), min(other, 1.0)
    return (start, stop) if start <= stop else None
