"""DICOM files full of names, and what independent readers find in them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

NAMES = ("quagga", "zebulon", "48151", "ACC-77123", "saint elsewhere", "19670304", "20210315", "ishmael")
"""None of these may be in the bytes of a copy."""


def named(source: Path, **changes: Any) -> FileDataset:
    """A file with an identity in the usual places and in unusual ones."""
    dataset = dcmread(source)
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = "Quagga^Zebulon", "ID-48151", "19670304"
    dataset.PatientSex, dataset.PatientAge, dataset.PatientWeight = "F", "093Y", "61"
    dataset.AccessionNumber, dataset.StudyID = "ACC-77123", "STUDY-48151"
    dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = "20210315"
    dataset.AcquisitionDateTime = "20210315101112.25+0100"
    dataset.StudyTime, dataset.TimezoneOffsetFromUTC = "101112", "+0100"
    dataset.InstitutionName, dataset.InstitutionAddress = "Saint Elsewhere", "1 Saint Elsewhere Road"
    dataset.ReferringPhysicianName, dataset.OperatorsName = "Ishmael^Queequeg", "Ishmael^Queequeg"
    dataset.StudyDescription, dataset.SeriesDescription = "CT chest of Zebulon", "Lung 1 mm, Saint Elsewhere"
    dataset.ImageComments, dataset.ProtocolName = "Quagga, Zebulon, born 1967-03-04", "Thorax routine"
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepDescription = "RP-48151", "CT for QUAGGA"
    dataset.RequestAttributesSequence = Sequence([request])
    site = Dataset()
    site.CodeValue, site.CodingSchemeDesignator, site.CodeMeaning = "SE", "99SE", "Saint Elsewhere"
    dataset.InstitutionCodeSequence = Sequence([site])
    icon = Dataset()
    icon.Rows, icon.Columns, icon.BitsAllocated, icon.PixelData = 2, 2, 8, b"quag"
    dataset.IconImageSequence = Sequence([icon])
    dataset.add_new(0x60000010, "US", 8)
    dataset.add_new(0x60000011, "US", 8)
    dataset.add_new(0x60003000, "OW", b"Quagga^Zebulon^^")
    dataset.add_new(0x50000005, "US", 1)
    dataset.add_new(0x50003000, "OW", b"Quagga^Zebulon^^")
    dataset.add_new(0x00990010, "LO", "QUAGGA")
    dataset.add_new(0x00991001, "UN", b"Zebulon Quagga")
    dataset.file_meta.SourceApplicationEntityTitle = "ZEBULON"
    dataset.file_meta.PrivateInformationCreatorUID = UID("1.2.3")
    dataset.file_meta.PrivateInformation = b"Quagga"
    dataset.preamble = b"Quagga^Zebulon".ljust(128, b"\0")
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return dataset


def names_in(path: Path) -> list[str]:
    """Which of the names are in the bytes of a file, in any case, in ASCII."""
    content = path.read_bytes().lower()
    return [name for name in NAMES if name.lower().encode("ascii") in content]


def dumped(path: Path, *tags: str) -> set[str]:
    """The values of attributes at any depth, as dcmtk's dcmdump reads them."""
    asked = [part for tag in tags for part in ("+P", tag)]
    told = subprocess.run(["dcmdump", "+L", "-q", *asked, str(path)], capture_output=True, check=False).stdout
    values = re.findall(r"^\s*\([0-9a-f,]+\) .. \[(.*?)\]", told.decode("latin-1"), re.MULTILINE)
    return {one.strip() for value in values for one in value.split("\\") if one.strip()}


def errors_of(path: Path) -> set[str]:
    """What dciodvfy finds wrong with a file, without the values that it names."""
    told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, errors="replace", check=False).stderr
    return {re.sub(r"\[[^\]]*\]|<[^>]*>$", "", line).strip() for line in told.splitlines() if line.startswith("Error")}
