"""The small picture that stands for a series in a list."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.errors import MedViewError
from medview.core.volume import Volume, Window
from medview.formats.dicom_frames import Frame
from medview.formats.dicom_header import quiet_pydicom
from medview.formats.dicom_pixels import is_color, is_hounsfield, is_inverted, read_colors, read_slice, values_range
from medview.formats.dicom_series import DicomSeries

SIZE = 96
"""Longer side, pixels."""
_SOFT_TISSUE = Window(40.0, 400.0)
_ALL_OF_A_BYTE = Window(127.5, 255.0)


def of_series(series: DicomSeries) -> NDArray[np.uint8] | None:
    """The middle image of a series: (row, column) uint8, square pixels; None when it has no image that can be drawn.

    A picture in colour is (row, column, 3).

    Never raises for damaged pixels: the list shows the series without a picture.
    """
    try:
        frame = series.frames[len(series.frames) // 2]
    except MedViewError:
        return None
    header = frame.header
    if header.pixels is None:
        return None
    spacing = frame.pixel_spacing if len(frame.pixel_spacing) == 2 and min(frame.pixel_spacing) > 0 else (1.0, 1.0)
    size_mm = (spacing[0], spacing[1])
    quiet_pydicom()
    try:
        if is_color(header):
            colors = np.empty((frame.rows, frame.columns, 3), dtype=np.uint8)
            read_colors(frame, colors)
            return np.stack([_picture(colors[..., one], size_mm, _ALL_OF_A_BYTE) for one in range(3)], axis=-1)
        values = np.empty((frame.rows, frame.columns), dtype=np.float32)
        read_slice(frame, values)
    except (MedViewError, MemoryError, ValueError, OverflowError):  # the last two of series that are refused
        return None
    return _picture(values, size_mm, _window(frame))


def of_volume(volume: Volume) -> NDArray[np.uint8]:
    """The middle slice along k: (row, column) uint8, square pixels."""
    _, row_mm, column_mm = volume.geometry.spacing_mm
    window = volume.windows[0] if volume.windows else (_SOFT_TISSUE if volume.unit == "HU" else None)
    return _picture(volume.voxels[volume.geometry.shape[0] // 2].astype(np.float32), (row_mm, column_mm), window)


def _window(frame: Frame) -> Window | None:
    if not frame.windows:
        return _SOFT_TISSUE if is_hounsfield(frame) else None
    window = frame.windows[0]
    if not is_inverted(frame):
        return window
    low, high = values_range(frame)
    return Window(low + high - window.center, window.width)


def _picture(values: NDArray[Any], spacing_mm: tuple[float, float], window: Window | None) -> NDArray[np.uint8]:
    height_mm, width_mm = values.shape[0] * spacing_mm[0], values.shape[1] * spacing_mm[1]
    scale = SIZE / max(height_mm, width_mm)
    rows = _averaged(values, max(1, round(height_mm * scale)), axis=0)
    small = _averaged(rows, max(1, round(width_mm * scale)), axis=1)
    if window is None or small.max() <= window.lower or small.min() >= window.upper:
        low, high = (float(value) for value in np.percentile(small, (0.5, 99.5)))
        window = Window.between(low, max(high, low + 1e-3))
    grey = (small - window.lower) / (window.upper - window.lower) * 255
    return np.ascontiguousarray(np.clip(grey, 0, 255).astype(np.uint8))


def _averaged(values: NDArray[Any], count: int, axis: int) -> NDArray[Any]:
    """`count` samples along an axis: means of what lies between them, or repeats where there are fewer."""
    size = values.shape[axis]
    if count >= size:
        repeated: NDArray[Any] = np.take(values, (np.arange(count) * size) // count, axis=axis)
        return repeated
    edges = (np.arange(count) * size) // count
    sums = np.add.reduceat(values, edges, axis=axis, dtype=np.float64)
    widths = np.diff(np.append(edges, size))
    means: NDArray[Any] = sums / (widths[:, None] if axis == 0 else widths[None, :])
    return means
