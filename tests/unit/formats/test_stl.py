"""Surfaces in STL files: every damage turns the proof red. The surface is a box, whose volume is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from medview.core.errors import StorageError, UnreadableFileError
from medview.core.geometry import Geometry
from medview.core.mesh import Mesh
from medview.formats import stl

GRID = Geometry.from_parts((12, 14, 16), (2.0, 1.0, 1.5), (10.0, -20.0, 30.0))
START, STOP = np.array([3, 2, 4]), np.array([8, 9, 13])
FACES = ((0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5))
"""Corners of a box (k, j, i as bits 4, 2, 1) around each face, seen from outside."""


def labels() -> NDArray[np.uint8]:
    drawn = np.zeros(GRID.shape, dtype=np.uint8)
    drawn[3:8, 2:9, 4:13] = 5
    return drawn


def box() -> Mesh:
    """The outer faces of the labelled voxels."""
    corners = [[(STOP if bit else START)[axis] - 0.5 for axis, bit in enumerate(_bits(n))] for n in range(8)]
    points = GRID.to_patient(np.array(corners)).astype(np.float32)
    triangles = [triangle for a, b, c, d in FACES for triangle in ((a, b, c), (a, c, d))]
    made = Mesh(points, np.array(triangles, dtype=np.int64))
    return made if made.enclosed()[0] > 0 else Mesh(points, made.triangles[:, ::-1])


def _bits(number: int) -> tuple[int, int, int]:
    return number >> 2 & 1, number >> 1 & 1, number & 1


def test_a_box_encloses_its_voxels() -> None:
    volume_mm3, center = box().enclosed()
    assert volume_mm3 == pytest.approx(5 * 7 * 9 * GRID.voxel_mm3)
    np.testing.assert_allclose(center, GRID.to_patient((START + STOP - 1) / 2), atol=1e-4)


def test_it_is_proved_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "box.stl"
    assert stl.write(box(), path, labels(), 5, GRID, "Left lung 肺").ok
    found, header = stl.read(path)
    assert len(found.points) == 8
    np.testing.assert_array_equal(found.corners, box().corners)
    assert b"SPACE=LPS" in header
    assert not header.startswith(b"solid")
    assert path.stat().st_size == 84 + 50 * 12


def spoil(path: Path, points: NDArray[np.float32], keep: slice = slice(None)) -> None:
    """Write other points into an STL file."""
    content = path.read_bytes()
    rows = np.frombuffer(content, stl._TRIANGLE, offset=84).copy()
    rows["corners"] = points
    rows = rows[keep]
    path.write_bytes(content[:80] + np.uint32(len(rows)).tobytes() + rows.tobytes())


FAULTS = ("flipped", "shifted", "scaled", "inside out", "a hole", "a triangle twice", "no space", "cut off", "empty")


@pytest.mark.parametrize("fault", FAULTS)
def test_damage_is_found(fault: str, tmp_path: Path) -> None:
    path = tmp_path / "box.stl"
    stl.write(box(), path, labels(), 5, GRID)
    corners = box().corners
    if fault == "flipped":
        spoil(path, corners * np.array([-1, 1, 1], np.float32))
    elif fault == "shifted":
        spoil(path, corners + np.array([0, 0, 4], np.float32))
    elif fault == "scaled":
        spoil(path, corners * np.float32(0.1))
    elif fault == "inside out":
        spoil(path, corners[:, ::-1])
    elif fault == "a hole":
        spoil(path, corners, slice(1, None))
    elif fault == "a triangle twice":
        spoil(path, np.concatenate([corners[:-1], corners[:1]]))
    elif fault == "no space":
        path.write_bytes(b" " * 80 + path.read_bytes()[80:])
    else:
        path.write_bytes(path.read_bytes()[:200] if fault == "cut off" else b"")
    assert not stl.prove(path, box(), labels(), 5, GRID).ok


@pytest.mark.parametrize("fault", ["flipped", "shifted", "scaled", "inside out", "a hole"])
def test_a_wrong_surface_is_not_saved(fault: str, tmp_path: Path) -> None:
    """The maker of the surface is wrong, not the file: the label is the truth."""
    right = box()
    wrong = {
        "flipped": Mesh(right.points * np.array([1, 1, -1], np.float32), right.triangles[:, ::-1]),
        "shifted": Mesh(right.points + np.float32(3.0), right.triangles),
        "scaled": Mesh(right.points.mean(axis=0) + (right.points - right.points.mean(axis=0)) * 1.1, right.triangles),
        "inside out": Mesh(right.points, right.triangles[:, ::-1]),
        "a hole": Mesh(right.points, right.triangles[1:]),
    }[fault]
    path = tmp_path / "box.stl"
    path.write_bytes(b"an older file")
    with pytest.raises(StorageError, match="written wrongly"):
        stl.write(Mesh(wrong.points.astype(np.float32), wrong.triangles), path, labels(), 5, GRID)
    assert path.read_bytes() == b"an older file"
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_stl_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.stl").write_text("solid text\nendsolid")
    with pytest.raises(UnreadableFileError):
        stl.read(tmp_path / "a.stl")
    with pytest.raises(UnreadableFileError):
        stl.read(tmp_path / "missing.stl")
