"""What the frames of a multi-frame file, or the tiles of a mosaic, say each of itself."""

from __future__ import annotations

from dataclasses import dataclass

from medview.core.volume import Window
from medview.formats.separators import Separators


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """One frame or tile. What is empty is not told.

    Attributes:
        index: Its number within the file, from 0.
        corner: Row and column of its first pixel in that frame.
        shape: Rows and columns.
        position: Centre of the first pixel: x, y, z, LPS, mm.
        orientation: Directions of a row and of a column.
        pixel_spacing: Between rows, between columns, mm.
        slope: Stored values times this ...
        intercept: ... plus this are the values ...
        rescale_type: ... in this unit.
        windows: Stored with it.
        separators: What may tell it from others at its place.
    """

    index: int
    corner: tuple[int, int]
    shape: tuple[int, int]
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing: tuple[float, ...]
    slope: float
    intercept: float
    rescale_type: str
    windows: tuple[Window, ...]
    separators: Separators
