"""Names go, and everything that is not a name stays, in files with names in the usual places and in odd ones."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from medview.core.errors import Cancelled, UnreadableFileError
from medview.core.progress import NoProgress
from medview.core.text import Text
from medview.formats.confidentiality_profile import Options
from medview.formats.deidentify import Deidentifier
from tests.support.named_files import NAMES, named, names_in

SECRET = b"of this place"
LOOSE = Options(shift_dates=True, clean_descriptors=True, keep_characteristics=True)


@pytest.fixture
def slice_path(small_series_folder: Path) -> Path:
    return next(iter(sorted(small_series_folder.iterdir())))


def copy(source: Path, folder: Path, options: Options | None = None) -> Path:
    outcome = Deidentifier(SECRET, options or Options()).copy(source, folder)
    assert outcome.target is not None, str(outcome.reason)
    return outcome.target


def saved(dataset: Dataset, path: Path) -> Path:
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("options", [Options(), LOOSE, Options(keep_uids=True)])
def test_nothing_of_an_identity_is_left_in_the_bytes(slice_path: Path, tmp_path: Path, options: Options) -> None:
    source = saved(named(slice_path), tmp_path / "a.dcm")
    assert names_in(source) == list(NAMES)
    target = copy(source, tmp_path / "out", options)
    assert names_in(target) == []
    assert target.read_bytes()[:128] == bytes(128)
    assert not any(name.lower() in str(target.relative_to(tmp_path / "out")).lower() for name in NAMES)
    after = dcmread(target)
    assert "SourceApplicationEntityTitle" not in after.file_meta
    assert "PrivateInformation" not in after.file_meta
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
    assert str(after.PatientName) == str(after.PatientID)
    assert not [element for element in after if element.tag.is_private or element.tag.group in (0x5000, 0x6000)]
    for gone in ("IconImageSequence", "InstitutionCodeSequence", "InstitutionAddress"):
        assert gone not in after


def test_the_copy_says_what_was_done(slice_path: Path, tmp_path: Path) -> None:
    source = saved(named(slice_path), tmp_path / "a.dcm")
    strict, loose = dcmread(copy(source, tmp_path / "1")), dcmread(copy(source, tmp_path / "2", LOOSE))
    assert strict.PatientIdentityRemoved == loose.PatientIdentityRemoved == "YES"
    assert (strict.LongitudinalTemporalInformationModified, loose.LongitudinalTemporalInformationModified) == (
        "REMOVED",
        "MODIFIED",
    )

    def codes(dataset: Dataset) -> list[tuple[str, str]]:
        return [(one.CodeValue, one.CodingSchemeDesignator) for one in dataset.DeidentificationMethodCodeSequence]

    # CID 7050
    assert codes(strict) == [("113100", "DCM")]
    assert codes(loose) == [("113100", "DCM"), ("113105", "DCM"), ("113107", "DCM"), ("113108", "DCM")]
    kept = dcmread(copy(source, tmp_path / "3", Options(keep_uids=True)))
    assert codes(kept) == [("113100", "DCM"), ("113110", "DCM")]
    assert kept.SOPInstanceUID == dcmread(source).SOPInstanceUID


def test_what_others_removed_before_stays_told(slice_path: Path, tmp_path: Path) -> None:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "113109", "DCM", "Retain Device Identity Option"
    dataset = named(
        slice_path,
        DeidentificationMethod="Another program",
        DeidentificationMethodCodeSequence=Sequence([item]),
        LongitudinalTemporalInformationModified="REMOVED",
    )
    after = dcmread(copy(saved(dataset, tmp_path / "a.dcm"), tmp_path / "out", LOOSE))
    assert after.DeidentificationMethod[0] == "Another program"
    assert [one.CodeValue for one in after.DeidentificationMethodCodeSequence][:2] == ["113109", "113100"]
    assert after.LongitudinalTemporalInformationModified == "REMOVED"


def test_dates_of_a_patient_move_together_and_times_stay(slice_path: Path, tmp_path: Path) -> None:
    worker = Deidentifier(SECRET, Options(shift_dates=True))
    days = []
    for number, day in enumerate(("20210315", "20230420")):
        dataset = named(slice_path, StudyDate=day, SOPInstanceUID=UID(f"1.2.{number}"))
        outcome = worker.copy(saved(dataset, tmp_path / f"{number}.dcm"), tmp_path / "out")
        assert outcome.target is not None
        after = dcmread(outcome.target)
        days.append(np.datetime64(f"{after.StudyDate[:4]}-{after.StudyDate[4:6]}-{after.StudyDate[6:]}"))
    assert days[1] - days[0] == np.datetime64("2023-04-20") - np.datetime64("2021-03-15")
    assert (np.datetime64("2023-04-20") - days[1]) % np.timedelta64(7, "D") == np.timedelta64(0, "D")
    assert days[1] < np.datetime64("2023-04-20")
    first = dcmread(sorted((tmp_path / "out").rglob("*.dcm"))[0])
    assert str(first.AcquisitionDateTime).endswith("101112.25+0100")
    assert str(first.AcquisitionDateTime)[:8] == str(first.SeriesDate)
    assert first.StudyTime == "101112"
    assert first.TimezoneOffsetFromUTC == "+0100"
    assert first.PatientBirthDate == ""


@pytest.mark.parametrize(("value", "size", "rest"), [("2021", 4, ""), ("202103", 6, ""), ("20210315+0100", 8, "+0100")])
def test_dates_that_say_less_still_say_no_more(
    slice_path: Path, tmp_path: Path, value: str, size: int, rest: str
) -> None:
    dataset = named(slice_path)
    dataset.AcquisitionDateTime = value
    after = dcmread(copy(saved(dataset, tmp_path / "a.dcm"), tmp_path / "out", Options(shift_dates=True)))
    moved = str(after.AcquisitionDateTime)
    assert (len(moved), moved[size:]) == (size + len(rest), rest)
    assert moved != value


def test_characteristics_stay_when_asked_and_very_old_people_become_ninety(slice_path: Path, tmp_path: Path) -> None:
    source = saved(named(slice_path), tmp_path / "a.dcm")
    kept, gone = dcmread(copy(source, tmp_path / "1", LOOSE)), dcmread(copy(source, tmp_path / "2"))
    assert (kept.PatientSex, kept.PatientAge, kept.PatientWeight) == ("F", "090Y", 61)
    assert gone.PatientSex == ""
    assert "PatientAge" not in gone
    assert "PatientWeight" not in gone


def test_descriptions_stay_without_their_names_when_asked(slice_path: Path, tmp_path: Path) -> None:
    source = saved(named(slice_path), tmp_path / "a.dcm")
    kept, gone = dcmread(copy(source, tmp_path / "1", LOOSE)), dcmread(copy(source, tmp_path / "2"))
    assert kept.StudyDescription == "CT chest of REMOVED"
    assert kept.SeriesDescription == "Lung 1 mm, REMOVED"
    assert kept.ProtocolName == "Thorax routine"
    assert kept.ImageComments == "REMOVED, born REMOVED"
    assert kept.RequestAttributesSequence[0].ScheduledProcedureStepDescription == "CT for REMOVED"
    assert "StudyDescription" not in gone
    assert gone.ProtocolName == "REMOVED"
    assert kept.BodyPartExamined == gone.BodyPartExamined == dcmread(source).BodyPartExamined


@pytest.mark.parametrize("charset", ["ISO_IR 192", "GB18030", "ISO 2022 IR 87"])
def test_texts_in_other_scripts_stay_readable_and_names_in_them_go(
    slice_path: Path, tmp_path: Path, charset: str
) -> None:
    dataset = dcmread(slice_path)
    dataset.SpecificCharacterSet = ["", charset] if "2022" in charset else charset
    dataset.PatientName, dataset.SeriesDescription = "Yamada^Tarou=山田^太郎", "山田太郎 肺"
    after = dcmread(copy(saved(dataset, tmp_path / "a.dcm"), tmp_path / "out", LOOSE))
    assert after.SeriesDescription == "REMOVED 肺"
    assert after.get("SpecificCharacterSet") == dataset.SpecificCharacterSet


TEXTS = ("StudyDescription", "PatientComments", "InstitutionName", "ImageComments", "OperatorsName", "StationName",
         "RequestedProcedureDescription", "ProtocolName", "AdditionalPatientHistory", "DeviceSerialNumber",
         "Manufacturer", "SoftwareVersions", "AcquisitionDeviceProcessingCode", "ConvolutionKernel",
         "LossyImageCompressionMethod", "ContentLabel", "DerivationDescription", "CodeMeaning", "TextValue",
         "PersonName", "SegmentLabel",
         "RetrieveURL", "SelectorLTValue", "MakerNote")  # fmt: skip
SEQUENCES = ("RequestAttributesSequence", "ContentSequence", "SourceImageSequence", "ReferencedSeriesSequence",
             "SharedFunctionalGroupsSequence", "AnatomicRegionSequence", "AcquisitionContextSequence")  # fmt: skip
FORMS = ("seen Zebulon Quagga today", "QUAGGA ZEBULON", "Quagga^Zebulon", "zebulon_quagga")
CODES = frozenset(
    {"ConvolutionKernel", "AcquisitionDeviceProcessingCode", "LossyImageCompressionMethod", "ContentLabel"}
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(
        st.tuples(st.sampled_from(TEXTS), st.lists(st.sampled_from(SEQUENCES), max_size=3), st.sampled_from(FORMS)),
        min_size=1,
        max_size=6,
    ),
    loose=st.booleans(),
)
def test_a_name_in_odd_places_goes_or_the_file_stays_back(
    places: list[tuple[str, list[str], str]], loose: bool, slice_path: Path, tmp_path: Path
) -> None:
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    dataset = dcmread(slice_path)
    dataset.PatientName = "Quagga^Zebulon"
    for keyword, path, form in places:
        item: Dataset = dataset
        for name in path:
            inner = Dataset()
            setattr(item, name, Sequence([inner]))
            item = inner
        if keyword == "MakerNote":
            item.add_new(0x0016002B, "OB", form.encode("ascii").ljust(26))
        elif keyword == "RetrieveURL":
            item.RetrieveURL = "https://archive.example/zebulon/quagga"
        elif keyword in CODES:
            setattr(item, keyword, "ZEBULON_QUAGGA" if "_" in form else "QUAGGA ZEBULON")
        else:
            setattr(item, keyword, form[:16] if keyword == "StationName" else form)
    source = saved(dataset, tmp_path / "a.dcm")
    outcome = Deidentifier(SECRET, LOOSE if loose else Options()).copy(source, tmp_path / "out")
    if outcome.target is None:
        assert "left in" in str(outcome.reason)
        return
    content = outcome.target.read_bytes().lower()
    assert b"zebulon" not in content
    assert b"quagga" not in content


def test_a_copy_in_which_something_is_left_is_held_back(slice_path: Path, tmp_path: Path) -> None:
    dataset = dcmread(slice_path)
    dataset.PatientName = "Quagga^Zebulon"
    dataset.add_new(0x00281201, "OW", b"Quagga^Zebulon^^")  # a lookup table, which nothing can clean
    outcome = Deidentifier(SECRET).copy(saved(dataset, tmp_path / "a.dcm"), tmp_path / "out")
    assert outcome.target is None
    assert str(outcome.reason) == ("What identifies somebody is left in Red Palette Color Lookup Table Data.")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_documents_and_pictures_of_screens_stay_back(real_data: Path, tmp_path: Path, slice_path: Path) -> None:
    picture = real_data / "cine-multiframe-us-mr-xa" / "examples_ybr_color.dcm"
    held = Deidentifier(SECRET).copy(picture, tmp_path / "1")
    assert held.target is None
    assert "names" in str(held.reason)
    kept = Deidentifier(SECRET, Options(keep_risky=True)).copy(picture, tmp_path / "2")
    assert kept.target is not None
    assert kept.risk is not None
    document = dcmread(slice_path)
    document.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.104.1")
    document.EncapsulatedDocument = b"%PDF Quagga"
    outcome = Deidentifier(SECRET, Options(keep_risky=True)).copy(saved(document, tmp_path / "p.dcm"), tmp_path / "3")
    assert outcome.target is None
    assert "document" in str(outcome.reason)
    overlay = dcmread(slice_path)
    overlay.add_new(0x60000010, "US", 8)
    overlay.add_new(0x60000102, "US", 12)
    outcome = Deidentifier(SECRET).copy(saved(overlay, tmp_path / "o.dcm"), tmp_path / "4")
    assert "spare bits" in str(outcome.reason)


def test_cancelling_leaves_no_part_of_a_file(slice_path: Path, tmp_path: Path) -> None:
    class Stop(NoProgress):
        def raise_if_cancelled(self) -> None:
            raise Cancelled

        def report(self, fraction: float | None, message: Text | str = "") -> None:
            raise AssertionError

    with pytest.raises(Cancelled):
        Deidentifier(SECRET).copy(slice_path, tmp_path / "out", Stop())
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_what_is_no_dicom_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Zebulon Quagga")
    with pytest.raises(UnreadableFileError, match="no DICOM"):
        Deidentifier(SECRET).copy(tmp_path / "a.txt", tmp_path / "out")


def test_a_file_that_is_cut_off_is_told(slice_path: Path, tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(slice_path.read_bytes()[:-100])
    with pytest.raises(UnreadableFileError, match="damaged"):
        Deidentifier(SECRET).copy(tmp_path / "a.dcm", tmp_path / "out")


def test_a_large_file_takes_little_memory(slice_path: Path, tmp_path: Path) -> None:
    dataset = dcmread(slice_path)
    dataset.Rows = dataset.Columns = 4096
    dataset.PixelData = bytes(2 * 4096 * 4096)
    source = saved(dataset, tmp_path / "a.dcm")
    worker = Deidentifier(SECRET)
    worker.copy(slice_path, tmp_path / "small")  # the tables are read
    tracemalloc.start()
    try:
        outcome = worker.copy(source, tmp_path / "out")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert outcome.target is not None
    assert outcome.target.stat().st_size > 2 * 4096 * 4096
    assert peak < 12 * 2**20
