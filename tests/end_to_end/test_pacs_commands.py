"""The commands about archives, each in a process of its own, with a real Orthanc."""

from __future__ import annotations

import json
from pathlib import Path

import pydicom
import pytest

from tests.end_to_end.conftest import Run
from tests.support.orthanc import PASSWORD, TITLE, USER, Orthanc, free_port


def entered(medview: Run, orthanc: Orthanc, kind: str, secret: Path) -> None:
    if kind == "dimse":
        arguments = ["--host", "127.0.0.1", "--port", str(orthanc.port), "--aet", TITLE]
    else:
        secret.write_text(PASSWORD + "\n", encoding="utf-8")
        arguments = ["--url", orthanc.web().url, "--user", USER, "--password-file", str(secret)]
    ended = medview("pacs", "add", "mine", *arguments)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("kind", ["dimse", "dicomweb"])
def test_a_study_is_sent_found_and_fetched(
    medview: Run, orthanc: Orthanc, kind: str, small_series_folder: Path, tmp_path: Path, medview_home: Path
) -> None:
    entered(medview, orthanc, kind, tmp_path / "secret.txt")
    listed = medview("pacs", "list", "--json")
    assert [one["name"] for one in json.loads(listed.stdout)["archives"]] == ["mine"]
    assert PASSWORD not in listed.stdout
    assert json.loads(medview("pacs", "echo", "mine", "--json").stdout)["answers"] is True

    sent = json.loads(medview("pacs", "send", "mine", small_series_folder, "--json").stdout)
    assert (sent["well"], sent["confirmed"], len(sent["files"])) == (True, 40, 40)
    assert len(orthanc.held()) == 40

    (study,) = json.loads(medview("pacs", "find", "mine", "--modality", "CT", "--json").stdout)["studies"]
    series = json.loads(medview("pacs", "find", "mine", "--study", study["uid"], "--json").stdout)["series_found"]
    assert [one["instances"] for one in series] == [40]
    done = json.loads(medview("pacs", "get", "mine", study["uid"], "--json").stdout)
    assert (done["instances"], done["fetched"]) == (40, 40)
    again = medview("pacs", "get", "mine", study["uid"])
    assert "40 images are there; 0 came now" in again.stdout
    arrived = {pydicom.dcmread(path).SOPInstanceUID for path in Path(done["folder"]).rglob("*.dcm")}
    assert arrived == set(orthanc.held())

    assert medview("pacs", "remove", "mine").returncode == 0
    assert json.loads(medview("pacs", "list", "--json").stdout)["archives"] == []
    logs = "".join(path.read_text(encoding="utf-8") for path in (medview_home / "logs").glob("*.log"))
    assert PASSWORD not in logs
    assert study["patient_name"] not in logs


def test_a_wrong_address_is_answered_with_one_line(medview: Run) -> None:
    assert (
        medview("pacs", "add", "away", "--host", "127.0.0.1", "--port", str(free_port()), "--aet", "X").returncode == 0
    )
    ended = medview("pacs", "echo", "away")
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("medview: Nothing answers at X@127.0.0.1")
    (line,) = medview("pacs", "echo", "unknown").stderr.splitlines()
    assert "no archive of the name unknown" in line
    (line,) = medview("pacs", "add", "bad", "--url", "ftp://somewhere").stderr.splitlines()
    assert "no address of a DICOMweb service" in line
