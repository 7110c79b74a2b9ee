"""Proof that a file holds what was meant to be written: it is read back by another way and compared.

DICOM segmentations are written by highdicom and read back here with pydicom alone, frame by frame, each placed by its
own position. Image files are read back through SimpleITK.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.utils import iter_pixels

from medview.core.geometry import Geometry
from medview.core.progress import NoProgress, Progress
from medview.core.proof import Proof
from medview.core.segmentation import Code, Labels, Provenance, Segment
from medview.core.text import Text
from medview.formats.derived_values import long_string, person

_LABEL_MAP = "1.2.840.10008.5.1.4.1.1.66.7"
_SAME_PLACE_MM = 1e-2
_OFF_GRID_VOXELS = 0.4
_HALF = 0.5 + 1e-6
"""Halves are rounded up, also those that come out a little less."""
_SAME_COLOR = 3
"""Steps of 0..255 that CIELab in 16 bits and back may cost."""


def prove_segmentation(
    path: Path,
    labels: Labels,
    geometry: Geometry,
    segments: Sequence[Segment],
    sources: Sequence[Dataset],
    progress: Progress | None = None,
    *,
    provenance: Provenance | None = None,
) -> Proof:
    """Read a DICOM segmentation back and compare it.

    Args:
        path: The file.
        labels: (k, j, i) uint8 or uint16; what was meant.
        geometry: The grid of the labels.
        segments: What was meant, in the order of their segment numbers 1, 2, ...
        sources: Headers of the images that it shall refer to.
        progress: Asked for cancellation once a frame.
        provenance: Who made it; not compared when not given.

    Returns:
        What differs: voxels, places, segments, who made them, study, references.
    """
    progress = progress or NoProgress()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(path)
            differences = [
                *_identity(dataset, sources[0]),
                *_descriptions(dataset, segments),
                *(_makers(dataset, segments, provenance) if provenance is not None else ()),
                *_frames(dataset, labels, geometry, segments, progress),
                *_references(dataset, sources),
            ]
    except (OSError, AttributeError, KeyError, IndexError, ValueError, TypeError, RuntimeError) as error:
        return Proof(path, (Text.of("it cannot be read back ({reason})", reason=str(error)),))
    return Proof(path, tuple(differences))


def prove_labels(path: Path, labels: Labels, geometry: Geometry) -> Proof:
    """Read an image file of labels back and compare it. `labels`: (k, j, i) uint8 or uint16."""
    return prove_image(path, labels, geometry)


def prove_image(path: Path, voxels: NDArray[Any], geometry: Geometry) -> Proof:
    """Read an image file back through SimpleITK and compare every value and where it lies.

    Args:
        path: NIfTI, NRRD or MetaImage.
        voxels: (k, j, i); what was meant.
        geometry: The grid that was meant.
    """
    import SimpleITK

    try:
        image = SimpleITK.ReadImage(str(path))
        found = SimpleITK.GetArrayFromImage(image)
        corners = np.array([[k, j, i] for k in (0, 1) for j in (0, 1) for i in (0, 1)]) * (np.array(geometry.shape) - 1)
        found_at = _points(image, corners)
    except RuntimeError as error:
        return Proof(path, (Text.of("it cannot be read back ({reason})", reason=str(error).strip().splitlines()[-1]),))
    differences = []
    if found.shape != voxels.shape:
        differences.append(Text.of("its size is {found}, not {meant}", found=str(found.shape), meant=str(voxels.shape)))
    elif not np.array_equal(found, voxels, equal_nan=voxels.dtype.kind == "f"):
        count = int(np.count_nonzero(found != voxels))
        differences.append(Text.of("{count} voxels differ", count=count))
    if np.abs(found_at - geometry.to_patient(corners.astype(np.float64))).max() > _SAME_PLACE_MM:
        differences.append(Text("it lies elsewhere in the patient"))
    return Proof(path, tuple(differences))


def _points(image: Any, corners: NDArray[np.intp]) -> NDArray[np.float64]:
    """Where voxels (n, 3) of an ITK image lie, by what it says of itself: LPS, mm."""
    direction = np.array(image.GetDirection()).reshape(3, 3)
    steps = direction * np.array(image.GetSpacing())
    points: NDArray[np.float64] = corners[:, ::-1] @ steps.T + np.array(image.GetOrigin())
    return points


def _identity(dataset: Dataset, source: Dataset) -> Iterator[Text]:
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        if str(dataset.get(keyword, "")) != str(source.get(keyword, "")):
            yield Text.of("its {attribute} is not that of the images", attribute=keyword)


def _descriptions(dataset: Dataset, segments: Sequence[Segment]) -> Iterator[Text]:
    # a label map also describes its background, as number 0
    items = [item for item in dataset.SegmentSequence if int(item.SegmentNumber) != 0]
    if [int(item.SegmentNumber) for item in items] != list(range(1, len(segments) + 1)):
        yield Text.of("it has {found} segments, not {meant}", found=len(items), meant=len(segments))
        return
    for item, segment in zip(items, segments, strict=True):
        kind = item.SegmentedPropertyTypeCodeSequence[0]
        modifiers = kind.get("SegmentedPropertyTypeModifierCodeSequence", [])
        same = (
            item.SegmentLabel == segment.name
            and _is(kind, segment.code)
            and _is(item.SegmentedPropertyCategoryCodeSequence[0], segment.category)
            and (not segment.laterality or (len(modifiers) == 1 and _is(modifiers[0], segment.laterality)))
        )
        if not same:
            yield Text.of("segment {name} is described as {found}", name=segment.name, found=str(item.SegmentLabel))
        if np.abs(np.subtract(_rgb(item.RecommendedDisplayCIELabValue), segment.color)).max() > _SAME_COLOR:
            yield Text.of("segment {name} has another colour", name=segment.name)


def _makers(dataset: Dataset, segments: Sequence[Segment], provenance: Provenance) -> Iterator[Text]:
    """Whether every segment names what found it, and the object the reader."""
    items = [item for item in dataset.SegmentSequence if int(item.SegmentNumber) != 0]
    for item, segment in zip(items, segments, strict=False):
        model, kind = provenance.engine_of(segment.label), provenance.algorithm_of(segment.label)
        meant = (long_string(model.plugin_id) or "unknown", long_string(model.version) or "unknown") if model else None
        named = item.get("SegmentationAlgorithmIdentificationSequence") or []
        found = [(str(one.AlgorithmName), str(one.AlgorithmVersion)) for one in named]
        if item.SegmentAlgorithmType != kind or found != ([meant] if meant else []):
            yield Text.of(
                "the algorithm of {name} is {found}, not {meant}",
                name=str(item.SegmentLabel),
                found=" ".join([str(item.SegmentAlgorithmType), *(part for one in found for part in one)]),
                meant=" ".join([kind, *(meant or ())]),
            )
    reader = str(dataset.get("ContentCreatorName", "") or "")
    if reader != (person(provenance.reviewer) or ""):
        yield Text.of("its reader is {found}, not {meant}", found=reader, meant=provenance.reviewer or "")


def _is(item: Dataset, code: Code | None) -> bool:
    value = item.get("CodeValue") or item.get("LongCodeValue") or item.get("URNCodeValue")
    return code is not None and (value, item.CodingSchemeDesignator) == (code.value, code.scheme)


def _frames(
    dataset: Dataset, labels: Labels, geometry: Geometry, segments: Sequence[Segment], progress: Progress
) -> Iterator[Text]:
    """Place every frame by its own position, and compare what comes out with what was meant."""
    found = np.zeros_like(labels)
    if geometry.slices is not None:
        labels = _on_slices(labels, geometry)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    overlaps = 0
    by_number = np.array([0, *(segment.label for segment in segments)], dtype=labels.dtype)
    is_map = dataset.SOPClassUID == _LABEL_MAP
    pixels = iter_pixels(dataset) if is_map else _bits(dataset)
    for group, frame in zip(dataset.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        progress.raise_if_cancelled()
        if not frame.any():
            continue
        number = 0 if is_map else int(_group(group, shared, "SegmentIdentificationSequence").ReferencedSegmentNumber)
        affine = _index_affine(group, shared, geometry)
        plane = _plane(found, affine if geometry.slices is None else _to_nearest(affine), (rows, columns))
        if plane is None:
            yield Text.of("a frame of segment {number} lies off the grid", number=number)
            continue
        drawn = frame.astype(bool)
        overlaps += int(np.count_nonzero(plane[drawn]))
        plane[drawn] = by_number[frame[drawn]] if is_map else by_number[number]
    if overlaps:
        yield Text.of("{count} voxels belong to more than one segment", count=overlaps)
    if np.array_equal(found, labels):
        return
    for segment in segments:
        meant, there = labels == segment.label, found == segment.label
        if not np.array_equal(meant, there):
            yield Text.of(
                "segment {name} has {found} voxels where {meant} were meant, {wrong} of them elsewhere",
                name=segment.name,
                found=int(np.count_nonzero(there)),
                meant=int(np.count_nonzero(meant)),
                wrong=int(np.count_nonzero(there & ~meant)),
            )
    if not np.isin(labels, [0, *(segment.label for segment in segments)]).all():
        yield Text("labels that belong to no segment are missing")


def _to_nearest(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same with the first pixel moved onto the nearest voxel: slices lie between the voxels of a corrected grid."""
    moved = affine.copy()
    moved[0] = np.floor(affine[0] + _HALF)
    return moved


def _on_slices(labels: Labels, geometry: Geometry) -> Labels:
    """What the slices can hold of labels on a grid that was corrected from them; the rest is background."""
    held = np.zeros_like(labels)
    assert geometry.slices is not None
    rows, columns = geometry.slices.shape
    for k, j, i in np.floor(geometry.to_index(geometry.slices.positions) + _HALF).astype(int):
        held[k, j : j + rows, i : i + columns] = labels[k, j : j + rows, i : i + columns]
    return held


def _bits(dataset: Dataset) -> Iterator[NDArray[np.uint8]]:
    """The frames (row, column) of a BINARY segmentation: one bit a pixel, first pixel lowest, no gap between frames."""
    packed = np.frombuffer(dataset.PixelData, dtype=np.uint8)
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    size = rows * columns
    for number in range(int(dataset.NumberOfFrames)):
        start, stop = number * size, (number + 1) * size
        bits = np.unpackbits(packed[start // 8 : -(-stop // 8)], bitorder="little")
        yield bits[start % 8 :][:size].reshape(rows, columns)


def _group(group: Dataset, shared: Dataset, keyword: str) -> Dataset:
    item: Dataset = (group if keyword in group else shared)[keyword].value[0]
    return item


def _index_affine(group: Dataset, shared: Dataset, geometry: Geometry) -> NDArray[np.float64]:
    """(3, 3): voxel index of the first pixel, and the steps to the next row and column.

    By the DICOM formula for the place of a pixel in the patient (PS3.3 C.7.6.2.1.1).
    """
    position = np.array(_group(group, shared, "PlanePositionSequence").ImagePositionPatient, dtype=np.float64)
    orientation = _group(group, shared, "PlaneOrientationSequence").ImageOrientationPatient
    across, down = np.array(orientation, dtype=np.float64).reshape(2, 3)
    spacing = np.array(_group(group, shared, "PixelMeasuresSequence").PixelSpacing, dtype=np.float64)
    points = np.stack([position, position + down * spacing[0], position + across * spacing[1]])
    first, below, beside = geometry.to_index(points)
    return np.stack([first, below - first, beside - first])


def _plane(found: Labels, affine: NDArray[np.float64], shape: tuple[int, int]) -> Labels | None:
    """The voxels (row, column) of a grid under a frame, as a view; None when they are not the frame's pixels."""
    first, down, across = affine
    exact = first + np.stack([0 * down, down * (shape[0] - 1), across * (shape[1] - 1)])
    start, below, beside = corners = np.rint(exact).astype(int)
    row_axis, column_axis = int(np.abs(down).argmax()), int(np.abs(across).argmax())
    last = below + beside - start
    steps = (below - start)[row_axis], (beside - start)[column_axis]
    if (
        np.abs(exact - corners).max() >= _OFF_GRID_VOXELS
        or row_axis == column_axis
        or (abs(steps[0]), abs(steps[1])) != (shape[0] - 1, shape[1] - 1)
        or np.count_nonzero(below - start) > 1
        or np.count_nonzero(beside - start) > 1
        or (np.minimum(start, last) < 0).any()
        or (np.maximum(start, last) >= found.shape).any()
    ):
        return None
    index: list[int | slice] = [int(start[axis]) for axis in range(3)]
    for axis, toward in ((row_axis, last[row_axis]), (column_axis, last[column_axis])):
        low, high = sorted((int(start[axis]), int(toward)))
        index[axis] = slice(low, high + 1)
    plane = found[tuple(index)]
    if row_axis > column_axis:
        plane = plane.T
    return plane[:: -1 if down[row_axis] < 0 else 1, :: -1 if across[column_axis] < 0 else 1]


def _references(dataset: Dataset, sources: Sequence[Dataset]) -> Iterator[Text]:
    positions: dict[tuple[str, int], list[NDArray[np.float64]]] = {}
    for source in sources:
        key = str(source.SOPInstanceUID), int(source.get("ReferencedFrameNumber", 0))
        positions.setdefault(key, []).append(np.array(source.ImagePositionPatient, dtype=np.float64))
    listed = {
        str(item.ReferencedSOPInstanceUID)
        for series in dataset.get("ReferencedSeriesSequence", [])
        for item in series.ReferencedInstanceSequence
    }
    meant = {uid for uid, _ in positions}
    if listed != meant:
        yield Text.of("it refers to {found} images, not {meant}", found=len(listed), meant=len(meant))
    shared = dataset.SharedFunctionalGroupsSequence[0]
    wrong = 0
    for group in dataset.PerFrameFunctionalGroupsSequence:
        here = np.array(_group(group, shared, "PlanePositionSequence").ImagePositionPatient, dtype=np.float64)
        named = [
            (str(item.ReferencedSOPInstanceUID), int(item.get("ReferencedFrameNumber", 0)))
            for derivation in group.get("DerivationImageSequence", [])
            for item in derivation.SourceImageSequence
        ]
        wrong += len(named) != 1 or all(np.abs(one - here).max() > 1e-3 for one in positions.get(named[0], []))
    if wrong:
        yield Text.of("{count} frames refer to another image than the one they lie on", count=wrong)


def _rgb(value: Sequence[int]) -> NDArray[np.float64]:
    """Red, green and blue, sRGB 0..255, of a DICOM CIELab value, by the formulas of CIE 15 and IEC 61966-2-1.

    The white point is D65, as in DCMTK, dcmqi and highdicom, so that colours look the same in other programs.
    """
    lightness, a, b = value[0] * 100 / 65535, value[1] * 255 / 65535 - 128, value[2] * 255 / 65535 - 128
    fy = (lightness + 16) / 116
    f = np.array([fy + a / 500, fy, fy - b / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.9505, 1.0, 1.089]
    to_linear = [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    linear = np.clip(np.array(to_linear) @ xyz, 0, 1)
    encoded: NDArray[np.float64] = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return encoded * 255
