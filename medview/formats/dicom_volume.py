"""Reads the pixels of a series into one array, the slice on screen first.

The planes of the array are the slices, or, on a corrected grid, lie between them. Uncompressed pixels are read straight
from their place in the file into their place in the volume; compressed ones go through pydicom and its decoders. Every
slice is rescaled with its own slope and intercept, once, here.
"""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core import memory
from medview.core.case import SeriesKind
from medview.core.errors import UnsupportedSeriesError
from medview.core.geometry import Geometry
from medview.core.progress import Progress
from medview.core.text import Text
from medview.core.volume import Volume, VolumeId, Window
from medview.formats.dicom_frames import Frame
from medview.formats.dicom_header import quiet_pydicom
from medview.formats.dicom_pixels import (
    ensure_believable,
    is_color,
    is_compressed,
    is_float,
    is_hounsfield,
    is_inverted,
    read_colors,
    read_slice,
    values_range,
)
from medview.formats.dicom_series import DicomSeries
from medview.formats.functional_groups import PARAMETRIC_MAP
from medview.formats.pixel_decoding import forget, useful_threads
from medview.formats.slice_resampling import SliceMap, laid

_SLICES_AT_ONCE = 16
_PICTURES_AT_ONCE = 4
_PATIENCE_S = 0.1
_READING_THREADS = 4
_AIR = -1024
_MAP_UNITS = {"1": "", "[hnsf'U]": "HU", "g/ml{SUVbw}": "SUVbw"}
"""Units of parametric maps in UCUM, by the names that the program has for them."""
_BRIGHTNESS = np.array([0.299, 0.587, 0.114], dtype=np.float32)
"""Of red, green and blue (ITU-R BT.601)."""


def read(
    series: DicomSeries,
    progress: Progress,
    *,
    phase: int = 0,
    first_slice: int | None = None,
    started: Callable[[Volume], None] | None = None,
    arrived: Callable[[int, int], None] | None = None,
    threads: int | None = None,
) -> Volume:
    """Read a volume of a series that `dicom_series.group` did not refuse.

    Args:
        series: The series.
        progress: Told how many slices have been read.
        phase: Which of its volumes, where it has several.
        first_slice: The plane along k to read first, then outwards from it; the middle one by default.
        started: Called with the volume as soon as that plane is in; the others are black until they
            arrive (-1024 HU, or 0).
        arrived: Called with (start, stop) along k when these planes hold their values. Both are called in this thread.
        threads: How many stretches are read at once; None for as many as are of use.

    Returns:
        The volume that `started` got. Voxels: (k, j, i) int16, uint16, int32 or float32, the smallest that holds every
        value exactly (on a corrected grid, every interpolated value to the nearest whole number); Hounsfield units for
        CT.

    Raises:
        UnsupportedSeriesError: The series was refused.
        UnreadableFileError: Pixels are damaged or missing.
        InputError: It does not fit into memory.
        Cancelled: The progress says so.
    """
    geometry = series.facts.geometry
    if geometry is None:
        refusal = series.facts.refusal
        raise UnsupportedSeriesError(refusal.text if refusal else "The series cannot be opened as a volume.")
    frames, unit = series.phase(phase), _unit(series)
    outside = _AIR if unit == "HU" else 0
    kind = _voxel_type(series)
    count, has_colors = geometry.shape[0], is_color(frames[0].header)
    first = count // 2 if first_slice is None else min(max(first_slice, 0), count - 1)
    quiet_pydicom()
    memory.ensure(math.prod(geometry.shape) * (np.dtype(kind).itemsize + (3 if has_colors else 0)))
    ensure_believable(frames[min(first, len(frames) - 1)])
    voxels: NDArray[Any] = np.full(geometry.shape, outside, dtype=kind)
    colors = np.zeros((*geometry.shape, 3), dtype=np.uint8) if has_colors else None
    volume = Volume(
        VolumeId(uuid.uuid4().hex),
        geometry,
        voxels,
        series.facts.modality,
        unit,
        series.facts.uid,
        series.facts.description,
        _windows(frames),
        phase=phase,
        colors=colors,
        is_spatial=series.facts.kind is not SeriesKind.PICTURES,
        caution=series.caution,
        view=dict(series.facts.acquisition).get("View", "").upper(),
    )
    planes = _Planes(frames, geometry, outside, voxels, colors)
    try:
        planes.read(first, first + 1, progress)
        if started is not None:
            started(volume)
        if arrived is not None:
            arrived(first, first + 1)
        if is_compressed(frames[0].header):
            threads, at_once = threads or useful_threads(frames[0].header.transfer_syntax), _PICTURES_AT_ONCE
        else:
            threads, at_once = threads or min(_READING_THREADS, os.cpu_count() or 1), _SLICES_AT_ONCE
        _read_others(planes, first, progress, arrived, threads, at_once)
    finally:
        forget()
    return volume


class _Planes:
    """The planes of a volume, which are slices or lie between two.

    Args:
        frames: The slices.
        geometry: The grid.
        outside: The value where no slice reaches.
        voxels: (k, j, i); gets the values.
        colors: (k, j, i, 3) uint8; gets the colours, of pictures that have them, and `voxels` their brightness.
    """

    def __init__(
        self,
        frames: tuple[Frame, ...],
        geometry: Geometry,
        outside: float,
        voxels: NDArray[Any],
        colors: NDArray[np.uint8] | None,
    ) -> None:
        self.voxels = voxels
        self._colors = colors
        self._frames = frames
        self._map = SliceMap.of(geometry)
        self._outside = outside

    def read(self, start: int, stop: int, progress: Progress) -> None:
        """Fill the planes from `start` up to but not including `stop`."""
        if self._colors is not None:
            for plane in range(start, stop):
                progress.raise_if_cancelled()
                read_colors(self._frames[plane], self._colors[plane])
                self.voxels[plane] = self._colors[plane] @ _BRIGHTNESS
        elif self._map is None:
            for plane in range(start, stop):
                progress.raise_if_cancelled()
                read_slice(self._frames[plane], self.voxels[plane])
        else:
            self._read_between(start, stop, progress, self._map)

    def _read_between(self, start: int, stop: int, progress: Progress, where: SliceMap) -> None:
        held: dict[int, NDArray[np.float32]] = {}
        for plane in range(start, stop):
            progress.raise_if_cancelled()
            lower, upper, share = where.neighbours(plane)
            held = {index: held[index] if index in held else self._laid(index) for index in (lower, upper)}
            values = (
                held[lower] if share == 0 else (1 - np.float32(share)) * held[lower] + np.float32(share) * held[upper]
            )
            whole = np.issubdtype(self.voxels.dtype, np.integer)
            self.voxels[plane] = np.rint(values) if whole else values

    def _laid(self, index: int) -> NDArray[np.float32]:
        assert self._map is not None
        frame = self._frames[index]
        pixels = np.empty((frame.rows, frame.columns), dtype=np.float32)
        read_slice(frame, pixels)
        _, rows, columns = self.voxels.shape
        return laid(pixels, self._map.shift[index], (rows, columns), self._outside)


def _read_others(
    planes: _Planes,
    first: int,
    progress: Progress,
    arrived: Callable[[int, int], None] | None,
    threads: int,
    at_once: int,
) -> None:
    """Read stretches of `at_once` planes in threads: reading and decoding leave Python's lock."""
    done, count = 1, len(planes.voxels)

    def read_stretch(start: int, stop: int) -> tuple[int, int]:
        planes.read(start, stop, progress)
        return start, stop

    with ThreadPoolExecutor(threads, thread_name_prefix="slices") as pool:
        waiting: set[Future[tuple[int, int]]] = set()
        try:
            for stretch in _outwards(first, count, at_once):
                waiting.add(pool.submit(read_stretch, *stretch))
                if len(waiting) > threads:
                    done += _collect(waiting, progress, arrived)
                    progress.report(done / count, Text.of("{n} of {all} slices", n=done, all=count))
            while waiting:
                done += _collect(waiting, progress, arrived)
                progress.report(done / count, Text.of("{n} of {all} slices", n=done, all=count))
        finally:
            for future in waiting:
                future.cancel()


def _collect(
    waiting: set[Future[tuple[int, int]]], progress: Progress, arrived: Callable[[int, int], None] | None
) -> int:
    """Wait for at least one stretch; how many slices have come."""
    ready: set[Future[tuple[int, int]]] = set()
    while not ready:
        progress.raise_if_cancelled()
        ready, _ = wait(waiting, timeout=_PATIENCE_S, return_when=FIRST_COMPLETED)
    count = 0
    for future in ready:
        waiting.discard(future)
        start, stop = future.result()
        count += stop - start
        if arrived is not None:
            arrived(start, stop)
    return count


def _outwards(first: int, count: int, at_once: int) -> Iterator[tuple[int, int]]:
    """Stretches [start, stop) that cover everything but `first`, nearest first, by turns above and below."""
    above, below = first + 1, first
    while above < count or below > 0:
        if above < count:
            stop = min(above + at_once, count)
            yield above, stop
            above = stop
        if below > 0:
            start = max(below - at_once, 0)
            yield start, below
            below = start


def _voxel_type(series: DicomSeries) -> type[np.number[Any]]:
    """The smallest type that holds every value that the headers allow.

    Hounsfield units are the exception: 16-bit pixels with an intercept could reach beyond int16, but no tissue, metal
    or padding does; what lies beyond is cut to the limits of int16 (see `dicom_pixels.read_slice`).
    """
    frames = series.frames
    if is_color(frames[0].header):
        return np.uint8
    if any(is_float(one.header) or not one.slope.is_integer() or not one.intercept.is_integer() for one in frames):
        return np.float32
    if all(is_hounsfield(one) and one.slope == 1 for one in frames):
        return np.int16
    ranges = [values_range(one) for one in frames]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    for candidate in (np.int16, np.uint16, np.int32):
        limits = np.iinfo(candidate)
        if limits.min <= low and high <= limits.max:
            return candidate
    return np.float32


def _unit(series: DicomSeries) -> str:
    if is_color(series.frames[0].header):
        return ""
    if all(is_hounsfield(one) for one in series.frames):
        return "HU"
    if all(one.header.suv.factor for one in series.frames):
        return "SUVbw"
    if all(one.header.sop_class_uid == PARAMETRIC_MAP for one in series.frames):
        maps = {one.rescale_type for one in series.frames}
        unit = maps.pop() if len(maps) == 1 else ""
        return _MAP_UNITS.get(unit, unit)
    units = {one.header.units for one in series.frames}
    return "Bq/ml" if units == {"BQML"} else ""


def _windows(frames: tuple[Frame, ...]) -> tuple[Window, ...]:
    """The windows of the middle slice; turned round with the values where these are."""
    frame = frames[len(frames) // 2]
    if not is_inverted(frame):
        return frame.windows
    low, high = values_range(frame)
    return tuple(Window(low + high - window.center, window.width) for window in frame.windows)
