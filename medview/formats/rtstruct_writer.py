"""Segmentations written as radiotherapy structure sets, and proved by reading them back another way.

Contours lie on the original slices. A hole is a contour of its own inside the outer one, as most programs read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import medview
from medview.core.errors import InputError, StorageError
from medview.core.progress import NoProgress, PartOf, Progress
from medview.core.proof import Proof
from medview.core.segmentation import Segment, Segmentation
from medview.core.text import Text
from medview.core.volume import Volume
from medview.formats import contours
from medview.formats.derived_object import save_proved, sources_on
from medview.formats.dicom_seg import described_segments
from medview.formats.rtstruct_proof import prove
from medview.formats.rtstruct_reader import STRUCTURE_SET
from medview.formats.seg_source import SourceImage

_SERIES_NUMBER_OFFSET = 2000
_SHORT_STRING = 16
_STUDY_COMPONENT = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management, by which structure sets have always named their study."""


def write(
    segmentation: Segmentation,
    volume: Volume,
    source_files: Sequence[Path],
    path: Path,
    progress: Progress | None = None,
) -> Proof:
    """Write a segmentation as RTSTRUCT beside the study of its series, and prove it.

    Args:
        segmentation: The structures; labels that have no segment get a generic one.
        volume: What they were drawn on.
        source_files: The DICOM files of the series, in any order.
        path: The file; replaced when it exists, and left as it was when something fails.
        progress: Reported to and asked for cancellation.

    Raises:
        InputError: There is no segment.
        GridMismatchError: The images are gone, or do not lie on the grid.
        StorageError: It could not be written, or did not read back as meant.
    """
    progress = progress or NoProgress()
    segments = described_segments(segmentation.labels, segmentation.segments)
    if not segments:
        raise InputError("There is no segment to save.", "Add a segment, or run a model, and save again.")
    source = sources_on(
        segmentation.geometry,
        source_files,
        PartOf(progress, 0.0, 0.2),
        series_uid=volume.series_uid,
        phase=volume.phase,
    )
    progress.report(0.3, Text("Writing the structure set"))

    def save(temporary: Path) -> None:
        part = PartOf(progress, 0.3, 0.6)
        _save(_dataset(segmentation, segments, source.images, source.headers, part), temporary)

    return save_proved(
        path,
        save,
        lambda temporary: prove(
            temporary, segmentation.labels, segments, source.images, source.headers, segmentation.provenance
        ),
        progress,
        StorageError(
            "The structure set could not be made from the images of this series.",
            "Save it as NIfTI instead; the log says which attribute of the images is in the way.",
        ),
    )


def _dataset(
    segmentation: Segmentation,
    segments: Sequence[Segment],
    images: Sequence[SourceImage],
    headers: Sequence[Dataset],
    progress: Progress,
) -> Dataset:
    first, now = headers[0], datetime.now(UTC).astimezone()
    dataset = Dataset()
    dataset.update({tag: one for tag, one in first.items() if tag.group == 0x0010})
    for keyword in ("StudyInstanceUID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName",
                    "StudyID", "StudyDescription"):  # fmt: skip
        if keyword in first:
            setattr(dataset, keyword, first[keyword].value)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = STRUCTURE_SET, generate_uid()
    dataset.Modality, dataset.SeriesInstanceUID = "RTSTRUCT", generate_uid()
    number = first.get("SeriesNumber")
    dataset.SeriesNumber = _SERIES_NUMBER_OFFSET + (int(number) if number is not None and 0 < int(number) < 1e8 else 0)
    dataset.SeriesDate = dataset.StructureSetDate = dataset.InstanceCreationDate = now.strftime("%Y%m%d")
    dataset.SeriesTime = dataset.StructureSetTime = dataset.InstanceCreationTime = now.strftime("%H%M%S")
    dataset.SeriesDescription = "Structure set"
    dataset.Manufacturer = dataset.ManufacturerModelName = "MedView"
    dataset.SoftwareVersions = dataset.DeviceSerialNumber = medview.__version__
    dataset.OperatorsName = ""
    dataset.InstanceNumber = 1
    dataset.StructureSetLabel = str(segmentation.title).replace("\\", "/")[:_SHORT_STRING].strip() or "MedView"
    dataset.FrameOfReferenceUID = first.FrameOfReferenceUID
    dataset.PositionReferenceIndicator = ""
    dataset.ReferencedFrameOfReferenceSequence = Items([_referenced(images, headers)])
    dataset.StructureSetROISequence = Items(
        [_region(number, one, segmentation, str(first.FrameOfReferenceUID)) for number, one in enumerate(segments, 1)]
    )
    drawn = []
    for number, segment in enumerate(segments, 1):
        progress.raise_if_cancelled()
        progress.report(number / len(segments))
        drawn.append(_contours(number, segment, segmentation, images, headers))
    dataset.ROIContourSequence = Items(drawn)
    dataset.RTROIObservationsSequence = Items([_observation(number) for number in range(1, len(segments) + 1)])
    dataset.ApprovalStatus = "UNAPPROVED"
    return dataset


def _referenced(images: Sequence[SourceImage], headers: Sequence[Dataset]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = headers[0].SeriesInstanceUID
    series.ContourImageSequence = Items(
        [_reference(image, header) for image, header in zip(images, headers, strict=True)]
    )
    study = Dataset()
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = _STUDY_COMPONENT, headers[0].StudyInstanceUID
    study.RTReferencedSeriesSequence = Items([series])
    space = Dataset()
    space.FrameOfReferenceUID = headers[0].FrameOfReferenceUID
    space.RTReferencedStudySequence = Items([study])
    return space


def _reference(image: SourceImage, header: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    if image.frame is not None:
        item.ReferencedFrameNumber = image.frame
    return item


def _region(number: int, segment: Segment, segmentation: Segmentation, space_uid: str) -> Dataset:
    model = segmentation.provenance.engine_of(segment.label)
    region = Dataset()
    region.ROINumber, region.ROIName = number, segment.name
    region.ReferencedFrameOfReferenceUID = space_uid
    region.ROIGenerationAlgorithm = segmentation.provenance.algorithm_of(segment.label)
    if model is not None:
        region.ROIGenerationDescription = f"{model.plugin_id} {model.version}"[:64]
    return region


def _contours(
    number: int,
    segment: Segment,
    segmentation: Segmentation,
    images: Sequence[SourceImage],
    headers: Sequence[Dataset],
) -> Dataset:
    region = Dataset()
    region.ReferencedROINumber, region.ROIDisplayColor = number, list(segment.color)
    items = []
    for image, header in zip(images, headers, strict=True):
        mask = segmentation.labels[image.placement.indices] == segment.label
        if not mask.any():
            continue
        position = np.array(header.ImagePositionPatient, dtype=np.float64)
        across, down = np.array(header.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
        down_mm, across_mm = (float(value) for value in header.PixelSpacing)
        for outline in contours.outlines(mask):
            points = position + outline[:, :1] * down_mm * down + outline[:, 1:] * across_mm * across
            item = Dataset()
            item.ContourImageSequence = Items([_reference(image, header)])
            item.ContourGeometricType = "CLOSED_PLANAR"
            item.NumberOfContourPoints = len(points)
            item.ContourData = [f"{value:.4f}" for value in points.ravel()]
            items.append(item)
    if items:
        region.ContourSequence = Items(items)
    return region


def _observation(number: int) -> Dataset:
    item = Dataset()
    item.ObservationNumber = item.ReferencedROINumber = number
    item.RTROIInterpretedType, item.ROIInterpreter = "", ""
    return item


def _save(dataset: Dataset, path: Path) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = dataset.SOPClassUID, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dcmwrite(path, FileDataset(path, dataset, preamble=b"\0" * 128, file_meta=meta), enforce_file_format=True)
