"""Labels over a slice: a translucent fill with an outline inside each segment.

The labels of the one slice that is shown go to the graphics card as a picture of one texel per voxel, nearest
neighbour. A fragment shader looks, for every pixel of the screen, at the texels a line's width away: where one of them
holds another label, the pixel belongs to the outline. So the outline is equally thick at every zoom, two neighbours
never mix, and a dab costs no more than its box and one upload of the slice, however large the volume is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Floats, Geometry
from medview.core.planes import SlicePlane
from medview.core.segmentation import Drawn, Segment, Segmentation
from medview.views.texel_sheet import TexelSheet

_KINDS = 255
"""Alpha tells labels of equal colour apart: 0 is background, else 1 + label % 255."""


class LabelOverlay:
    """The labels of one slice, as an actor. Draws nothing until it has a segmentation.

    Attributes:
        actor: Belongs into the scene.
        repainted: Whether colours changed since `move_to`, so that it has to be called again.
    """

    def __init__(self) -> None:
        self._sheet = TexelSheet()
        self.actor = self._sheet.actor
        self.repainted = False
        self._segmentation: Segmentation | None = None
        self._drawn: Drawn | None = None
        self._plane: SlicePlane | None = None
        self._index = 0
        self._palette = np.zeros((256, 4), dtype=np.uint8)
        self._painted: tuple[tuple[Segment, ...], frozenset[int]] | None = None

    def show(self, segmentation: Segmentation | None, plane: SlicePlane | None) -> None:
        """Take a segmentation, cut along a plane; nothing is drawn before `move_to`."""
        self._segmentation = segmentation
        self._plane = plane
        self._painted = None
        self.actor.SetVisibility(segmentation is not None and plane is not None)
        if segmentation is None or plane is None:
            return
        shape = segmentation.geometry.shape
        self._sheet.resize(shape[plane.up_axis], shape[plane.right_axis])

    def draw_instead(self, drawn: Drawn | None) -> None:
        """Draw other labels on the segmentation's grid; None: its own."""
        if drawn is not self._drawn:
            self._drawn = drawn
            self._painted = None

    def paint_with(self, hidden: frozenset[int]) -> None:
        """Take the segments' colours; a hidden segment, and a label without a segment, is transparent."""
        if self._segmentation is None:
            return
        segments = self._segmentation.segments if self._drawn is None else self._drawn.segments
        if self._drawn is not None and not self._drawn.of_segments:
            hidden = frozenset()
        look = (segments, hidden)
        if look != self._painted:
            self._painted = look
            self._palette = palette(segments, self._segmentation.largest_label, hidden)
            self.repainted = True

    def set_look(self, fill_opacity: float, outline_px: float) -> None:
        """How strong the fill is, 0..1, and how thick the outline, in device pixels; 0 for none."""
        self._sheet.set_look(fill_opacity, outline_px)

    def move_to(self, index: int, towards_reader_mm: float) -> None:
        """Show slice `index`, drawn a little in front of the picture."""
        if self._segmentation is None or self._plane is None:
            return
        self._index = index
        self.repainted = False
        self._fill(Box.whole(self._segmentation.geometry.shape))
        self._place(towards_reader_mm)

    def labels_changed(self, box: Box) -> bool:
        """Fetch the part of the slice inside a box again; whether the slice meets the box."""
        if self._segmentation is None or self._plane is None:
            return False
        axis = self._plane.axis
        if not box.start[axis] <= self._index < box.stop[axis]:
            return False
        self._fill(box)
        return True

    def _fill(self, box: Box) -> None:
        assert self._segmentation is not None
        assert self._plane is not None
        plane = self._plane
        box = box.narrowed(plane.axis, self._index, self._index + 1)
        labels = self._segmentation.labels[box.slices] if self._drawn is None else self._drawn.within(box)
        part = labels.squeeze(plane.axis)
        if plane.up_axis > plane.right_axis:
            part = part.T
        rows, columns = box.slices[plane.up_axis], box.slices[plane.right_axis]
        self._sheet.texels[rows, columns] = self._palette.view(np.uint32)[:, 0][part]
        self._sheet.texels_changed()

    def _place(self, towards_reader_mm: float) -> None:
        assert self._segmentation is not None
        assert self._plane is not None
        geometry = self._segmentation.geometry
        self._sheet.place(corners_of(geometry, Box.whole(geometry.shape), self._plane, self._index, towards_reader_mm))


def palette(segments: tuple[Segment, ...], largest_label: int, hidden: frozenset[int]) -> NDArray[np.uint8]:
    """(label, 4) uint8: red, green, blue, and a mark that tells labels apart; the mark is 0 where nothing is drawn."""
    table = np.zeros((largest_label + 1, 4), dtype=np.uint8)
    for segment in segments:
        if segment.label not in hidden:
            table[segment.label] = (*segment.color, 1 + segment.label % _KINDS)
    return table


def corners_of(geometry: Geometry, box: Box, plane: SlicePlane, index: int, towards_reader_mm: float) -> Floats:
    """(4, 3) x, y, z, mm: the outer corners of a box in one slice, in the order of a sheet's corners.

    Args:
        geometry: The grid.
        box: Which voxels of the slice.
        plane: How the slice cuts the grid.
        index: Which slice.
        towards_reader_mm: How far in front of it.
    """
    corners = np.zeros((4, 3))
    corners[:, plane.axis] = index
    corners[[0, 3], plane.right_axis] = box.start[plane.right_axis] - 0.5
    corners[[1, 2], plane.right_axis] = box.stop[plane.right_axis] - 0.5
    corners[[0, 1], plane.up_axis] = box.start[plane.up_axis] - 0.5
    corners[[2, 3], plane.up_axis] = box.stop[plane.up_axis] - 0.5
    places: Floats = geometry.to_patient(corners) + towards_reader_mm * plane.normal
    return places
