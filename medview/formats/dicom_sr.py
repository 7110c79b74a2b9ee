"""Structured reports by template TID 1500, written by highdicom and proved by reading them back.

Volumes of segments refer to a DICOM segmentation; what was drawn is given as points in the patient, with the images
that they lie on. Every number has its unit in UCUM, and says itself when it cannot be trusted.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

import medview
from medview.core.errors import InputError, StorageError, UnreadableFileError
from medview.core.progress import NoProgress, PartOf, Progress
from medview.core.proof import Proof
from medview.core.report import Report
from medview.core.text import Text
from medview.core.volume import Volume
from medview.formats.derived_object import picture_sources, save_proved, sources_on
from medview.formats.derived_values import series_number
from medview.formats.mask_references import SEGMENTATIONS
from medview.formats.sr_proof import prove

_SERIES_NUMBER_OFFSET = 3000
_MAKER = "MedView"


def write(
    report: Report,
    volume: Volume,
    source_files: Sequence[Path],
    path: Path,
    progress: Progress | None = None,
    *,
    mask: Path | None = None,
) -> Proof:
    """Write a report beside the study of its series, and prove it.

    Args:
        report: What it says.
        volume: What the numbers were taken from.
        source_files: The DICOM files of the series, in any order.
        path: The file; replaced when it exists, and left as it was when something fails.
        progress: Reported to and asked for cancellation.
        mask: The DICOM SEG in which the report's segments lie, under the numbers that are their labels; needed when it
            has some.

    Raises:
        InputError: The report is empty, or its segments are not those of the mask.
        GridMismatchError: The images are gone, or do not lie on the grid.
        StorageError: It could not be written, or did not read back as meant.
    """
    progress = progress or NoProgress()
    if report.is_empty:
        raise InputError("There is nothing to report.", "Measure something, or draw a segment, and save again.")
    reference = _mask(mask, report)
    part = PartOf(progress, 0.0, 0.5)
    if volume.is_spatial or report.measurements:
        source = sources_on(
            volume.geometry, source_files, part, series_uid=volume.series_uid, phase=volume.phase
        )  # fmt: skip
    else:
        source = picture_sources(volume.geometry, source_files, part, series_uid=volume.series_uid)
    progress.report(0.6, Text("Writing the structured report"))
    progress.raise_if_cancelled()

    def save(temporary: Path) -> None:
        _dataset(report, volume, source.headers, reference).save_as(temporary, enforce_file_format=True)

    return save_proved(
        path,
        save,
        lambda temporary: prove(temporary, report, volume, source.headers, reference),
        progress,
        StorageError(
            "The structured report could not be made from the images of this series.",
            "The log says which attribute of the images is in the way.",
        ),
    )


def _mask(path: Path | None, report: Report) -> Dataset | None:
    """What the report says of its mask: class, instance, series, study, and the names of its segments."""
    if not report.segments:
        return None
    if path is None:
        raise InputError(
            "Volumes refer to a DICOM segmentation, and there is none.", "Save the masks as DICOM SEG too."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = dcmread(path, stop_before_pixels=True)
            items = {int(one.SegmentNumber): str(one.SegmentLabel) for one in dataset.get("SegmentSequence", [])}
            known = str(dataset.get("SOPClassUID", "")) in SEGMENTATIONS
    except Exception as error:  # a damaged file may raise anything in a decoder
        raise UnreadableFileError(Text.of("{name} cannot be read.", name=path.name)) from error
    wrong = [one for one in report.segments if items.get(one.segment.label) != one.segment.name]
    if not known or wrong:
        raise InputError(
            Text.of("{name} does not hold the segments of the report.", name=path.name),
            "Save the masks as DICOM SEG, and report that file.",
        )
    reference = Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(reference, keyword, dataset[keyword].value)
    return reference


def _dataset(report: Report, volume: Volume, headers: Sequence[Dataset], mask: Dataset | None) -> Dataset:
    import highdicom

    from medview.formats.sr_content import content

    evidence = [*headers, *([mask] if mask is not None else [])]
    dataset: Dataset = highdicom.sr.Comprehensive3DSR(
        evidence=evidence,
        content=content(report, volume, headers, mask),
        series_instance_uid=generate_uid(),
        series_number=series_number(headers[0], _SERIES_NUMBER_OFFSET),
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer=_MAKER,
        manufacturer_model_name=_MAKER,
        software_versions=medview.__version__,
        device_serial_number=medview.__version__,
        series_description="Measurements",
        is_complete=True,
        specific_character_set="ISO_IR 192",
    )
    return dataset
