"""The box inside which plugins look: set by the reader, seen in every view, one for each grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medview.core.events import Event
from medview.core.geometry import Box, Geometry, Index, Point
from medview.core.planes import Plane, slice_plane
from medview.core.volume import Volume
from medview.inference.boxing import voxels_between
from medview.workstation.workspace import Workspace

_PLANES = (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)
"""Those on which the patient's axes x, y, z stand."""
_MOST_OF = 0.9


@dataclass(frozen=True, slots=True)
class _Set:
    geometry: Geometry
    box: Box


class SearchBox:
    """Holds the boxes. Main thread only.

    A box is made of voxels of the image that is shown: what is drawn is what a plugin gets to see. It stays when
    another image of the same grid is shown, and waits while one of another grid is.

    Args:
        workspace: Says which image is shown.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.changed: Event[None] = Event()
        self._workspace = workspace
        self._set: list[_Set] = []

    @property
    def box(self) -> Box | None:
        """The box on the image that is shown, (k, j, i); None where there is none."""
        volume = self._workspace.active_volume
        return self.on(volume) if volume is not None else None

    def on(self, volume: Volume) -> Box | None:
        """The box on an image."""
        return next((one.box for one in self._set if one.geometry.same_grid(volume.geometry)), None)

    def place(self, center: Point, size_mm: Sequence[float]) -> None:
        """Set a box around a point of the image that is shown, as far as the image goes.

        Args:
            center: x, y, z, LPS, mm.
            size_mm: Left to right, front to back, foot to head.
        """
        volume = self._workspace.active_volume
        if volume is None:
            return
        geometry = volume.geometry
        middle = np.asarray(geometry.nearest_voxel(center))
        half = np.zeros(3, dtype=np.int64)
        for size, plane in zip(size_mm, _PLANES, strict=True):
            axis = slice_plane(geometry, plane).axis
            # never larger than asked for: a plugin may have a limit
            half[axis] = max(0, int((size / geometry.spacing_mm[axis] - 1) // 2))
        self._take(Box(_index(middle - half), _index(middle + half + 1)))

    @property
    def size_mm(self) -> tuple[float, float, float] | None:
        """The size of the box: left to right, front to back, foot to head; None where there is none."""
        box, volume = self.box, self._workspace.active_volume
        if box is None or volume is None:
            return None
        extent = volume.geometry.cropped(box).extent_mm
        x, y, z = (extent[slice_plane(volume.geometry, plane).axis] for plane in _PLANES)
        return x, y, z

    def set_between(self, one: Point, other: Point) -> None:
        """Set a box between two opposite corners, LPS, mm.

        Raises:
            InputError: It holds nothing of the image that is shown.
        """
        volume = self._workspace.active_volume
        if volume is not None:
            self._take(voxels_between(volume.geometry, one, other))

    def move_side(self, axis: int, *, upper: bool, to: float) -> None:
        """Put one side of the box elsewhere; at least one voxel stays between two sides.

        Args:
            axis: Of the grid.
            upper: Whether it is the side of the larger indices.
            to: Where the side shall be, an index: voxels reach half a voxel to both sides of theirs.
        """
        box, volume = self.box, self._workspace.active_volume
        if box is None or volume is None:
            return
        edge = int(np.clip(round(to + 0.5), 0, volume.geometry.shape[axis]))
        start, stop = box.start[axis], box.stop[axis]
        start, stop = (start, max(edge, start + 1)) if upper else (min(edge, stop - 1), stop)
        self._take(box.narrowed(axis, start, stop))

    def move_to(self, start: Index) -> None:
        """Put the whole box elsewhere, by its first voxel; it stays inside the image, as large as it is."""
        box, volume = self.box, self._workspace.active_volume
        if box is None or volume is None:
            return
        room = np.asarray(volume.geometry.shape) - box.shape
        first = np.clip(np.asarray(start), 0, room)
        self._take(Box(_index(first), _index(first + box.shape)))

    def clear(self) -> None:
        """Take the box on the image that is shown away."""
        volume = self._workspace.active_volume
        if volume is not None and self.box is not None:
            self._set = [one for one in self._set if not one.geometry.same_grid(volume.geometry)]
            self.changed.emit(None)

    def _take(self, box: Box) -> None:
        volume = self._workspace.active_volume
        assert volume is not None
        box = box.clipped(volume.geometry.shape)
        if box.is_empty or box == self.box:
            return
        others = [one for one in self._set if not one.geometry.same_grid(volume.geometry)]
        self._set = [*others, _Set(volume.geometry, box)]
        self.changed.emit(None)


def size_for(limits_mm: Sequence[float] | None, geometry: Geometry) -> tuple[float, float, float]:
    """How large a box is at first: most of what a plugin allows, else half of the image.

    Args:
        limits_mm: The largest extent that the plugin allows, left to right, front to back, foot to head; None: any.
        geometry: Of the image.

    Returns:
        Left to right, front to back, foot to head, mm.
    """
    if limits_mm is not None:
        x, y, z = (_MOST_OF * limit for limit in limits_mm)
    else:
        x, y, z = (geometry.extent_mm[slice_plane(geometry, plane).axis] / 2 for plane in _PLANES)
    return x, y, z


def _index(values: np.ndarray) -> Index:
    k, j, i = (int(value) for value in values)
    return k, j, i
