"""The table of PS3.15, read off the standard by hand, and what becomes of its compound actions and options."""

from __future__ import annotations

import json

import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.tag import BaseTag

from medview.core.folders import resources_folder
from medview.formats.attribute_types import Need, needs
from medview.formats.confidentiality_profile import Action, Options, action_for

EVERYTHING = Options(True, True, True, True, True)


def action(keyword: str, options: Options | None = None) -> Action:
    number = tag_for_keyword(keyword)
    assert number is not None
    return action_for(BaseTag(number), dictionary_VR(number), options or Options())


@pytest.mark.parametrize(
    ("keyword", "letters"),
    [
        # table E.1-1, column Basic Prof.; of a compound action, the one that keeps any object valid
        ("PatientName", "Z"),
        ("PatientBirthDate", "Z"),
        ("PatientSex", "Z"),
        ("AccessionNumber", "Z"),
        ("StudyDate", "Z"),
        ("StudyID", "Z"),
        ("ReferringPhysicianName", "Z"),
        ("ROIName", "Z"),
        ("StructureSetDate", "Z"),
        ("PatientAge", "X"),
        ("PatientComments", "X"),
        ("OtherPatientIDsSequence", "X"),
        ("InstitutionAddress", "X"),
        ("StudyDescription", "X"),
        ("SeriesDescription", "X"),
        ("PerformingPhysicianName", "X"),
        ("RequestAttributesSequence", "X"),
        ("IconImageSequence", "X"),
        ("OriginalAttributesSequence", "X"),
        ("TimezoneOffsetFromUTC", "X"),
        ("StudyInstanceUID", "U"),
        ("ReferencedSOPInstanceUID", "U"),
        ("FrameOfReferenceUID", "U"),
        ("ReferencedFrameOfReferenceUID", "U"),
        ("TrackingUID", "U"),
        ("StructureSetLabel", "D"),
        ("VerifyingObserverName", "D"),
        ("PersonIdentificationCodeSequence", "D"),
        ("UnformattedTextValue", "D"),
        ("PatientID", "D"),  # Z/D
        ("ContentDate", "D"),  # Z/D
        ("ProtocolName", "D"),  # X/D
        ("SeriesDate", "D"),  # X/D
        ("InstitutionName", "D"),  # X/Z/D
        ("StationName", "D"),  # X/Z/D
        ("AcquisitionDate", "Z"),  # X/Z
        ("AcquisitionContextSequence", "X"),  # X/Z; emptied where the object must have it
        ("OperatorIdentificationSequence", "X"),  # X/D
        ("InstitutionCodeSequence", "X"),  # X/Z/D
        ("ReferencedImageSequence", "C"),  # X/Z/U*: its UIDs are replaced
        ("ContentSequence", "C"),  # D, by the option Clean Structured Content
        ("GraphicAnnotationSequence", "C"),  # D, by the option Clean Graphics
        # not in the table
        ("SOPClassUID", "K"),
        ("BodyPartExamined", "K"),
        ("ImagePositionPatient", "K"),
        ("KVP", "K"),
        ("PixelData", "K"),
    ],
)
def test_the_profile_is_the_standards(keyword: str, letters: str) -> None:
    assert action(keyword).value == letters


@pytest.mark.parametrize(
    ("keyword", "option", "letters"),
    [
        ("StudyDate", "shift_dates", "C"),
        ("AcquisitionDateTime", "shift_dates", "C"),
        ("StudyTime", "shift_dates", "K"),
        ("TimezoneOffsetFromUTC", "shift_dates", "K"),
        ("PatientBirthDate", "shift_dates", "Z"),
        ("PatientBirthTime", "shift_dates", "X"),
        ("StudyInstanceUID", "keep_uids", "K"),
        ("ReferencedStudySequence", "keep_uids", "C"),
        ("ReferencedPatientSequence", "keep_uids", "X"),
        ("StudyDescription", "clean_descriptors", "C"),
        ("ROIName", "clean_descriptors", "C"),
        ("RequestAttributesSequence", "clean_descriptors", "C"),
        ("TextValue", "clean_descriptors", "C"),
        ("MakerNote", "clean_descriptors", "X"),  # bytes cannot be cleaned of words
        ("InstitutionName", "clean_descriptors", "D"),
        ("PatientSex", "keep_characteristics", "K"),
        ("PatientWeight", "keep_characteristics", "K"),
        ("Allergies", "keep_characteristics", "C"),
        ("PatientName", "keep_characteristics", "Z"),
    ],
)
def test_options_retain_what_their_columns_say(keyword: str, option: str, letters: str) -> None:
    assert action(keyword, Options(**{option: True})).value == letters


def test_whole_groups_go() -> None:
    for tag in (0x50000005, 0x501E3000, 0x60003000, 0x60000010, 0x601E4000):
        assert action_for(BaseTag(tag), "US", EVERYTHING) is Action.REMOVE
    for tag in (0x00091001, 0x00290010, 0x7FE11010):
        assert action_for(BaseTag(tag), "LO", EVERYTHING) is Action.REMOVE


def test_what_no_table_knows_is_not_trusted() -> None:
    unknown = BaseTag(0x00189999)
    assert action_for(unknown, "PN", EVERYTHING) is Action.EMPTY
    assert action_for(unknown, "UN", EVERYTHING) is Action.REMOVE
    assert action_for(unknown, "DT", Options()) is Action.REPLACE
    assert action_for(BaseTag(0x00100033), "LO", EVERYTHING) is Action.EMPTY  # birth date in another calendar


def test_every_attribute_of_the_option_columns_is_in_the_profile() -> None:
    columns = json.loads((resources_folder() / "confidentiality_options.json").read_text(encoding="utf-8"))
    for name in ("clean_descriptors", "patient_characteristics_kept", "patient_characteristics_cleaned"):
        for keyword in columns[name]:
            assert action(keyword) in (Action.REMOVE, Action.EMPTY, Action.REPLACE), keyword


def test_what_objects_must_have_is_known() -> None:
    presentation, report = needs("1.2.840.10008.5.1.4.1.1.11.1"), needs("1.2.840.10008.5.1.4.1.1.88.34")
    assert presentation[(), "PresentationCreationDate"] is Need.VALUE
    assert report[("ReferencedRequestSequence",), "RequestedProcedureID"] is Need.PRESENCE
    assert ((), "SeriesDescription") not in report
    assert needs("1.2.3") == {}
