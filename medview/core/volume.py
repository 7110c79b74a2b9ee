"""The voxels of one series."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NewType

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Geometry
from medview.core.text import Text

VolumeId = NewType("VolumeId", str)


class Modality(StrEnum):
    """What made the image; the values are DICOM's (0008,0060)."""

    CT = "CT"
    MR = "MR"
    PT = "PT"
    CR = "CR"
    DX = "DX"
    MG = "MG"
    US = "US"
    NM = "NM"
    XA = "XA"
    OTHER = "OT"

    @classmethod
    def of(cls, value: str) -> Modality:
        """The modality of a DICOM value; `OTHER` for what is not in the list."""
        try:
            return cls(value.strip().upper())
        except ValueError:
            return cls.OTHER


@dataclass(frozen=True, slots=True)
class Window:
    """Which voxel values become black and white: DICOM (0028,1050) and (0028,1051)."""

    center: float
    width: float

    @property
    def lower(self) -> float:
        """The value that is black."""
        return self.center - self.width / 2

    @property
    def upper(self) -> float:
        """The value that is white."""
        return self.center + self.width / 2

    @classmethod
    def between(cls, lower: float, upper: float) -> Window:
        """The window with these limits."""
        return cls((lower + upper) / 2, max(upper - lower, 1e-6))


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """An image on a regular grid.

    Attributes:
        id: Unique in the program's lifetime.
        geometry: Where the voxels lie.
        voxels: (k, j, i) uint8, int16, uint16, int32 or float32, C-contiguous, read-only, in `unit`; rescaled once, at
            load.
        modality: What made it.
        unit: "HU", "SUVbw", "%", or "" where the values are arbitrary.
        series_uid: DICOM (0020,000E), or a stable name made from the file.
        description: The series description.
        windows: Windows stored with the image, the preferred one first.
        phase: Which volume of its series it is, where a series has several on one grid.
        colors: (k, j, i, 3) uint8, sRGB, C-contiguous, read-only, of a picture in colour; `voxels` then hold its
            brightness. None for grey images.
        is_spatial: Whether voxels have a place in the patient. The pictures of a cine have none: they follow each other
            along k, and only the plane of the picture means something.
        caution: What a measurement on it has to say beside its number; None when its grid is safe.
        view: Of a radiograph, DICOM (0018,5101), upper case, as "PA" or "LL"; empty when it is not told.
    """

    id: VolumeId
    geometry: Geometry
    voxels: NDArray[Any]
    modality: Modality
    unit: str
    series_uid: str
    description: str = ""
    windows: tuple[Window, ...] = ()
    phase: int = 0
    colors: NDArray[np.uint8] | None = None
    is_spatial: bool = True
    caution: Text | None = None
    view: str = ""

    def __post_init__(self) -> None:
        if self.voxels.shape != self.geometry.shape:
            raise ValueError(f"The voxels {self.voxels.shape} do not fill the grid {self.geometry.shape}.")
        if not self.voxels.flags.c_contiguous:
            raise ValueError("Voxels must be C-contiguous.")
        if self.voxels.dtype not in (np.uint8, np.int16, np.uint16, np.int32, np.float32):
            raise ValueError(f"Voxels of type {self.voxels.dtype} are not used.")
        if self.colors is not None:
            if self.colors.shape != (*self.voxels.shape, 3) or self.colors.dtype != np.uint8:
                raise ValueError(f"The colours {self.colors.shape} do not fit the voxels {self.voxels.shape}.")
            colors = self.colors.view()
            colors.flags.writeable = False
            object.__setattr__(self, "colors", colors)
        shown = self.voxels.view()
        shown.flags.writeable = False
        object.__setattr__(self, "voxels", shown)
