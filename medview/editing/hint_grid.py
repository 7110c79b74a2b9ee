"""The part of an image that hints are answered in, on a grid so coarse that it is solved in time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medview.core.errors import InputError
from medview.core.geometry import Box, Geometry
from medview.core.hint import Hint
from medview.core.hint_marks import Marks, marks_of
from medview.core.text import Text

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Belief = Callable[[Box], Floats]
"""Takes a box of the image and gives, (k, j, i) float32, 0..1, how likely each voxel is thought to be inside."""


@dataclass(frozen=True, slots=True, eq=False)
class HintGrid:
    """A part of the image on the grid that is solved.

    Attributes:
        box: The part.
        steps: How many voxels of the image, along each axis, one of the grid is the mean of.
        goes_on: For each axis, whether there is more of the image before and behind the part.
        geometry: The grid.
        values: (k, j, i) float32.
        marks: What the hints say of it.
        belief: (k, j, i) float32, or None.
    """

    box: Box
    steps: tuple[int, int, int]
    goes_on: tuple[tuple[bool, bool], ...]
    geometry: Geometry
    values: Floats
    marks: Marks
    belief: Floats | None

    @property
    def marked(self) -> Mask | bool:
        """Where the belief says that the structure is."""
        return False if self.belief is None else self.belief > 0.5

    def box_of(self, mask: Mask) -> Box:
        """The voxels of the image around some of the grid."""
        inner = Box.around(mask)
        start = [a + step * n for a, step, n in zip(self.box.start, self.steps, inner.start, strict=True)]
        stop = [a + step * n for a, step, n in zip(self.box.start, self.steps, inner.stop, strict=True)]
        return Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def coarse_grid(
    voxels: NDArray[np.generic],
    geometry: Geometry,
    hints: Sequence[Hint],
    box: Box,
    belief: Belief | None,
    most_voxels: int,
) -> HintGrid:
    """A part of the image as means of blocks, so many that it can be solved in time."""
    cut = geometry.cropped(box)
    steps = [1, 1, 1]
    while np.prod([max(1, size // step) for size, step in zip(cut.shape, steps, strict=True)]) > most_voxels:
        widths = [step * mm for step, mm in zip(steps, cut.spacing_mm, strict=True)]
        steps[int(np.argmin(widths))] += 1
    values = _blocks(voxels[box.slices], steps)
    if not np.isfinite(values).all():
        raise InputError(Text("The image holds values there that are not numbers."), Text("Choose another place."))
    affine = cut.affine @ np.diag([*steps, 1.0])
    affine[:3, 3] = cut.to_patient((np.asarray(steps, dtype=np.float64) - 1) / 2)
    k, j, i = values.shape
    grid = Geometry((k, j, i), affine)
    believed = None if belief is None else _blocks(belief(box), steps)
    ends = zip(box.start, box.stop, geometry.shape, strict=True)
    goes_on = tuple((start > 0, stop < size) for start, stop, size in ends)
    return HintGrid(box, (steps[0], steps[1], steps[2]), goes_on, grid, values, marks_of(hints, grid), believed)


def _blocks(values: NDArray[np.generic], steps: Sequence[int]) -> Floats:
    """Means of blocks of so many voxels; what is left over at the end belongs to none."""
    import SimpleITK

    if max(steps) == 1:
        return np.asarray(values, dtype=np.float32)
    sizes = [size // step * step if size >= step else size for size, step in zip(values.shape, steps, strict=True)]
    whole = values[tuple(slice(0, size) for size in sizes)]
    fitting = [min(step, size) for step, size in zip(steps, whole.shape, strict=True)]
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(whole))
    if np.issubdtype(whole.dtype, np.integer):
        image = SimpleITK.Cast(image, SimpleITK.sitkFloat32)
    means: Floats = SimpleITK.GetArrayFromImage(SimpleITK.BinShrink(image, [int(n) for n in reversed(fitting)]))
    return means.astype(np.float32, copy=False)


def faces_of(shape: tuple[int, ...], wanted: Sequence[tuple[bool, bool]]) -> Mask:
    """The voxels on some faces of a grid: for each axis, the first and the last one."""
    found = np.zeros(shape, dtype=np.bool_)
    for axis, (first, last) in enumerate(wanted):
        along = np.moveaxis(found, axis, 0)
        along[0] |= first
        along[-1] |= last
    return found


def on_image(values: Floats, coarse: HintGrid, box: Box) -> Floats:
    """Values of the grid of a part on the voxels of the image in a box of it."""
    import SimpleITK

    image = SimpleITK.GetImageFromArray(values)
    image.SetSpacing(tuple(float(step) for step in reversed(coarse.steps)))
    first = [start + (step - 1) / 2 for start, step in zip(coarse.box.start, coarse.steps, strict=True)]
    image.SetOrigin(tuple(reversed(first)))
    grid = SimpleITK.Image([int(size) for size in reversed(box.shape)], SimpleITK.sitkUInt8)
    grid.SetOrigin(tuple(float(start) for start in reversed(box.start)))
    resample = SimpleITK.ResampleImageFilter()
    resample.SetReferenceImage(grid)
    resample.SetInterpolator(SimpleITK.sitkLinear)
    resample.SetUseNearestNeighborExtrapolator(True)
    resample.SetOutputPixelType(SimpleITK.sitkFloat32)
    fine: Floats = SimpleITK.GetArrayFromImage(resample.Execute(image))
    return fine
