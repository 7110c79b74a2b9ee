"""Turning an image's axes round where it lies in memory: the same values without a second image beside the first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Orientationd
from numpy.typing import NDArray

_MOST_AT_ONCE = 1 << 20
"""Numbers that are moved in one go."""


def oriented(step: Orientationd, items: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """What a step of orientation gives.

    Args:
        step: Of the preprocessing.
        items: What there is; the image, (channel, x, y, z), is changed.
        key: The name of the image.

    Returns:
        None when axes change places, or it is not a step that is done here; nothing was changed then.
    """
    image = items.get(key)
    if step.keys != (key,) or step.lazy or not isinstance(image, MetaTensor) or image.ndim != 4:
        return None
    if image.pending_operations or image.device.type != "cpu" or _is_shared(image, items, key):
        return None
    # asked to be lazy, MONAI says how the axes will run and does nothing
    meant = step.ornt_transform(image, lazy=True)
    if not isinstance(meant, MetaTensor):
        return None
    affine = np.asarray(meant.peek_pending_affine(), dtype=np.float64)
    turns = np.linalg.solve(np.asarray(image.affine, dtype=np.float64), affine)[:3, :3]
    if not np.allclose(np.abs(turns), np.eye(3), atol=1e-6):
        return None
    operations = [*image.applied_operations, *meant.pending_operations]
    known = {name: value for name, value in image.meta.items() if name != "affine"}
    values = image.as_tensor()
    flip_in_place(values, [axis + 1 for axis in range(3) if turns[axis, axis] < 0])
    found = MetaTensor(values, affine=torch.from_numpy(affine), meta=known, applied_operations=operations)
    return {**items, key: found}


def flip_in_place(values: torch.Tensor, axes: Sequence[int]) -> None:
    """Reverse a tensor of the processor along some axes."""
    order = sorted(range(values.ndim), key=values.stride, reverse=True)
    array: NDArray[Any] = values.permute(order).numpy()
    for outer in range(array.ndim):
        if array.shape[outer] > 1:
            break
    turned = {order.index(axis) for axis in axes}
    inner = tuple(slice(None, None, -1) if axis in turned else slice(None) for axis in range(array.ndim))
    length = array.shape[outer]
    at_once = max(1, _MOST_AT_ONCE * length // max(1, array.size))
    before = (slice(None),) * outer
    if outer not in turned:
        for start in range(0, length, at_once):
            part = array[(*before, slice(start, start + at_once))]
            part[...] = part[inner].copy()
        return
    for start in range(0, (length + 1) // 2, at_once):
        stop = min(start + at_once, (length + 1) // 2)
        low = array[(*before, slice(start, stop))]
        high = array[(*before, slice(length - stop, length - start))]
        kept = high[inner].copy()
        high[...] = low[inner].copy()
        low[...] = kept


def _is_shared(image: torch.Tensor, items: Mapping[str, Any], key: str) -> bool:
    place = image.untyped_storage().data_ptr()
    others = [one for name, one in items.items() if name != key and isinstance(one, torch.Tensor)]
    return any(one.untyped_storage().data_ptr() == place for one in others)
