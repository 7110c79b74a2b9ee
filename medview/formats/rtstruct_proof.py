"""Proof of a structure set: read back with pydicom, every contour filled by columns on the image that it names."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from medview.core.proof import Proof
from medview.core.segmentation import Labels, Provenance, Segment
from medview.core.text import Text
from medview.formats.seg_source import SourceImage

_Key = tuple[str, int]
"""Instance and frame."""
_OFF_PLANE_MM = 1e-2


def prove(
    path: Path,
    labels: Labels,
    segments: Sequence[Segment],
    images: Sequence[SourceImage],
    headers: Sequence[Dataset],
    provenance: Provenance,
) -> Proof:
    """Read a structure set back and compare it.

    Args:
        path: The file.
        labels: (k, j, i) uint8 or uint16; what was meant.
        segments: What was meant, in the order of their ROI numbers 1, 2, ...
        images: Where the images lie on the grid of the labels.
        headers: Of the same images.
        provenance: Who made them.

    Returns:
        What differs: names, colours, who made them, study, references, pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(path)
            differences = [
                *_identity(dataset, segments, headers),
                *_makers(dataset, segments, provenance),
                *_pixels(dataset, labels, segments, images, headers),
            ]
    except (OSError, AttributeError, KeyError, IndexError, ValueError, TypeError) as error:
        return Proof(path, (Text.of("it cannot be read back ({reason})", reason=str(error)),))
    return Proof(path, tuple(differences))


def _identity(dataset: Dataset, segments: Sequence[Segment], headers: Sequence[Dataset]) -> Iterator[Text]:
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        if str(dataset.get(keyword, "")) != str(headers[0].get(keyword, "")):
            yield Text.of("its {attribute} is not that of the images", attribute=keyword)
    names = [str(one.ROIName) for one in dataset.StructureSetROISequence]
    if names != [segment.name for segment in segments]:
        yield Text.of("it has {found} segments, not {meant}", found=len(names), meant=len(segments))
    for item, segment in zip(dataset.ROIContourSequence, segments, strict=False):
        if [int(value) for value in item.ROIDisplayColor] != list(segment.color):
            yield Text.of("segment {name} has another colour", name=segment.name)
    listed = {
        _key(one)
        for space in dataset.ReferencedFrameOfReferenceSequence
        for study in space.RTReferencedStudySequence
        for series in study.RTReferencedSeriesSequence
        for one in series.ContourImageSequence
    }
    meant = {(str(one.SOPInstanceUID), int(one.get("ReferencedFrameNumber", 0))) for one in headers}
    if listed != meant:
        yield Text.of("it refers to {found} images, not {meant}", found=len(listed), meant=len(meant))


def _makers(dataset: Dataset, segments: Sequence[Segment], provenance: Provenance) -> Iterator[Text]:
    for item, segment in zip(dataset.StructureSetROISequence, segments, strict=False):
        model, kind = provenance.engine_of(segment.label), provenance.algorithm_of(segment.label)
        meant = f"{model.plugin_id} {model.version}"[:64].strip() if model is not None else ""
        found = str(item.get("ROIGenerationDescription", "") or "")
        if item.ROIGenerationAlgorithm != kind or found != meant:
            yield Text.of(
                "the algorithm of {name} is {found}, not {meant}",
                name=str(item.ROIName),
                found=f"{item.ROIGenerationAlgorithm} {found}".strip(),
                meant=f"{kind} {meant}".strip(),
            )


def _pixels(
    dataset: Dataset,
    labels: Labels,
    segments: Sequence[Segment],
    images: Sequence[SourceImage],
    headers: Sequence[Dataset],
) -> Iterator[Text]:
    of_key: dict[_Key, list[tuple[SourceImage, Dataset]]] = defaultdict(list)
    for image, header in zip(images, headers, strict=True):
        of_key[str(header.SOPInstanceUID), int(header.get("ReferencedFrameNumber", 0))].append((image, header))
    for region, segment in zip(dataset.ROIContourSequence, segments, strict=False):
        wrong = 0
        found: dict[int, NDArray[np.int64]] = {}
        for item in region.get("ContourSequence", []):
            points = np.array(item.ContourData, dtype=np.float64).reshape(-1, 3)
            named = of_key[_key(item.ContourImageSequence[0])]
            place = next(((one, header) for one, header in named if _lies_on(points, header)), None)
            if place is None:
                yield Text.of("a contour of segment {name} lies on no image", name=segment.name)
                continue
            crossings = found.setdefault(id(place[0]), np.zeros(place[0].placement.shape, dtype=np.int64))
            _cross(crossings, *_in_pixels(points, place[1]))
        for image in images:
            meant = labels[image.placement.indices] == segment.label
            crossings = found.get(id(image), np.zeros(meant.shape, dtype=np.int64))
            wrong += int(np.count_nonzero((crossings % 2 == 1) != meant))
        if wrong:
            yield Text.of("segment {name} differs in {count} pixels", name=segment.name, count=wrong)


def _key(item: Dataset) -> _Key:
    return str(item.ReferencedSOPInstanceUID), int(item.get("ReferencedFrameNumber", 0))


def _lies_on(points: NDArray[np.float64], header: Dataset) -> bool:
    across, down = np.array(header.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    offset = (points - np.array(header.ImagePositionPatient, dtype=np.float64)) @ np.cross(across, down)
    return bool(np.abs(offset).max() <= _OFF_PLANE_MM)


def _in_pixels(points: NDArray[np.float64], header: Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of points on an image, by the place that the image says of itself."""
    across, down = np.array(header.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    offset = points - np.array(header.ImagePositionPatient, dtype=np.float64)
    return (offset @ down) / float(header.PixelSpacing[0]), (offset @ across) / float(header.PixelSpacing[1])


def _cross(crossings: NDArray[np.int64], rows: NDArray[np.float64], columns: NDArray[np.float64]) -> None:
    """Count, for every pixel centre, the edges of a contour above it in its own column."""
    next_rows, next_columns = np.roll(rows, -1), np.roll(columns, -1)
    for r0, c0, r1, c1 in zip(rows, columns, next_rows, next_columns, strict=True):
        low, high = (c0, c1) if c0 < c1 else (c1, c0)
        here = np.arange(max(int(np.ceil(low)), 0), min(int(np.ceil(high)), crossings.shape[1]))
        for column, row in zip(here, r0 + (here - c0) / (c1 - c0) * (r1 - r0) if len(here) else here, strict=True):
            crossings[max(int(np.ceil(row)), 0) :, column] += 1
