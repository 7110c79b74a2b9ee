"""Images that the project's own writer does not write, by pydicom alone: enhanced objects, floats, every depth."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import format_number_as_ds

from medview.core.geometry import Geometry

ENHANCED_CT, ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.4.1"
ENHANCED_PET, ENHANCED_US = "1.2.840.10008.5.1.4.1.1.130", "1.2.840.10008.5.1.4.1.1.6.2"
LEGACY_CT, PARAMETRIC_MAP = "1.2.840.10008.5.1.4.1.1.2.2", "1.2.840.10008.5.1.4.1.1.30"
CT, MR, SECONDARY = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.7"


def dataset(sop_class: str, modality: str, shape: tuple[int, int]) -> Dataset:
    """An image without pixels."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = sop_class, generate_uid()
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(), generate_uid()
    made.FrameOfReferenceUID, made.Modality = generate_uid(), modality
    made.PatientName, made.PatientID = "Odd^Image", "ODD"
    made.Rows, made.Columns = shape
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    return made


def put_pixels(made: Dataset, stored: NDArray[Any]) -> None:
    """Give an image its pixels, in whatever type the array has."""
    bits = 8 * stored.dtype.itemsize
    made.BitsAllocated = bits
    if stored.dtype.kind == "f":
        setattr(made, "FloatPixelData" if bits == 32 else "DoubleFloatPixelData", stored.tobytes())
        return
    made.BitsStored, made.HighBit, made.PixelRepresentation = bits, bits - 1, int(stored.dtype.kind == "i")
    made.PixelData = stored.tobytes() + b"\0" * (stored.nbytes % 2)


def save(made: Dataset, path: Path) -> Path:
    """Write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path, enforce_file_format=True)
    return path


def write_enhanced(
    path: Path,
    stored: NDArray[Any],
    geometry: Geometry,
    sop_class: str,
    modality: str,
    *,
    slopes: NDArray[np.float64] | None = None,
    seed: int = 3,
) -> Path:
    """A multi-frame object with functional groups, its frames in a random order.

    Args:
        path: Where.
        stored: (k, j, i) stored values.
        geometry: The grid.
        sop_class: Of the object.
        modality: DICOM (0008,0060).
        slopes: (k,) rescale slope of every slice; none are written when missing.
        seed: Of the order.
    """
    made = dataset(sop_class, modality, stored.shape[1:])
    order = list(range(len(stored)))
    random.Random(seed).shuffle(order)
    across, down = geometry.direction[:, 2], geometry.direction[:, 1]
    shared = Dataset()
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing = [format_number_as_ds(value) for value in geometry.spacing_mm[1:]]
    measures.SliceThickness = format_number_as_ds(geometry.spacing_mm[0])
    directions = [format_number_as_ds(float(value)) for value in (*across, *down)]
    shared.PixelMeasuresSequence = Sequence([measures])
    if sop_class == ENHANCED_US:
        orientation.ImageOrientationVolume = [float(value) for value in directions]
        shared.PlaneOrientationVolumeSequence = Sequence([orientation])
    else:
        orientation.ImageOrientationPatient = directions
        shared.PlaneOrientationSequence = Sequence([orientation])
    made.SharedFunctionalGroupsSequence = Sequence([shared])
    groups = []
    for number, k in enumerate(order):
        group, position, content = Dataset(), Dataset(), Dataset()
        place = [format_number_as_ds(float(value)) for value in geometry.to_patient((float(k), 0.0, 0.0))]
        content.DimensionIndexValues = [1, k + 1]
        content.StackID, content.InStackPositionNumber, content.FrameAcquisitionNumber = "1", k + 1, number + 1
        group.FrameContentSequence = Sequence([content])
        if sop_class == ENHANCED_US:  # these lie in the space of their transducer
            position.ImagePositionVolume = [float(value) for value in place]
            group.PlanePositionVolumeSequence = Sequence([position])
        else:
            position.ImagePositionPatient = place
            group.PlanePositionSequence = Sequence([position])
        if slopes is not None:
            rescale = Dataset()
            rescale.RescaleSlope, rescale.RescaleIntercept = format_number_as_ds(float(slopes[k])), "0"
            rescale.RescaleType = "US"
            group.PixelValueTransformationSequence = Sequence([rescale])
        groups.append(group)
    made.PerFrameFunctionalGroupsSequence = Sequence(groups)
    made.NumberOfFrames = len(stored)
    put_pixels(made, np.ascontiguousarray(stored[order]))
    return save(made, path)
