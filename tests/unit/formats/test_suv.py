"""Uptake values, worked out by hand from the definition for every way in which scanners state them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medview.core.progress import NoProgress
from medview.formats import dicom_files, dicom_series, dicom_volume
from medview.formats.suv import scale_of


def image(**changes: object) -> Dataset:
    """70 kg, 400 MBq of fluorine-18 at 10:00, scan at 11:00."""
    tracer = Dataset()
    tracer.RadionuclideTotalDose = "400000000"
    tracer.RadionuclideHalfLife = "6586.2"
    tracer.RadiopharmaceuticalStartTime = "100000"
    dataset = Dataset()
    dataset.Units = "BQML"
    dataset.CorrectedImage = ["ATTN", "DECY", "SCAT"]
    dataset.DecayCorrection = "START"
    dataset.PatientWeight = "70"
    dataset.SeriesDate = dataset.AcquisitionDate = "20240305"
    dataset.SeriesTime = "110000"
    dataset.AcquisitionTime = "110230.0"
    dataset.RadiopharmaceuticalInformationSequence = Sequence([tracer])
    for name, value in changes.items():
        if name.startswith("tracer_"):
            setattr(tracer, name.removeprefix("tracer_"), value)
        elif value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return dataset


HOUR_OF_DECAY = 0.68463292
"""2 ** (-3600 / 6586.2)"""
AFTER_AN_HOUR = 70_000 / (400e6 * HOUR_OF_DECAY)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, AFTER_AN_HOUR),
        ({"DecayCorrection": "ADMIN"}, 70_000 / 400e6),
        # the series was written anew later: its time is behind the images'
        ({"SeriesTime": "150000", "AcquisitionTime": "110000"}, AFTER_AN_HOUR),
        ({"tracer_RadiopharmaceuticalStartDateTime": "20240305100000.00"}, AFTER_AN_HOUR),
        # injected at 23:30, scanned at 0:30, and only times of day are told
        ({"SeriesTime": "003000", "AcquisitionTime": "003200", "tracer_RadiopharmaceuticalStartTime": "233000"},
         AFTER_AN_HOUR),
        ({"Units": "GML"}, 1.0),
    ],
)  # fmt: skip
def test_the_factor_is_weight_over_the_decayed_dose(changes: dict[str, object], expected: float) -> None:
    assert scale_of(image(**changes)).factor == pytest.approx(expected, rel=1e-6)


def test_philips_states_the_factor_itself() -> None:
    dataset = image(Units="CNTS")
    dataset.add_new(0x70531000, "DS", "0.000551")
    assert scale_of(dataset).factor == pytest.approx(0.000551)


def test_philips_counts_become_activity() -> None:
    dataset = image(Units="CNTS")
    dataset.add_new(0x70531000, "DS", "0")
    dataset.add_new(0x70531009, "DS", "2.5")
    assert scale_of(dataset).factor == pytest.approx(2.5 * AFTER_AN_HOUR, rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PatientWeight": None}, "weight"),
        ({"PatientWeight": "0"}, "weight"),
        ({"CorrectedImage": ["ATTN"]}, "decay"),
        ({"Units": "PROPCNTS"}, "activity"),
        ({"RadiopharmaceuticalInformationSequence": None}, "tracer"),
        ({"tracer_RadionuclideTotalDose": ""}, "injected"),
        ({"DecayCorrection": "NONE"}, "corrected"),
        ({"tracer_RadiopharmaceuticalStartTime": ""}, "times"),
        ({"Units": "GML", "SUVType": "LBM"}, "another measure"),
    ],
)
def test_what_is_missing_is_named_and_no_value_is_made_up(changes: dict[str, object], words: str) -> None:
    scale = scale_of(image(**changes))
    assert scale.factor is None
    assert words in str(scale.lacks)


def test_a_real_pet_in_uptake_values(real_data: Path) -> None:
    folder = real_data / "rtstruct-sarcoma-ct-pet-mr" / "STS_025"
    found = dicom_series.group(dicom_files.scan([folder / "dicom" / "PET"], NoProgress()).headers)
    (series,) = [one for one in found if one.facts.geometry is not None]
    volume = dicom_volume.read(series, NoProgress())
    assert volume.unit == "SUVbw"
    (reference,) = [path for path in (folder).rglob("*.nii*") if "PET" in str(path) and "image" in str(path)]
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(reference)))
    assert np.abs(np.sort(theirs.ravel()) - np.sort(volume.voxels.ravel())).max() < 1e-2 * theirs.max()
