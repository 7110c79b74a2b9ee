"""What a bundle's inferer and postprocessing ask for, in the engine's own terms.

Most bundles end alike: an activation, the inversion of what was done to the image, and a decision. The engine does the
three together, slab by slab. What it does not know is left to MONAI, as it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from monai.data import MetaTensor
from monai.inferers import SimpleInferer, SliceInferer, SlidingWindowInferer
from monai.transforms import Activationsd, AsDiscreted, EnsureTyped, Invertd
from monai.utils import ensure_tuple_rep

from medview.inference.grid_map import GridMap
from medview.inference.labelling import Activation, Decision
from medview.inference.windows import Size, WindowRules

_WHOLE_IMAGE = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a bundle comes from values to labels.

    Attributes:
        decision: How values become labels.
        on_source: Whether that happens on the grid that the image came on, or on the model's.
        one_hot: How many classes the further steps want to see apart; 0: they take labels.
        rest: The bundle's further steps.
    """

    decision: Decision
    on_source: bool
    one_hot: int
    rest: tuple[Any, ...]


def ending_of(steps: Sequence[Any]) -> Ending | None:
    """What the steps behind the network come to; None when they are others than the engine knows."""
    waiting = [step for step in steps if not isinstance(step, EnsureTyped)]
    activation: Activation | None = Activation.NONE
    if waiting and isinstance(waiting[0], Activationsd):
        activation = _activation(waiting.pop(0))
    nearest, inverted = False, False
    if waiting and isinstance(waiting[0], Invertd):
        nearest, inverted = bool(waiting.pop(0).nearest_interp[0]), True
    choice: tuple[float | None, int] | None = None, 0
    if waiting:
        choice = _choice(waiting.pop(0))
    later = any(isinstance(step, Invertd) for step in waiting)
    if activation is None or choice is None or (inverted and later):
        return None
    threshold, one_hot = choice
    return Ending(Decision(activation, threshold, nearest), not later, one_hot if waiting else 0, tuple(waiting))


def _choice(step: Any) -> tuple[float | None, int] | None:
    """The threshold (None: the largest channel wins) and the number of classes that a step sets apart afterwards."""
    if not isinstance(step, AsDiscreted) or step.rounding[0] is not None:
        return None
    argmax, threshold = bool(step.argmax[0]), step.threshold[0]
    if argmax == (threshold is not None):
        return None
    return (None, int(step.to_onehot[0] or 0)) if argmax else (float(threshold), 0)


def rules_of(inferer: Any) -> tuple[WindowRules, int | None] | None:
    """How an inferer cuts windows, and the axis along which it takes single slices, if it does; None: unknown."""
    if type(inferer) is SimpleInferer:
        return WindowRules(_WHOLE_IMAGE), None
    if type(inferer) not in (SlidingWindowInferer, SliceInferer):
        return None
    if inferer.with_coord:
        return None
    axis: int | None = None
    if isinstance(inferer, SliceInferer):
        axis = int(inferer.spatial_dim)
        # its roi_size becomes another one when it has been called
        roi = list(ensure_tuple_rep(inferer.orig_roi_size, 2))
        roi.insert(axis, 1)
    else:
        roi = list(ensure_tuple_rep(inferer.roi_size, 3))
    overlap = list(ensure_tuple_rep(inferer.overlap, 3))
    sigma = list(ensure_tuple_rep(inferer.sigma_scale, 3))
    return WindowRules(
        roi_size=(int(roi[0]), int(roi[1]), int(roi[2])),
        overlap=(overlap[0], overlap[1], overlap[2]),
        blend=str(getattr(inferer.mode, "value", inferer.mode)),
        sigma_scale=(sigma[0], sigma[1], sigma[2]),
        batch=max(1, int(inferer.sw_batch_size)),
        padding=str(getattr(inferer.padding_mode, "value", inferer.padding_mode)),
        padding_value=float(inferer.cval),
    ), axis


def way_back(image: MetaTensor, source_affine: Any, source_size: Size) -> tuple[GridMap, Size] | None:
    """The way from what a bundle's preprocessing made of an image back to its grid.

    Args:
        image: (channel, x, y, z), prepared.
        source_affine: (4, 4), of the image as it came.
        source_size: Its size.

    Returns:
        The way from the part of the prepared image that was not filled up, and where in it that part starts; None when
        their axes are not parallel.
    """
    before, size = [0, 0, 0], [int(n) for n in image.shape[1:]]
    for operation in reversed(image.applied_operations):
        padded = operation["extra_info"].get("padded") if isinstance(operation.get("extra_info"), dict) else None
        if padded is None:
            if operation.get("orig_size") is None:
                continue
            break
        for axis, (first, last) in enumerate(padded[1:]):
            before[axis] += int(first)
            size[axis] -= int(first) + int(last)
    affine = np.asarray(image.affine, dtype=np.float64).copy()
    affine[:3, 3] += affine[:3, :3] @ np.asarray(before, dtype=np.float64)
    grid = GridMap.between(np.asarray(source_affine, np.float64), source_size, affine, (size[0], size[1], size[2]))
    return None if grid is None else (grid, (before[0], before[1], before[2]))


def _activation(step: Activationsd) -> Activation | None:
    if step.other[0] is not None or (step.sigmoid[0] and step.softmax[0]):
        return None
    if step.sigmoid[0]:
        return Activation.SIGMOID
    return Activation.SOFTMAX if step.softmax[0] else Activation.NONE
