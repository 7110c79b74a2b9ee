"""Asking, fetching and sending with a real Orthanc, over DIMSE and DICOMweb alike."""

from __future__ import annotations

import hashlib
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medview.core.errors import (
    LoginError,
    MedViewError,
    NotThereError,
    NotTrustedError,
    RefusedError,
    UnreachableError,
)
from medview.core.progress import NoProgress
from medview.formats import dicom_volume
from medview.network.address import Address, Kind
from medview.network.archive import Archive, archive_at
from medview.network.inbox import Inbox
from medview.network.records import Fate, Query
from medview.network.transfers import outgoing, retrieve, send
from medview.phantom.chest import Phantom
from tests.support.orthanc import Orthanc, StartOrthanc, free_port, make_certificates
from tests.support.phantom_study import series_in

KINDS = [Kind.DIMSE, Kind.DICOMWEB]
QUIET = NoProgress()


def address_of(orthanc: Orthanc, kind: Kind, **changes: object) -> Address:
    return orthanc.dimse(**changes) if kind is Kind.DIMSE else orthanc.web(**changes)


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


def copy_with(source: Path, target: Path, **values: object) -> Path:
    """A file with other attributes, as pydicom alone writes it."""
    dataset = pydicom.dcmread(source)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    target.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(target)
    return target


def content(path: Path) -> dict[str, bytes]:
    """The pixels of an instance by its UID, as pydicom reads them."""
    dataset = pydicom.dcmread(path)
    return {str(dataset.SOPInstanceUID): dataset.pixel_array.tobytes()}


@pytest.fixture(params=KINDS, ids=str)
def archive(request: pytest.FixtureRequest, orthanc: Orthanc) -> Archive:
    return archive_at(address_of(orthanc, request.param))


def test_an_archive_that_is_there_answers(archive: Archive) -> None:
    archive.echo(QUIET)


def test_studies_are_found_by_every_field(
    archive: Archive, orthanc: Orthanc, small_series_folder: Path, tmp_path: Path
) -> None:
    source = files_in(small_series_folder)[0]
    for number, (name, day) in enumerate((("Meier^Anna", "20240131"), ("Meyer^Bert", "20240201"))):
        values = {
            "PatientName": name,
            "PatientID": f"ID-{number}",
            "StudyDate": day,
            "AccessionNumber": f"ACC{number}",
            "StudyInstanceUID": f"1.2.826.0.1.3680043.8.498.1{number}",
            "SeriesInstanceUID": f"1.2.826.0.1.3680043.8.498.2{number}",
            "SOPInstanceUID": f"1.2.826.0.1.3680043.8.498.3{number}",
        }
        orthanc.put(copy_with(source, tmp_path / f"{number}.dcm", **values))

    def names(**fields: object) -> list[str]:
        found = archive.find_studies(Query(**fields), QUIET)  # type: ignore[arg-type]
        assert found.complete
        return sorted(one.patient_name for one in found.studies)

    both = ["Meier^Anna", "Meyer^Bert"]
    assert names() == both
    assert names(patient_name="mei") == ["Meier^Anna"]
    assert names(patient_name="Me?er*") == both
    assert names(patient_name="Meyer, B") == ["Meyer^Bert"]
    assert names(patient_name="meier anna") == ["Meier^Anna"]
    assert names(patient_name="Nobody") == []
    assert names(patient_id="ID-1") == ["Meyer^Bert"]
    assert names(accession_number="ACC0") == ["Meier^Anna"]
    assert names(modality="ct") == both
    assert names(modality="MR") == []
    assert names(first_day=date(2024, 1, 31), last_day=date(2024, 1, 31)) == ["Meier^Anna"]
    assert names(first_day=date(2024, 2, 1)) == ["Meyer^Bert"]
    assert names(last_day=date(2024, 1, 31)) == ["Meier^Anna"]
    assert names(first_day=date(2024, 1, 1), last_day=date(2024, 2, 28)) == both
    (study,) = archive.find_studies(Query(patient_id="ID-0"), QUIET).studies
    assert (study.uid, study.date, study.accession_number) == ("1.2.826.0.1.3680043.8.498.10", "20240131", "ACC0")
    assert study.modalities == ("CT",)
    assert (study.series, study.instances) == (1, 1)


@pytest.mark.parametrize("name", ["Wang^Xiaodong=王^小东", "Yamada^Tarou=山田^太郎=やまだ^たろう", "Müller^Jörg"])
def test_names_in_any_script_are_found_and_come_back(
    archive: Archive, orthanc: Orthanc, small_series_folder: Path, tmp_path: Path, name: str
) -> None:
    source = files_in(small_series_folder)[0]
    dataset = pydicom.dcmread(source)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = name
    dataset.StudyDescription = "胸部 CT"
    dataset.save_as(tmp_path / "one.dcm")
    orthanc.put(tmp_path / "one.dcm")
    typed = name.split("=")[-1].split("^")[0]

    (study,) = archive.find_studies(Query(patient_name=typed), QUIET).studies

    assert study.patient_name == name
    assert study.description == "胸部 CT"
    assert archive.find_studies(Query(patient_name="李"), QUIET).studies == ()


def test_a_study_comes_byte_for_byte_and_opens_with_its_voxels(
    archive: Archive, orthanc: Orthanc, small_phantom: Phantom, small_series_folder: Path, tmp_path: Path
) -> None:
    source = files_in(small_series_folder)
    orthanc.put(*source)
    (study,) = archive.find_studies(Query(), QUIET).studies
    (series,) = archive.find_series(study.uid, QUIET)
    assert series.modality == "CT"
    assert series.instances == len(source)

    done = retrieve(archive, study.uid, (), Inbox(tmp_path / "inbox"), QUIET)

    assert (done.instances, done.fetched) == (40, 40)
    arrived = files_in(done.folder)
    assert len(arrived) == 40
    assert all(path.parent.name == series.uid for path in arrived)
    assert {path.stem for path in arrived} == set(orthanc.held())
    volume = dicom_volume.read(series_in(done.folder), QUIET)
    assert np.array_equal(volume.voxels, small_phantom.volume.voxels)
    again = retrieve(archive, study.uid, (series.uid,), Inbox(tmp_path / "inbox"), QUIET)
    assert (again.instances, again.fetched, again.size_bytes) == (40, 0, 0)


def test_only_what_is_missing_or_damaged_is_fetched_again(
    archive: Archive, orthanc: Orthanc, small_series_folder: Path, tmp_path: Path
) -> None:
    orthanc.put(*files_in(small_series_folder)[:12])
    inbox = Inbox(tmp_path / "inbox")
    (study,) = archive.find_studies(Query(), QUIET).studies
    first = retrieve(archive, study.uid, (), inbox, QUIET)
    arrived = files_in(first.folder)
    whole = {path: hashlib.sha256(path.read_bytes()).digest() for path in arrived}
    arrived[0].unlink()
    arrived[1].write_bytes(arrived[1].read_bytes()[:-10])
    spoilt = bytearray(arrived[2].read_bytes())
    spoilt[-5] ^= 1
    arrived[2].write_bytes(spoilt)
    kept = {path: path.stat().st_mtime_ns for path in arrived[3:]}

    second = retrieve(archive, study.uid, (), inbox, QUIET)

    assert (second.instances, second.fetched) == (12, 3)
    assert {path: path.stat().st_mtime_ns for path in arrived[3:]} == kept
    assert {path: hashlib.sha256(path.read_bytes()).digest() for path in files_in(first.folder)} == whole


def test_what_the_archive_does_not_have_is_said(archive: Archive, tmp_path: Path) -> None:
    assert archive.find_studies(Query(), QUIET).studies == ()
    with pytest.raises(NotThereError):
        retrieve(archive, "1.2.3", (), Inbox(tmp_path / "inbox"), QUIET)
    assert not (tmp_path / "inbox").exists()


def test_files_are_sent_asked_for_and_not_sent_twice(
    archive: Archive, orthanc: Orthanc, small_series_folder: Path
) -> None:
    paths = files_in(small_series_folder)[:9]
    orthanc.put(*paths[:4])

    sent = send(archive, outgoing(paths, QUIET), QUIET)

    assert sent.is_well
    assert [one.fate for one in sent.outcomes] == [Fate.THERE] * 4 + [Fate.CONFIRMED] * 5
    held = orthanc.held()
    assert len(held) == 9
    for path in paths:
        ((uid, pixels),) = content(path).items()
        path_there = path.parent / "never"
        assert not path_there.exists()
        stored = orthanc.rest(f"/instances/{held[uid]}/file")
        assert pydicom.dcmread(pydicom.filebase.DicomBytesIO(stored)).pixel_array.tobytes() == pixels
    assert send(archive, outgoing(paths, QUIET), QUIET).count(Fate.THERE) == 9


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_compressed_files_travel_as_they_are(orthanc: Orthanc, kind: Kind, real_data: Path, tmp_path: Path) -> None:
    archive = archive_at(address_of(orthanc, kind))
    folder = real_data / "compressed-syntaxes"
    names = ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"]
    paths = []
    for number, path in enumerate(sorted(one for name in names for one in folder.rglob(name))):
        values = {"SOPInstanceUID": f"1.2.826.0.1.3680043.8.498.4{number}", "StudyInstanceUID": "1.2.826.0.1.5"}
        paths.append(copy_with(path, tmp_path / f"{number}.dcm", SeriesInstanceUID="1.2.826.0.1.6", **values))
    assert len(paths) >= 4
    syntaxes = {
        pydicom.dcmread(path).SOPInstanceUID: pydicom.dcmread(path).file_meta.TransferSyntaxUID for path in paths
    }

    sent = send(archive, outgoing(paths, QUIET), QUIET)
    assert sent.is_well, [str(one.reason) for one in sent.outcomes]
    done = retrieve(archive, "1.2.826.0.1.5", (), Inbox(tmp_path / "inbox"), QUIET)

    arrived = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, files_in(done.folder))}
    assert {uid: one.file_meta.TransferSyntaxUID for uid, one in arrived.items()} == syntaxes
    for path in paths:
        ((uid, pixels),) = content(path).items()
        assert arrived[uid].pixel_array.tobytes() == pixels


def test_an_archive_without_c_get_sends_to_our_receiver(
    start_orthanc: StartOrthanc, small_series_folder: Path, tmp_path: Path
) -> None:
    port = free_port()
    known = {"AET": "MEDVIEW", "Host": "127.0.0.1", "Port": port, "AllowGet": False}
    orthanc = start_orthanc(DicomAlwaysAllowGet=False, DicomModalities={"medview": known})
    orthanc.receive_port = port
    source = files_in(small_series_folder)
    orthanc.put(*source)
    archive = archive_at(orthanc.dimse())
    (study,) = archive.find_studies(Query(), QUIET).studies

    done = retrieve(archive, study.uid, (), Inbox(tmp_path / "inbox"), QUIET)

    assert done.fetched == 40
    arrived = {uid: pixels for path in files_in(done.folder) for uid, pixels in content(path).items()}
    assert arrived == {uid: pixels for path in source for uid, pixels in content(path).items()}
    with pytest.raises(RefusedError, match="does not send to this workstation: STRANGER"):
        retrieve(archive_at(orthanc.dimse(calling_ae="STRANGER")), study.uid, (), Inbox(tmp_path / "other"), QUIET)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_encryption_with_a_trusted_certificate_and_with_an_unknown_one(
    start_orthanc: StartOrthanc, kind: Kind, small_series_folder: Path, tmp_path: Path
) -> None:
    orthanc = start_orthanc(make_certificates(tmp_path / "certificates"))
    paths = files_in(small_series_folder)[:3]
    archive = archive_at(address_of(orthanc, kind))
    archive.echo(QUIET)
    assert send(archive, outgoing(paths, QUIET), QUIET).count(Fate.CONFIRMED) == 3
    (study,) = archive.find_studies(Query(), QUIET).studies
    assert retrieve(archive, study.uid, (), Inbox(tmp_path / "inbox"), QUIET).fetched == 3

    stranger = make_certificates(tmp_path / "stranger")
    with pytest.raises(NotTrustedError, match="The certificate of Test archive is not trusted"):
        archive_at(address_of(orthanc, kind, ca_file=str(stranger.authority))).echo(QUIET)
    with pytest.raises(NotTrustedError, match="not trusted"):
        archive_at(address_of(orthanc, kind, ca_file="")).echo(QUIET)
    with pytest.raises(NotTrustedError, match="cannot be used"):
        archive_at(address_of(orthanc, kind, ca_file=str(paths[0]))).echo(QUIET)
    plain = {"tls": False} if kind is Kind.DIMSE else {"url": orthanc.web().url.replace("https", "http")}
    with pytest.raises(MedViewError) as caught:
        archive_at(address_of(orthanc, kind, **plain)).echo(QUIET)
    assert caught.value.remedy


def test_an_archive_that_does_not_encrypt_is_not_spoken_to_in_the_clear(orthanc: Orthanc) -> None:
    with pytest.raises(NotTrustedError, match="No encrypted connection"):
        archive_at(orthanc.dimse(tls=True)).echo(QUIET)
    with pytest.raises(NotTrustedError, match="No encrypted connection"):
        archive_at(orthanc.web(url=orthanc.web().url.replace("http", "https"))).echo(QUIET)


def test_a_wrong_title_and_a_wrong_password_are_named(orthanc: Orthanc) -> None:
    with pytest.raises(RefusedError, match="no archive with the AE title WRONG"):
        archive_at(orthanc.dimse(called_ae="WRONG")).echo(QUIET)
    with pytest.raises(LoginError, match="does not accept"):
        archive_at(orthanc.web(password="wrong")).echo(QUIET)
    with pytest.raises(LoginError, match="asks for"):
        archive_at(orthanc.web(user="", password="")).find_studies(Query(), QUIET)
    with pytest.raises(NotThereError, match="does not have"):
        archive_at(orthanc.web(url=orthanc.web().url.replace("dicom-web", "elsewhere"))).echo(QUIET)
    with pytest.raises(MedViewError, match="not as a DICOMweb service"):
        archive_at(orthanc.web(url=orthanc.web().url.replace("dicom-web", "system?"))).echo(QUIET)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_machine_that_is_not_there_is_named(orthanc: Orthanc, kind: Kind) -> None:
    port = free_port()
    closed = {"port": port} if kind is Kind.DIMSE else {"url": f"http://127.0.0.1:{port}/dicom-web"}
    unknown = {"host": "archive.invalid"} if kind is Kind.DIMSE else {"url": "http://archive.invalid/dicom-web"}
    with pytest.raises(UnreachableError, match="connection was refused"):
        archive_at(address_of(orthanc, kind, **closed)).echo(QUIET)
    with pytest.raises(UnreachableError, match=r"no machine of the name archive\.invalid"):
        archive_at(address_of(orthanc, kind, **unknown)).echo(QUIET)
