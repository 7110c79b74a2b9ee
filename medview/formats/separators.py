"""What may tell images at one place apart: echoes, times, diffusion weights."""

from __future__ import annotations

from dataclasses import dataclass


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
