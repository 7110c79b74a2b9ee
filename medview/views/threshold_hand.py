"""A range of values in the hand: everything in it is filled on the slices; a stroke of the mouse picks it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from medview.core.geometry import Point
from medview.core.segmentation import Color
from medview.editing import brush, thresholding
from medview.views.edit_hand import EditKey, ToolHand
from medview.views.edit_preview import EditPreview
from medview.views.pointer import Button, Pointer
from medview.views.slice_view import SliceView
from medview.workstation.thresholding import Thresholding

_WIDENED = 0.05


class ThresholdHand(ToolHand):
    """Shows the range in one slice view, and takes it from what the mouse runs over.

    Args:
        view: The view.
        threshold: Holds the range, and does what it is for.
        color: Of the segment in work.
    """

    def __init__(self, view: SliceView, threshold: Thresholding, color: Callable[[], Color]) -> None:
        self._view = view
        self._threshold = threshold
        self._color = color
        self._last: Point | None = None
        self._ends: tuple[float, float] | None = None
        self._shown: object = None

    @property
    def is_busy(self) -> bool:
        """Whether a range is being picked."""
        return self._last is not None

    def press(self, pointer: Pointer) -> None:
        """Begin with the values here; with Ctrl, add them to the range."""
        if pointer.button is Button.LEFT:
            self._ends = self._threshold.range if pointer.ctrl else None
            self._last = self._view.point_at(pointer.x, pointer.y)
            self._pick(self._last)

    def drag(self, pointer: Pointer) -> None:
        """Take the values under the way as well."""
        if self._last is not None:
            self._pick(self._view.point_at(pointer.x, pointer.y))

    def release(self, pointer: Pointer) -> None:
        """The range is picked."""
        self._last = None

    def refresh(self) -> None:
        """Fill what is in the range on the slice that is shown."""
        volume = self._view.volume
        if volume is None:
            return
        lowest, highest = self._threshold.range
        color, axis, index = self._color(), self._view.cut.axis, self._view.index
        wanted = (volume.id, lowest, highest, color, axis, index)
        if wanted != self._shown:
            self._shown = wanted
            mask = thresholding.slice_within(volume.voxels, axis, index, lowest, highest)
            self._view.show_preview(EditPreview(color, index, mask=mask, outlined=False))

    def resize(self, steps: int) -> None:
        """Widen the range, or narrow it."""
        lowest, highest = self._threshold.range
        reach = (highest - lowest) * _WIDENED * steps
        if highest - lowest + 2 * reach > 0:
            self._threshold.set_range(lowest - reach, highest + reach)

    def key(self, key: EditKey) -> bool:
        """Enter adds what is in the range."""
        if key is not EditKey.CONFIRM:
            return False
        self._threshold.add()
        return True

    def put_down(self) -> None:
        """Show nothing."""
        self._last = self._shown = None
        self._view.show_preview(None)

    def _pick(self, point: Point) -> None:
        volume, last = self._view.volume, self._last
        if volume is None or last is None:
            return
        self._last = point
        axis = self._view.cut.axis
        radius = max(step for other, step in enumerate(volume.geometry.spacing_mm) if other != axis)
        box, mask = brush.disk(volume.geometry, last, point, radius, axis)
        values = volume.voxels[box.slices][mask]
        values = values[np.isfinite(values)]
        if values.size:
            ends = (float(values.min()), float(values.max()))
            if self._ends is not None:
                ends = (min(ends[0], self._ends[0]), max(ends[1], self._ends[1]))
            self._ends = ends
            self._threshold.set_range(*ends)
