"""Radiotherapy structure sets read onto a volume's grid: contours become masks, slice by slice."""

from __future__ import annotations

import logging
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from medview.catalog import terminology
from medview.core.errors import Cancelled, GridMismatchError, MedViewError, UnreadableFileError
from medview.core.geometry import Floats, Geometry
from medview.core.progress import NoProgress, Progress
from medview.core.segmentation import Color, Labels, Segment, Segmentation
from medview.core.text import Text
from medview.formats import contours
from medview.formats.slice_resampling import SliceMap

_log = logging.getLogger(__name__)
STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
_FLAT = 0.5
"""How far, in planes, the points of a contour may lie from the plane that it is drawn on."""
_FARTHEST = 1e6
"""mm; points farther off can only come from damaged files."""


@dataclass(frozen=True, slots=True)
class Structure:
    """One region of interest of a structure set.

    Attributes:
        number: ROI Number.
        name: ROI Name.
        color: How it is drawn; None when the file does not say.
        contours: (n, 3) x, y, z of the corners of each closed contour, LPS, mm.
    """

    number: int
    name: str
    color: Color | None
    contours: tuple[Floats, ...]


def read_layers(path: Path, geometry: Geometry, progress: Progress | None = None) -> tuple[Segmentation, ...]:
    """Read a structure set; structures that overlap others are put into further segmentations.

    Args:
        path: The file.
        geometry: The volume's grid that it shall lie on.
        progress: Reported to and asked for cancellation once a structure.

    Raises:
        UnreadableFileError: It is damaged, or no structure set.
        GridMismatchError: It belongs to another patient space, or none of its contours lies on the grid's planes.
    """
    progress = progress or NoProgress()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(path)
            if dataset.get("SOPClassUID") != STRUCTURE_SET:
                raise UnreadableFileError(Text.of("{name} is not a radiotherapy structure set.", name=path.name))
            _check_space(path, dataset, geometry)
            structures = tuple(_structures(dataset))
            title = str(dataset.get("StructureSetLabel", "") or dataset.get("SeriesDescription", "") or path.stem)
    except (MedViewError, Cancelled):
        raise
    except Exception as error:  # a damaged file may raise anything in a decoder
        raise UnreadableFileError(
            Text.of("{name} is damaged, or a kind of structure set that MedView does not read.", name=path.name)
        ) from error
    segments = _segments(structures)
    layers = _layers(structures, segments, geometry, progress)
    if layers is None:
        raise GridMismatchError(
            Text.of("None of the contours of {name} lies on a slice of this series.", name=path.name),
            "Open the series that it was drawn on.",
        )
    return tuple(
        Segmentation(geometry, labels, tuple(one for one in segments if one.label in members), title=title)
        for labels, members in layers
    )


def _check_space(path: Path, dataset: Dataset, geometry: Geometry) -> None:
    ours = geometry.frame_of_reference_uid
    theirs = {str(dataset.get("FrameOfReferenceUID", "") or "")}
    theirs |= {str(one.get("FrameOfReferenceUID", "")) for one in dataset.get("ReferencedFrameOfReferenceSequence", [])}
    theirs |= {str(one.get("ReferencedFrameOfReferenceUID", "")) for one in dataset.get("StructureSetROISequence", [])}
    theirs.discard("")
    if ours and theirs and ours not in theirs:
        raise GridMismatchError(
            Text.of("{name} belongs to another scan: its frame of reference differs.", name=path.name),
            "Open the series that it was drawn on.",
        )


def _structures(dataset: Dataset) -> Iterator[Structure]:
    drawn = {int(one.ReferencedROINumber): one for one in dataset.get("ROIContourSequence", [])}
    for item in dataset.get("StructureSetROISequence", []):
        number = int(item.ROINumber)
        region = drawn.get(number, Dataset())
        color = region.get("ROIDisplayColor")
        yield Structure(
            number,
            str(item.get("ROIName", "") or "").strip() or f"ROI {number}",
            (int(color[0]), int(color[1]), int(color[2])) if color is not None and len(color) == 3 else None,
            tuple(_contours(region, number)),
        )


def _contours(region: Dataset, number: int) -> Iterator[Floats]:
    for item in region.get("ContourSequence", []):
        kind = str(item.get("ContourGeometricType", "CLOSED_PLANAR"))
        data = item.get("ContourData")
        numbers = () if data is None else [data] if isinstance(data, float | int) else data
        points = np.array([float(value) for value in numbers], dtype=np.float64)
        whole = len(points) >= 9 and len(points) % 3 == 0 and bool(np.isfinite(points).all())
        if not kind.startswith("CLOSED") or not whole or np.abs(points).max() > _FARTHEST:
            _log.info("a contour of ROI %d is no closed outline (%s, %d numbers)", number, kind, len(points))
            continue
        yield points.reshape(-1, 3)


def _segments(structures: Sequence[Structure]) -> tuple[Segment, ...]:
    known = terminology.load()
    return tuple(
        Segment(label, one.name, one.color or known.color(label)) for label, one in enumerate(structures, start=1)
    )


def _layers(
    structures: Sequence[Structure], segments: Sequence[Segment], grid: Geometry, progress: Progress
) -> list[tuple[Labels, set[int]]] | None:
    """Label maps, and which segments each holds: one goes into the first in which it overlaps nothing."""
    kind = np.uint8 if len(structures) < 256 else np.uint16
    layers: list[tuple[Labels, set[int]]] = [(np.zeros(grid.shape, dtype=kind), set())]
    found = False
    for segment, structure in zip(segments, structures, strict=True):
        progress.raise_if_cancelled()
        progress.report(segment.label / max(len(segments), 1), Text("Reading the structure set"))
        planes = _masks(structure, grid)
        found = found or bool(planes)
        layer = next((one for one in layers if not any(one[0][k][mask].any() for k, mask in planes.items())), None)
        if layer is None:
            layer = (np.zeros(grid.shape, dtype=kind), set())
            layers.append(layer)
        for k, mask in planes.items():
            layer[0][k][mask] = segment.label
        layer[1].add(segment.label)
    return layers if found else None


def _masks(structure: Structure, grid: Geometry) -> dict[int, NDArray[np.bool_]]:
    """By plane along k: which pixels the structure covers."""
    where = SliceMap.of(grid)
    on_plane: dict[tuple[int, int], list[Floats]] = defaultdict(list)
    for points in structure.contours:
        index = grid.to_index(points)
        depth = float(np.median(index[:, 0]))
        planes = _planes(depth, grid, where)
        if planes is None or np.abs(index[:, 0] - depth).max() > _FLAT:
            _log.info("a contour of %s lies on no slice", structure.name)
            continue
        on_plane[planes].append(index[:, 1:])
    masks = {}
    for (start, stop), outlines in on_plane.items():
        mask = contours.filled(outlines, grid.shape[1:])
        if mask.any():
            masks.update(dict.fromkeys(range(start, stop), mask))
    return masks


def _planes(depth: float, grid: Geometry, where: SliceMap | None) -> tuple[int, int] | None:
    """The planes [start, stop) of a contour at a depth along k; None between slices that are not there."""
    if where is None:
        plane = int(np.floor(depth + 0.5))
        return (plane, plane + 1) if 0 <= plane < grid.shape[0] else None
    nearest = int(np.abs(where.depth - depth).argmin())
    return where.planes_of(nearest) if abs(float(where.depth[nearest]) - depth) <= _FLAT else None
