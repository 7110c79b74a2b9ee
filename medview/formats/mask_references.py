"""Which images a file of masks was drawn on, by what it says itself."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from medview.core.errors import UnreadableFileError
from medview.core.text import Text
from medview.formats.rtstruct_reader import STRUCTURE_SET

SEGMENTATIONS = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
MASKS = SEGMENTATIONS | {STRUCTURE_SET}
"""SOP classes that hold masks."""
_WANTED = ("SOPClassUID", "ReferencedSeriesSequence", "ReferencedFrameOfReferenceSequence", "FrameOfReferenceUID")


@dataclass(frozen=True, slots=True)
class MaskReferences:
    """What a file of masks says of its images.

    Attributes:
        is_structure_set: Whether it is an RTSTRUCT; a DICOM SEG otherwise.
        series: UIDs of the series that it names.
        spaces: UIDs of the frames of reference that it lies in.
    """

    is_structure_set: bool
    series: frozenset[str]
    spaces: frozenset[str]


def is_mask(path: Path) -> bool:
    """Whether a file is a DICOM object that holds masks."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"]).get("SOPClassUID") in MASKS
    except Exception:  # whatever it is, it is no mask
        return False


def read(path: Path) -> MaskReferences:
    """Read the references of a DICOM SEG or RTSTRUCT.

    Raises:
        UnreadableFileError: It is damaged, or holds no masks.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(path, stop_before_pixels=True, specific_tags=list(_WANTED))
            uid = str(dataset.get("SOPClassUID", ""))
            if uid in MASKS:
                spaces = {str(dataset.get("FrameOfReferenceUID", "") or ""), *_spaces(dataset)}
                return MaskReferences(uid == STRUCTURE_SET, frozenset(_series(dataset)), frozenset(spaces - {""}))
    except Exception as error:  # a damaged file may raise anything in a decoder
        raise UnreadableFileError(Text.of("{name} cannot be read.", name=path.name)) from error
    raise UnreadableFileError(Text.of("{name} holds no masks.", name=path.name))


def _series(dataset: Dataset) -> Iterator[str]:
    for series in dataset.get("ReferencedSeriesSequence", []):
        yield str(series.SeriesInstanceUID)
    for space in dataset.get("ReferencedFrameOfReferenceSequence", []):
        for study in space.get("RTReferencedStudySequence", []):
            for series in study.get("RTReferencedSeriesSequence", []):
                yield str(series.SeriesInstanceUID)


def _spaces(dataset: Dataset) -> Iterator[str]:
    for space in dataset.get("ReferencedFrameOfReferenceSequence", []):
        yield str(space.get("FrameOfReferenceUID", "") or "")
