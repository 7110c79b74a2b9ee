"""A run inside a box: the plugin gets that part of its images alone, and its answer goes back to where it belongs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from medview.core.errors import InputError
from medview.core.geometry import Box, Geometry, Point
from medview.core.text import Text
from medview.core.volume import Volume

_TOLERANCE = 1e-6
"""A corner that lies on a voxel takes it, whatever rounding says."""

Kind = TypeVar("Kind", bound=np.generic)


def voxels_between(geometry: Geometry, one: Point, other: Point) -> Box:
    """The voxels of a grid whose centres lie between two opposite corners in patient space, LPS, mm.

    Where the grid's axes run askew to the patient's, it is the smallest box of the grid around them.

    Raises:
        InputError: There is no such voxel.
    """
    ends = np.array([one, other], dtype=np.float64)
    corners = np.array([[x, y, z] for x in ends[:, 0] for y in ends[:, 1] for z in ends[:, 2]])
    box = _within(geometry.to_index(corners), 0.0).clipped(geometry.shape)
    if box.is_empty:
        lows = geometry.to_patient((0.0, 0.0, 0.0))
        highs = geometry.to_patient(np.asarray(geometry.shape, dtype=np.float64) - 1)
        ranges = " × ".join(f"{min(a, b):.0f}..{max(a, b):.0f}" for a, b in zip(lows, highs, strict=True))
        raise InputError(
            Text("The box holds nothing of the image."),
            Text.of("Give two opposite corners, x y z x y z, in LPS mm; the image has {ranges}.", ranges=ranges),
        )
    return box


def cropped(case: Mapping[str, Volume], first: Volume, box: Box) -> dict[str, Volume]:
    """The part of every image that lies in a box of the first one.

    Args:
        case: The images by name.
        first: The one that the box belongs to.
        box: Its voxels.

    Raises:
        InputError: Another image has nothing there.
    """
    return {name: _part(volume, _same_place(volume, first, box)) for name, volume in case.items()}


def put_back(values: NDArray[Kind], box: Box, shape: tuple[int, int, int]) -> NDArray[Kind]:
    """Values of a box, (k, j, i), on the whole grid; 0 elsewhere."""
    whole = np.zeros(shape, dtype=values.dtype)
    whole[box.slices] = values
    return whole


def _part(volume: Volume, box: Box) -> Volume:
    colors = None if volume.colors is None else np.ascontiguousarray(volume.colors[box.slices])
    voxels = np.ascontiguousarray(volume.voxels[box.slices])
    return replace(volume, geometry=volume.geometry.cropped(box), voxels=voxels, colors=colors)


def _same_place(volume: Volume, first: Volume, box: Box) -> Box:
    """The box of another image that covers a box of the first one."""
    if volume.geometry.same_grid(first.geometry):
        return box
    faces = np.array([box.start, box.stop], dtype=np.float64) - 0.5
    corners = np.array([[k, j, i] for k in faces[:, 0] for j in faces[:, 1] for i in faces[:, 2]])
    found = _within(volume.geometry.to_index(first.geometry.to_patient(corners)), 1.0).clipped(volume.geometry.shape)
    if found.is_empty:
        raise InputError(
            Text.of("The box holds nothing of the image {name}.", name=volume.description or volume.series_uid),
            Text("Set the box where all images of the plugin are."),
        )
    return found


def _within(indices: NDArray[np.float64], margin: float) -> Box:
    """The voxels between indices, (n, 3), with a margin in voxels."""
    low, high = indices.min(axis=0) - margin, indices.max(axis=0) + margin
    k, j, i = (int(np.ceil(value - _TOLERANCE)) for value in low)
    c, b, a = (int(np.floor(value + _TOLERANCE)) + 1 for value in high)
    return Box((k, j, i), (c, b, a))
