"""The archives of the user: kept, asked in the background, and what comes from them opens like anything else."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydantic import SecretStr

from medview.core.errors import InputError, MedViewError
from medview.core.segmentation import Segment, Segmentation
from medview.network.address import Address, Kind
from medview.network.records import Fate, Query, Sent
from medview.phantom.chest import Phantom
from medview.workstation.archive_list import ArchiveList
from medview.workstation.jobs import Job, JobState, Lane
from medview.workstation.station import Workstation
from tests.support.orthanc import Orthanc, free_port
from tests.unit.network.test_archives import KINDS, address_of, files_in
from tests.unit.workstation.test_attaching import finish_all

SECRET = "a very secret word"


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Workstation]:
    one = Workstation(tmp_path / "home")
    yield one
    one.close()


def web(name: str = "Web", **changes: object) -> Address:
    known = {"name": name, "kind": Kind.DICOMWEB, "url": "https://pacs.example/dicom-web", "user": "me"}
    return Address(**(known | {"password": SecretStr(SECRET)} | changes))  # type: ignore[arg-type]


def test_archives_are_kept_with_their_secrets_and_for_the_user_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    kept = ArchiveList(tmp_path)
    told: list[None] = []
    kept.changed.connect(told.append)
    hospital = Address(name="Hospital", host="pacs", called_ae="PACS")
    kept.put(hospital)
    kept.put(web())
    kept.put(web("Renamed"), replaces="Web")

    again = ArchiveList(tmp_path)

    assert again.addresses == (hospital, web("Renamed"))
    assert again.named("Renamed").password.get_secret_value() == SECRET
    if os.name == "posix":
        assert (tmp_path / "archives.json").stat().st_mode & 0o077 == 0
    again.remove("Hospital")
    assert [one.name for one in ArchiveList(tmp_path).addresses] == ["Renamed"]
    assert len(told) == 3
    assert SECRET not in caplog.text
    assert SECRET not in repr(again.addresses)


def test_a_spoilt_entry_costs_only_itself_and_shows_no_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ArchiveList(tmp_path).put(web())
    path = tmp_path / "archives.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["archives"].insert(0, {**stored["archives"][0], "port": "no number", "token": SECRET + "2"})
    path.write_text(json.dumps(stored), encoding="utf-8")

    assert ArchiveList(tmp_path).addresses == (web(),)
    assert "cannot be read" in caplog.text
    assert SECRET not in caplog.text
    path.write_text("{", encoding="utf-8")
    assert ArchiveList(tmp_path).addresses == ()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (Address(name=" ", host="pacs", called_ae="PACS"), "needs a name"),
        (Address(name="A", called_ae="PACS"), "host is missing"),
        (Address(name="A", host="pacs", called_ae="A TITLE THAT IS TOO LONG"), "is no AE title"),
        (Address(name="A", host="pacs", called_ae="A\\B"), "is no AE title"),
        (Address(name="A", host="pacs", called_ae="PACS", port=70000), "70000 is no port"),
        (Address(name="A", host="pacs", called_ae="PACS", ca_file="/no/such.pem"), "There is no file /no/such.pem"),
        (web(url="pacs.example"), "is no address of a DICOMweb service"),
        (web(url="https://me:secret@pacs.example/"), "do not belong into the URL"),
        (web(token=SecretStr("x")), "a user's name and a token"),
    ],
)
def test_an_impossible_address_is_refused_with_a_sentence(tmp_path: Path, address: Address, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ArchiveList(tmp_path).put(address)
    assert ArchiveList(tmp_path).addresses == ()


def test_two_archives_do_not_share_a_name(tmp_path: Path) -> None:
    kept = ArchiveList(tmp_path)
    kept.put(web())
    with pytest.raises(InputError, match="already"):
        kept.put(web())
    with pytest.raises(InputError, match="no archive of the name Other"):
        kept.named("Other")


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_study_that_is_retrieved_opens(
    station: Workstation, orthanc: Orthanc, kind: Kind, small_phantom: Phantom, small_series_folder: Path
) -> None:
    orthanc.put(*files_in(small_series_folder))
    address = address_of(orthanc, kind)
    answered = station.archives.echo(address)
    search = station.archives.find(address, Query(modality="CT"))
    assert {answered.lane, search.lane} == {Lane.NETWORK}
    finish_all(station)
    assert answered.state is JobState.DONE
    assert search.result is not None
    (study,) = search.result.studies

    station.archives.retrieve(address, study.uid)
    finish_all(station)

    volume = station.workspace.active_volume
    assert volume is not None
    assert np.array_equal(volume.voxels, small_phantom.volume.voxels)


def test_a_failure_is_told_in_words_and_blocks_nothing(station: Workstation, small_series_folder: Path) -> None:
    told: list[MedViewError] = []
    away = Address(name="Away", host="127.0.0.1", port=free_port(), called_ae="AWAY")
    job = station.archives.find(away, Query(), failed=told.append)
    station.importing.open_paths([small_series_folder])
    finish_all(station)
    assert job.state is JobState.FAILED
    assert [str(error.what) for error in told] == [f"Nothing answers at {away.place}: the connection was refused."]
    assert station.workspace.active_volume is not None


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_segmentation_is_sent_as_dicom_seg(
    station: Workstation, orthanc: Orthanc, kind: Kind, small_phantom: Phantom, small_series_folder: Path
) -> None:
    station.importing.open_paths([small_series_folder])
    finish_all(station)
    case, volume = station.workspace.active_case, station.workspace.active_volume
    assert case is not None
    assert volume is not None
    labels = (small_phantom.labels > 0).astype(np.uint8)
    mask = Segmentation(volume.geometry, labels, (Segment(1, "Body part", (200, 80, 60)),))
    case.add_segmentation(mask, on=volume.id)
    address = address_of(orthanc, kind)

    job: Job[Sent] = station.archives.send_segmentation(address, mask.id)
    finish_all(station)

    assert job.error is None
    assert job.result is not None
    assert [one.fate for one in job.result.outcomes] == [Fate.CONFIRMED]
    ((uid, id),) = orthanc.held().items()
    stored = pydicom.dcmread(pydicom.filebase.DicomBytesIO(orthanc.rest(f"/instances/{id}/file")))
    assert stored.Modality == "SEG"
    assert stored.SOPInstanceUID == uid
    assert stored.StudyInstanceUID == case.study.uid
    assert int(np.count_nonzero(stored.pixel_array)) == int(np.count_nonzero(labels))
    assert not list((station.home / "outbox").iterdir())

    whole = station.archives.send(address, station.archives.files_of_case(case))
    finish_all(station)
    assert whole.result is not None
    assert whole.result.count(Fate.CONFIRMED) == 40
