"""Surfaces as binary STL in patient coordinates (LPS, mm), and their proof.

The header says the space in the words that 3D Slicer looks for. STL keeps a triangle as three points: whether a surface
is closed shows only when equal points are put together again.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medview.core.errors import UnreadableFileError
from medview.core.files import whole_file
from medview.core.geometry import Box, Geometry
from medview.core.mesh import Mesh
from medview.core.proof import Proof
from medview.core.segmentation import Labels
from medview.core.text import Text

_HEADER_BYTES = 80
_SPACE = b"SPACE=LPS"
_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
_SAME_VOLUME = 0.02
"""How much of its volume a surface may gain or lose; small things lose more, see `_SAME_VOLUME_VOXELS`."""
_SAME_VOLUME_VOXELS = 1.0
_SAME_CENTER_VOXELS = 1.0
_MOST_OFF_VOXELS = 2.0
"""How far, in the longest sides of its voxels, a surface may lie from the border of its label."""


def write(mesh: Mesh, path: Path, labels: Labels, label: int, geometry: Geometry, name: str = "") -> Proof:
    """Write the surface of a label, and prove it.

    Args:
        mesh: The surface.
        path: Ends in .stl; replaced when it exists, and left as it was when something fails.
        labels: (k, j, i) uint8 or uint16, of which it is the surface.
        label: Which label.
        geometry: The grid of the labels.
        name: What it is; goes into the header as far as it is ASCII and fits.

    Raises:
        StorageError: It could not be written, or did not read back as meant.
    """
    told = name.encode("ascii", "replace").replace(b"?", b"_")
    # a header must not begin with "solid": programs would take the file for text
    header = b"MedView " + _SPACE + b" UNITS=mm " + told
    rows = np.zeros(len(mesh.triangles), dtype=_TRIANGLE)
    corners = mesh.corners
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]).astype(np.float64)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    rows["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    rows["corners"] = corners
    with whole_file(path) as temporary:
        with temporary.open("wb") as file:
            file.write(header[:_HEADER_BYTES].ljust(_HEADER_BYTES))
            file.write(np.uint32(len(rows)).astype("<u4").tobytes())
            rows.tofile(file)
        Proof(path, prove(temporary, mesh, labels, label, geometry).differences).require()
    return Proof(path)


def read(path: Path) -> tuple[Mesh, bytes]:
    """Read a binary STL file.

    Returns:
        The surface, equal points put together, and the header.

    Raises:
        UnreadableFileError: It is damaged, or no binary STL.
    """
    try:
        content = path.read_bytes()
        count = int(np.frombuffer(content, "<u4", 1, _HEADER_BYTES)[0])
        rows = np.frombuffer(content, _TRIANGLE, count, _HEADER_BYTES + 4)
    except (OSError, ValueError, IndexError) as error:
        raise UnreadableFileError(Text.of("{name} cannot be read.", name=path.name)) from error
    soup = np.ascontiguousarray(rows["corners"]).reshape(-1, 3)
    points, places = np.unique(soup, axis=0, return_inverse=True)
    return Mesh(points, places.reshape(-1, 3).astype(np.int64)), content[:_HEADER_BYTES]


def prove(path: Path, mesh: Mesh, labels: Labels, label: int, geometry: Geometry) -> Proof:
    """Read a surface back and compare it with the label that it is the surface of.

    Args:
        path: The file.
        mesh: What was meant to be written.
        labels: (k, j, i) uint8 or uint16.
        label: Which label.
        geometry: The grid of the labels.

    Returns:
        What differs: triangles, holes, volume, place.
    """
    try:
        found, header = read(path)
    except UnreadableFileError as error:
        return Proof(path, (error.what,))
    differences = []
    if _SPACE not in header:
        differences.append(Text("its header does not say in which space it lies"))
    if not np.array_equal(found.corners, mesh.corners):
        differences.append(Text("its triangles are not those of the surface"))
    differences += [*_closed(found), *_as_label(found, labels, label, geometry, mesh.coarseness)]
    return Proof(path, tuple(differences))


def _closed(mesh: Mesh) -> list[Text]:
    """Whether every edge joins two triangles that run through it in opposite directions."""
    edges = mesh.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    count = len(mesh.points)
    forth, back = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
    unique, times = np.unique(forth, return_counts=True)
    crowded = int(np.count_nonzero(times > 1))
    alone = int(np.count_nonzero(~np.isin(unique, back)))
    found = []
    if alone:
        found.append(Text.of("it has holes: {count} edges belong to one triangle only", count=alone))
    if crowded:
        found.append(Text.of("{count} edges belong to more than two triangles", count=crowded))
    return found


def _as_label(mesh: Mesh, labels: Labels, label: int, geometry: Geometry, coarseness: float) -> list[Text]:
    mask = labels == label
    box = Box.around(mask)
    if box.is_empty:
        return [Text("its label has no voxels")]
    inside = np.argwhere(mask[box.slices]) + np.array(box.start)
    meant_mm3 = len(inside) * geometry.voxel_mm3
    volume_mm3, center = mesh.enclosed()
    side_mm = max(geometry.spacing_mm) * coarseness
    found = []
    tolerance_mm3 = max(_SAME_VOLUME * meant_mm3, _SAME_VOLUME_VOXELS * geometry.voxel_mm3 * coarseness**3)
    if abs(volume_mm3 - meant_mm3) > tolerance_mm3:
        found.append(
            Text.of(
                "it encloses {found} ml, not {meant}", found=f"{volume_mm3 / 1e3:.4g}", meant=f"{meant_mm3 / 1e3:.4g}"
            )
        )
    moved_mm = float(np.linalg.norm(center - geometry.to_patient(inside.astype(np.float64)).mean(axis=0)))
    if moved_mm > _SAME_CENTER_VOXELS * side_mm:
        found.append(Text.of("its centre lies {mm} mm beside that of its label", mm=f"{moved_mm:.1f}"))
    off_mm = _distances(mesh.points, mask, box, geometry, side_mm)
    far = int(np.count_nonzero(off_mm > _MOST_OFF_VOXELS * side_mm))
    if far:
        found.append(Text.of("{count} of its points lie beside the border of its label", count=far))
    return found


def _distances(
    points: NDArray[np.float32], mask: NDArray[np.bool_], box: Box, geometry: Geometry, side_mm: float
) -> NDArray[Any]:
    """(n,) mm: how far points lie from the border of a mask; infinite far outside its box."""
    import SimpleITK

    margin = [1 + math.ceil(2 * side_mm / step) for step in geometry.spacing_mm]
    padded = np.pad(mask[box.slices], [(one, one) for one in margin])
    image = SimpleITK.GetImageFromArray(padded.astype(np.uint8))
    image.SetSpacing(geometry.spacing_mm[::-1])
    distance = SimpleITK.GetArrayFromImage(
        SimpleITK.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    )
    index = np.rint(geometry.to_index(points.astype(np.float64)) - box.start + margin).astype(np.int64)
    there = ((index >= 0) & (index < padded.shape)).all(axis=1)
    off = np.full(len(points), np.inf)
    k, j, i = index[there].T
    off[there] = np.abs(distance[k, j, i])
    return off
