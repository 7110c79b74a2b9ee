"""Left lung, right lung, and the trachea with the main bronchi, on CT of the chest.

The method is that of Hu S., Hoffman E.A., Reinhardt J.M., Automatic lung segmentation for accurate quantitation of
volumetric X-ray CT images, IEEE Trans Med Imaging 2001, 20(6):490-498: a threshold fitted to the scan, air inside the
body, the airways taken out, left and right divided where they touch, and the surface smoothed so that vessels at the
hilum and nodules at the pleura belong to the lung. What needs no detail is done on blocks of about two millimetres.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medview.api import Box, Case, Context, Labels, Mask, PluginUnavailableError, Spacing, dilate

from . import airways, outline, parenchyma, sides
from .airways import Tube
from .grids import Coarse, Floats, PatientView, hounsfield

TRACHEA = 3

_COARSE_MM = 2.0
_AIRWAY_MM = 0.9
_BESIDE_TRACHEA_MM = (60.0, 75.0)
_BELOW_TRACHEA_MM = 90.0
_WALL_MM = 1.5
_LUMEN_HU = -500
_BODY_HU = -300.0
_SMALL_SHARE = 0.25


def run(case: Case, context: Context) -> Labels:
    """Label the lungs and the large airways of `case["ct"]`: 1 left lung, 2 right lung, 3 airways.

    Raises:
        PluginUnavailableError: No lungs were found.
    """
    volume = case["ct"]
    view = PatientView.of(volume.geometry)
    context.progress(0.02, "Looking for the lungs")
    values = hounsfield(volume, view)
    coarse = Coarse.near(values.shape, view.spacing_mm, _COARSE_MM)
    rough = coarse.mean(values)
    context.progress(0.15, "Looking for the lungs")
    air = parenchyma.find(rough, coarse.spacing_mm)
    if not air.lungs.any():
        raise PluginUnavailableError("No lungs were found in this series.", "Choose a CT of the chest.")
    context.progress(0.25, "Looking for the airways")
    middle = _body_middle(rough)
    tube = airways.find_trachea(rough, air.inside, middle, coarse.spacing_mm)
    tracheal = _airways(values, view.spacing_mm, coarse, tube, context)
    context.progress(0.45, "Telling left from right")
    taken = dilate(coarse.mean(tracheal) > 0, _WALL_MM, coarse.spacing_mm)
    landmark = sides.spine(rough, air.lungs, coarse.spacing_mm) if tube is None else tube.left_mm
    middle = middle if landmark is None else landmark / coarse.spacing_mm[2]
    told = sides.divide(air.lungs & ~taken, middle, landmark is not None, coarse.spacing_mm, context)
    labels = outline.draw(values, coarse, rough, told.labels, taken, air.threshold_hu, context)
    labels[tracheal] = TRACHEA
    _note(labels, told, context)
    return view.stored(labels)


def _body_middle(rough: Floats) -> float:
    """The middle of the body, as an index to the left."""
    columns = np.count_nonzero(rough > _BODY_HU, axis=(0, 1)).cumsum()
    return float(np.searchsorted(columns, columns[-1] / 2))


def _airways(
    values: NDArray[np.int16], spacing_mm: Spacing, coarse: Coarse, tube: Tube | None, context: Context
) -> Mask:
    """The trachea and the main bronchi on the fine grid; empty when there is no trachea."""
    found = np.zeros(values.shape, dtype=np.bool_)
    if tube is None:
        context.note("No trachea was found; the airways are not labelled.")
        return found
    where = coarse.fine_box(_around(tube, coarse))
    cut = values[where.slices]
    grid = Coarse.near(cut.shape, spacing_mm, _AIRWAY_MM)
    image = grid.mean(cut).round().astype(np.int16)
    trachea = grid.blocks_of(coarse.refined(tube.mask, where))
    seed = airways.seed_in(image, trachea)
    if seed is None:
        context.note("No trachea was found; the airways are not labelled.")
        return found
    tree = airways.grow(image, trachea, seed, grid.spacing_mm, context)
    context.progress(0.35, "Looking for the airways")
    kept, divided = airways.main_airways(tree, seed, grid.spacing_mm)
    if not divided:
        context.note("The division of the trachea was not found; check where the airways end.")
    rim = dilate(kept, max(grid.spacing_mm), grid.spacing_mm)
    lumen = grid.refined(rim) & (cut < _LUMEN_HU)
    found[where.slices] = lumen
    return found


def _around(tube: Tube, coarse: Coarse) -> Box:
    """Where the trachea and the main bronchi can be."""
    box = Box.around(tube.mask)
    front, aside = (int(np.ceil(mm / step)) for mm, step in zip(_BESIDE_TRACHEA_MM, coarse.spacing_mm[1:], strict=True))
    below = int(np.ceil(_BELOW_TRACHEA_MM / coarse.spacing_mm[0]))
    start = (box.start[0] - below, box.start[1] - front, box.start[2] - aside)
    stop = (box.stop[0], box.stop[1] + front, box.stop[2] + aside)
    return Box(start, stop).clipped(coarse.shape)


def _note(labels: NDArray[np.uint8], told: sides.Sides, context: Context) -> None:
    """What the reader should look at."""
    left, right = (int(np.count_nonzero(labels == side)) for side in (sides.LEFT, sides.RIGHT))
    if left == 0:
        context.note("Only the right lung was found; the left one holds no air or is not in the image.")
    elif right == 0:
        context.note("Only the left lung was found; the right one holds no air or is not in the image.")
    elif min(left, right) < _SMALL_SHARE * max(left, right):
        context.note("One lung is much smaller than the other; parts without air are not labelled.")
    if not told.parted:
        context.note("The lungs touch widely; their border was drawn near the midline. Check it.")
    if not told.sure:
        context.note("Left and right were told apart by the middle of the image only; check them.")
