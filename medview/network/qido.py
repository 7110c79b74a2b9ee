"""Asking with QIDO-RS (PS3.18, 10.6), and reading the answers in DICOM's JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import requests

from medview.network.connecting import ANSWER_S, CONNECT_S
from medview.network.records import FoundInstance, FoundSeries, FoundStudy, Query

Record = Mapping[str, Mapping[str, Any]]
"""A data set in DICOM's JSON (PS3.18, annex F): tag -> {"vr": ..., "Value": [...]}."""
_STUDY_FIELDS = "StudyDescription,ModalitiesInStudy,NumberOfStudyRelatedSeries,NumberOfStudyRelatedInstances"
_SERIES_FIELDS = "SeriesDescription,BodyPartExamined,NumberOfSeriesRelatedInstances"
_WILDCARDS = "*?"
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._~*?-]+")
"""What has to be written as %XX in a URL."""


def answers(session: requests.Session, url: str, parameters: Mapping[str, str]) -> list[Record]:
    """What a service answers to one query.

    Raises:
        requests.RequestException: It failed.
        ValueError: It is no answer in DICOM's JSON.
    """
    # The wildcards stay as they are, which a URL allows: some services do not read them as %2A.
    query = "&".join(f"{name}={quote(value, safe=_WILDCARDS + ',')}" for name, value in parameters.items())
    accept = {"Accept": "application/dicom+json"}
    with session.get(f"{url}?{query}", headers=accept, timeout=(CONNECT_S, ANSWER_S)) as answer:
        answer.raise_for_status()
        if answer.status_code == 204 or not answer.content:
            return []
        answer.encoding = "utf-8"
        found = answer.json()
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise ValueError("the answer is no list of data sets")
    return found


def studies(session: requests.Session, url: str, query: Query, most: int) -> list[FoundStudy]:
    """The studies that match, up to `most`: with other capitals in the name when there are none."""
    extra = {"includefield": _STUDY_FIELDS, "limit": str(most)}
    for spelling in query.spellings():
        found = answers(session, url, spelling.matching() | extra)
        if found:
            return [_study(one) for one in found]
    wanted = query.matching()
    loose = {keyword: _NOT_PLAIN.sub("*", value) for keyword, value in wanted.items()}
    if loose == wanted:
        return []
    # Some services do not read %XX in what they are asked. They are asked for less, and the rest is chosen here.
    found = answers(session, url, loose | extra)
    return [one for one in map(_study, found) if _matches(one, wanted)]


def series(session: requests.Session, url: str, study_uid: str) -> list[FoundSeries]:
    """The series of a study."""
    return [
        FoundSeries(
            study_uid=study_uid,
            uid=_text(one, "0020000E"),
            modality=_text(one, "00080060"),
            description=_text(one, "0008103E"),
            number=_number(one, "00200011"),
            body_part=_text(one, "00180015"),
            instances=_number(one, "00201209"),
        )
        for one in _all(session, url, "0020000E", {"includefield": _SERIES_FIELDS})
    ]


def instances(session: requests.Session, url: str, study_uid: str, series_uid: str) -> list[FoundInstance]:
    """The instances of a series."""
    return [
        FoundInstance(study_uid, series_uid, _text(one, "00080018"), _text(one, "00080016"))
        for one in _all(session, url, "00080018", {})
    ]


def _all(session: requests.Session, url: str, uid_tag: str, parameters: Mapping[str, str]) -> list[Record]:
    """All answers, from services, too, that give them in portions; and once, from those that do not."""
    found: dict[str, Record] = {}
    while True:
        before = len(found)
        offset = {"offset": str(before)} if before else {}
        try:
            portion = answers(session, url, {**parameters, **offset})
        except requests.HTTPError as error:
            if error.response is not None and error.response.status_code == 404 and not before:
                return []  # services may say so of a study that they do not have
            raise
        found |= {uid: one for one in portion if (uid := _text(one, uid_tag))}
        if len(found) == before:
            return list(found.values())


def _matches(study: FoundStudy, wanted: Mapping[str, str]) -> bool:
    said = {
        "PatientName": study.patient_name,
        "PatientID": study.patient_id,
        "AccessionNumber": study.accession_number,
    }
    return all(_fits(value, wanted[keyword]) for keyword, value in said.items() if keyword in wanted)


def _fits(value: str, pattern: str) -> bool:
    """DICOM's matching with wildcards (PS3.4, C.2.2.2.4), without regard to capitals; a group of a name is enough."""
    parts = (".*" if one == "*" else "." if one == "?" else re.escape(one) for one in pattern)
    expression = re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
    return any(expression.fullmatch(one) for one in (value, *value.split("=")))


def _study(answer: Record) -> FoundStudy:
    return FoundStudy(
        uid=_text(answer, "0020000D"),
        patient_name=_text(answer, "00100010"),
        patient_id=_text(answer, "00100020"),
        birth_date=_text(answer, "00100030"),
        sex=_text(answer, "00100040"),
        date=_text(answer, "00080020"),
        time=_text(answer, "00080030"),
        description=_text(answer, "00081030"),
        accession_number=_text(answer, "00080050"),
        modalities=tuple(_several(answer, "00080061")),
        series=_number(answer, "00201206"),
        instances=_number(answer, "00201208"),
    )


def _several(answer: Record, tag: str) -> Iterator[str]:
    values = answer.get(tag, {}).get("Value")
    for value in values if isinstance(values, list) else []:
        if isinstance(value, dict):  # a person's name, in up to three writings
            groups = [str(value.get(one, "")) for one in ("Alphabetic", "Ideographic", "Phonetic")]
            yield "=".join(groups).rstrip("=")
        elif value is not None and str(value):
            yield str(value)


def _text(answer: Record, tag: str) -> str:
    return "\\".join(_several(answer, tag))


def _number(answer: Record, tag: str) -> int | None:
    try:
        return int(_text(answer, tag))
    except ValueError:
        return None
