"""A folder as a hospital sends it: 20 000 instances of twenty patients, with headers as scanners write them.

The images are small, because a search reads no pixels; the headers are not. CT says some hundred things of itself, a
third of them private, as General Electric's scanners do; MR says more, in nested sequences and in a private block of
bytes, as Siemens' do. Everything is made up.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage, generate_uid

from tests.benchmarks.bench import Options

_SIDE = 16
_SERIES = (("CT", "Chest 1.0 STD", 400, 1), ("CT", "Chest 1.0 LUNG", 400, 1), ("MR", "T1", 80, 1), ("MR", "DWI", 24, 5))
"""Modality, description, slices, images at every place: a thousand instances in all."""
SERIES_OF_A_STUDY = len(_SERIES)
_PRIVATE_BLOCK = bytes(range(256)) * 32
_CODE = ("P1-0340A", "SRT", "Procedure")


def folder_of_many(opts: Options) -> Path:
    """20 000 instances (`--quick`: 2 000) in a folder for every series, made once and kept in the system's folder."""
    patients = 2 if opts.quick else 20
    folder = Path(tempfile.gettempdir()) / f"medview-benchmark-scan-{patients}"
    if not folder.is_dir():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        for patient in range(patients):
            _write_study(part / f"PAT{patient:03d}", patient)
        part.rename(folder)
    return folder


def _write_study(folder: Path, patient: int) -> None:
    study_uid, frame = _uid(patient, "study"), _uid(patient, "frame")
    for number, (modality, description, slices, images) in enumerate(_SERIES, start=1):
        place = folder / f"SER{number:03d}"
        place.mkdir(parents=True)
        common = _common(patient, modality)
        common.StudyInstanceUID, common.FrameOfReferenceUID = study_uid, frame
        common.SeriesInstanceUID = _uid(patient, "series", number)
        common.SeriesDescription, common.SeriesNumber = description, number
        for index in range(slices * images):
            dataset = _instance(common, modality, index // images, index % images)
            dataset.InstanceNumber = index + 1
            _save(dataset, place / f"IM{index + 1:05d}", implicit=modality == "CT" and patient % 2 == 0)


def _common(patient: int, modality: str) -> Dataset:
    one = Dataset()
    one.SpecificCharacterSet = "ISO_IR 100"
    one.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"] if modality == "CT" else ["ORIGINAL", "PRIMARY", "M", "ND"]
    one.SOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
    one.Modality = modality
    for keyword in ("InstanceCreationDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(one, keyword, f"2024{1 + patient % 12:02d}17")
    for keyword in ("InstanceCreationTime", "StudyTime", "SeriesTime"):
        setattr(one, keyword, "101530.250000")
    one.AccessionNumber = f"A{patient:07d}"
    one.Manufacturer = "GE MEDICAL SYSTEMS" if modality == "CT" else "SIEMENS"
    one.InstitutionName, one.StationName = "Example Hospital", "STATION1"
    one.InstitutionalDepartmentName, one.StudyDescription = "Radiology", "Chest and brain"
    one.ReferringPhysicianName, one.OperatorsName = "Referrer^Example", "Operator"
    one.ManufacturerModelName = "Revolution CT" if modality == "CT" else "Skyra"
    one.PatientName, one.PatientID = f"Example{patient:03d}^Patient", f"ID{patient:06d}"
    one.PatientBirthDate, one.PatientSex, one.PatientAge, one.PatientWeight = "19600101", "F", "064Y", "71.5"
    one.PatientPosition, one.StudyID, one.AcquisitionNumber = "HFS", "1", 1
    one.BodyPartExamined, one.ProtocolName, one.SoftwareVersions = "CHEST", "Chest 1.0", "sles_hde.157"
    one.DeviceSerialNumber, one.PositionReferenceIndicator, one.PatientIdentityRemoved = "000000", "SN", "YES"
    one.ProcedureCodeSequence = [_code()]
    one.ReferencedStudySequence = [_reference(patient, 0)]
    one.RequestAttributesSequence = [_request(patient)]
    one.PerformedProcedureStepID, one.PerformedProcedureStepStartDate = "PPS1", one.StudyDate
    one.SamplesPerPixel, one.PhotometricInterpretation, one.Rows, one.Columns = 1, "MONOCHROME2", _SIDE, _SIDE
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
    (_ct if modality == "CT" else _mr)(one, patient)
    one.PixelData = np.zeros((_SIDE, _SIDE), dtype="<u2").tobytes()
    one["PixelData"].VR = "OW"
    return one


def _ct(one: Dataset, patient: int) -> None:
    one.KVP, one.DataCollectionDiameter, one.ReconstructionDiameter = "120", "500.0", "360.0"
    one.DistanceSourceToDetector, one.DistanceSourceToPatient = "949.0750000", "541.0000000"
    one.GantryDetectorTilt, one.TableHeight, one.RotationDirection = "0.0", "-155", "CW"
    one.ExposureTime, one.XRayTubeCurrent, one.Exposure, one.FilterType = "500", "180", "90", "BODY FILTER"
    one.GeneratorPower, one.FocalSpots, one.ConvolutionKernel, one.ScanOptions = "21", "0.7", "STANDARD", "HELICAL MODE"
    one.RevolutionTime, one.SpiralPitchFactor, one.SliceThickness = 0.5, 0.984, "1.0"
    one.RescaleIntercept, one.RescaleSlope, one.RescaleType, one.PixelPaddingValue = "-1024", "1", "HU", 63536
    one.WindowCenter, one.WindowWidth = ["40", "-600"], ["400", "1500"]
    private = one.private_block(0x0019, "GEMS_ACQU_01", create=True)
    for number in range(16):
        private.add_new(0x02 + number, "DS" if number % 2 else "SL", f"{number}.50" if number % 2 else number * 7)
    private = one.private_block(0x0027, "GEMS_IMAG_01", create=True)
    for number in range(8):
        private.add_new(0x40 + number, "FL", number * 0.5)
    private = one.private_block(0x0043, "GEMS_PARM_01", create=True)
    for number in range(16):
        private.add_new(0x60 + number, "SH" if number % 2 else "US", "1" if number % 2 else number)


def _mr(one: Dataset, patient: int) -> None:
    one.ScanningSequence, one.SequenceVariant, one.ScanOptions, one.MRAcquisitionType = "GR", "SP", "FS", "3D"
    one.SequenceName, one.RepetitionTime, one.EchoTime, one.NumberOfAverages = "*tfl3d1", "2300", "2.98", "1"
    one.ImagingFrequency, one.ImagedNucleus, one.EchoNumbers, one.MagneticFieldStrength = "123.25", "1H", "1", "3"
    one.SpacingBetweenSlices, one.NumberOfPhaseEncodingSteps, one.EchoTrainLength = "1.2", "240", "1"
    one.PercentSampling, one.PercentPhaseFieldOfView, one.PixelBandwidth = "100", "93.75", "240"
    one.TransmitCoilName, one.AcquisitionMatrix, one.FlipAngle, one.SAR = "Body", [0, 256, 240, 0], "9", "0.05"
    one.InPlanePhaseEncodingDirection, one.VariableFlipAngleFlag, one.SliceThickness = "ROW", "N", "1.2"
    one.WindowCenter, one.WindowWidth = "600", "1300"
    one.ReferencedImageSequence = [_reference(patient, number) for number in range(3)]
    private = one.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    for number in range(12):
        private.add_new(0x10 + number, "DS" if number % 2 else "IS", f"{number}")
    private = one.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    for number, keyword in enumerate((0x10, 0x20)):
        private.add_new(keyword, "OB", b"SV10\x04\x03\x02\x01" + _PRIVATE_BLOCK[number:])
    private = one.private_block(0x0051, "SIEMENS MR HEADER", create=True)
    for number in range(12):
        private.add_new(0x08 + number, "LO", f"text {number}")


def _instance(common: Dataset, modality: str, place: int, image: int) -> Dataset:
    one = Dataset(common)
    one.SOPInstanceUID = _uid(common.SeriesInstanceUID, place, image)
    one.AcquisitionTime = one.ContentTime = f"10{15 + image:02d}30.{place:06d}"
    one.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    step = 1.0 if modality == "CT" else 1.2
    one.ImagePositionPatient = ["-180.0000000", "-180.0000000", f"{place * step:.6f}"]
    one.SliceLocation, one.PixelSpacing = f"{place * step:.6f}", ["0.703125", "0.703125"]
    if modality == "MR" and image:
        one.DiffusionBValue, one.DiffusionGradientOrientation = 250.0 * image, [0.0, 0.6, 0.8]
    return one


def _code() -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = _CODE
    return code


def _reference(patient: int, number: int) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = MRImageStorage
    item.ReferencedSOPInstanceUID = _uid(patient, "reference", number)
    return item


def _request(patient: int) -> Dataset:
    item = Dataset()
    item.RequestedProcedureDescription, item.ScheduledProcedureStepDescription = "Chest and brain", "Chest"
    item.ScheduledProcedureStepID, item.RequestedProcedureID = f"S{patient}", f"R{patient}"
    item.ScheduledProtocolCodeSequence = [_code()]
    return item


def _save(dataset: Dataset, path: Path, *, implicit: bool) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    dcmwrite(path, FileDataset(path, dataset, preamble=b"\0" * 128, file_meta=meta), enforce_file_format=True)


def _uid(*parts: object) -> str:
    return str(generate_uid(entropy_srcs=[str(part) for part in parts]))
