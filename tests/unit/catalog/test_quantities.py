"""Codes of numbers, against the code lists of DICOM that pydicom carries."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as Known

from medview.catalog import quantities
from medview.core.errors import StorageError
from medview.core.measurement import MeasurementKind, Quantity, Value
from medview.core.segmentation import Code
from medview.core.volume import Modality

ANY = Modality.CT


def same(found: Code | None, meant: object) -> bool:
    return found is not None and Known(found.value, found.scheme, found.meaning) == meant


@pytest.mark.parametrize(
    ("quantity", "unit", "name", "of_unit"),
    [
        (Quantity.VOLUME, "ml", codes.SCT.Volume, "ml"),
        (Quantity.LENGTH, "mm", codes.SCT.Length, "mm"),
        (Quantity.SHORT_AXIS, "mm", codes.SCT.ShortAxis, "mm"),
        (Quantity.ANGLE, "deg", codes.SCT.Angle, "deg"),
        (Quantity.AREA, "mm2", codes.SCT.Area, "mm2"),
        (Quantity.PERIMETER, "mm", codes.SCT.Perimeter, "mm"),
    ],
)
def test_sizes_have_the_codes_of_dicom(quantity: Quantity, unit: str, name: object, of_unit: str) -> None:
    found = quantities.load().of(Value(quantity, 1.0, unit), ANY)
    assert same(found.name, name)
    assert found.statistic is None
    assert (found.unit.value, found.unit.scheme) == (of_unit, "UCUM")


@pytest.mark.parametrize(
    ("quantity", "statistic"),
    [
        (Quantity.MEAN, codes.SCT.Mean),
        (Quantity.DEVIATION, codes.SCT.StandardDeviation),
        (Quantity.MINIMUM, codes.SCT.Minimum),
        (Quantity.MAXIMUM, codes.SCT.Maximum),
        (Quantity.MEDIAN, codes.SCT.Median),
    ],
)
def test_statistics_say_of_what_they_are(quantity: Quantity, statistic: object) -> None:
    found = quantities.load().of(Value(quantity, 1.0, "HU"), ANY)
    assert same(found.name, codes.DCM.AttenuationCoefficient)
    assert same(found.statistic, statistic)
    assert same(found.unit, codes.UCUM.HounsfieldUnit)


@pytest.mark.parametrize(
    ("unit", "modality", "name", "of_unit"),
    [
        ("SUVbw", Modality.PT, codes.DCM.Suvbw, codes.UCUM.StandardizedUptakeValueBodyWeight),
        ("Bq/ml", Modality.PT, codes.DCM.NuclearMedicineTomographicActivity, codes.UCUM.BecquerelsPerMilliliter),
        ("", Modality.MR, codes.DCM.MRSignalIntensity, codes.UCUM.NoUnits),
    ],
)
def test_values_are_named_by_their_unit(unit: str, modality: Modality, name: object, of_unit: object) -> None:
    found = quantities.load().of(Value(Quantity.VALUE, 1.0, unit), modality)
    assert same(found.name, name)
    assert same(found.unit, of_unit)
    assert found.statistic is None


def test_a_length_with_a_short_axis_is_a_long_axis() -> None:
    known = quantities.load()
    value = Value(Quantity.LENGTH, 1.0, "mm")
    assert same(known.of(value, ANY, MeasurementKind.LENGTH, 4).name, codes.SCT.LongAxis)
    assert same(known.of(value, ANY, MeasurementKind.LENGTH, 2).name, codes.SCT.Length)


def test_a_unit_that_ucum_does_not_know_is_a_note() -> None:
    assert quantities.load().unit("counts") == Code("{counts}", "UCUM", "counts")


def test_every_quantity_has_a_code() -> None:
    known = quantities.load()
    for quantity in Quantity:
        for unit in ("mm", "HU", ""):
            assert known.of(Value(quantity, 1.0, unit), ANY).name.value


def test_a_damaged_list_is_said(tmp_path: Path) -> None:
    (tmp_path / "quantities.json").write_text("{}")
    with pytest.raises(StorageError, match="quantities"):
        quantities.load(tmp_path)
