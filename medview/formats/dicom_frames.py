"""The images of a series one by one: a whole file, a frame of a multi-frame file, or a tile of a mosaic."""

from __future__ import annotations

from dataclasses import dataclass

from medview.core.volume import Window
from medview.formats.dicom_header import Header


@dataclass(frozen=True, slots=True)
class Separators:
    """What may tell images at one place apart. None, or empty, where a file does not say.

    Attributes:
        echo_time_ms: DICOM (0018,0081).
        b_value: s/mm2, (0018,9087) or the makers' private ones.
        direction: Of the diffusion gradient, x, y, z; empty without one.
        trigger_time_ms: After the heart's R wave, (0018,1060).
        temporal_position: (0020,0100).
        time_s: When it was acquired, seconds after midnight.
        acquisition_number: (0020,0012).
        image_type: (0008,0008): magnitude, phase, water, fat, ...
        stack: (0020,9056), of enhanced objects.
    """

    echo_time_ms: float | None = None
    b_value: float | None = None
    direction: tuple[float, ...] = ()
    trigger_time_ms: float | None = None
    temporal_position: int | None = None
    time_s: float | None = None
    acquisition_number: int | None = None
    image_type: tuple[str, ...] = ()
    stack: str = ""


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
    """The images that a file holds."""
    return (
        Frame(
            header,
            0,
            (0, 0),
            header.rows,
            header.columns,
            header.position,
            header.orientation,
            header.pixel_spacing,
            header.slope,
            header.intercept,
            header.rescale_type,
            header.windows,
            Separators(image_type=header.image_type),
        ),
    )
