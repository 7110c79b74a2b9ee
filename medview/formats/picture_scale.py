"""How large the pixels of a picture are, and how fast pictures follow each other, in the ways in which it is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

_SCALES = (
    "PixelSpacing",
    "ImagerPixelSpacing",
    "NominalScannedPixelSpacing",
    "EstimatedRadiographicMagnificationFactor",
    "SequenceOfUltrasoundRegions",
    "FrameTime",
    "CineRate",
    "RecommendedDisplayFrameRate",
)
_CENTIMETRES = 3
"""DICOM's number of the unit in ultrasound regions."""
_SAME_SCALE = 1e-3


@dataclass(frozen=True, slots=True)
class PictureScale:
    """How large the pixels of a picture are, and how fast its frames follow.

    Attributes:
        spacing: Between rows, between columns, mm; empty when not told.
        at_detector: Whether it is the size on the detector, which is larger than in the patient.
        frame_ms: Time between two frames; None when not told.
    """

    spacing: tuple[float, ...] = ()
    at_detector: bool = False
    frame_ms: float | None = None


def read_scale(file: BinaryIO) -> PictureScale:
    """What a file says of the size of its pixels.

    Raises:
        Exception: Whatever pydicom raises on a damaged file.
    """
    file.seek(0)
    dataset = dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(_SCALES))
    frame_ms = _positive(dataset, "FrameTime")
    if frame_ms is None:
        rate = _positive(dataset, "RecommendedDisplayFrameRate") or _positive(dataset, "CineRate")
        frame_ms = 1000 / rate if rate else None
    spacing = _pair(dataset, "PixelSpacing")
    imager = _pair(dataset, "ImagerPixelSpacing")
    if spacing and spacing != imager:
        return PictureScale(spacing, frame_ms=frame_ms)
    if imager:
        magnification = _positive(dataset, "EstimatedRadiographicMagnificationFactor")
        if magnification:
            return PictureScale(tuple(one / magnification for one in imager), frame_ms=frame_ms)
        return PictureScale(imager, at_detector=True, frame_ms=frame_ms)
    return PictureScale(_ultrasound(dataset) or _pair(dataset, "NominalScannedPixelSpacing"), frame_ms=frame_ms)


def _pair(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Two lengths; none when one of them is missing, zero or absurd."""
    try:
        numbers = tuple(float(value) for value in dataset.get(keyword) or ())
    except (TypeError, ValueError):
        return ()
    return numbers if len(numbers) == 2 and all(np.isfinite(numbers)) and min(numbers) > 0 else ()


def _positive(dataset: Dataset, keyword: str) -> float | None:
    try:
        number = float(dataset.get(keyword) or 0)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) and number > 0 else None


def _size(dataset: Dataset, keyword: str) -> float | None:
    """A step without its direction: ultrasound counts upwards too."""
    try:
        number = abs(float(dataset.get(keyword) or 0))
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) and number > 0 else None


def _ultrasound(dataset: Dataset) -> tuple[float, ...]:
    """The size of a pixel where every region of an ultrasound picture has the same one; none where they differ."""
    sizes = []
    for region in dataset.get("SequenceOfUltrasoundRegions") or ():
        across, down = (_size(region, name) for name in ("PhysicalDeltaX", "PhysicalDeltaY"))
        units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
        if units == (_CENTIMETRES, _CENTIMETRES) and across is not None and down is not None:
            sizes.append((10 * down, 10 * across))
    if not sizes or np.ptp(np.array(sizes), axis=0).max() > _SAME_SCALE * max(sizes[0]):
        return ()
    return sizes[0]
