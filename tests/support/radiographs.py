"""Radiographs as DICOM files, as a machine would send them, and as it should not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    XRayAngiographicImageStorage,
    generate_uid,
)


def chest(rows: int = 300, columns: int = 260, *, bits: int = 12) -> NDArray[np.uint16]:
    """Something like a frontal chest: bright below and in the middle, two dark lungs, on a darker ground."""
    j, i = np.mgrid[0:rows, 0:columns] / np.array([rows, columns])[:, None, None]
    picture = 0.35 + 0.45 * j
    for middle in (0.3, 0.7):
        picture -= 0.4 * (((i - middle) / 0.16) ** 2 + ((j - 0.45) / 0.33) ** 2 < 1)
    picture += 0.2 * (np.abs(i - 0.5) < 0.08)
    picture += np.random.default_rng(4).normal(0, 0.01, picture.shape)
    shown: NDArray[np.uint16] = np.round(np.clip(picture, 0, 1) * (2**bits - 1)).astype(np.uint16)
    return shown


def write(path: Path, pixels: NDArray[Any], *, bits: int = 12, patient: str = "P1", **attributes: Any) -> Path:
    """One radiograph.

    Args:
        path: The file.
        pixels: (j, i) stored values; (j, i, 3) uint8 for colours.
        bits: How many are stored.
        patient: The patient's ID.
        attributes: By keyword; they replace those that it would have.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ComputedRadiographyImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    color = pixels.ndim == 3
    said: dict[str, Any] = {
            "SOPClassUID": meta.MediaStorageSOPClassUID, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
            "StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid(), "Modality": "CR",
            "PatientID": patient, "PatientName": "Kestrel^Anna", "PatientBirthDate": "20200101", "PatientSex": "F",
            "StudyDate": "20260101", "StudyTime": "080000", "StudyID": "1", "AccessionNumber": "",
            "ReferringPhysicianName": "", "BodyPartExamined": "CHEST", "ViewPosition": "PA", "SeriesNumber": 1,
            "InstanceNumber": 1, "Rows": pixels.shape[0], "Columns": pixels.shape[1], "PixelSpacing": [0.5, 0.5],
            "SamplesPerPixel": 3 if color else 1, "PhotometricInterpretation": "RGB" if color else "MONOCHROME2",
            "BitsAllocated": 8 if color else 16, "BitsStored": 8 if color else bits,
            "HighBit": 7 if color else bits - 1, "PixelRepresentation": 0, "PixelData": pixels.tobytes(),
    }  # fmt: skip
    if color:
        said["PlanarConfiguration"] = 0
    for keyword, value in (said | attributes).items():
        setattr(file, keyword, value)
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID
    file.save_as(path, enforce_file_format=True)
    return path


def write_film(path: Path, pictures: Sequence[NDArray[np.uint16]]) -> Path:
    """Pictures (j, i) one after the other, as an angiography."""
    stacked = np.stack(pictures)
    return write(
        path, stacked[0], bits=16, Modality="XA", NumberOfFrames=len(stacked), PixelData=stacked.tobytes(),
        SOPClassUID=XRayAngiographicImageStorage, FrameTime="50", BodyPartExamined="",
    )  # fmt: skip
