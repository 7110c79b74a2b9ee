"""Writes a volume as a DICOM CT or MR series; with options, as every odd series that reading has to cope with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

from medview.core.case import Patient, Study
from medview.core.geometry import Floats
from medview.core.progress import NoProgress, Progress
from medview.core.volume import Modality, Volume
from medview.formats.dicom_header import quiet_pydicom

SAMPLE_STUDY = Study(
    uid="1.2.826.0.1.3680043.8.498.1",
    patient=Patient("PHANTOM-CHEST", "Phantom^Chest", "1970-01-01", "O"),
    date="2020-01-01",
    time="12:00:00",
    description="Sample study",
)
"""What a series says of its patient when nobody else does. The name is as DICOM writes it."""


@dataclass(frozen=True, slots=True)
class SeriesOptions:
    """How a series is written. The defaults make a plain one.

    Attributes:
        transfer_syntax: UID; native, deflated, RLE, JPEG-LS or JPEG 2000.
        signed: Whether stored values are signed.
        bits_stored: 9 to 16.
        slope: Stored values times this ...
        intercept: ... plus this are the voxels.
        monochrome1: Whether the smallest stored value is white. Stored values are then turned round, except in CT,
            where they stay Hounsfield units whatever they look like.
        shuffled: Seed of a random order of files and image numbers; None keeps the slice order.
        missing: Slices along k that are left out.
        doubled: Slices along k that are written twice, as two images.
        moved_mm: (k, distance): slices that are moved along the normal.
        tilt_degrees: Each slice is shifted along its columns as by a tilted gantry.
        with_localizer: Whether one image across the others is added.
        phases: Images at every place, as in a 4D series.
        with_acquisitions: Whether each phase has an acquisition number of its own.
        multi_frame: Whether all slices go into one file, in the way of old multi-frame objects.
        preamble: Whether files start as the standard says, or with the data set at once, as old files do.
        character_set: DICOM's name of it, as "ISO_IR 192".
        left_out: Keywords of attributes that are not written.
        series_uid: Made from study and options when empty.
        series_number: Of the series.
    """

    transfer_syntax: str = ExplicitVRLittleEndian
    signed: bool = False
    bits_stored: int = 12
    slope: float = 1.0
    intercept: float = -1024.0
    monochrome1: bool = False
    shuffled: int | None = None
    missing: tuple[int, ...] = ()
    doubled: tuple[int, ...] = ()
    moved_mm: tuple[tuple[int, float], ...] = ()
    tilt_degrees: float = 0.0
    with_localizer: bool = False
    phases: int = 1
    with_acquisitions: bool = False
    multi_frame: bool = False
    preamble: bool = True
    character_set: str = "ISO_IR 192"
    left_out: tuple[str, ...] = ()
    series_uid: str = ""
    series_number: int = 1


@dataclass(frozen=True, slots=True)
class _Image:
    """One image to be written: (j, i) values, and where it lies."""

    values: NDArray[Any]
    position: Floats
    row: Floats
    column: Floats
    note: str
    acquisition: int = 1


def write_series(
    volume: Volume,
    folder: Path,
    options: SeriesOptions | None = None,
    *,
    study: Study = SAMPLE_STUDY,
    progress: Progress | None = None,
) -> tuple[Path, ...]:
    """Write a series of single files.

    Args:
        volume: CT becomes CT images, everything else MR images. Values that the stored type cannot hold are cut off.
        folder: Made when it is not there. Files are named by image number, and replace others of that name.
        options: How.
        study: What it says of study and patient.
        progress: Told how many files are written.

    Returns:
        The files, in the order of their image numbers.

    Raises:
        Cancelled: The progress says so.
    """
    options = options or SeriesOptions()
    progress = progress or NoProgress()
    folder.mkdir(parents=True, exist_ok=True)
    images = list(_images(volume, options))
    if options.shuffled is not None:
        random.Random(options.shuffled).shuffle(images)
    series_uid = options.series_uid or _uid(study.uid, "series", repr(options), volume.series_uid)
    common = _common(volume, options, study, series_uid)
    paths = []
    quiet_pydicom()
    if options.multi_frame:
        images = [replace(images[0], values=np.stack([image.values for image in images]))]
    for number, image in enumerate(images, start=1):
        progress.raise_if_cancelled()
        progress.report(number / len(images))
        dataset = _dataset(common, image, number, volume, options)
        path = folder / f"{number:05d}.dcm"
        _save(dataset, path, options)
        paths.append(path)
    return tuple(paths)


def _images(volume: Volume, options: SeriesOptions) -> Iterator[_Image]:
    geometry = volume.geometry
    normal, column, row = geometry.direction.T
    moved = dict(options.moved_mm)
    step = geometry.spacing_mm[0]
    slant = float(np.tan(np.radians(options.tilt_degrees)))
    for phase in range(options.phases):
        for k in range(geometry.shape[0]):
            if k in options.missing:
                continue
            place = geometry.to_patient((float(k), 0.0, 0.0)) + normal * moved.get(k, 0.0) + column * slant * step * k
            for copy in range(2 if k in options.doubled else 1):
                acquisition = phase + 1 if options.with_acquisitions else 1
                yield _Image(volume.voxels[k] + phase, place, row, column, f"{phase}.{k}.{copy}", acquisition)
    if options.with_localizer:
        middle = volume.voxels[:, :, geometry.shape[2] // 2]
        place = geometry.to_patient((0.0, 0.0, geometry.shape[2] / 2))
        padded = np.zeros(geometry.shape[1:], dtype=volume.voxels.dtype)
        height, width = min(padded.shape[0], middle.shape[0]), min(padded.shape[1], middle.shape[1])
        padded[:height, :width] = middle[:height, :width]
        yield _Image(padded, place, column, normal, "localizer")


def _common(volume: Volume, options: SeriesOptions, study: Study, series_uid: str) -> Dataset:
    is_ct = volume.modality is Modality.CT
    day, clock = study.date.replace("-", ""), study.time.replace(":", "")
    frame = volume.geometry.frame_of_reference_uid or _uid(study.uid, "frame of reference")
    values: dict[str, Any] = {
        "SpecificCharacterSet": options.character_set,
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL" if is_ct else "OTHER"],
        "SOPClassUID": CTImageStorage if is_ct else MRImageStorage,
        "StudyDate": day,
        "SeriesDate": day,
        "ContentDate": day,
        "StudyTime": clock,
        "SeriesTime": clock,
        "ContentTime": clock,
        "AccessionNumber": study.accession_number,
        "Modality": "CT" if is_ct else "MR",
        "Manufacturer": "MedView",
        "InstitutionName": study.institution,
        "ReferringPhysicianName": "",
        "StudyDescription": study.description,
        "SeriesDescription": volume.description,
        "PatientName": study.patient.name,
        "PatientID": study.patient.key,
        "PatientBirthDate": study.patient.birth_date.replace("-", ""),
        "PatientSex": study.patient.sex,
        "SliceThickness": _decimal(volume.geometry.spacing_mm[0]),
        "PatientPosition": "HFS",
        "StudyInstanceUID": study.uid,
        "SeriesInstanceUID": series_uid,
        "StudyID": "1",
        "SeriesNumber": options.series_number,
        "FrameOfReferenceUID": frame,
        "PositionReferenceIndicator": "",
        **(_CT if is_ct else _MR),
    }
    if is_ct or options.slope != 1 or options.intercept != 0:
        values |= {"RescaleIntercept": _decimal(options.intercept), "RescaleSlope": _decimal(options.slope)}
    if is_ct:
        values["RescaleType"] = "HU"
    if volume.windows:
        values["WindowCenter"] = [_decimal(window.center) for window in volume.windows]
        values["WindowWidth"] = [_decimal(window.width) for window in volume.windows]
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


_CT = {
    "BodyPartExamined": "CHEST",
    "KVP": "120",
    "XRayTubeCurrent": "200",
    "Exposure": "100",
    "ConvolutionKernel": "SOFT",
}
_MR = {
    "BodyPartExamined": "CHEST",
    "ScanningSequence": "GR",
    "SequenceVariant": "NONE",
    "ScanOptions": "",
    "MRAcquisitionType": "3D",
    "RepetitionTime": "2300",
    "EchoTime": "3",
    "EchoTrainLength": "1",
}


def _dataset(common: Dataset, image: _Image, number: int, volume: Volume, options: SeriesOptions) -> Dataset:
    dataset = Dataset(common)
    dataset.SOPInstanceUID = _uid(common.SeriesInstanceUID, image.note)
    dataset.InstanceNumber = number
    dataset.AcquisitionNumber = image.acquisition
    dataset.ImagePositionPatient = [_decimal(value) for value in image.position]
    dataset.ImageOrientationPatient = [_decimal(value) for value in (*image.row, *image.column)]
    dataset.SliceLocation = _decimal(float(image.position @ np.cross(image.row, image.column)))
    dataset.PixelSpacing = [_decimal(value) for value in volume.geometry.spacing_mm[1:]]
    stored = _stored(image.values, options, turned=options.monochrome1 and common.Modality != "CT")
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if options.monochrome1 else "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape[-2:]
    dataset.BitsAllocated = 16
    dataset.BitsStored = options.bits_stored
    dataset.HighBit = options.bits_stored - 1
    dataset.PixelRepresentation = int(options.signed)
    if options.multi_frame:
        dataset.NumberOfFrames = len(stored)
    is_big = options.transfer_syntax == ExplicitVRBigEndian
    dataset.PixelData = stored.astype(stored.dtype.newbyteorder(">" if is_big else "<")).tobytes()
    dataset["PixelData"].VR = "OW"
    for keyword in options.left_out:
        if keyword in dataset:
            delattr(dataset, keyword)
    return dataset


def _stored(values: NDArray[Any], options: SeriesOptions, *, turned: bool) -> NDArray[Any]:
    lowest = -(1 << (options.bits_stored - 1)) if options.signed else 0
    highest = lowest + (1 << options.bits_stored) - 1
    stored = np.rint((values.astype(np.float64) - options.intercept) / options.slope)
    if turned:
        stored = lowest + highest - stored
    return np.clip(stored, lowest, highest).astype(np.int16 if options.signed else np.uint16)


def _save(dataset: Dataset, path: Path, options: SeriesOptions) -> None:
    temporary = path.with_name(f".{path.name}.part")
    try:
        if options.preamble:
            _save_file(dataset, temporary, UID(options.transfer_syntax))
        else:
            implicit = options.transfer_syntax == ImplicitVRLittleEndian
            little = options.transfer_syntax != ExplicitVRBigEndian
            dcmwrite(temporary, dataset, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _save_file(dataset: Dataset, path: Path, syntax: UID) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax.is_compressed and not syntax.is_deflated else syntax
    file = FileDataset(path, dataset, preamble=b"\0" * 128, file_meta=meta)
    if syntax.is_compressed and not syntax.is_deflated:
        file.compress(syntax, generate_instance_uid=False)
    dcmwrite(path, file, enforce_file_format=True)


def _uid(*parts: str) -> str:
    """The same UID for the same parts."""
    return str(generate_uid(entropy_srcs=list(parts)))


def _decimal(value: float) -> str:
    """A number in the sixteen characters that DICOM gives it."""
    for digits in range(15, 5, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    return f"{value:.8g}"
