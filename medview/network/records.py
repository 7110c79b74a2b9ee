"""What is asked of an archive, and what it answers: plain records, the same for DIMSE and DICOMweb."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from pathlib import Path

from medview.core.text import Text


@dataclass(frozen=True, slots=True)
class Query:
    """Which studies are looked for; empty fields match all.

    Attributes:
        patient_name: Its beginning, or with DICOM's wildcards * and ?; "Family, Given" is understood.
        patient_id: The whole ID, or with wildcards.
        first_day: The earliest study date.
        last_day: The latest study date.
        modality: As "CT".
        accession_number: The whole number, or with wildcards.
        study_uid: One study.
    """

    patient_name: str = ""
    patient_id: str = ""
    first_day: date | None = None
    last_day: date | None = None
    modality: str = ""
    accession_number: str = ""
    study_uid: str = ""

    def spellings(self) -> Iterator[Query]:
        """The query itself, then with other capitals in the name: some archives tell small letters from capitals."""
        seen = []
        for name in (self.patient_name, self.patient_name.title(), self.patient_name.upper()):
            if name not in seen:
                seen.append(name)
                yield replace(self, patient_name=name)

    def matching(self) -> dict[str, str]:
        """DICOM keyword -> what has to match, without what is empty."""
        days = ""
        if self.first_day or self.last_day:
            first, last = (f"{day:%Y%m%d}" if day else "" for day in (self.first_day, self.last_day))
            days = first if first == last else f"{first}-{last}"
        wanted = {
            "PatientName": _name_pattern(self.patient_name),
            "PatientID": self.patient_id.strip(),
            "StudyDate": days,
            "ModalitiesInStudy": self.modality.strip().upper(),
            "AccessionNumber": self.accession_number.strip(),
            "StudyInstanceUID": self.study_uid.strip(),
        }
        return {keyword: value for keyword, value in wanted.items() if value}


@dataclass(frozen=True, slots=True)
class FoundStudy:
    """A study that an archive has. Names and dates are as DICOM writes them (VR PN, DA, TM)."""

    uid: str
    patient_name: str = ""
    patient_id: str = ""
    birth_date: str = ""
    sex: str = ""
    date: str = ""
    time: str = ""
    description: str = ""
    accession_number: str = ""
    modalities: tuple[str, ...] = ()
    series: int | None = None
    instances: int | None = None


@dataclass(frozen=True, slots=True)
class FoundStudies:
    """Studies that match; `complete` is False when there are more than were asked for."""

    studies: tuple[FoundStudy, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class FoundSeries:
    """A series that an archive has."""

    study_uid: str
    uid: str
    modality: str = ""
    description: str = ""
    number: int | None = None
    body_part: str = ""
    instances: int | None = None


@dataclass(frozen=True, slots=True)
class FoundInstance:
    """An instance that an archive has; the class is empty where the archive does not tell it."""

    study_uid: str
    series_uid: str
    uid: str
    sop_class: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A DICOM file that is to be sent, and what its header says."""

    path: Path
    instance: FoundInstance
    transfer_syntax: str
    size_bytes: int


class Fate(StrEnum):
    """What became of an instance that was to be sent.

    THERE: it was in the archive before. CONFIRMED: sent, and a query afterwards found it there. ACCEPTED: the archive
    said that it took it, and cannot be asked. REFUSED: the archive did not take it. MISSING: the archive said that it
    took it, and a query afterwards did not find it.
    """

    THERE = "there"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    MISSING = "missing"

    @property
    def is_well(self) -> bool:
        """Whether nothing is left to do."""
        return self in (Fate.THERE, Fate.CONFIRMED, Fate.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file, and why where it was refused."""

    file: Outgoing
    fate: Fate
    reason: Text = field(default_factory=lambda: Text(""))


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of everything that was to be sent."""

    outcomes: tuple[Outcome, ...]

    def count(self, *fates: Fate) -> int:
        """How many ended so."""
        return sum(one.fate in fates for one in self.outcomes)

    @property
    def is_well(self) -> bool:
        """Whether nothing is left to do."""
        return all(one.fate.is_well for one in self.outcomes)


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What a retrieval brought.

    Attributes:
        folder: The study's folder in the inbox.
        instances: How many instances of what was asked for are there now, whole.
        fetched: How many of them came just now.
        size_bytes: How many bytes came just now.
    """

    folder: Path
    instances: int
    fetched: int
    size_bytes: int


def by_series(instances: Iterable[FoundInstance]) -> dict[tuple[str, str], list[FoundInstance]]:
    """(Study UID, series UID) -> the instances of that series."""
    found: dict[tuple[str, str], list[FoundInstance]] = {}
    for one in instances:
        found.setdefault((one.study_uid, one.series_uid), []).append(one)
    return found


def _name_pattern(typed: str) -> str:
    """What is matched for a name that a person has typed: its beginning, whoever writes the rest of it how."""
    text = " ".join(typed.split())
    if not text or "*" in text or "?" in text:
        return text
    text = "^".join(part.strip() for part in text.split(","))
    if "^" not in text:
        text = text.replace(" ", "*")
    # A name in Chinese or Japanese characters stands behind its Latin form: "Zhang^San=张^三".
    return f"{text}*" if text.isascii() else f"*{text}*"
