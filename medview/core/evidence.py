"""What in an image spoke for a class: which way it is asked for, of which class, and what asking costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from medview.core.text import Text


class EvidenceMethod(StrEnum):
    """How a network is asked where it looked.

    GRAD_CAM: the features of a convolution, weighted by how much the class depends on each (Selvaraju et al., ICCV
    2017). GRAD_CAM_PP: the same with weights for each place (Chattopadhay et al., WACV 2018). OCCLUSION: by how much
    the probability falls when a part of the image is covered (Zeiler, Fergus, ECCV 2014).
    """

    GRAD_CAM = "grad-cam"
    GRAD_CAM_PP = "grad-cam++"
    OCCLUSION = "occlusion"


METHOD_NAMES = {
    EvidenceMethod.GRAD_CAM: Text("Grad-CAM"),
    EvidenceMethod.GRAD_CAM_PP: Text("Grad-CAM++"),
    EvidenceMethod.OCCLUSION: Text("Occlusion"),
}
NOT_THE_DISEASE = Text("Where the model looked, not where the disease is")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A wish to see the evidence.

    Attributes:
        value: The class that it is the evidence for, by its place among the network's values.
        method: How.
        slice: In which slice or picture, k, where the model looks at each by itself; None: where that class is most
            probable.
    """

    value: int
    method: EvidenceMethod = EvidenceMethod.GRAD_CAM
    slice: int | None = None


@dataclass(frozen=True, slots=True)
class PassTime:
    """One forward pass of a network, as it was measured during a run.

    Attributes:
        shape: The voxels that it was shown, along each axis.
        seconds: How long it took.
    """

    shape: tuple[int, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Cost:
    """What it costs to ask.

    Attributes:
        passes: How many times the network is called.
        backward: How many times its gradient is computed on top of that.
        seconds: How long that takes, about; None when no call has been measured.
    """

    passes: int
    backward: int
    seconds: float | None


_BACKWARD_TIMES = 1.0
"""Without the gradients of the weights, which nobody needs here, a gradient takes about as long as a pass."""
_CAM_PASSES = 2
"""One shows which convolution is called last, one has its gradient computed."""
_COVERED_PARTS = {1: 16, 2: 8, 3: 4}
"""Into how many parts that are covered at once an axis is divided, by the number of axes."""


def cover_of(shape: Sequence[int]) -> tuple[int, ...]:
    """How much of an image is covered at once, voxels along each axis."""
    parts = _COVERED_PARTS.get(len(shape), _COVERED_PARTS[3])
    return tuple(max(1, round(length / parts)) for length in shape)


def placements(shape: Sequence[int]) -> int:
    """How many places the cover is laid on; neighbours overlap by a half of it."""
    return math.prod(
        1 if length <= size else math.ceil((length - size) / max(1, size // 2)) + 1
        for length, size in zip(shape, cover_of(shape), strict=True)
    )


def cost_of(method: EvidenceMethod, axes: int, measured: PassTime | None, weights: int = 1) -> Cost:
    """What asking costs.

    Args:
        method: How it is asked.
        axes: Of the network's image, 2 or 3.
        measured: A call of the network; None when none has been measured: then of an image of usual size.
        weights: How many networks are asked.
    """
    if method is EvidenceMethod.OCCLUSION:
        shape = measured.shape if measured is not None else (256,) * axes
        passes, backward = placements(shape) + 1, 0
    else:
        passes, backward = _CAM_PASSES, 1
    passes, backward = passes * weights, backward * weights
    if measured is None:
        return Cost(passes, backward, None)
    return Cost(passes, backward, (passes + _BACKWARD_TIMES * backward) * measured.seconds)
