"""From a pixel of a slice view to the point of the patient under it, and back. Exact, whatever is drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from medview.core.geometry import Floats, Point

_LEAST_MM_PER_PIXEL = 1e-4
_MOST_MM_PER_PIXEL = 100.0


@dataclass(frozen=True, slots=True, eq=False)
class SliceCamera:
    """What a slice view looks at: a parallel projection onto one plane.

    Pixels are device pixels with their origin at the bottom left corner of the view; x = 0.5 is the middle of the first
    column.

    Attributes:
        center: (3,) float64, LPS, mm: the point of the plane in the middle of the view.
        right: (3,) unit vector, LPS, towards the right of the screen.
        up: (3,) unit vector, LPS, towards the top of the screen.
        mm_per_pixel: Size of a device pixel in the patient.
        width: Of the view, device pixels.
        height: Of the view, device pixels.
    """

    center: Floats
    right: Floats
    up: Floats
    mm_per_pixel: float
    width: int
    height: int

    @property
    def normal(self) -> Floats:
        """(3,) unit vector, LPS, towards the reader."""
        normal: Floats = np.cross(self.right, self.up)
        return normal

    def point_at(self, x: float, y: float) -> Point:
        """The point of the plane under a pixel: x, y, z, LPS, mm."""
        offset = (x - self.width / 2) * self.right + (y - self.height / 2) * self.up
        px, py, pz = (float(v) for v in self.center + self.mm_per_pixel * offset)
        return px, py, pz

    def pixel_of(self, point: Floats | Point) -> tuple[float, float]:
        """Where a point is drawn; a point off the plane is projected along the line of sight."""
        offset = np.asarray(point, dtype=np.float64) - self.center
        return (
            self.width / 2 + float(offset @ self.right) / self.mm_per_pixel,
            self.height / 2 + float(offset @ self.up) / self.mm_per_pixel,
        )

    def panned(self, dx: float, dy: float) -> SliceCamera:
        """The camera after the picture was dragged by some pixels."""
        return replace(self, center=self.center - self.mm_per_pixel * (dx * self.right + dy * self.up))

    def zoomed(self, factor: float, x: float, y: float) -> SliceCamera:
        """The camera with the picture `factor` times larger; what is under pixel (x, y) stays there."""
        scale = min(max(self.mm_per_pixel / factor, _LEAST_MM_PER_PIXEL), _MOST_MM_PER_PIXEL)
        fixed = np.asarray(self.point_at(x, y))
        offset = (x - self.width / 2) * self.right + (y - self.height / 2) * self.up
        return replace(self, center=fixed - scale * offset, mm_per_pixel=scale)

    def through(self, point: Floats | Point) -> SliceCamera:
        """The camera moved along the line of sight onto the plane through a point."""
        offset = np.asarray(point, dtype=np.float64) - self.center
        return replace(self, center=self.center + float(offset @ self.normal) * self.normal)
