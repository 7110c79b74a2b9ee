"""The structure that hints are on, found without a trained model: by its values, its edges, and the way to the hints.

How likely a voxel is inside comes from its value, beside those under the hints, and from the way to what is inside and
to what is outside, where ways across edges are long; the random walker then draws the boundary along the edges. Only a
part of the image around the hints is looked at, on a coarser grid where it is large, and a larger one when what is
found reaches its border. What lies on that border is outside, unless somebody says otherwise.

Sources: Grady L., Random walks for image segmentation, IEEE Trans Pattern Anal Mach Intell 2006, 28:1768-1783; Wang G.
et al., DeepIGeoS, IEEE Trans Pattern Anal Mach Intell 2019, 41:1559-1572, for the ways. The numbers below are those
that did best on lesions on PET, hippocampi and organs on MR, with scribbles drawn by rule.

Where something is thought beforehand, values and ways count near the hints only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medview.core.errors import InputError
from medview.core.geometry import Box, Geometry
from medview.core.hint import Hint, HintAnswer, HintKind
from medview.core.hint_marks import box_around, box_of, marks_of
from medview.core.progress import NoProgress, PartOf, Progress
from medview.core.text import Text
from medview.editing import regions
from medview.editing.hint_grid import Belief, Floats, HintGrid, Mask, coarse_grid, faces_of, on_image
from medview.editing.random_walk import Lattice, walk

MOST_VOXELS = 160_000
"""Of the grid that is solved: it answers within about a second on two cores."""
_MOST_SEARCHING = 60_000
"""Of it as long as it is not known how far to look."""
FARTHEST_MM = 200.0
"""So far around the hints it looks at most."""
_MARGINS_MM = (50.0, 110.0, FARTHEST_MM)
"""How far around the hints it looks: first, and where that is not far enough."""
_ALIKE = 0.3
"""It is not where this share of the border looks like what is under the hints."""
_CLOSE_MM = 12.0
"""How far around what it has found it looks again, where that shows more of it."""
_CLOSER = 0.4
"""It does where the closer look holds less than this share of the voxels."""
_BOX_RIM = 2
"""Voxels around a box that are outside it."""
_BINS = 64
_SMOOTH = 0.5
_UNDER_HINT_MM = 3.0
_EDGE = 1.0
_EDGE_OF_CONTRAST = 0.15
_UNSURE = 0.5
_BANDWIDTH = 2.0
_WAY_WEIGHT = 1.5
_WAY_EDGES = 3.0
_TRUST, _TRUST_IN_BELIEF = 0.1, 1.0
_HINT_REACH_MM = 60.0
_MOST_STARTS = 4000
_NEAR_FACE = 3
_TINY = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """What was found in a part.

    Attributes:
        coarse: The part.
        probability: (k, j, i) float32, of being inside, without pieces that hang together with nothing that was said.
        alike: Whether much of its border, where the image goes on, looks like what is under the hints.
    """

    coarse: HintGrid
    probability: Floats
    alike: bool

    @property
    def inside(self) -> Mask:
        """Where the structure is, on the grid of the part."""
        found: Mask = self.probability > 0.5
        return found


def by_hints(
    voxels: NDArray[np.generic],
    geometry: Geometry,
    hints: Sequence[Hint],
    *,
    belief: Belief | None = None,
    before: HintAnswer | None = None,
    progress: Progress | None = None,
) -> HintAnswer:
    """Find the structure that some hints are on.

    Args:
        voxels: (k, j, i), any number type, any unit.
        geometry: Their grid.
        hints: At least one positive one.
        belief: What is thought beforehand: by a model, or because it is marked already. It holds the more the farther a
            place is from the hints, and on the border of the part that is looked at.
        before: What was found for the earlier hints: at least as far is looked now.
        progress: Is told how far it is, and may stop it.

    Raises:
        InputError: There is no positive hint, the hints lie outside the image or hold nothing, or the image has no
            numbers there.
        Cancelled: The progress says so.
    """
    progress = progress or NoProgress()
    _check(hints, geometry)
    boxes = [one for one in hints if one.kind is HintKind.BOX and one.positive]
    if boxes:
        box = box_of(boxes[-1], geometry).grown(_BOX_RIM).clipped(geometry.shape)
        return _answer(_look(voxels, geometry, hints, box, belief, MOST_VOXELS, progress), geometry, hints)
    known = before.box if before is not None and before.inside.any() else Box((0, 0, 0), (0, 0, 0))
    only_inside = all(one.positive for one in hints)
    looks: list[_Look] = []
    box = known
    for number, margin in enumerate(_MARGINS_MM):
        box = box_around(hints, geometry, margin).union(known)
        part = PartOf(progress, number * 0.3, (number + 1) * 0.3)
        looks.append(_look(voxels, geometry, hints, box, belief, _MOST_SEARCHING, part))
        # who has said what is outside does not want to see it grow elsewhere
        if not _reaches_border(looks[-1]) and not (only_inside and looks[-1].alike):
            break
    if max(looks[-1].coarse.steps) > 1:
        box = _closer(looks[-1], hints, geometry) or box
        looks.append(_look(voxels, geometry, hints, box, belief, MOST_VOXELS, PartOf(progress, 0.6, 1.0)))
    progress.report(1.0)
    return _answer(looks[-1], geometry, hints)


def _closer(look: _Look, hints: Sequence[Hint], geometry: Geometry) -> Box | None:
    """The part around what was found, where it was looked at on a coarser grid than it need be."""
    coarse = look.coarse
    if not look.inside.any():
        return None
    inner = coarse.box_of(look.inside).union(box_around(hints, geometry, 0.0))
    k, j, i = (int(np.ceil(_CLOSE_MM / step)) for step in geometry.spacing_mm)
    closer = Box(inner.shifted((-k, -j, -i)).start, inner.shifted((k, j, i)).stop).intersection(coarse.box)
    return closer if np.prod(closer.shape) < _CLOSER * np.prod(coarse.box.shape) else None


def _answer(look: _Look, geometry: Geometry, hints: Sequence[Hint]) -> HintAnswer:
    """What was found, on the grid of the image: no more of it than it takes."""
    coarse = look.coarse
    k, j, i = (step + 1 for step in coarse.steps)
    found = coarse.box_of(look.inside | coarse.marked)
    box = Box(found.shifted((-k, -j, -i)).start, found.shifted((k, j, i)).stop)
    box = box.union(box_around(hints, geometry, 0.0)).intersection(coarse.box)
    inside = on_image(look.probability, coarse, box) > 0.5
    marks = marks_of(hints, geometry.cropped(box))
    return HintAnswer(box, (inside | marks.inside) & ~marks.outside)


def _check(hints: Sequence[Hint], geometry: Geometry) -> None:
    if not any(one.positive for one in hints):
        raise InputError(
            Text("Nothing says yet where the structure is."), Text("Click or scribble inside it with the left button.")
        )
    boxes = [box_of(one, geometry) for one in hints if one.positive]
    if all(one.is_empty for one in boxes):
        raise InputError(Text("The hint lies outside the image."), Text("Give it where there is something to see."))
    drawn = [box_of(one, geometry) for one in hints if one.positive and one.kind is HintKind.BOX]
    if any(min(one.shape) < 2 for one in drawn):
        raise InputError(
            Text("The box is too small to hold a structure."), Text("Draw it around all of the structure.")
        )


def _look(
    voxels: NDArray[np.generic],
    geometry: Geometry,
    hints: Sequence[Hint],
    box: Box,
    belief: Belief | None,
    most_voxels: int,
    progress: Progress,
) -> _Look:
    coarse = coarse_grid(voxels, geometry, hints, box, belief, most_voxels)
    progress.report(0.1)
    probability, alike = _solved(coarse, progress)
    progress.raise_if_cancelled()
    spacing = coarse.geometry.spacing_mm
    inside: Mask = probability > 0.5
    if coarse.belief is None:  # shreds where noise looks like the structure
        inside = (regions.median(inside, 1.01 * min(spacing), spacing) | coarse.marks.inside) & ~coarse.marks.outside
    if coarse.marks.inside.any():
        inside = regions.connected_to(inside, (coarse.marks.inside | coarse.marked) & inside)
    elif coarse.belief is None:  # a box alone: what is most likely in it
        inside = regions.largest(inside)
    kept = np.where(inside, np.maximum(probability, np.float32(0.51)), np.minimum(probability, np.float32(0.49)))
    return _Look(coarse, kept.astype(np.float32), alike)


def _solved(coarse: HintGrid, progress: Progress) -> tuple[Floats, bool]:
    """The probability of being inside, (k, j, i) float32, and whether the border looks like what is under the hints."""
    spacing = coarse.geometry.spacing_mm
    values = regions.blurred(coarse.values, _SMOOTH * min(spacing), spacing)
    inside = coarse.marks.inside.copy()
    rim = _rim(values.shape)
    # where something is thought beforehand, that says what the border is
    outside = (coarse.marks.outside | (rim if coarse.belief is None else False)) & ~inside
    if not inside.any():
        inside = _core(values, outside, coarse.belief)
    near = (regions.distance(inside, spacing) <= max(_UNDER_HINT_MM, 1.01 * min(spacing))) & ~outside
    yes, no = values[near], _outside_values(values, coarse.marks.outside, rim & ~inside)
    noise = float(np.median([np.median(np.abs(np.diff(values, axis=axis))) for axis in range(3)])) / 0.6745
    contrast = abs(float(np.median(yes)) - float(np.median(no)))
    edge = max(_EDGE * noise, _EDGE_OF_CONTRAST * contrast, _TINY)
    progress.raise_if_cancelled()
    logit = _log_odds(_by_value(values, yes, no, noise))
    progress.report(0.3)
    open_rim = faces_of(values.shape, coarse.goes_on)
    beyond = outside if coarse.belief is None else outside | (open_rim & (coarse.belief <= 0.5) & ~inside)
    away, towards = _way(values, inside, edge, coarse.geometry), _way(values, beyond, edge, coarse.geometry)
    logit += _WAY_WEIGHT * _log_odds(towards / (away + towards + _TINY))
    if coarse.belief is not None:
        logit = _near_hints(logit, coarse, values, edge) + _log_odds(coarse.belief)
    progress.report(0.7)
    prior = (1 / (1 + np.exp(-logit))).astype(np.float32)
    trust = _TRUST if coarse.belief is None else _TRUST_IN_BELIEF
    lattice = Lattice(values / np.float32(edge), spacing, prior, trust)
    return walk(lattice, inside, outside, start=prior, progress=progress), _is_alike(values[open_rim], yes)


def _near_hints(logit: Floats, coarse: HintGrid, values: Floats, edge: float) -> Floats:
    """What values and ways say, the less the longer the way from a hint is: elsewhere the belief holds."""
    said = coarse.marks.inside | (coarse.marks.outside & ~_rim(values.shape))
    way = _way(values, said, edge, coarse.geometry)
    near: Floats = logit * np.exp(-way / np.float32(_HINT_REACH_MM))
    return near


def _core(values: Floats, outside: Mask, belief: Floats | None) -> Mask:
    """Where to start inside a box in which nobody said where: where a belief is strongest, or its middle."""
    free = ~outside
    if belief is not None and (belief[free] > 0.5).any():
        return free & (belief > 0.5 * (0.5 + float(belief[free].max())))
    middle = np.zeros(values.shape, dtype=np.bool_)
    box = Box.around(free)
    k, j, i = ((a + b) // 2 for a, b in zip(box.start, box.stop, strict=True))
    middle[k, j, i] = True
    return middle


def _rim(shape: tuple[int, ...]) -> Mask:
    return faces_of(shape, [(True, True)] * 3)


def _outside_values(values: Floats, said: Mask, rim: Mask) -> Floats:
    """Values of what is outside: what somebody said counts as much as all of the border."""
    border, named = values[rim], values[said & ~rim]
    if not named.size:
        return border if border.size else values.ravel()
    return np.concatenate([border, np.repeat(named, max(1, border.size // named.size))])


def _by_value(values: Floats, yes: Floats, no: Floats, noise: float) -> Floats:
    """How likely a voxel is inside by its value alone, between those inside and those outside."""
    low, high = (float(one) for one in np.percentile(values, [0.5, 99.5]))
    width = max(high - low, _TINY) / _BINS

    def share(some: Floats) -> NDArray[np.float64]:
        counts = np.histogram(np.clip(some, low, high), _BINS, (low, low + _BINS * width))[0].astype(np.float64)
        sigma = max(1.0, _BANDWIDTH * noise / width, float(np.std(some)) * some.size**-0.2 / width)
        reach = np.arange(-_BINS, _BINS + 1)
        kernel = np.exp(-0.5 * (reach / sigma) ** 2)
        full = np.convolve(counts, kernel / kernel.sum(), mode="full")[_BINS : 2 * _BINS]
        return full / max(float(full.sum()), _TINY)

    inside, outside = share(yes), share(no)
    unsure = _UNSURE / _BINS
    table = (inside + unsure) / (inside + outside + 2 * unsure)
    found: Floats = table[np.clip((values - low) / width, 0, _BINS - 1).astype(np.intp)].astype(np.float32)
    return found


def _log_odds(probability: Floats) -> Floats:
    sure = np.clip(probability, 0.01, 0.99)
    found: Floats = np.log(sure / (1 - sure)).astype(np.float32)
    return found


def _way(values: Floats, starts: Mask, edge: float, geometry: Geometry) -> Floats:
    """How long the way from the nearest of some voxels is, mm; longer across edges: (k, j, i) float32."""
    import SimpleITK

    steep = np.zeros(values.shape, dtype=np.float32)
    for axis, size in enumerate(values.shape):
        if size > 1:
            steep += (np.gradient(values, axis=axis) / np.float32(edge)) ** 2
    speed = SimpleITK.GetImageFromArray(1 / (1 + np.float32(_WAY_EDGES) * np.sqrt(steep)))
    speed.SetSpacing(tuple(float(step) for step in reversed(geometry.spacing_mm)))
    skin = starts & ~regions.erode(starts, 1.01 * min(geometry.spacing_mm), geometry.spacing_mm)
    places = np.argwhere(skin if skin.any() else starts)
    if not len(places):
        return np.full(values.shape, 1e6, dtype=np.float32)
    places = places[:: len(places) // _MOST_STARTS + 1]
    trial = [(int(i), int(j), int(k)) for k, j, i in places]
    arrival = SimpleITK.GetArrayFromImage(SimpleITK.FastMarching(speed, trial, normalizationFactor=1.0))
    arrival[starts] = 0
    far: Floats = np.minimum(arrival, 1e6).astype(np.float32)
    return far


def _is_alike(rim: Floats, yes: Floats) -> bool:
    """Whether much of a border has values as they are under the hints."""
    if not rim.size:
        return False
    low, high = (float(one) for one in np.percentile(yes, [10, 90]))
    spread = max(high - low, _TINY)
    return float(np.mean((rim >= low - spread / 2) & (rim <= high + spread / 2))) > _ALIKE


def _reaches_border(look: _Look) -> bool:
    """Whether something new lies at a face of the part that was looked at, beyond which the image goes on."""
    new = look.inside & ~np.asarray(look.coarse.marked)
    for axis, (before, behind) in enumerate(look.coarse.goes_on):
        along = np.moveaxis(new, axis, 0)
        if (before and along[:_NEAR_FACE].any()) or (behind and along[-_NEAR_FACE:].any()):
            return True
    return False
