from __future__ import annotations

import numpy as np
import pytest

from medview.core.geometry import Geometry
from medview.core.planes import Plane, letters, slice_plane, stepped

AXIAL = Geometry.from_parts((10, 20, 30), (2.0, 1.0, 1.0))
SAGITTAL_MR = Geometry.from_parts(
    (10, 20, 30), (2.0, 1.0, 1.0), direction=np.array([[-1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
)
"""k to the right, j (down a column) to the feet, i (along a row) to the back: a usual sagittal MR."""


@pytest.mark.parametrize(
    ("plane", "axis", "right", "up"),
    [(Plane.AXIAL, 0, "L", "A"), (Plane.CORONAL, 1, "L", "H"), (Plane.SAGITTAL, 2, "P", "H")],
)
def test_display_of_an_axial_grid_is_radiological(plane: Plane, axis: int, right: str, up: str) -> None:
    cut = slice_plane(AXIAL, plane)
    assert cut.axis == axis
    assert (letters(cut.right), letters(cut.up)) == (right, up)


@pytest.mark.parametrize(("plane", "axis"), [(Plane.AXIAL, 1), (Plane.CORONAL, 2), (Plane.SAGITTAL, 0)])
def test_a_sagittal_series_is_cut_along_the_right_axes(plane: Plane, axis: int) -> None:
    cut = slice_plane(SAGITTAL_MR, plane)
    reference = slice_plane(AXIAL, plane)
    assert cut.axis == axis
    np.testing.assert_allclose(cut.right, reference.right)
    np.testing.assert_allclose(cut.up, reference.up)


def test_scrolling_down_goes_to_the_feet() -> None:
    assert stepped(AXIAL, Plane.AXIAL, (5, 5, 5), 2) == (3, 5, 5)
    assert stepped(SAGITTAL_MR, Plane.AXIAL, (5, 5, 5), 2) == (5, 7, 5)
    assert stepped(AXIAL, Plane.AXIAL, (1, 5, 5), 9) == (0, 5, 5)


def test_letters_put_the_largest_share_first() -> None:
    assert letters(np.array([0.5, -0.8, 0.1])) == "AL"
    assert letters(np.array([0.0, 0.0, -1.0])) == "F"
