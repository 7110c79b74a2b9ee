"""Names go, and everything that is not a name stays, in every real file and in made-up ones with names in odd places."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from medview.core.errors import InputError
from medview.core.progress import NoProgress
from medview.core.segmentation import Segment, Segmentation
from medview.core.volume import Volume
from medview.formats import deidentify, dicom_files, dicom_seg, dicom_series, dicom_volume, rtstruct_writer
from medview.formats.confidentiality_profile import Action, Options, action_for
from medview.formats.deidentify import Deidentifier, leaks, words_of
from medview.formats.dicom_writer import SeriesOptions, write_series
from medview.phantom.chest import Phantom
from medview.workstation.deidentifying import deidentify as deidentify_folder
from tests.support.phantom_study import series_in

SECRET = b"of this place"


def tag(keyword: str) -> deidentify.BaseTag:
    number = tag_for_keyword(keyword)
    assert number is not None
    return deidentify.BaseTag(number)


@pytest.mark.parametrize(
    ("keyword", "vr", "action"),
    [
        # read off table E.1-1 of PS3.15 by hand
        ("PatientBirthDate", "DA", Action.EMPTY),
        ("AccessionNumber", "SH", Action.EMPTY),
        ("InstitutionAddress", "ST", Action.REMOVE),
        ("StudyInstanceUID", "UI", Action.NEW_UID),
        ("SOPClassUID", "UI", Action.KEEP),
        ("PatientComments", "LT", Action.REMOVE),
        ("StudyDescription", "LO", Action.REMOVE),
        ("ReferringPhysicianName", "PN", Action.EMPTY),
        ("PixelData", "OW", Action.KEEP),
        ("ImagePositionPatient", "DS", Action.KEEP),
    ],
)
def test_the_profile_is_the_standards(keyword: str, vr: str, action: Action) -> None:
    assert action_for(tag(keyword), vr, Options()) is action


def test_options_retain_what_they_name() -> None:
    assert action_for(tag("StudyDate"), "DA", Options(shift_dates=True)) is Action.CLEAN
    assert action_for(tag("StudyInstanceUID"), "UI", Options(keep_uids=True)) is Action.KEEP
    assert action_for(tag("PatientSex"), "CS", Options(keep_characteristics=True)) is Action.KEEP
    assert action_for(tag("PatientSex"), "CS", Options()) is not Action.KEEP


def test_a_study_keeps_its_pixels_places_and_references(
    small_series_folder: Path, small_phantom: Phantom, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copytree(small_series_folder, source / "ct")
    series = series_in(source / "ct")
    labels = np.zeros(small_phantom.volume.geometry.shape, dtype=np.uint8)
    labels[10:14, 20:30, 8:20] = 1
    mask = Segmentation(small_phantom.volume.geometry, labels, (Segment(1, "Block", (200, 10, 10)),))
    dicom_seg.write(mask, small_phantom.volume, series.facts.files, source / "seg.dcm")
    rtstruct_writer.write(mask, small_phantom.volume, series.facts.files, source / "rs.dcm")
    done = deidentify_folder([source], tmp_path / "out", SECRET, Options(), NoProgress())
    assert done.written == len(done.outcomes) == 42
    found = dicom_series.group(dicom_files.scan([tmp_path / "out"], NoProgress()).headers)
    (images,) = [one for one in found if one.facts.geometry is not None]
    volume = dicom_volume.read(images, NoProgress())
    assert np.array_equal(volume.voxels, small_phantom.volume.voxels)
    assert images.facts.study.patient.name.startswith("P")
    assert images.facts.study.uid != series.facts.study.uid
    objects = [one for one in found if one.facts.geometry is None]
    assert len(objects) == 2
    for one in objects:
        from medview.workstation import masks

        (layer,) = masks.read_layers(one.facts.files[0], volume.geometry, NoProgress())
        assert np.array_equal(layer.labels, labels)
    assert "Phantom" not in done.report.read_text()


def test_a_patient_is_the_same_in_every_study_and_only_with_this_secret(small_phantom: Phantom, tmp_path: Path) -> None:
    from dataclasses import replace

    from medview.formats.dicom_writer import SAMPLE_STUDY

    small = crop(small_phantom.volume)
    for number, day in enumerate(("2020-01-01", "2021-06-15")):
        study = replace(SAMPLE_STUDY, uid=f"1.2.{number + 3}", date=day)
        write_series(small, tmp_path / f"s{number}", SeriesOptions(), study=study)
    names, days = set(), []
    for number in range(2):
        worker = Deidentifier(SECRET, Options(shift_dates=True))
        outcome = worker.copy(next((tmp_path / f"s{number}").iterdir()), tmp_path / f"o{number}")
        assert outcome.target is not None
        dataset = dcmread(outcome.target)
        names.add(str(dataset.PatientID))
        days.append(np.datetime64(f"{dataset.StudyDate[:4]}-{dataset.StudyDate[4:6]}-{dataset.StudyDate[6:]}"))
    assert len(names) == 1
    assert days[1] - days[0] == np.datetime64("2021-06-15") - np.datetime64("2020-01-01")
    assert days[0] < np.datetime64("2020-01-01")
    other = Deidentifier(b"elsewhere")
    assert other.pseudonym("PHANTOM-CHEST") not in names
    assert other.uid("1.2.3") != Deidentifier(SECRET).uid("1.2.3")
    assert Deidentifier(SECRET).uid("1.2.840.10008.1.2") == "1.2.840.10008.1.2"


def crop(volume: Volume) -> Volume:
    from dataclasses import replace

    from medview.core.geometry import Box

    box = Box((0, 0, 0), (2, 16, 16))
    voxels = np.ascontiguousarray(volume.voxels[box.slices])
    return replace(volume, voxels=voxels, geometry=volume.geometry.cropped(box))


TEXTS = ("StudyDescription", "PatientComments", "InstitutionName", "ImageComments", "OperatorsName", "StationName",
         "RequestedProcedureDescription", "ProtocolName", "AdditionalPatientHistory", "DeviceSerialNumber")  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(TEXTS), st.integers(0, 3)), min_size=1, max_size=6))
def test_a_name_in_any_listed_attribute_at_any_depth_goes_or_the_file_stays_back(
    places: list[tuple[str, int]], small_series_folder: Path, tmp_path: Path
) -> None:
    dataset = dcmread(next(small_series_folder.iterdir()))
    dataset.PatientName = "Quagga^Zebulon"
    for keyword, depth in places:
        item: Dataset = dataset
        for _ in range(depth):
            inner = Dataset()
            item.RequestAttributesSequence = Sequence([inner])
            item = inner
        setattr(item, keyword, "seen Zebulon today")
    dataset.add_new(0x00990010, "LO", "QUAGGA")
    dataset.add_new(0x00991001, "LO", "Zebulon")
    source = tmp_path / "a.dcm"
    dataset.save_as(source)
    outcome = Deidentifier(SECRET).copy(source, tmp_path / "out")
    if outcome.target is not None:
        assert b"zebulon" not in outcome.target.read_bytes().lower()
        assert b"quagga" not in outcome.target.read_bytes().lower()
    else:
        assert "left in" in str(outcome.reason)


def test_a_name_that_is_left_is_found(small_series_folder: Path, tmp_path: Path) -> None:
    dataset = dcmread(next(small_series_folder.iterdir()))
    dataset.PatientName = "Quagga^Zebulon"
    words = words_of(dataset)
    dataset.PatientName = "P1"
    dataset.SeriesDescription = "Chest of Quagga"
    dataset.save_as(tmp_path / "a.dcm")
    assert leaks(tmp_path / "a.dcm", words) == ["Series Description"]
    dataset.SeriesDescription = "Chest"
    dataset.save_as(tmp_path / "a.dcm")
    assert leaks(tmp_path / "a.dcm", words) == []


def test_files_that_may_show_names_are_held_back(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "cine-multiframe-us-mr-xa"
    held = deidentify_folder([folder / "examples_ybr_color.dcm"], tmp_path / "a", SECRET, Options(), NoProgress())
    assert held.written == 0
    assert "names" in str(held.outcomes[0].reason)
    kept = deidentify_folder(
        [folder / "examples_ybr_color.dcm"], tmp_path / "b", SECRET, Options(keep_risky=True), NoProgress()
    )
    assert kept.written == 1
    assert "to_be_looked_at" in kept.report.read_text()


@pytest.mark.parametrize("name", ["character-sets", "broken-and-odd-files", "seg-sr-highdicom", "sr-tid1500-dcmqi"])
def test_real_files_lose_their_names_or_stay_back(name: str, real_data: Path, tmp_path: Path) -> None:
    done = deidentify_folder([real_data / name], tmp_path / "out", SECRET, Options(keep_risky=True), NoProgress())
    assert len(done.outcomes) > 0
    for one in done.outcomes:
        if one.target is None:
            assert str(one.reason)
            continue
        before, after = dcmread(one.source, force=True), dcmread(one.target)
        assert str(after.PatientName) == str(after.PatientID)
        assert not words_of(before) & {str(after.PatientName).lower()}
        assert leaks(one.target, words_of(before)) == []
        if "PixelData" in before:
            assert after.PixelData == before.PixelData


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
def test_a_validator_finds_no_new_error(small_series_folder: Path, tmp_path: Path) -> None:
    def errors(path: Path) -> set[str]:
        told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False).stderr
        return {line.split(" - ")[1][:60] for line in told.splitlines() if line.startswith("Error")}

    source = next(small_series_folder.iterdir())
    outcome = Deidentifier(SECRET).copy(source, tmp_path)
    assert outcome.target is not None
    assert errors(outcome.target) <= errors(source)


def test_copies_never_lie_among_the_originals(small_series_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(small_series_folder, folder)
    with pytest.raises(InputError, match="among"):
        deidentify_folder([folder], folder / "out", SECRET, Options(), NoProgress())
    with pytest.raises(InputError, match="not empty"):
        deidentify_folder([folder], small_series_folder, SECRET, Options(), NoProgress())
