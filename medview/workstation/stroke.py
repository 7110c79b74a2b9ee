"""One stroke of the brush or the eraser, from the press of the button to its release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.geometry import Box, Point
from medview.core.planes import Plane, slice_plane
from medview.core.segmentation import Segmentation
from medview.core.text import Text
from medview.editing import adaptive, brush, rules
from medview.editing.brush import BrushShape
from medview.editing.history import Edit, Recorder
from medview.editing.rules import PaintRules

SMALLEST_RADIUS_MM = 0.1
LARGEST_RADIUS_MM = 100.0


@dataclass(frozen=True, slots=True)
class BrushOptions:
    """How strokes are made.

    Attributes:
        shape: A disk or a square in the slice, or a sphere through its neighbours.
        radius_mm: Of either.
        erases_all: Whether the eraser takes away every segment that is not locked, and not only the one in work.
        deviations: Only what hangs together with the middle of the brush, and differs from it by no more standard
            deviations than these, is reached; None: all.
    """

    shape: BrushShape = BrushShape.DISK
    radius_mm: float = 5.0
    erases_all: bool = False
    deviations: float | None = None


class Stroke:
    """A stroke on one segmentation.

    Args:
        target: What is painted on.
        options: How.
        erase: Whether it takes away.
        label: The segment in work.
        locked: Segments that keep their voxels.
        rules: What may be changed.
        limit: The box on the image; None where it has none.
        plane: The plane of the view that it is made in.
        point: Where it begins: x, y, z, LPS, mm.
        voxels: The image under it, (k, j, i) on the same grid.
    """

    def __init__(
        self,
        target: Segmentation,
        options: BrushOptions,
        *,
        erase: bool,
        label: int,
        locked: frozenset[int],
        rules: PaintRules,
        limit: Box | None,
        plane: Plane,
        point: Point,
        voxels: NDArray[Any],
    ) -> None:
        self.target = target
        self._options = options
        self._erase = erase
        self._label = label
        self._locked = locked
        self._rules = rules
        self._limit = limit
        self._axis = slice_plane(target.geometry, plane).axis
        self._voxels = voxels
        self._recorder = Recorder(target, label)
        self._point = point
        self.to(point)

    def to(self, point: Point) -> None:
        """Go on to a point: x, y, z, LPS, mm. Only the box that the brush reaches is looked at and written."""
        start, self._point = self._point, point
        geometry, options = self.target.geometry, self._options
        if options.shape is BrushShape.SPHERE:
            box, mask = brush.sphere(geometry, start, point, options.radius_mm)
        elif options.shape is BrushShape.SQUARE:
            box, mask = brush.square(geometry, start, point, options.radius_mm, self._axis)
        else:
            box, mask = brush.disk(geometry, start, point, options.radius_mm, self._axis)
        if box.is_empty:
            return
        if self._rules.keeps_within:
            mask = mask & self._rules.reach(box, self._voxels, self._limit)
        if options.deviations is not None:
            axis = None if options.shape is BrushShape.SPHERE else self._axis
            mask = adaptive.taken(self._voxels, geometry, box, mask, point, options.radius_mm, axis, options.deviations)
        before = self.target.labels[box.slices]
        if self._erase:
            after = rules.erased(before, mask, None if options.erases_all else self._label, self._locked)
        else:
            after = rules.painted(before, mask, self._label, self._locked, self._rules)
        if not np.array_equal(before, after):
            self._recorder.touch(box)
            self.target.write(box, after)

    def finish(self) -> Edit | None:
        """The edit; None when nothing changed."""
        return self._recorder.finish(Text("Eraser") if self._erase else Text("Brush"))

    def abort(self) -> None:
        """Put everything back as it was."""
        self._recorder.abort()
