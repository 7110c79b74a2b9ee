"""Siemens mosaics: all slices of a volume as the tiles of one large image.

The position in the file is that of the large image, as if its pixels went on beyond the slice; the slices' own follows
from it (dcm2niix and NiBabel describe the layout). Which way the slices go, and how many there are, stands in the
maker's own CSA header, read here by NiBabel.
"""

from __future__ import annotations

import math
import warnings
from typing import BinaryIO

import numpy as np
from pydicom import dcmread
from pydicom.tag import BaseTag, Tag

from medview.core.volume import Window
from medview.formats.frame_facts import FrameFacts
from medview.formats.separators import Separators

_CSA = 0x00291010
_COUNT = 0x0019100A
_GEOMETRY = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SpacingBetweenSlices")


def read(
    file: BinaryIO, rescale: tuple[float, float, str], windows: tuple[Window, ...], separators: Separators
) -> tuple[FrameFacts, ...]:
    """The tiles of a mosaic, in the order of the slices; none when it does not say how it was made.

    Args:
        file: The file.
        rescale: Slope, intercept and their unit, the same for all tiles.
        windows: Stored with the image.
        separators: What may tell this volume from others.

    Raises:
        Exception: Whatever pydicom and NiBabel raise on a damaged file.
    """
    file.seek(0)
    tags = [BaseTag(_CSA), BaseTag(_COUNT), *(Tag(name) for name in ("Rows", "Columns", *_GEOMETRY))]
    dataset = dcmread(file, stop_before_pixels=True, force=True, specific_tags=tags)
    count, towards = _count_and_direction(bytes(dataset[_CSA].value) if _CSA in dataset else b"")
    if not count and _COUNT in dataset:
        count = int(dataset[_COUNT].value) if isinstance(dataset[_COUNT].value, int) else 0
    if not count or any(dataset.get(name) is None for name in _GEOMETRY):
        return ()
    across = math.ceil(math.sqrt(count))
    rows, columns = int(dataset.Rows) // across, int(dataset.Columns) // across
    numbers = [float(value) for name in _GEOMETRY for value in np.atleast_1d(np.array(dataset.get(name), dtype=float))]
    if rows < 1 or columns < 1 or not np.isfinite(numbers).all():
        return ()
    row, column = np.array(dataset.ImageOrientationPatient, dtype=float).reshape(2, 3)
    down_mm, across_mm = (float(value) for value in dataset.PixelSpacing)
    corner = np.array(dataset.ImagePositionPatient, dtype=float)
    corner = corner + row * across_mm * (int(dataset.Columns) - columns) / 2
    corner = corner + column * down_mm * (int(dataset.Rows) - rows) / 2
    normal = np.cross(row, column)
    if towards is not None and float(np.dot(towards, normal)) < 0:
        normal = -normal
    step = float(dataset.SpacingBetweenSlices)
    slope, intercept, rescale_type = rescale
    return tuple(
        FrameFacts(
            index=0,
            corner=(tile // across * rows, tile % across * columns),
            shape=(rows, columns),
            position=tuple(float(value) for value in corner + tile * step * normal),
            orientation=tuple(float(value) for value in dataset.ImageOrientationPatient),
            pixel_spacing=(down_mm, across_mm),
            slope=slope,
            intercept=intercept,
            rescale_type=rescale_type,
            windows=windows,
            separators=separators,
        )
        for tile in range(count)
    )


def _count_and_direction(csa: bytes) -> tuple[int, np.ndarray | None]:
    """How many tiles there are, and the direction from slice to slice; 0 and None when the header does not say."""
    if not csa:
        return 0, None
    with warnings.catch_warnings():
        # it calls itself experimental; what is read from it here is compared with other converters in the tests
        warnings.simplefilter("ignore")
        from nibabel.nicom import csareader

    header = csareader.read(csa)
    count = csareader.get_n_mosaic(header)
    towards = csareader.get_slice_normal(header)
    return int(count or 0), None if towards is None else np.array(towards, dtype=float)
