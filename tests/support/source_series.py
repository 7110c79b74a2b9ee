"""Small DICOM series to draw on, written by pydicom alone, with axes in any direction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from medview.core.geometry import Floats, Geometry
from medview.core.volume import Modality, Volume, VolumeId


def direction(across: tuple[float, ...], down: tuple[float, ...], *, reverse: bool = False) -> Floats:
    """(3, 3) of a grid whose rows run `across` and whose columns run `down`; slices right-handed, or reversed."""
    i = np.array(across) / np.linalg.norm(across)
    j = np.array(down) / np.linalg.norm(down)
    k = np.cross(i, j) * (-1 if reverse else 1)
    columns: Floats = np.stack([k, j, i], axis=1)
    return columns


def make(
    folder: Path, geometry: Geometry, *, without: tuple[str, ...] = (), changes: dict[str, object] | None = None
) -> tuple[Volume, tuple[Path, ...]]:
    """Write a CT series on a grid; files are named so that their order is not the order of the slices.

    Args:
        folder: Where.
        geometry: The grid.
        without: Attributes to leave out.
        changes: Attributes to set otherwise.
    """
    folder.mkdir(parents=True, exist_ok=True)
    voxels: NDArray[np.int16] = (np.arange(np.prod(geometry.shape)) % 1500).reshape(geometry.shape).astype(np.int16)
    study, series, frame = generate_uid(), generate_uid(), geometry.frame_of_reference_uid or generate_uid()
    paths = []
    for k in range(geometry.shape[0]):
        header = Dataset()
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, generate_uid()
        header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = study, series, frame
        header.PatientName, header.PatientID = "Phantom^Chest", "PHANTOM-1"
        header.PatientBirthDate, header.PatientSex = "19600101", "F"
        header.StudyDate, header.StudyTime, header.StudyID, header.AccessionNumber = "20240102", "101112", "7", "A1"
        header.ReferringPhysicianName, header.Modality, header.Manufacturer = "", "CT", "Phantom"
        header.SeriesNumber, header.InstanceNumber, header.ImageType = 3, k + 1, ["ORIGINAL", "PRIMARY", "AXIAL"]
        header.ImagePositionPatient = [round(float(value), 6) for value in geometry.to_patient((k, 0, 0))]
        header.ImageOrientationPatient = [
            round(float(value), 9) for value in (*geometry.direction[:, 2], *geometry.direction[:, 1])
        ]
        header.PixelSpacing = [geometry.spacing_mm[1], geometry.spacing_mm[2]]
        header.SliceThickness = geometry.spacing_mm[0]
        header.Rows, header.Columns = geometry.shape[1:]
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 1
        header.RescaleIntercept, header.RescaleSlope = 0, 1
        header.PixelData = voxels[k].tobytes()
        for keyword, value in (changes or {}).items():
            setattr(header, keyword, value)
        for keyword in without:
            if keyword in header:
                delattr(header, keyword)
        path = folder / f"{(k * 7919) % 1009:04d}.dcm"
        header.save_as(path, enforce_file_format=True)
        paths.append(path)
    volume = Volume(VolumeId(series), geometry, voxels, Modality.CT, "HU", series)
    return volume, tuple(sorted(paths))
