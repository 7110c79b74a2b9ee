"""One patient, one pseudonym; one UID, one other; and nothing without the site's secret."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from medview.core.case import Patient
from medview.core.pseudonyms import days_back, new_uid, patient_key, pseudonym, site_secret

SECRET = b"of this place"


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(lambda _: site_secret(tmp_path / "store"), range(32)))
    (secret,) = made
    assert len(secret) >= 32
    assert site_secret(tmp_path / "other") != secret
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["site.key"]
    if os.name != "nt":
        assert (tmp_path / "store" / "site.key").stat().st_mode & 0o077 == 0


def test_a_patient_is_the_id_and_who_issued_it() -> None:
    key = patient_key(SECRET, Patient("4711", "Doe, Jane"), "1.2")
    assert patient_key(SECRET, Patient(" 4711 ", "Doe, J."), "1.3") == key
    assert patient_key(SECRET, Patient("4711", "Doe, Jane", issuer="North"), "1.2") != key
    north = patient_key(SECRET, Patient("4711", "", issuer="North"), "1.2")
    assert patient_key(SECRET, Patient("4711", "", issuer="South"), "1.2") != north
    assert patient_key(b"elsewhere", Patient("4711", "Doe, Jane"), "1.2") != key


def test_without_an_id_and_a_name_each_study_is_a_patient() -> None:
    assert patient_key(SECRET, Patient(""), "1.2") == patient_key(SECRET, Patient(""), "1.2")
    assert patient_key(SECRET, Patient(""), "1.2") != patient_key(SECRET, Patient(""), "1.3")


def test_a_pseudonym_fits_an_id_of_dicom_and_a_folder() -> None:
    name = pseudonym(patient_key(SECRET, Patient("4711"), ""))
    assert name[0] == "P"
    assert name.isalnum()
    assert len(name) == 13


@given(st.from_regex(r"[12](\.(0|[1-9][0-9]{0,8})){1,6}", fullmatch=True))
def test_uids_are_valid_and_always_the_same(uid: str) -> None:
    other = new_uid(SECRET, uid)
    assert other == new_uid(SECRET, uid)
    if not uid.startswith("1.2.840.10008."):
        assert other.startswith("2.25.")
        assert len(other) <= 64
        assert 0 <= int(other.removeprefix("2.25.")) < 2**128
        assert other != new_uid(b"elsewhere", uid)


def test_uids_of_the_standard_stay() -> None:
    assert new_uid(SECRET, "1.2.840.10008.1.2.1") == "1.2.840.10008.1.2.1"
    assert new_uid(SECRET, "") == ""


def test_dates_go_back_by_whole_weeks_up_to_ten_years() -> None:
    days = [days_back(SECRET, str(number)) for number in range(500)]
    assert all(day % 7 == 0 and 7 <= day <= 3640 for day in days)
    assert len(set(days)) > 200
