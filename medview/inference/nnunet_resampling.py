"""How nnU-Net resamples: which rule holds along which axis, and cubic splines as it gets them from scikit-image.

nnunetv2/preprocessing/resampling: along an axis whose voxels are more than three times as long as others nothing is
interpolated; along the others images go by cubic splines, the network's values linearly. Newer plans ask for torch's
linear interpolation instead. All three keep the faces of the image where they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medview.core.errors import PluginUnavailableError
from medview.core.text import Text
from medview.inference.grid_map import AxisMap, GridMap
from medview.inference.resampling import resample as resample_linear

_SPLINES = "resample_data_or_seg_to_shape"
_TORCH = "resample_torch_fornnunet"
_NONE = "no_resampling_hack"
_ANISOTROPIC = 3.0
_NEAREST, _LINEAR, _CUBIC = 0, 1, 3
_MARGIN = 12
"""Voxels by which a line is continued before its spline is fitted; beyond, an end is felt by less than 1e-6."""

Size = tuple[int, int, int]
Spacing = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Rule:
    """How one kind of values is resampled.

    Attributes:
        orders: Along each axis: 0, the nearest; 1, linear; 3, cubic splines.
        alone: The axis that is gone by itself, slice for slice; None when there is none.
    """

    orders: Size
    alone: int | None = None


def rule_of(name: str, settings: Mapping[str, Any], current: Spacing, wanted: Spacing) -> Rule | None:
    """What plans say on resampling, for an image of one spacing that is to get another.

    Returns:
        None when the plans say that nothing is resampled.

    Raises:
        PluginUnavailableError: They ask for what is not known here.
    """
    if name == _NONE:
        return None
    order, across = _LINEAR, _NEAREST
    if name == _SPLINES:
        order, across = int(settings.get("order", _CUBIC)), int(settings.get("order_z", _NEAREST))
    plain = (
        settings.get("mode", "linear") == "linear"
        and settings.get("aniso_axis_mode", "nearest-exact") == "nearest-exact"
    )
    known = (_NEAREST, _LINEAR, _CUBIC)
    if name not in (_SPLINES, _TORCH) or order not in known or across not in known or not plain:
        raise PluginUnavailableError(
            Text.of("The model resamples by {name}, which MedView does not know.", name=name[:100]),
            Text("Tell the plugin's author."),
        )
    default = False if name == _SPLINES else None
    alone = _alone(
        settings.get("force_separate_z", default), settings.get("separate_z_anisotropy_threshold"), current, wanted
    )
    x, y, z = (across if axis == alone else order for axis in range(3))
    return Rule((x, y, z), alone)


def resample(values: torch.Tensor, size: Size, rule: Rule | None) -> torch.Tensor:
    """Values on a grid of another size with the same faces.

    Args:
        values: (x, y, z) float32.
        size: The wanted one.
        rule: How; None: not at all.

    Returns:
        (x, y, z) float32; splines do not leave the range of the values, of each slice where one axis is gone alone.
    """
    if rule is None or tuple(values.shape) == size:
        return values
    others = [axis for axis in range(3) if axis != rule.alone]
    cubic = [axis for axis in others if rule.orders[axis] == _CUBIC and values.shape[axis] != size[axis]]
    if cubic:
        low, high = values.amin(others, keepdim=True), values.amax(others, keepdim=True)
        for axis in sorted(cubic, key=lambda one: size[one] / values.shape[one]):
            values = _along(values, axis, size[axis])
        values = torch.minimum(torch.maximum(values, low), high)
    x, y, z = (
        AxisMap.resized(axis, size[axis], values.shape[axis], steps=rule.orders[axis] == _NEAREST) for axis in range(3)
    )
    if rule.alone is not None and rule.orders[rule.alone] == _CUBIC:
        values = _along(values, rule.alone, size[rule.alone])
    if tuple(values.shape) == size:
        return values
    return resample_linear(values[None], GridMap((x, y, z)))[0]


def resample_labels(labels: NDArray[np.int16], size: Size, rule: Rule | None) -> NDArray[np.int16]:
    """Labels on a grid of another size: of each voxel the one with the largest share, of equal ones the nearest.

    Args:
        labels: (x, y, z).
        size: The wanted one.
        rule: How shares are interpolated.
    """
    if rule is None or labels.shape == size:
        return labels
    whole = torch.from_numpy(labels.astype(np.float32))
    near = resample(whole, size, Rule((_NEAREST, _NEAREST, _NEAREST), rule.alone))
    found, best = near.clone(), torch.zeros(size)
    present = [float(value) for value in np.unique(labels)]
    for value in present:
        share = resample((whole == value).to(torch.float32), size, rule)
        best = torch.where(near == value, share, best)
    for value in present:
        share = resample((whole == value).to(torch.float32), size, rule)
        larger = share > best + 1e-5
        found[larger] = value
        best = torch.where(larger, share, best)
    return found.numpy().astype(np.int16)


def _alone(forced: Any, threshold: Any, current: Spacing, wanted: Spacing) -> int | None:
    """The axis along which voxels are much longer than along others; None where it is none or more than one."""
    limit = _ANISOTROPIC if threshold is None else float(threshold)
    if forced is False:
        return None
    chosen = current if forced else next((one for one in (current, wanted) if max(one) / min(one) > limit), None)
    if chosen is None:
        return None
    longest = [axis for axis in range(3) if max(chosen) / chosen[axis] == 1]
    return longest[0] if len(longest) == 1 else None


def _along(values: torch.Tensor, axis: int, length: int) -> torch.Tensor:
    """Cubic splines along one axis: every new value is a weighted sum of old ones, the same for every line."""
    matrix = torch.from_numpy(_spline(values.shape[axis], length)).to(values)
    x, y, z = values.shape
    if axis == 0:
        return (matrix @ values.reshape(x, y * z)).reshape(length, y, z)
    if axis == 1:
        return torch.matmul(matrix, values)
    return (values.reshape(x * y, z) @ matrix.T).reshape(x, y, length)


def _spline(length: int, wanted: int) -> NDArray[np.float32]:
    """(wanted, length): the cubic B-spline through a line that goes on with its end values, at the new places.

    Unser, Aldroubi, Eden: B-spline signal processing, IEEE Trans Signal Process 41 (1993).
    """
    whole = length + 2 * _MARGIN
    held = np.eye(whole) * (4 / 6) + np.eye(whole, k=1) / 6 + np.eye(whole, k=-1) / 6
    continued = np.zeros((whole, length))
    continued[np.arange(whole), np.clip(np.arange(whole) - _MARGIN, 0, length - 1)] = 1.0
    coefficients = np.linalg.solve(held, continued)
    where = (np.arange(wanted) + 0.5) * (length / wanted) - 0.5 + _MARGIN
    lower = np.floor(where).astype(np.int64)
    t = (where - lower)[:, None]
    weights = (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )
    found = np.zeros((wanted, length))
    for weight, place in zip(weights, (-1, 0, 1, 2), strict=True):
        found += weight * coefficients[lower + place]
    return found.astype(np.float32)
