"""Folders are copied without names: references stay whole, the report tells everything but values, nothing is lost."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Image
from pydicom import dcmread
from pydicom.uid import UID

from medview.core.case import Patient
from medview.core.errors import Cancelled, InputError, StorageError
from medview.core.progress import NoProgress
from medview.core.pseudonyms import patient_key, pseudonym, site_secret
from medview.core.segmentation import Segment, Segmentation
from medview.core.text import Text
from medview.formats import dicom_files, dicom_seg, dicom_series, dicom_volume, rtstruct_writer
from medview.formats.confidentiality_profile import Options
from medview.phantom.chest import Phantom
from medview.workstation import masks
from medview.workstation.deidentifying import Deidentified, deidentify
from tests.support.named_files import named, names_in
from tests.support.phantom_study import series_in


def run(sources: list[Path], target: Path, options: Options | None = None) -> Deidentified:
    return deidentify(sources, target, target.parent / "secret", options or Options(), NoProgress())


@pytest.fixture
def study(small_series_folder: Path, small_phantom: Phantom, tmp_path: Path) -> Path:
    """A CT series with a DICOM SEG and a structure set."""
    folder = tmp_path / "study"
    shutil.copytree(small_series_folder, folder / "ct")
    series = series_in(folder / "ct")
    labels = np.zeros(small_phantom.volume.geometry.shape, dtype=np.uint8)
    labels[10:14, 20:30, 8:20] = 1
    mask = Segmentation(small_phantom.volume.geometry, labels, (Segment(1, "Block", (200, 10, 10)),))
    dicom_seg.write(mask, small_phantom.volume, series.facts.files, folder / "seg.dcm")
    rtstruct_writer.write(mask, small_phantom.volume, series.facts.files, folder / "rs.dcm")
    return folder


@pytest.mark.parametrize("options", [Options(), Options(True, False, True, True, True), Options(keep_uids=True)])
def test_a_copied_study_opens_with_its_masks(
    study: Path, small_phantom: Phantom, tmp_path: Path, options: Options
) -> None:
    labels = masks.read_layers(study / "seg.dcm", small_phantom.volume.geometry, NoProgress())[0].labels
    assert labels.any()
    done = run([study], tmp_path / "out", options)
    assert done.written == len(done.outcomes) == 42
    found = dicom_series.group(dicom_files.scan([tmp_path / "out"], NoProgress()).headers)
    (images,) = [one for one in found if one.facts.geometry is not None]
    volume = dicom_volume.read(images, NoProgress())
    assert np.array_equal(volume.voxels, small_phantom.volume.voxels)
    assert np.allclose(volume.geometry.affine, small_phantom.volume.geometry.affine)
    original = series_in(study / "ct").facts
    secret = site_secret(tmp_path / "secret")
    pseudonym_meant = pseudonym(patient_key(secret, original.study.patient, original.study.uid))
    assert images.facts.study.patient.key == images.facts.study.patient.name == pseudonym_meant
    assert (images.facts.study.uid == original.study.uid) is options.keep_uids
    objects = [one for one in found if one.facts.geometry is None]
    assert len(objects) == 2
    instances = {dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in images.facts.files}
    for one in objects:
        (layer,) = masks.read_layers(one.facts.files[0], volume.geometry, NoProgress())
        assert np.array_equal(layer.labels, labels)
        dataset = dcmread(one.facts.files[0], stop_before_pixels=True)
        referred = {
            str(element.value) for element in dataset.iterall() if element.keyword == "ReferencedSOPInstanceUID"
        }
        assert referred
        # a structure set refers to its study in the same way as to its images
        assert referred <= {*map(str, instances), images.facts.study.uid}


def test_the_report_tells_every_attribute_and_no_value(small_series_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Quagga Zebulon"
    folder.mkdir()
    for number, path in enumerate(sorted(small_series_folder.iterdir())[:2]):
        named(path, SOPInstanceUID=UID(f"1.2.3.{number}")).save_as(folder / f"Quagga{number}.dcm")
    (folder / "Zebulon.txt").write_text("letter")
    done = run([folder], tmp_path / "out")
    assert names_in(done.report) == names_in(done.summary) == []
    report = json.loads(done.report.read_text())
    assert report["files_written"] == 2
    assert report["files_held_back"] == [{"reason": "It is no DICOM file, or does not say what it is.", "count": 1}]
    told = {(one["tag"], one["action"]): one["count"] for one in report["attributes"]}
    for tag, action in (
        ("(0010,0010)", "D"),
        ("(0010,0030)", "Z"),
        ("(0008,0050)", "Z"),
        ("(0008,1030)", "X"),
        ("(0020,000D)", "U"),
        ("(0099,1001)", "X"),
        ("(6000,3000)", "X"),
    ):
        assert told[tag, action] == 2
    # everything that differs between original and copy is in the report
    before = dcmread(folder / "Quagga0.dcm")
    after = dcmread(next(one.target for one in done.outcomes if one.target is not None))
    marks = {"PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
             "LongitudinalTemporalInformationModified"}  # fmt: skip
    differing = {str(element.tag) for element in before if element.tag not in after or after[element.tag] != element}
    assert differing - {tag for tag, _ in told} == set()
    assert {element.keyword for element in after if element.tag not in before} == marks
    assert "It is no DICOM file" in done.summary.read_text()
    assert report["patients"] == [str(after.PatientID)]


def test_the_same_patient_is_the_same_in_every_run(small_series_folder: Path, tmp_path: Path) -> None:
    names = set()
    path = sorted(small_series_folder.iterdir())[0]
    for number, changes in enumerate(({}, {"StudyInstanceUID": UID("1.2.9"), "PatientName": "Quagga^Z"})):
        source = tmp_path / f"{number}.dcm"
        named(path, **changes).save_as(source)
        done = run([source], tmp_path / f"out{number}")
        assert done.outcomes[0].target is not None
        names.add(done.outcomes[0].target.relative_to(tmp_path / f"out{number}").parts[0])
    assert len(names) == 1
    done = deidentify([tmp_path / "0.dcm"], tmp_path / "elsewhere", tmp_path / "other", Options(), NoProgress())
    assert done.outcomes[0].target is not None
    assert done.outcomes[0].target.relative_to(tmp_path / "elsewhere").parts[0] not in names


def test_a_copy_and_an_example_know_the_patient_by_the_same_key(small_series_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "in" / "a.dcm"
    source.parent.mkdir()
    named(sorted(small_series_folder.iterdir())[0], IssuerOfPatientID="North").save_as(source)
    study = series_in(source.parent).facts.study
    assert study.patient.issuer == "North"
    (outcome,) = run([source], tmp_path / "out").outcomes
    assert outcome.target is not None
    key = patient_key(site_secret(tmp_path / "secret"), study.patient, study.uid)
    assert dcmread(outcome.target).PatientID == pseudonym(key)
    assert "IssuerOfPatientID" not in dcmread(outcome.target)


def test_image_files_of_other_kinds_are_held_back(tmp_path: Path) -> None:
    (tmp_path / "Quagga.mha").write_bytes(b"ObjectType = Image")
    (tmp_path / "Quagga.nhdr").write_bytes(b"NRRD0004")
    (tmp_path / "Quagga.raw").write_bytes(b"1234")
    done = run([tmp_path / name for name in ("Quagga.mha", "Quagga.nhdr", "Quagga.raw")], tmp_path / "out")
    ((reason, count),) = done.held_back
    assert (count, done.written) == (3, 0)
    assert ".nrrd" in str(reason)


def test_image_files_lose_their_names_too(tmp_path: Path) -> None:
    image = Nifti1Image(np.zeros((2, 3, 4), dtype=np.int16), np.eye(4))
    image.header["descrip"] = b"Quagga"
    image.to_filename(tmp_path / "Quagga_Zebulon.nii.gz")
    done = run([tmp_path / "Quagga_Zebulon.nii.gz"], tmp_path / "out")
    (outcome,) = done.outcomes
    assert outcome.target is not None
    place = outcome.target.relative_to(tmp_path / "out")
    assert "quagga" not in str(place).lower()
    secret = site_secret(tmp_path / "secret")
    assert place.parts[0] == pseudonym(patient_key(secret, Patient("Quagga_Zebulon"), ""))
    assert json.loads(done.report.read_text())["image_headers"] == [
        {"kind": ".nii.gz", "field": "header texts", "count": 1}
    ]
    assert names_in(done.report) == []


def test_copies_never_lie_among_the_originals(small_series_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(small_series_folder, folder)
    for target in (folder, folder / "out", folder / "a" / ".." / "out"):
        with pytest.raises(InputError, match="among"):
            run([folder], target)
    with pytest.raises(InputError, match="not an empty folder"):
        run([folder], small_series_folder)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="no files"):
        run([tmp_path / "nothing"], tmp_path / "out")


class _StopAfter(NoProgress):
    def __init__(self, times: int) -> None:
        self.left = times

    def raise_if_cancelled(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cancelled


@pytest.mark.parametrize("times", [1, 2, 9, 30])
def test_cancelling_leaves_whole_files_only(small_series_folder: Path, tmp_path: Path, times: int) -> None:
    with pytest.raises(Cancelled):
        deidentify([small_series_folder], tmp_path / "out", tmp_path / "s", Options(), _StopAfter(times))
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert all(path.suffix == ".dcm" and not path.name.startswith(".") for path in left)
    for path in left:
        assert len(dcmread(path).PixelData) == 64 * 64 * 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit on the size of files")
def test_a_full_disk_is_told_and_leaves_nothing(small_series_folder: Path, tmp_path: Path) -> None:
    import resource
    import signal

    # a limit on the size of files is what a full disk looks like to a program
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    site_secret(tmp_path / "secret")
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(StorageError, match="could not be written"):
            run([small_series_folder], tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_target_that_cannot_be_made_is_told(small_series_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="could not be written"):
        run([small_series_folder], tmp_path / "file" / "out")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may read everything")
def test_a_file_that_may_not_be_read_is_held_back(small_series_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.dcm"
    shutil.copy(sorted(small_series_folder.iterdir())[0], source)
    source.chmod(0)
    done = run([source], tmp_path / "out")
    assert done.held_back == ((Text("The file cannot be read."), 1),)


def test_the_same_object_twice_is_copied_once(small_series_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.dcm", "b.dcm"):
        shutil.copy(sorted(small_series_folder.iterdir())[0], folder / name)
    done = run([folder], tmp_path / "out")
    assert done.written == 1
    assert "same UID" in str(done.held_back[0][0])
