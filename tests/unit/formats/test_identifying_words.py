"""What names somebody is found and taken out; what is a code or a common word stays."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medview.core.case import Patient
from medview.formats.confidentiality_profile import Options
from medview.formats.identifying_words import Identity


def identity(**attributes: object) -> Identity:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return Identity.of(dataset, Options())


QUAGGA = identity(PatientName="Quagga^Zebulon^Xavier", PatientID="ID-48151", PatientBirthDate="19670304",
                  InstitutionName="Saint Elsewhere", ReferringPhysicianName="Müller^Ann")  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "Quagga",
        "seen ZEBULON today",
        "Zebulon_Quagga.nii",
        "quagga,zebulon",
        "QuaggaZebulon",
        "Dr. Mueller-Müller and Muller",
        "Ann called",
        "ID-48151",
        "no ID 48151!",
        "ID48151",
        "born 1967-03-04",
        "born 04.03.1967",
        "19670304",
        "03/04/1967",
        "from saint elsewhere",
    ],
)
def test_it_is_found_in_texts_however_it_is_written(text: str) -> None:
    cleaned = QUAGGA.cleaned(text)
    assert cleaned != text
    assert QUAGGA.cleaned(cleaned) == cleaned


@pytest.mark.parametrize(
    "text",
    ["Annular lesion", "Chest CT 3 mm", "Saint", "48151", "1967", "MR", "AX T2 FLAIR", "Quaggas", "elsewhere"],
)
def test_parts_of_other_words_and_common_words_are_not(text: str) -> None:
    assert QUAGGA.cleaned(text) == text


def test_a_name_in_chinese_and_japanese_is_found_without_spaces() -> None:
    named = identity(PatientName="Zhang^XiaoDong=张^小东", OtherPatientNames="Yamada^Tarou=山田^太郎=やまだ^たろう")
    assert "小东" not in named.cleaned("患者张小东复查")
    assert "张" not in named.cleaned("患者张小东复查")
    assert named.cleaned("山田太郎様 胸部CT") == "REMOVED様 胸部CT"
    assert named.cleaned("胸部CT") == "胸部CT"


def test_codes_are_searched_for_whole_names_only() -> None:
    named = identity(PatientName="Chest^Phantom", PatientID="CHEST-PHANTOM")
    assert named.cleaned("CHEST", code=True) == "CHEST"
    assert named.cleaned("CHEST PHANTOM", code=True) == "REMOVED"
    assert named.cleaned("a chest") == "a REMOVED"


def test_a_standard_code_is_a_code_and_a_private_one_a_text() -> None:
    named = identity(PatientName="Lung^Lee")
    for scheme, kept in (("SCT", "Lung"), ("99LOCAL", "REMOVED")):
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "39607008", scheme, "Lung"
        parent = Dataset()
        parent.AnatomicRegionSequence = Sequence([item])
        for element in list(item):
            named.clean(element, item)
        assert item.CodeMeaning == kept


def test_placeholders_and_short_values_are_nobody() -> None:
    nobody = identity(PatientName="Anonymous", PatientID="0000", StudyID="1", AccessionNumber="", OperatorsName="X^Y")
    for text in ("anonymous", "0000", "1", "x y", "y"):
        assert nobody.cleaned(text) == text


def test_common_words_of_what_is_taken_away_stay() -> None:
    dataset = Dataset()
    dataset.PatientName, dataset.EthnicGroup = "van der Berg^Anna", "White"
    dataset.add_new(0x00990010, "LO", "FAST SPIN ECHO 3")
    named = Identity.of(dataset, Options())
    for text in ("White matter", "Fast spin echo 3", "CT der Lunge"):
        assert named.cleaned(text) == text
    assert named.cleaned("Berg, van der") == "REMOVED, van der"
    assert named.cleaned("Anna van der Berg") == "REMOVED"


def test_the_maker_of_the_machine_is_not_the_hospital() -> None:
    for told in ("Philips", "Philips Medical Systems"):
        named = identity(Manufacturer=told, InstitutionName="Philips", PatientName="A^B")
        assert named.cleaned("Philips Achieva") == "Philips Achieva"
    assert identity(Manufacturer="Acme", InstitutionName="Philips").cleaned("of Philips") == "of REMOVED"


def test_bytes_are_searched_for_whole_names() -> None:
    assert QUAGGA.is_in_bytes(b"\0\1Quagga^Zebulon\0")
    assert QUAGGA.is_in_bytes(b"\0ZEBULON QUAGGA\xff")
    assert not QUAGGA.is_in_bytes(b"\0QuaggaxZebulon\0Annquagga")


def test_a_number_that_is_an_id_goes() -> None:
    named = identity(PatientName="A^B", PatientID="4815162")
    dataset = Dataset()
    dataset.SeriesNumber, dataset.InstanceNumber = 4815162, 48
    assert named.is_in(dataset["SeriesNumber"], dataset)
    assert named.clean(dataset["SeriesNumber"], dataset)
    assert not named.clean(dataset["InstanceNumber"], dataset)
    assert (dataset.SeriesNumber, dataset.InstanceNumber) == (0, 48)


def test_a_text_keeps_to_the_length_that_dicom_allows() -> None:
    dataset = Dataset()
    dataset.StationName = "Ann Ann Ann Ann"
    assert QUAGGA.clean(dataset["StationName"], dataset)
    assert len(dataset.StationName) <= 16
    assert "Ann" not in dataset.StationName


def test_a_patient_is_known_without_a_file() -> None:
    known = Identity.of_patient(Patient("ID-48151", "Quagga, Zebulon", "1967-03-04"))
    assert known.cleaned("Tumour of Zebulon") == "Tumour of REMOVED"
    assert known.cleaned("Left lung") == "Left lung"
