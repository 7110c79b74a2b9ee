"""The random walker: the probability that somebody who walks at random comes to what is inside before what is outside.

Steps across edges of the image are unlikely, so that the boundary lies on them. The probabilities solve one system of
linear equations, symmetric and positive definite; it is solved on the grid itself by conjugate gradients, from whatever
is known before.

Source: Grady L., Random walks for image segmentation, IEEE Trans Pattern Anal Mach Intell 2006, 28:1768-1783; with
priors: Grady L., Multilabel random walker image segmentation using prior models, CVPR 2005, 763-770.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medview.core.progress import NoProgress, Progress

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]

_LEAST_WEIGHT = 1e-5
"""Of a step across the strongest edge: no place is cut off entirely."""
_LOOKS_EVERY = 10
"""Steps of the solver between two questions whether to go on."""


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """What is known of a grid before anybody walks.

    Attributes:
        values: (k, j, i) float32, in units of what counts as an edge.
        spacing_mm: Voxel sizes (k, j, i).
        prior: (k, j, i) float32, 0..1: how likely a voxel is inside by its own value; None: nothing is known.
        trust: How much the prior counts beside one neighbour along the finest axis.
    """

    values: Floats
    spacing_mm: tuple[float, float, float]
    prior: Floats | None = None
    trust: float = 0.0


def walk(
    lattice: Lattice,
    inside: Mask,
    outside: Mask,
    *,
    start: Floats | None = None,
    tolerance: float = 1e-3,
    most_steps: int = 600,
    progress: Progress | None = None,
) -> Floats:
    """The probability of being inside, for every voxel.

    Args:
        lattice: The grid.
        inside: (k, j, i) bool: known to be inside.
        outside: (k, j, i) bool: known to be outside; no voxel is both.
        start: (k, j, i) float32: a guess, as an earlier answer; it saves time and changes nothing.
        tolerance: How far the equations may be from fulfilled, of what they were at the start from nothing.
        most_steps: After which the answer is taken as it is.
        progress: May cancel.

    Returns:
        (k, j, i) float32, 0..1. Without anything known inside it is 0 or the prior's, without anything known outside 1.
    """
    progress = progress or NoProgress()
    weights = _weights(lattice)
    trust = np.float32(lattice.trust if lattice.prior is not None else 0.0)
    target = lattice.prior if lattice.prior is not None else np.float32(0)
    free = ~(inside | outside)
    found = np.zeros(inside.shape, dtype=np.float32)
    found[free] = start[free] if start is not None else np.broadcast_to(target, found.shape)[free]
    found[inside] = 1.0
    scale = _degree(weights, found.shape) + trust
    scale[scale == 0] = 1.0
    # what the equations lack where nothing but the known voxels is in place
    known = inside.astype(np.float32)
    lack = float(np.linalg.norm((_pull(weights, known) - trust * (known - target))[free]))
    residual = np.where(free, _pull(weights, found) - trust * (found - target), np.float32(0))
    limit = tolerance * max(lack, 1e-12)
    eased = residual / scale
    way = eased.copy()
    power = float(np.vdot(residual, eased))
    for step in range(most_steps):
        if step % _LOOKS_EVERY == 0:
            progress.raise_if_cancelled()
        if float(np.linalg.norm(residual)) <= limit or power <= 0:
            break
        bent = np.where(free, trust * way - _pull(weights, way), np.float32(0))
        length = power / max(float(np.vdot(way, bent)), 1e-30)
        found += np.float32(length) * way
        residual -= np.float32(length) * bent
        np.divide(residual, scale, out=eased)
        before, power = power, float(np.vdot(residual, eased))
        way *= np.float32(power / before)
        way += eased
    return np.clip(found, 0, 1, out=found)


def _weights(lattice: Lattice) -> tuple[Floats, Floats, Floats]:
    """How easy a step to the next voxel is, along each axis; 1 along the finest where there is no edge."""
    finest = min(lattice.spacing_mm)
    found = []
    for axis, spacing in enumerate(lattice.spacing_mm):
        difference = np.diff(lattice.values, axis=axis)
        weight = np.exp(np.float32(-0.5) * difference * difference)
        found.append((np.maximum(weight, _LEAST_WEIGHT) * np.float32((finest / spacing) ** 2)).astype(np.float32))
    k, j, i = found
    return k, j, i


def _pull(weights: tuple[Floats, Floats, Floats], values: Floats) -> Floats:
    """What the neighbours of every voxel pull it up by: the sum of weight times difference."""
    total = np.zeros_like(values)
    for axis, weight in enumerate(weights):
        flow = weight * np.diff(values, axis=axis)
        lower = tuple(slice(None, -1) if n == axis else slice(None) for n in range(3))
        upper = tuple(slice(1, None) if n == axis else slice(None) for n in range(3))
        total[lower] += flow
        total[upper] -= flow
    return total


def _degree(weights: tuple[Floats, Floats, Floats], shape: tuple[int, ...]) -> Floats:
    total = np.zeros(shape, dtype=np.float32)
    for axis, weight in enumerate(weights):
        lower = tuple(slice(None, -1) if n == axis else slice(None) for n in range(3))
        upper = tuple(slice(1, None) if n == axis else slice(None) for n in range(3))
        total[lower] += weight
        total[upper] += weight
    return total
