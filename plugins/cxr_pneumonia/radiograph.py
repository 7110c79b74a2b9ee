"""From a radiograph of any size and depth to the picture of 28 x 28 that the network knows.

As the pictures of MedMNIST were made (Yang J. et al., Scientific Data 10, 41, 2023): the middle square of the length of
the short edge, made small by cubic interpolation, 8 bits. Before that the radiograph is brought to the greys of its
display, as the source of MedMNIST had been: bone bright, through the window that the image names.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from medview.api import Modality, Volume

from .network import SIDE

Picture = NDArray[np.uint8]

_MODALITIES = (Modality.CR, Modality.DX)
_LONGEST = 1.8
_PERCENTILES = (0.5, 99.5)
_LARGEST_CLIPPED_SHARE = 0.35
_SQUARE_PIXELS = 1.01


def picture_of(volume: Volume) -> Picture:
    """The middle picture of a volume as the network sees it, (28, 28) uint8."""
    plane = volume.voxels[volume.voxels.shape[0] // 2].astype(np.float32)
    shares = _greys(plane, volume)
    square = _middle_square(shares, volume)
    tensor = torch.from_numpy(np.ascontiguousarray(square))[None, None] * 255
    small = functional.interpolate(tensor, size=(SIDE, SIDE), mode="bicubic", antialias=True)[0, 0]
    picture: Picture = small.clamp(0, 255).round().to(torch.uint8).numpy()
    return picture


def on_image(values: NDArray[np.float32], volume: Volume) -> NDArray[np.float32]:
    """Values of what the network saw, (28, 28), on the grid of the volume, (k, j, i); 0 where it did not look."""
    found = np.zeros(volume.voxels.shape, dtype=np.float32)
    (top, left), (rows, columns) = _square(found.shape[1:], volume)
    tensor = torch.from_numpy(np.ascontiguousarray(values))[None, None]
    large = functional.interpolate(tensor, size=(rows, columns), mode="bilinear", align_corners=False)[0, 0]
    found[len(found) // 2, top : top + rows, left : left + columns] = large.numpy()
    return found


def doubts(volume: Volume) -> tuple[str, ...]:
    """What makes an image another than those that the network has seen, before it is looked at; in sentences."""
    found = []
    if volume.modality not in _MODALITIES:
        found.append("This is no radiograph (CR or DX).")
    if volume.voxels.shape[0] > 1:
        found.append("This has several pictures, and only the middle one is looked at.")
    rows, columns = _sides(volume)
    if max(rows, columns) > _LONGEST * min(rows, columns):
        found.append("This picture is much longer than wide, or wider than long.")
    if min(volume.voxels.shape[1:]) < SIDE:
        found.append("This picture has too few pixels.")
    return tuple(found)


def _sides(volume: Volume) -> tuple[float, float]:
    """Height and width, in the height of a pixel."""
    rows, columns = volume.voxels.shape[1:]
    _, down, across = volume.geometry.spacing_mm
    ratio = across / down
    return float(rows), float(columns) * (ratio if max(ratio, 1 / ratio) > _SQUARE_PIXELS else 1.0)


def _greys(plane: NDArray[np.float32], volume: Volume) -> NDArray[np.float32]:
    """Values as shares of the display's range, 0 black, 1 white.

    A window that makes a large part of the image black or white is not the one to read it with, and is not used.
    """
    for window in volume.windows:
        inside = np.mean((plane >= window.lower) & (plane <= window.upper))
        if inside >= 1 - _LARGEST_CLIPPED_SHARE:
            return _between(plane, window.lower, window.upper)
    low, high = (float(one) for one in np.percentile(plane, _PERCENTILES))
    return _between(plane, low, high)


def _between(plane: NDArray[np.float32], low: float, high: float) -> NDArray[np.float32]:
    shares: NDArray[np.float32] = np.clip((plane - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
    return shares


def _middle_square(plane: NDArray[Any], volume: Volume) -> NDArray[Any]:
    """The middle of a picture, as long as its short edge; in pixels that are not square, in millimetres."""
    (top, left), (rows, columns) = _square(plane.shape, volume)
    return plane[top : top + rows, left : left + columns]


def _square(shape: tuple[int, ...], volume: Volume) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where the middle square begins, and how many rows and columns it has."""
    rows, columns = shape
    high, wide = _sides(volume)
    short = min(high, wide)
    keep = max(1, round(rows * short / high)), max(1, round(columns * short / wide))
    return ((rows - keep[0]) // 2, (columns - keep[1]) // 2), keep
