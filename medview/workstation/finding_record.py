"""The record of findings of a series: a file to which lines are added, and from which none is ever taken.

Each line is what was found, or what a reader said of it; what stands now is what the lines add up to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, NewType

from pydantic import Field, TypeAdapter

from medview.core.finding import Finding, Relation, Verdict
from medview.core.geometry import Box
from medview.core.text import Text
from medview.workstation import line_record
from medview.workstation.jobs import JobQueue
from medview.workstation.line_record import Complaints, LineRecord

FindingId = NewType("FindingId", str)


@dataclass(frozen=True, slots=True)
class Entry:
    """A finding as it stands.

    Attributes:
        id: Its own.
        finding: What was found, with the reader's verdict.
        source: What the plugin or the reader is called.
        found_at: When (UTC).
        reason: Why it was rejected; may be empty.
        reader: Who said so; empty while it is open.
        decided_at: When; None while it is open.
        corrects: The finding that the reader put this one in the place of; None: of none.
        notes: What the model noted about the image, in English.
        relation: How the classes of the same answer relate.
        region: The part of the image that the model saw, (k, j, i); None: all of it.
    """

    id: FindingId
    finding: Finding
    source: str
    found_at: datetime
    reason: str = ""
    reader: str = ""
    decided_at: datetime | None = None
    corrects: FindingId | None = None
    notes: tuple[str, ...] = ()
    relation: Relation = Relation.EXCLUSIVE
    region: Box | None = None


class Found(line_record.Line):
    """Something was found."""

    event: Literal["found"] = "found"
    id: str
    finding: Finding
    source: str
    at: datetime
    corrects: str | None = None
    notes: tuple[str, ...] = ()
    relation: Relation = Relation.EXCLUSIVE
    region: Box | None = None


class Decided(line_record.Line):
    """A reader said something of a finding."""

    event: Literal["decided"] = "decided"
    id: str
    verdict: Verdict
    reason: str
    reader: str
    at: datetime


Line = Found | Decided
_COMPLAINTS = Complaints(
    Text("The findings of this series cannot be read now."),
    Text("Some findings of this series cannot be read."),
    Text("The finding was not kept: {reason}."),
    Text("Make room on the disk, or check who may write there, and decide again."),
)
_LINE: TypeAdapter[Line] = TypeAdapter(Annotated[Line, Field(discriminator="event")])


def summed_up(lines: Iterable[Line]) -> tuple[Entry, ...]:
    """The findings that lines add up to, in the order in which they were found. Words about unknown ones count not."""
    entries: dict[str, Entry] = {}
    for line in lines:
        if isinstance(line, Found):
            corrects = FindingId(line.corrects) if line.corrects is not None else None
            entries[line.id] = Entry(
                FindingId(line.id),
                line.finding,
                line.source,
                line.at,
                corrects=corrects,
                notes=line.notes,
                relation=line.relation,
                region=line.region,
            )
        elif line.id in entries:
            before = entries[line.id]
            is_open = line.verdict is Verdict.OPEN
            entries[line.id] = replace(
                before,
                finding=replace(before.finding, verdict=line.verdict),
                reason=line.reason,
                reader="" if is_open else line.reader,
                decided_at=None if is_open else line.at,
            )
    return tuple(entries.values())


class FindingRecord(LineRecord[Line]):
    """Reads and extends the findings of series.

    Args:
        folder: Where the files lie; made when the first is written.
        jobs: For the way home from the disk's thread.
    """

    def __init__(self, folder: Path, jobs: JobQueue) -> None:
        super().__init__(folder, jobs, _LINE, _COMPLAINTS)
