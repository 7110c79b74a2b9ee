"""Proof of a parametric map: read back with pydicom and numpy alone, every frame placed by its own position."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from medview.core.geometry import Geometry
from medview.core.proof import Proof
from medview.core.segmentation import Code
from medview.core.text import Text

_SAME_PLACE_MM = 1e-2


def prove(
    path: Path, values: NDArray[Any], geometry: Geometry, quantity: Code, unit: Code, headers: Sequence[Dataset]
) -> Proof:
    """Read a map back and compare it.

    Args:
        path: The file.
        values: (k, j, i); what was meant.
        geometry: The grid that was meant.
        quantity: What the values say.
        unit: Their unit.
        headers: Of the images, completed.

    Returns:
        What differs: study, quantity, unit, values, places, references.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(path)
            differences = [
                *_identity(dataset, headers[0]),
                *_meaning(dataset, quantity, unit),
                *_values(dataset, values, geometry),
                *_references(dataset, headers, is_corrected=geometry.slices is not None),
            ]
    except (OSError, AttributeError, KeyError, IndexError, ValueError, TypeError) as error:
        return Proof(path, (Text.of("it cannot be read back ({reason})", reason=str(error)),))
    return Proof(path, tuple(differences))


def _identity(dataset: Dataset, source: Dataset) -> Iterator[Text]:
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        if str(dataset.get(keyword, "") or "") != str(source.get(keyword, "") or ""):
            yield Text.of("its {attribute} is not that of the images", attribute=keyword)


def _group(own: Dataset, dataset: Dataset, keyword: str) -> Dataset:
    shared = dataset.SharedFunctionalGroupsSequence[0]
    item: Dataset = (own if keyword in own else shared)[keyword].value[0]
    return item


def _meaning(dataset: Dataset, quantity: Code, unit: Code) -> Iterator[Text]:
    for own in dataset.PerFrameFunctionalGroupsSequence:
        mapping = _group(own, dataset, "RealWorldValueMappingSequence")
        found = mapping.MeasurementUnitsCodeSequence[0]
        if (found.CodeValue, found.CodingSchemeDesignator) != (unit.value, unit.scheme):
            yield Text.of("its unit is {found}, not {meant}", found=str(found.CodeValue), meant=unit.value)
            return
        said = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
        if (said.CodeValue, said.CodingSchemeDesignator) != (quantity.value, quantity.scheme):
            yield Text.of("its quantity is {found}, not {meant}", found=str(said.CodeMeaning), meant=quantity.meaning)
            return


def _values(dataset: Dataset, values: NDArray[Any], geometry: Geometry) -> Iterator[Text]:
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    stored = np.frombuffer(dataset.FloatPixelData, dtype="<f4").reshape(-1, rows, columns)
    found = np.full(values.shape, np.nan, dtype=np.float32)
    off = 0
    for own, frame in zip(dataset.PerFrameFunctionalGroupsSequence, stored, strict=True):
        mapping = _group(own, dataset, "RealWorldValueMappingSequence")
        places = _places(own, dataset, geometry, (rows, columns))
        if places is None:
            off += 1
            continue
        real = frame.astype(np.float64) * float(mapping.RealWorldValueSlope) + float(mapping.RealWorldValueIntercept)
        found[places] = real
    if off:
        yield Text.of("{count} slices lie off the grid", count=off)
    wrong = int(np.count_nonzero(found != np.asarray(values, dtype=np.float32)))
    if wrong:
        yield Text.of("{count} voxels differ", count=wrong)


def _places(
    own: Dataset, dataset: Dataset, geometry: Geometry, shape: tuple[int, int]
) -> tuple[NDArray[np.int64], ...] | None:
    """The voxels (k, j, i) under a frame's pixels (row, column); None when these are no voxels of the grid.

    By the DICOM formula for the place of a pixel in the patient (PS3.3 C.7.6.2.1.1).
    """
    spacing = np.array(_group(own, dataset, "PixelMeasuresSequence").PixelSpacing, dtype=np.float64)
    orientation = _group(own, dataset, "PlaneOrientationSequence").ImageOrientationPatient
    across, down = np.array(orientation, dtype=np.float64).reshape(2, 3)
    position = np.array(_group(own, dataset, "PlanePositionSequence").ImagePositionPatient, dtype=np.float64)
    last_row, last_column = (
        position + down * spacing[0] * (shape[0] - 1),
        position + across * spacing[1] * (shape[1] - 1),
    )
    exact = geometry.to_index(np.stack([position, last_row, last_column]))
    whole = np.rint(exact).astype(np.int64)
    if np.abs(geometry.to_patient(whole.astype(np.float64)) - geometry.to_patient(exact)).max() > _SAME_PLACE_MM:
        return None
    first, below, beside = whole
    row, column = np.ogrid[: shape[0], : shape[1]]
    places = []
    for axis, size in enumerate(geometry.shape):
        place = first[axis] + row * np.sign(below - first)[axis] + column * np.sign(beside - first)[axis]
        if place.min() < 0 or place.max() >= size:
            return None
        places.append(place)
    ends = [(int(one[-1, 0]), int(one[0, -1])) for one in np.broadcast_arrays(*places)]
    return tuple(places) if ends == list(zip(below.tolist(), beside.tolist(), strict=True)) else None


def _references(dataset: Dataset, headers: Sequence[Dataset], *, is_corrected: bool) -> Iterator[Text]:
    listed = {
        str(item.ReferencedSOPInstanceUID)
        for series in dataset.get("ReferencedSeriesSequence", [])
        for item in series.ReferencedInstanceSequence
    }
    meant = {str(one.SOPInstanceUID) for one in headers}
    if listed != meant:
        yield Text.of("it refers to {found} images, not {meant}", found=len(listed), meant=len(meant))
    places = {
        (str(one.SOPInstanceUID), int(one.get("ReferencedFrameNumber", 0)), _rounded(one.ImagePositionPatient))
        for one in headers
    }
    wrong = 0
    for own in dataset.PerFrameFunctionalGroupsSequence:
        here = _rounded(_group(own, dataset, "PlanePositionSequence").ImagePositionPatient)
        named = [
            (str(item.ReferencedSOPInstanceUID), int(item.get("ReferencedFrameNumber", 0)), here)
            for derivation in own.get("DerivationImageSequence", [])
            for item in derivation.SourceImageSequence
        ]
        # planes of a corrected grid lie between images, and name none
        wrong += bool(named) if is_corrected else len(named) != 1 or named[0] not in places
    if wrong:
        yield Text.of("{count} frames refer to another image than the one they lie on", count=wrong)


def _rounded(position: Any) -> tuple[float, ...]:
    return tuple(round(float(value), 2) + 0.0 for value in position)
