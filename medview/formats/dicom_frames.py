"""The images of a series one by one: a whole file, a frame of a multi-frame file, or a tile of a mosaic."""

from __future__ import annotations

from dataclasses import dataclass

from medview.core.volume import Window
from medview.formats.dicom_header import Header
from medview.formats.frame_facts import FrameFacts
from medview.formats.separators import Separators


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of a series: where its pixels are, where it lies, and how its values are meant.

    Attributes:
        header: Of its file.
        index: Its number within the file, from 0.
        corner: Row and column, in that frame, of its first pixel; not (0, 0) for the tiles of a mosaic.
        rows: Its height, pixels.
        columns: Its width, pixels.
        position: Centre of the first pixel: x, y, z, LPS, mm; empty when not told.
        orientation: Directions of a row and of a column; empty when not told.
        pixel_spacing: Between rows, between columns, mm; empty when not told.
        slope: Stored values times this ...
        intercept: ... plus this are the values ...
        rescale_type: ... in this unit.
        windows: Stored with it.
        separators: What may tell it from others at its place.
    """

    header: Header
    index: int
    corner: tuple[int, int]
    rows: int
    columns: int
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing: tuple[float, ...]
    slope: float
    intercept: float
    rescale_type: str
    windows: tuple[Window, ...]
    separators: Separators


def frames_of(header: Header) -> tuple[Frame, ...]:
    """The images that a file holds. Values of PET are rescaled to uptake values where the file says how."""
    factor = header.suv.factor or 1.0
    if not header.frame_facts:
        return tuple(_untold(header, index, factor) for index in range(header.frames))
    return tuple(_told(header, one, factor) for one in header.frame_facts)


def first_frame(header: Header) -> Frame:
    """The first of the images that a file holds, or what stands for a file without any."""
    factor = header.suv.factor or 1.0
    return _told(header, header.frame_facts[0], factor) if header.frame_facts else _untold(header, 0, factor)


def _told(header: Header, one: FrameFacts, factor: float) -> Frame:
    """A frame of which its file tells something on its own."""
    return Frame(
        header,
        one.index,
        one.corner,
        *one.shape,
        one.position,
        one.orientation,
        one.pixel_spacing,
        one.slope * factor,
        one.intercept * factor,
        one.rescale_type,
        _scaled(one.windows or header.windows, factor),
        one.separators,
    )


def _untold(header: Header, index: int, factor: float) -> Frame:
    """A frame of which nothing is told that its file does not tell."""
    single = header.frames == 1
    return Frame(
        header,
        index,
        (0, 0),
        header.rows,
        header.columns,
        header.position if single else (),
        header.orientation if single else (),
        header.pixel_spacing,
        header.slope * factor,
        header.intercept * factor,
        header.rescale_type,
        _scaled(header.windows, factor),
        header.separators,
    )


def _scaled(windows: tuple[Window, ...], factor: float) -> tuple[Window, ...]:
    if factor == 1:
        return windows
    return tuple(Window(window.center * factor, window.width * factor) for window in windows)
