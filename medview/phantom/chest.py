"""An anatomy-like CT of the chest and the upper abdomen, with its truth.

It looks like a patient in a viewer, and a method that segments lungs on patients segments it too: fat, muscle and bone
around air-filled lungs with branching vessels and airways, partial volume at every border, noise as a scanner makes it.
Nothing in it is anybody's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Geometry, Index, Point
from medview.core.segmentation import Code, Segment
from medview.core.volume import Modality, Volume, VolumeId, Window
from medview.phantom.anatomy import Part
from medview.phantom.parts import LABELS, NODULES, chest_parts
from medview.phantom.shapes import Floats32, Grid

EXTENT_MM = (400.0, 384.0, 384.0)
"""Of the whole grid, along k, j, i."""
_LOWEST_MM = -192.0
_AIR_HU = -1000.0
_VOXELS_AT_ONCE = 600_000
_ANATOMY = Code("123037004", "SCT", "Anatomical Structure")
_ABNORMAL = Code("49755003", "SCT", "Morphologically Altered Structure")


@dataclass(frozen=True, slots=True)
class Nodule:
    """A round nodule in a lung: its centre, LPS, mm, its size, and its label in the truth."""

    center_mm: Point
    radius_mm: float
    label: int

    @property
    def volume_mm3(self) -> float:
        """Of the sphere that it was made from."""
        return 4 / 3 * np.pi * self.radius_mm**3


@dataclass(frozen=True, slots=True)
class Phantom:
    """The image and the truth.

    Attributes:
        volume: (k, j, i) int16, HU.
        labels: (k, j, i) uint8, on the volume's grid; voxels whose centre lies in a structure.
        segments: What the labels are.
        nodules: The two nodules.
    """

    volume: Volume
    labels: NDArray[np.uint8]
    segments: tuple[Segment, ...]
    nodules: tuple[Nodule, ...]


def make(
    shape: Index = (160, 256, 256),
    *,
    seed: int = 7,
    noise_hu: float = 14.0,
    arms: bool = False,
    table: bool = True,
) -> Phantom:
    """Make the phantom: the same one for the same arguments.

    Args:
        shape: Voxel counts (k, j, i) over 400 x 384 x 384 mm; (400, 512, 512) has voxels of 1 x 0.75 x 0.75 mm.
        seed: Of the noise and of the branching of vessels and airways.
        noise_hu: Standard deviation of the noise.
        arms: Whether the arms lie beside the body, cut off by the field of view.
        table: Whether the patient lies on a table.
    """
    spacing = tuple(extent / count for extent, count in zip(EXTENT_MM, shape, strict=True))
    origin = (
        -EXTENT_MM[2] / 2 + spacing[2] / 2,
        -EXTENT_MM[1] / 2 + spacing[1] / 2 + 12.0,
        _LOWEST_MM + spacing[0] / 2,
    )
    geometry = Geometry.from_parts(shape, (spacing[0], spacing[1], spacing[2]), origin)
    parts = chest_parts(seed, arms=arms, table=table)
    voxels = np.empty(shape, dtype=np.int16)
    labels = np.zeros(shape, dtype=np.uint8)

    slab = max(4, _VOXELS_AT_ONCE // (shape[1] * shape[2]))

    def fill(start: int) -> None:
        stop = min(start + slab, shape[0])
        values = _painted(parts, geometry, start, stop, labels[start:stop])
        for k in range(start, stop):
            values[k - start] += _noise(shape[1:], noise_hu, seed, k)
        np.clip(np.rint(values, out=values), -1024, 3071, out=values)
        voxels[start:stop] = values

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        list(pool.map(fill, range(0, shape[0], slab)))
    volume = Volume(
        VolumeId(f"chest-phantom-{seed}-{'x'.join(map(str, shape))}"),
        geometry,
        voxels,
        Modality.CT,
        "HU",
        "chest-phantom",
        "Chest phantom",
        (Window(40.0, 400.0), Window(-600.0, 1500.0)),
    )
    nodules = tuple(Nodule(center, radius, LABELS["Nodule"]) for center, radius in NODULES)
    return Phantom(volume, labels, segments(), nodules)


def segments() -> tuple[Segment, ...]:
    """The structures of the truth, with their codes (SNOMED CT)."""
    return tuple(
        Segment(label, name, color, code, _ABNORMAL if name == "Nodule" else _ANATOMY)
        for (name, label), (color, code) in zip(LABELS.items(), _LOOKS, strict=True)
    )


_LOOKS = (
    ((197, 165, 145), Code("3341006", "SCT", "Right lung")),
    ((224, 186, 162), Code("44029006", "SCT", "Left lung")),
    ((182, 228, 255), Code("44567001", "SCT", "Trachea")),
    ((206, 110, 84), Code("80891009", "SCT", "Heart")),
    ((224, 97, 76), Code("15825003", "SCT", "Aorta")),
    ((221, 130, 101), Code("10200004", "SCT", "Liver")),
    ((157, 108, 162), Code("78961009", "SCT", "Spleen")),
    ((185, 102, 83), Code("9846003", "SCT", "Right kidney")),
    ((205, 122, 103), Code("18639004", "SCT", "Left kidney")),
    ((226, 202, 134), Code("421060004", "SCT", "Vertebral column")),
    ((253, 232, 158), Code("113197003", "SCT", "Rib")),
    ((144, 238, 144), Code("27925004", "SCT", "Nodule")),
)


def _painted(parts: Iterable[Part], geometry: Geometry, start: int, stop: int, labels: NDArray[np.uint8]) -> Floats32:
    """Slices [start, stop): (k, j, i) float32, HU; their truth goes into `labels`."""
    _, rows, columns = geometry.shape
    step = np.array(geometry.spacing_mm)
    first = np.array(geometry.origin_mm)[::-1] + step * (start, 0, 0)
    shape = (stop - start, rows, columns)
    values = np.full(shape, _AIR_HU, dtype=np.float32)
    blur_mm = float(step.mean())
    for part in parts:
        low = np.clip(np.floor((np.array(part.bounds.low)[::-1] - first) / step), 0, shape).astype(int)
        high = np.clip(np.ceil((np.array(part.bounds.high)[::-1] - first) / step) + 1, 0, shape).astype(int)
        if (high <= low).any():
            continue
        z, y, x = (
            (first[axis] + step[axis] * np.arange(low[axis], high[axis])).astype(np.float32) for axis in range(3)
        )
        grid = Grid(x[None, None, :], y[None, :, None], z[:, None, None])
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        distance = part.distance(grid)
        share = np.clip(0.5 - distance / blur_mm, 0, 1)
        inside = values[box]
        inside += share * ((part.hu(grid) if callable(part.hu) else np.float32(part.hu)) - inside)
        if part.label:
            labels[box][np.broadcast_to(distance < 0, inside.shape)] = part.label
    return values


def _noise(shape: tuple[int, int], sigma: float, seed: int, k: int) -> Floats32:
    """One slice of noise with the short correlation of a soft kernel; the same for the same slice."""
    random = np.random.default_rng((seed, k))
    white = random.standard_normal((shape[0] + 1, shape[1] + 1), dtype=np.float32)
    smooth = white[:-1, :-1] + white[1:, :-1] + white[:-1, 1:] + white[1:, 1:]
    noise: Floats32 = smooth * np.float32(sigma / 2)
    return noise
