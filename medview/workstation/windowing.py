"""Which grey values a volume is first shown with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.volume import Volume, Window

SOFT_TISSUE = Window(40.0, 400.0)
COLORS = Window(127.5, 255.0)
"""Colours are shown as they are."""
_SAMPLES = 200_000
_LOW_PERCENT, _HIGH_PERCENT = 0.5, 99.5
_BODY_SHARE = 0.05
_LEAST_BODY = 0.01
_LEAST_GREYS = 0.3
"""The share of the greys that an image without a unit has to use in its stored window."""


def initial_window(volume: Volume, slices: slice = slice(None)) -> Window:
    """The window that a reader would choose to begin with.

    The one stored with the image, unless it would show nothing of it or, where values have no unit, only a dark or pale
    blur: windows are inherited from other images. Else soft tissue for Hounsfield units, where there is any; for
    everything else from black air to the brightest half per cent of the body.

    Args:
        volume: The volume.
        slices: The slices along k that hold their values; all by default.
    """
    if volume.colors is not None:
        return COLORS
    sample = _without_padding(_sample(volume.voxels[slices]))
    stored = next((window for window in volume.windows if _shows(window, sample, volume.unit)), None)
    if stored is not None:
        return stored
    if volume.unit == "HU" and _shows(SOFT_TISSUE, sample, volume.unit):
        return SOFT_TISSUE
    return body_window(sample)


def body_window(sample: NDArray[Any]) -> Window:
    """From the lowest values to the brightest half per cent of what is not background.

    Args:
        sample: Voxel values, any shape.
    """
    low, high = (float(value) for value in np.percentile(sample, (_LOW_PERCENT, 99.9)))
    body = sample[sample > low + _BODY_SHARE * (high - low)]
    if body.size >= _LEAST_BODY * sample.size:
        high = float(np.percentile(body, _HIGH_PERCENT))
    if high <= low:
        low, high = float(sample.min()), float(sample.max())
    return Window.between(low, max(high, low + 1e-3))


def _sample(voxels: NDArray[Any]) -> NDArray[Any]:
    """At most some 200 000 values, evenly spread; an odd step keeps clear of the row length."""
    flat = voxels.reshape(-1)
    return flat[:: max(1, flat.size // _SAMPLES) | 1]


def _without_padding(sample: NDArray[Any]) -> NDArray[Any]:
    """What was measured: a lowest value further from all others than these are from each other fills up the frame."""
    lowest = sample.min()
    rest = sample[sample > lowest]
    if not rest.size:
        return sample
    low, high = float(rest.min()), float(rest.max())
    return rest if low - float(lowest) > high - low else sample


def _shows(window: Window, sample: NDArray[Any], unit: str) -> bool:
    """Whether the image is seen in a window; in HU a narrow or a far window may be meant, and any overlap will do."""
    low, high = np.percentile(sample, (1, 99.9))
    if window.width <= 0 or window.lower >= high or window.upper <= low:
        return False
    greys = (min(high, window.upper) - max(low, window.lower)) / window.width
    return unit == "HU" or high <= low or greys >= _LEAST_GREYS
