"""Places of a segment at which a second look is worth it.

None of them is an error by itself: a lesion may have two parts, and an organ may end at once. What they have in common
is how many millilitres they are about, and that is what they are sorted by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Geometry, Index
from medview.core.progress import NoProgress, PartOf, Progress
from medview.core.segmentation import Labels
from medview.editing import regions
from medview.editing.regions import Mask

MOST_OF_A_KIND = 20
_MM3_IN_ML = 1000.0
_UNSURE_LEAST_ML = 0.005
_JUMP_SHARE, _JUMP_TIMES = 0.3, 5.0
"""An area jumps when it changes by more than this share of the larger one, and this many times more than usual."""
_LEAK_LEAST_ML = 0.05
_LEAK_DEVIATIONS = 2.0
_EDGE_SIGMA_VOXELS, _STRONG_SHARE = 1.0, 0.5
_UNSURE = 0.5
"""Of the largest entropy."""
_FILTER_LEAST_VOXELS = 4
"""The recursive Gaussian takes no image that is shorter along an axis."""
_MOST_VOXELS = 24_000_000
"""In a larger box around a segment, edges are sought on every second, third... voxel."""


class DoubtKind(StrEnum):
    """Why a second look is worth it.

    ISLAND: a part that does not hang together with the largest one.
    HOLE: background that the segment encloses.
    JUMP: the area changes suddenly from one slice to the next.
    LEAK: a part behind a strong edge of the image that looks otherwise than the rest.
    SIZE: the volume is not what it usually is.
    UNSURE: the model was not sure.
    """

    ISLAND = "island"
    HOLE = "hole"
    JUMP = "jump"
    LEAK = "leak"
    SIZE = "size"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Doubt:
    """One place.

    Attributes:
        kind: Why.
        label: Of which segment.
        index: The voxel to look at, (k, j, i).
        ml: How much it is about.
    """

    kind: DoubtKind
    label: int
    index: Index
    ml: float


def of_segment(
    labels: Labels,
    geometry: Geometry,
    label: int,
    voxels: NDArray[Any] | None = None,
    unsure: NDArray[Any] | None = None,
    progress: Progress | None = None,
) -> tuple[Doubt, ...]:
    """The doubtful places of a segment, those about the most millilitres first.

    Args:
        labels: (k, j, i) uint8 or uint16.
        geometry: The grid.
        label: The segment.
        voxels: (k, j, i) numbers, the image on the same grid; None: no leaks are sought.
        unsure: (k, j, i) 0..1, how unsure the model was; None: nobody knows.
        progress: Reported to and asked for cancellation.
    """
    progress = progress or NoProgress()
    box = regions.box_of(labels, label, PartOf(progress, 0.0, 0.2))
    if box.is_empty:
        return ()
    # One voxel more on every side, so that there is an outside wherever the image goes on.
    box = box.grown(1).clipped(geometry.shape)
    around = labels[box.slices]
    mask: Mask = around == label
    here = geometry.cropped(box)
    found: list[Doubt] = []
    steps: list[Callable[[], list[Doubt]]] = [
        lambda: islands(mask, here, label),
        lambda: holes(mask, around == 0, here, label),
        lambda: jumps(mask, here, label),
    ]
    if voxels is not None:
        image = voxels[box.slices]
        steps.append(lambda: leaks(mask, image, here, label))
    if unsure is not None:
        entropy = unsure[box.slices]
        steps.append(lambda: unsure_places(mask, entropy, here, label))
    for number, step in enumerate(steps):
        progress.raise_if_cancelled()
        progress.report(0.2 + 0.8 * number / len(steps))
        found += step()
    k, j, i = box.start
    moved = [
        Doubt(one.kind, one.label, (one.index[0] + k, one.index[1] + j, one.index[2] + i), one.ml) for one in found
    ]
    return tuple(sorted(moved, key=lambda one: one.ml, reverse=True))


def islands(mask: Mask, geometry: Geometry, label: int) -> list[Doubt]:
    """The parts of a mask, (k, j, i), that do not hang together with the largest one, not even by a corner."""
    parts, sizes = regions.components(mask, corners=True)
    return _parts(parts, sizes, geometry, label, DoubtKind.ISLAND, first=2)


def holes(mask: Mask, background: Mask, geometry: Geometry, label: int) -> list[Doubt]:
    """Background, (k, j, i), that a mask encloses on all sides."""
    parts, sizes = regions.components(regions.fill_holes(mask) & ~mask & background)
    return _parts(parts, sizes, geometry, label, DoubtKind.HOLE)


def jumps(mask: Mask, geometry: Geometry, label: int) -> list[Doubt]:
    """Where the area of a mask, (k, j, i), changes suddenly between two slices, or a slice between is empty.

    The ends of a segment count not: it has to end somewhere.
    """
    areas = np.count_nonzero(mask, axis=(1, 2)).astype(np.float64)
    drawn = np.flatnonzero(areas)
    if drawn.size < 3:
        return []
    first, last = int(drawn[0]), int(drawn[-1])
    changes = np.abs(np.diff(areas[first : last + 1]))
    larger = np.maximum(areas[first:last], areas[first + 1 : last + 1])
    sudden = (changes > _JUMP_SHARE * larger) & (changes > _JUMP_TIMES * np.median(changes))
    slice_ml = geometry.voxel_mm3 / _MM3_IN_ML
    found = []
    for number in np.flatnonzero(sudden):
        before = first + int(number)
        differs = mask[before] ^ mask[before + 1]
        # A jump into or out of a slice that is odd by itself is about that slice.
        odd = before if _is_odd(areas, before) else before + 1
        j, i = middle_of(differs)
        found.append(Doubt(DoubtKind.JUMP, label, (odd, j, i), float(changes[number]) * slice_ml))
    return _largest(_one_per_slice(found))


def leaks(mask: Mask, voxels: NDArray[Any], geometry: Geometry, label: int) -> list[Doubt]:
    """Parts of a mask that a strong edge of the image cuts off from its core, and that look otherwise than the core.

    The strength of an edge is the gradient's magnitude under a Gaussian of one voxel; strong is what has half the
    median strength on the outline of the mask, for that is where the segment's own edges are.

    Args:
        mask: (k, j, i).
        voxels: (k, j, i) numbers on the same grid.
        geometry: The grid.
        label: The segment.
    """
    step = 1
    while mask.size / step**3 > _MOST_VOXELS:
        step += 1
    mask, voxels = mask[::step, ::step, ::step], voxels[::step, ::step, ::step]
    # The mask's outermost voxels lie on its own edge, whatever lies beyond.
    outline = _outline(mask)
    inner = mask & ~outline
    if not inner.any() or not outline.any():
        return []
    image = np.nan_to_num(voxels.astype(np.float32))
    edges = _edges(image)
    own = edges[outline]
    parts, sizes = regions.components(inner & (edges < _STRONG_SHARE * np.median(own)))
    if sizes.size < 2:
        return []
    core = image[parts == 1]
    middle = float(np.median(core))
    spread = max(1.4826 * float(np.median(np.abs(core - middle))), 1e-3 * (abs(middle) + 1))
    cubed = step**3
    least = _LEAK_LEAST_ML * _MM3_IN_ML / (geometry.voxel_mm3 * cubed)
    found = []
    for number in range(2, min(sizes.size, 10 * MOST_OF_A_KIND) + 1):
        if sizes[number - 1] < least:
            break
        part = parts == number
        inside = Box.around(part)
        cut = part[inside.slices]
        if abs(float(np.median(image[inside.slices][cut])) - middle) > _LEAK_DEVIATIONS * spread:
            k, j, i = (int(a) + b for a, b in zip(middle_of(cut), inside.start, strict=True))
            ml = float(sizes[number - 1]) * cubed * geometry.voxel_mm3 / _MM3_IN_ML
            found.append(Doubt(DoubtKind.LEAK, label, (k * step, j * step, i * step), ml))
    return _largest(found)


def unsure_places(mask: Mask, unsure: NDArray[Any], geometry: Geometry, label: int) -> list[Doubt]:
    """Where the model was unsure, at a mask or in it.

    Args:
        mask: (k, j, i).
        unsure: (k, j, i) 0..1 on the same grid.
        geometry: The grid.
        label: The segment.
    """
    parts, _ = regions.components((unsure >= _UNSURE), corners=True)
    near = np.unique(parts[mask | _rim(mask)])
    weights = np.bincount(parts.ravel(), weights=np.asarray(unsure, dtype=np.float64).ravel())
    found = []
    for number in sorted((int(one) for one in near if one), key=lambda one: -weights[one])[:MOST_OF_A_KIND]:
        part = parts == number
        ml = float(weights[number]) * geometry.voxel_mm3 / _MM3_IN_ML
        if ml >= _UNSURE_LEAST_ML:
            # The least sure voxel is where the two answers are closest to each other.
            peak = np.unravel_index(int(np.argmax(np.where(part, unsure, -1.0))), part.shape)
            k, j, i = (int(one) for one in peak)
            found.append(Doubt(DoubtKind.UNSURE, label, (k, j, i), ml))
    return found


def _parts(
    parts: NDArray[np.int32],
    sizes: NDArray[np.int64],
    geometry: Geometry,
    label: int,
    kind: DoubtKind,
    first: int = 1,
) -> list[Doubt]:
    """The numbered parts from one on, larger ones first, as doubts."""
    found = []
    for number in range(first, min(sizes.size, first + MOST_OF_A_KIND - 1) + 1):
        part = parts == number
        box = Box.around(part)
        k, j, i = (a + b for a, b in zip(middle_of(part[box.slices]), box.start, strict=True))
        ml = float(sizes[number - 1]) * geometry.voxel_mm3 / _MM3_IN_ML
        found.append(Doubt(kind, label, (k, j, i), ml))
    return found


def _is_odd(areas: NDArray[np.float64], number: int) -> bool:
    """Whether a slice is further from both of its neighbours than these are from each other."""
    if not 0 < number < areas.size - 1:
        return False
    before, here, after = areas[number - 1 : number + 2]
    return bool(min(abs(here - before), abs(here - after)) > abs(after - before))


def _one_per_slice(found: list[Doubt]) -> list[Doubt]:
    best: dict[int, Doubt] = {}
    for one in found:
        if one.index[0] not in best or best[one.index[0]].ml < one.ml:
            best[one.index[0]] = one
    return list(best.values())


def _largest(found: list[Doubt]) -> list[Doubt]:
    return sorted(found, key=lambda one: one.ml, reverse=True)[:MOST_OF_A_KIND]


def middle_of(mask: Mask) -> tuple[int, ...]:
    """The voxel of a mask, of any number of axes and not empty, that is nearest to the middle of all of them."""
    places = np.argwhere(mask)
    nearest = places[((places - places.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    return tuple(int(one) for one in nearest)


def _edges(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """(k, j, i) float32: the magnitude of the gradient, per voxel."""
    import SimpleITK

    short = [max(0, _FILTER_LEAST_VOXELS - size) for size in image.shape]
    padded = np.pad(image, [(0, more) for more in short], mode="edge") if any(short) else image
    edges = SimpleITK.GradientMagnitudeRecursiveGaussian(SimpleITK.GetImageFromArray(padded), _EDGE_SIGMA_VOXELS)
    k, j, i = image.shape
    found: NDArray[np.float32] = SimpleITK.GetArrayFromImage(edges).astype(np.float32, copy=False)[:k, :j, :i]
    return found


def _outline(mask: Mask) -> Mask:
    """The voxels of a mask that have a neighbour outside it; beyond the edge of the image it is thought to go on."""
    return mask & _beside(~mask)


def _rim(mask: Mask) -> Mask:
    """The voxels beside a mask."""
    return ~mask & _beside(mask)


def _beside(mask: Mask) -> Mask:
    """The voxels that share a face with a voxel of a mask."""
    found = np.zeros_like(mask)
    for axis in range(mask.ndim):
        into, of = np.moveaxis(found, axis, 0), np.moveaxis(mask, axis, 0)
        into[1:] |= of[:-1]
        into[:-1] |= of[1:]
    return found
